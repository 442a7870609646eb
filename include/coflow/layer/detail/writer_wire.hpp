/// \file
/// The inner side of a `buffered_writer`: the flow below, what is to be sent there, and every operation on it that the
/// layer itself brings about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/outbox.hpp"
#include "coflow/layer/detail/pump.hpp"
#include "coflow/layer/detail/reset_below.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What `writer_block` is built on. One pump sends what is due, a list at a time, and the end behind it; one shuts the
/// read half below; one closes (law L1). It asks its `Host`
///
///     bool may_send() const noexcept;
///     executor* executor_of_wire() const noexcept;   // null before the first operation
///     void put_off() noexcept;                       // outside of the executor's turns: `look` is to be called in one
///
/// and tells it, from inside a pump, so that nobody may be resumed there and the wire may not be destroyed,
///
///     void output_went() noexcept;                   // a list has been accepted below
///     void output_failed(std::error_code) noexcept;
///     void end_went_out() noexcept;                  // the write half below is shut
///     void inner_is_closed() noexcept;
template <class Inner, class Host>
class writer_wire {
 public:
  /// Throws std::bad_alloc; the flow below is then destroyed.
  writer_wire(Host& host, Inner inner) : host_(host), inner_(std::move(inner)) {}
  writer_wire(const writer_wire&) = delete;
  writer_wire& operator=(const writer_wire&) = delete;
  ~writer_wire() = default;

  [[nodiscard]] Inner& inner() noexcept { return inner_; }

  /// Bytes that were put, and bytes that were accepted below, since the beginning.
  [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
  [[nodiscard]] std::size_t buffered() const noexcept { return static_cast<std::size_t>(accepted_ - sent_); }

  /// `some` is a span or a buffer. Throws std::bad_alloc; nothing has changed then.
  template <class Bytes>
  void put(const Bytes& some) {
    out_.put(some);
    accepted_ += some.size();
  }
  /// Everything that was put so far is to be sent: on the spot, as far as the flow below takes it.
  void send_now() noexcept {
    due_ = accepted_;
    poke(writer_);
  }
  /// The same, and the end behind it.
  void send_end() noexcept {
    end_due_ = true;
    send_now();
  }
  void shut_input() noexcept {
    shut_due_ = true;
    poke(shutter_);
  }
  /// Closes the flow below: the first call counts (law L2).
  void close_inner() noexcept {
    if (std::exchange(close_begun_, true)) return;
    controller_.poke();
  }
  [[nodiscard]] bool closed() const noexcept { return closed_; }
  /// The flow below has not accepted all that was put: an end of it now is not a clean one (laws C6, X3).
  [[nodiscard]] bool lacks_bytes() const noexcept { return lacks_bytes_ || sent_ != accepted_; }
  /// Closes the flow below so that its peer is told, if that can be.
  void reset_inner() noexcept { static_cast<void>(reset_below(inner_)); }
  /// Goes on where it had to be put off.
  void look() noexcept {
    writer_.poke();
    shutter_.poke();
  }

  // ---- writes that go to the flow below by themselves

  /// Nothing is sent before `release`. Needs `buffered()` to be 0.
  void hold() noexcept { held_ = true; }
  [[nodiscard]] bool held() const noexcept { return held_; }
  /// `in_doubt`: it may have been torn, so the flow below is to be asked whether the half is still good.
  void release(bool in_doubt) noexcept {
    held_ = false;
    in_doubt_ = in_doubt;
    poke(writer_);
  }

  /// True if nothing is being sent, nor will be, unless the host may send.
  [[nodiscard]] bool at_rest() const noexcept { return !sending_now_; }
  /// What is left, in order. Throws std::bad_alloc; nothing has changed then.
  [[nodiscard]] std::vector<buffer> take_unsent() {
    std::vector<buffer> all;
    all.reserve(sending_.size() + out_.pieces());
    std::vector<buffer> rest;
    out_.take(rest);
    for (std::vector<buffer>* list : {&sending_, &rest}) {
      for (buffer& one : *list)
        if (!one.empty()) all.push_back(std::move(one));
      list->clear();
    }
    lacks_bytes_ = lacks_bytes();
    sent_ = accepted_;
    return all;
  }

 private:
  void poke(pump& one) noexcept {
    executor* const home = host_.executor_of_wire();
    if (home == nullptr || executor::current() == home)
      one.poke();
    else
      host_.put_off();
  }

  [[nodiscard]] bool has_work() const noexcept {
    if (held_ || close_begun_ || !host_.may_send()) return false;
    return in_doubt_ || sent_ < due_ || (end_due_ && !end_begun_);
  }
  static pump write_on(writer_wire* self) {
    for (;;) {
      while (!self->has_work()) co_await self->writer_.idle();
      if (self->sent_ == self->accepted_ && !self->in_doubt_) {
        self->end_begun_ = true;
        co_await self->inner_.shutdown(shutdown_mode::write);
        self->host_.end_went_out();
        continue;
      }
      self->begin_batch();
      std::error_code failure;
      try {
        auto sent = co_await self->inner_.writev(self->sending_);
        if (!sent) failure = sent.error();
      } catch (const std::bad_alloc&) {
        failure = std::make_error_code(std::errc::not_enough_memory);
      }
      self->end_batch(failure);
    }
  }
  // To write nothing is to ask whether the half is open (law W9).
  void begin_batch() noexcept {
    sending_now_ = true;
    batch_ = std::exchange(in_doubt_, false) ? 0 : out_.bytes();
    if (batch_ != 0) out_.take(sending_);
  }
  void end_batch(std::error_code failure) noexcept {
    sending_now_ = false;
    std::size_t left = 0;
    for (const buffer& one : sending_) left += one.size();
    sent_ += std::exchange(batch_, 0) - left;
    if (failure) return host_.output_failed(failure);
    sending_.clear();
    if (out_.empty()) out_.rest();
    host_.output_went();
  }

  static pump shut_on(writer_wire* self) {
    for (;;) {
      while (!self->shut_due_ || self->close_begun_) co_await self->shutter_.idle();
      self->shut_due_ = false;
      co_await self->inner_.shutdown(shutdown_mode::read);
    }
  }
  static pump close_on(writer_wire* self) {
    for (;;) {
      while (!self->close_begun_ || self->closed_) co_await self->controller_.idle();
      if (self->lacks_bytes()) self->reset_inner();
      co_await self->inner_.close();
      self->closed_ = true;
      self->host_.inner_is_closed();
    }
  }

  Host& host_;
  std::uint64_t accepted_ = 0;
  std::uint64_t due_ = 0;  // so many of them are to go out
  std::uint64_t sent_ = 0;
  std::size_t batch_ = 0;  // what the write below is about
  outbox out_;
  std::vector<buffer> sending_;
  bool held_ = false;
  bool in_doubt_ = false;
  bool sending_now_ = false;
  bool end_due_ = false;
  bool end_begun_ = false;
  bool shut_due_ = false;
  bool close_begun_ = false;
  bool closed_ = false;
  bool lacks_bytes_ = false;  // though it has given them away
  Inner inner_;
  // Last, so that the inner operations die before the flow below.
  pump writer_ = write_on(this);
  pump shutter_ = shut_on(this);
  pump controller_ = close_on(this);
};

}  // namespace detail
}  // namespace coflow::inline v0
