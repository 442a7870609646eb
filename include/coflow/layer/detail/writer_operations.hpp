/// \file
/// What the operations of a `buffered_writer` are beyond those of every control block: early writes, flushes, its
/// close, and reads that hear of that.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/erased_wait.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Holds the line while a large write goes through to the flow below. The block may be gone before it.
template <class Block>
class line_hold {
 public:
  line_hold() noexcept {}
  line_hold(const line_hold&) = delete;
  line_hold& operator=(const line_hold&) = delete;
  ~line_hold() { end(canceled()); }

  /// Needs a write that was granted the line.
  void begin(Block& block) noexcept {
    block_ = &block;
    block.hold_line(*this);
  }
  void block_is_gone() noexcept { block_ = nullptr; }
  /// The write is over, with this error or none.
  void end(const std::error_code& failure) noexcept {
    if (block_ != nullptr) std::exchange(block_, nullptr)->end_write_through(failure);
  }

 private:
  Block* block_ = nullptr;
};

template <class Block>
task<result<void>> write_through_list(Block* block, std::span<buffer> list) {
  line_hold<Block> line;
  const result<void> turn = co_await writev_operation<Block>(*block, list);
  if (!turn) co_return turn.error();
  line.begin(*block);
  auto sent = co_await block->inner().writev(list);
  std::error_code failure;
  if (!sent) failure = sent.error();
  line.end(failure);
  if (failure) co_return failure;
  co_return success;
}
template <class Block>
task<result<void>> write_through(Block* block, buffer bytes) {
  line_hold<Block> line;
  const result<void> turn = co_await writev_operation<Block>(*block, std::span<buffer>(&bytes, 1));
  if (!turn) co_return turn.error();
  line.begin(*block);
  auto sent = co_await block->inner().write(std::move(bytes));
  std::error_code failure;
  if (!sent) failure = sent.error();
  line.end(failure);
  if (failure) co_return failure;
  co_return success;
}

/// Where an early write's bytes are: with the caller, in the operation, in a buffer, in a list of buffers.
class borrowed_bytes {
 public:
  explicit borrowed_bytes(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block& block) const {
    return block.accept_now(bytes_);
  }
  // Copies only where the bytes have to wait.
  [[nodiscard]] std::span<buffer> list() {
    if (copy_.empty()) copy_ = buffer(bytes_);
    return {&copy_, 1};
  }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) const {
    return detail::write_through(&block, buffer(bytes_));
  }

 private:
  std::span<const std::byte> bytes_;
  buffer copy_;
};
template <std::size_t Size>
class own_bytes {
 public:
  explicit own_bytes(const std::array<std::byte, Size>& bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] static constexpr std::size_t size() noexcept { return Size; }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block& block) const {
    return block.accept_now(std::span<const std::byte>(bytes_));
  }
  [[nodiscard]] std::span<buffer> list() {
    if (copy_.empty()) copy_ = buffer(std::span<const std::byte>(bytes_));
    return {&copy_, 1};
  }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) const {
    return detail::write_through(&block, buffer(std::span<const std::byte>(bytes_)));
  }

 private:
  std::array<std::byte, Size> bytes_;
  buffer copy_;
};
class one_buffer {
 public:
  explicit one_buffer(buffer bytes) noexcept : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block& block) const {
    return block.accept_now(bytes_);
  }
  [[nodiscard]] std::span<buffer> list() noexcept { return {&bytes_, 1}; }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) {
    return detail::write_through(&block, std::move(bytes_));
  }

 private:
  buffer bytes_;
};
class buffer_list {
 public:
  explicit buffer_list(std::span<buffer> list) noexcept : list_(list) {}
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t sum = 0;
    for (const buffer& one : list_) sum += one.size();
    return sum;
  }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block&) const noexcept {
    return false;
  }
  [[nodiscard]] std::span<buffer> list() const noexcept { return list_; }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) const {
    return detail::write_through_list(&block, list_);
  }

 private:
  std::span<buffer> list_;
};

