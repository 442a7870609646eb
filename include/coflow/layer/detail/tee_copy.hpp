/// \file
/// The second flow of a tee: what is to be copied, on its way there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/buffer_queue.hpp"
#include "coflow/layer/detail/pump.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Owns the sink and the operations on it. It tells its `Host`
///
///     void copy_went() noexcept;        // a batch has gone to the sink, or the sink has failed
///     void sink_is_closed() noexcept;
///
/// from inside a pump, so that nobody may be resumed there and the whole may not be destroyed.
template <class Sink, class Host>
class tee_copy {
 public:
  /// Throws std::bad_alloc; the sink is then destroyed.
  tee_copy(Host& host, Sink sink) : host_(host), sink_(std::move(sink)) {}
  tee_copy(const tee_copy&) = delete;
  tee_copy& operator=(const tee_copy&) = delete;
  ~tee_copy() = default;

  [[nodiscard]] Sink& sink() noexcept { return sink_; }
  /// How many bytes wait, or are being written.
  [[nodiscard]] std::size_t queued() const noexcept { return queue_.bytes() + in_flight_; }
  /// Nothing more is copied.
  [[nodiscard]] bool ended() const noexcept { return static_cast<bool>(error_) || closing_; }
  [[nodiscard]] const std::error_code& error() const noexcept { return error_; }
  [[nodiscard]] std::uint64_t copied() const noexcept { return copied_; }
  [[nodiscard]] std::uint64_t not_copied() const noexcept { return not_copied_; }
  [[nodiscard]] bool closed() const noexcept { return closed_; }

  void add(buffer bytes) noexcept {
    const std::size_t size = bytes.size();
    if (ended()) return skip(size);
    try {
      queue_.push(std::move(bytes));
    } catch (const std::bad_alloc&) {
      fail(std::make_error_code(std::errc::not_enough_memory));
      skip(size);
    }
  }
  /// Bytes that should have been copied, and cannot be.
  void skip(std::size_t count) noexcept { not_copied_ += count; }
  /// Sends what was added, on the spot as far as the sink takes it.
  void send() noexcept { writer_.poke(); }

  /// A stream with a hole is worse than one that ends: nothing is copied any more.
  void fail(std::error_code why) noexcept {
    if (!error_) error_ = why;
    skip(queue_.bytes());
    queue_.clear();
  }
  /// What is not out by now stays behind, if `why` is an error; the sink is closed.
  void close(std::error_code why) noexcept {
    if (std::exchange(closing_, true)) return;
    if (queued() != 0 && !error_) error_ = why;
    skip(queue_.bytes());
    queue_.clear();
    closer_.poke();
  }

 private:
  static pump write_on(tee_copy* self) {
    for (;;) {
      while (self->queue_.empty()) co_await self->writer_.idle();
      self->sending_.swap(self->queue_);
      self->in_flight_ = self->sending_.bytes();
      std::error_code failure;
      try {
        auto sent = co_await self->sink_.writev(self->sending_.list());
        if (!sent) failure = sent.error();
      } catch (const std::bad_alloc&) {
        failure = std::make_error_code(std::errc::not_enough_memory);
      }
      self->end_batch(failure);
    }
  }
  // What the sink has taken of a write that failed is not in its buffers any more (law W2).
  void end_batch(std::error_code failure) noexcept {
    std::size_t left = 0;
    if (failure)
      for (const buffer& one : sending_.list()) left += one.size();
    copied_ += in_flight_ - left;
    skip(left);
    sending_.clear();
    in_flight_ = 0;
    if (failure) fail(failure);
    host_.copy_went();
  }
  static pump close_sink(tee_copy* self) {
    for (;;) {
      while (!self->closing_ || self->closed_) co_await self->closer_.idle();
      co_await self->sink_.close();
      self->closed_ = true;
      self->host_.sink_is_closed();
    }
  }

  Host& host_;
  Sink sink_;
  buffer_queue queue_;
  buffer_queue sending_;  // what the sink's write is about
  std::size_t in_flight_ = 0;
  std::uint64_t copied_ = 0;
  std::uint64_t not_copied_ = 0;
  std::error_code error_;
  bool closing_ = false;
  bool closed_ = false;
  // Last, so that the operations die before the sink.
  pump writer_ = write_on(this);
  pump closer_ = close_sink(this);
};

}  // namespace detail
}  // namespace coflow::inline v0