/// A write that is accepted into the buffer at once, or when there is room for it. One that would fill the buffer by
/// itself goes through to the flow below instead, when its turn has come; that takes a frame from the pool.
template <class Block, class Source>
class [[nodiscard]] early_write final : public writing_operation<Block> {
 public:
  early_write(Block& block, Source source) noexcept : writing_operation<Block>(block), source_(std::move(source)) {}
  early_write(early_write&& unbegun) noexcept
      : writing_operation<Block>(std::move(unbegun)), source_(std::move(unbegun.source_)) {}
  ~early_write() { this->end(); }

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) {
    if (source_.size() >= this->block_.mark()) [[unlikely]] {
      through_.emplace(source_.write_through(this->block_));
      return through_wait_.emplace(std::move(*through_).operator co_await()).await_suspend(awaiting);
    }
    this->bind(awaiting);
    if (!this->stop_requested() && source_.accepted_now(this->block_)) [[likely]]
      return false;
    return wait_for_room();
  }
  [[nodiscard]] result<void> await_resume() {
    if (through_wait_) [[unlikely]]
      return through_wait_->await_resume();
    return writing_operation<Block>::await_resume();
  }

 private:
  [[nodiscard, gnu::noinline]] bool wait_for_room() {
    const bool may_begin = !this->stop_requested() && this->block_.state().can_write();
    const std::span<buffer> list = may_begin && source_.size() != 0 ? source_.list() : std::span<buffer>();
    this->first_ = list.data();
    this->count_ = list.size();
    this->skip_empty();
    return this->block_.start(static_cast<writing_operation<Block>&>(*this));
  }

  Source source_;
  std::optional<task<result<void>>> through_;
  std::optional<task<result<void>>::awaiter> through_wait_;
};

/// Waits until everything that was accepted before has gone out; gives a `result<void>`.
template <class Block>
class [[nodiscard]] flush_operation final : public queued_operation {
 public:
  explicit flush_operation(Block& block) noexcept : block_(block) {}
  flush_operation(flush_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~flush_operation() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
      block_.withdraw_flush(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested()) {
      failure_ = canceled();
      return false;
    }
    if (!block_.begin_flush(*this)) return false;
    this->begin_wait();
    return true;
  }
  [[nodiscard]] result<void> await_resume() const noexcept {
    if (failure_) return failure_;
    return success;
  }

 private:
  friend Block;

  void run() noexcept override {
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override {
    failure_ = canceled();
    block_.stop_flush(*this);
  }
  const char* waits_for() const noexcept override { return "a flush"; }

  Block& block_;
  std::error_code failure_;
  std::uint64_t target_ = 0;  // of all bytes ever accepted
};

/// What `buffered_writer::close` returns: gives nothing. It waits while buffered bytes go out, within the limit; a stop
/// request does not end that wait (law X0).
template <class Block>
class [[nodiscard]] writer_close_operation final : public queued_operation {
 public:
  explicit writer_close_operation(Block& block) noexcept : block_(block) {}
  writer_close_operation(writer_close_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~writer_close_operation() {
    if (phase_ == operation_phase::settled)
      this->unlink();
    else if (phase_ == operation_phase::waiting)
      block_.withdraw_closer(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return block_.begin_close(*this);
  }
  void await_resume() const noexcept {}

 private:
  void run() noexcept override {
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override {}
  const char* waits_for() const noexcept override { return "a close"; }

  Block& block_;
};

/// A read of the flow below that waits, as the layer knows it: its close comes first where bytes are still to go out,
/// and then says what the read gives.
class known_read : public self_unlinking {
 public:
  void flow_was_closed() noexcept { closed_ = true; }

 protected:
  known_read() noexcept {}
  ~known_read() = default;

  bool closed_ = false;
};

/// What a `buffered_writer`'s reads return: the flow below's own operation.
template <class Block, class Make, class Result>
class [[nodiscard]] known_read_operation final : private known_read {
 public:
  known_read_operation(Block& block, Make make) noexcept : block_(block), make_(make) {}
  known_read_operation(known_read_operation&& unbegun) noexcept : block_(unbegun.block_), make_(unbegun.make_) {}
  known_read_operation& operator=(known_read_operation&&) = delete;
  ~known_read_operation() {
    if (begun_) detail::destroy(below_);
  }

  [[nodiscard]] bool await_ready() {
    block_.notice_executor();
    if (block_.closing()) {
      closed_ = true;
      return true;
    }
    const auto make = [this]() -> decltype(auto) { return make_(block_.inner()); };
    ::new (static_cast<void*>(&below_)) below_wait(make);
    begun_ = true;
    return below_.ready();
  }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    waited_ = true;
    block_.add_read(*this);
    return below_.suspend(awaiting(coroutine));
  }
  [[nodiscard]] Result await_resume() {
    if (!begun_) return error::closed;
    Result got = below_.resume();
    if (got) [[likely]]
      return got;
    if (closed_) return error::closed;
    // A read that has waited knows by its link whether the flow is still there.
    if (got.failed() && (this->linked() || !waited_)) block_.read_failed(got.error());
    return got;
  }

 private:
  using below_wait = placed_wait<decltype(std::declval<Make&>()(std::declval<typename Block::inner_type&>())), Result>;

  Block& block_;
  [[no_unique_address]] Make make_;
  bool begun_ = false;
  bool waited_ = false;
  union {
    below_wait below_;
  };
};

}  // namespace detail
}  // namespace coflow::inline v0
