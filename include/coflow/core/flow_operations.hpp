/// \file
/// The operation objects of a flow that is built on `flow_block`: what `read`, `write`, `writev`, `shutdown` and
/// `close` return. They live in the awaiting coroutine's frame and own a share of the flow's control block, so that the
/// flow may be moved or destroyed while they are pending (law O2). Each begins when it is awaited (law O1).
#pragma once

#include <coroutine>
#include <cstddef>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/reference.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/shutdown_mode.hpp"

namespace coflow::inline v0 {

template <class Derived>
class flow_block;

/// An operation that can stand in a queue of a `flow_block`.
class queued_operation : public operation {
 protected:
  template <class Derived>
  friend class flow_block;
  friend class operation_queue;

  enum class phase : unsigned char {
    idle,     // not begun, or over
    waiting,  // in the queue
    called,   // first of the queue, posted to try its luck
    settled,  // off the queue with its outcome, posted to be resumed
  };

  queued_operation() noexcept {}
  ~queued_operation() = default;

  phase phase_ = phase::idle;
};

/// First come, first served (laws R8, W4). The first one may be called: it is then on the executor's ready queue to try
/// again, and still holds its place.
class operation_queue {
 public:
  operation_queue() noexcept {}

  /// True if an operation that begins now need not wait for others.
  [[nodiscard]] bool idle() const noexcept { return called_ == nullptr && waiting_.empty(); }
  /// The first of those that wait, if nobody is called; otherwise null.
  [[nodiscard]] queued_operation* first() const noexcept {
    return called_ == nullptr && !waiting_.empty() ? &waiting_.front() : nullptr;
  }

  void push(queued_operation& one) noexcept {
    waiting_.push_back(one);
    one.phase_ = queued_operation::phase::waiting;
  }

  /// Posts the first operation to try again, unless that has been done already.
  template <class Executor>
  void call_first(Executor& on) noexcept {
    if (called_ != nullptr || waiting_.empty()) return;
    called_ = &waiting_.pop_front();
    called_->phase_ = queued_operation::phase::called;
    on.post(*called_);
  }

  /// The called operation runs: it is to finish now, or to go back by `put_back`.
  void answer(queued_operation& one) noexcept {
    called_ = nullptr;
    one.phase_ = queued_operation::phase::idle;
  }
  void put_back(queued_operation& one) noexcept {
    waiting_.push_front(one);
    one.phase_ = queued_operation::phase::waiting;
  }

  /// Takes off the first of those that wait, which may have been unlinked already.
  void remove_first(queued_operation& one) noexcept {
    one.unlink();
    one.phase_ = queued_operation::phase::idle;
  }

  /// Takes `one` off, wherever it stands.
  void remove(queued_operation& one) noexcept {
    if (called_ == &one) called_ = nullptr;
    one.unlink();
    one.phase_ = queued_operation::phase::idle;
  }

  /// Takes everything off in order and hands it to `f`.
  template <class F>
  void take_all(F&& f) noexcept {
    if (queued_operation* one = called_) {
      remove(*one);
      f(*one);
    }
    while (!waiting_.empty()) {
      queued_operation& one = waiting_.front();
      remove(one);
      f(one);
    }
  }

 private:
  detail::intrusive_list<queued_operation> waiting_;
  queued_operation* called_ = nullptr;
};

/// What `flow.read()` returns: gives a `read_result`.
/// Cancellation: no byte is lost; the flow stays usable (law X1). Throws std::bad_alloc, losing no byte, if there is no
/// memory for the data.
template <class Block>
class [[nodiscard]] read_operation final : public queued_operation {
 public:
  explicit read_operation(Block& block) noexcept : block_(block) {}
  read_operation(read_operation&& unbegun) noexcept : block_(std::move(unbegun.block_)) {}
  ~read_operation() {
    if (phase_ != phase::idle) block_->withdraw(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    return block_->start(*this);
  }
  [[nodiscard]] read_result await_resume() {
    if (came_to_ == outcome::data) [[likely]]
      return std::move(data_);
    if (came_to_ == outcome::out_of_memory) throw std::bad_alloc();
    if (failure_.has_value()) return end_of_stream;
    return failure_.error();
  }

 private:
  friend flow_block<Block>;

  void run() noexcept override {
    if (phase_ != phase::called || block_->try_again(*this)) {
      phase_ = phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept override { block_->stop(*this); }

  enum class outcome : unsigned char { data, verdict, out_of_memory };

  void come_to(const std::error_code& verdict) noexcept {
    came_to_ = outcome::verdict;
    if (verdict) failure_ = verdict;
  }

  detail::reference<Block> block_;
  buffer data_;
  result<void> failure_;  // success stands for eof
  outcome came_to_ = outcome::data;
};

/// The part of a write that does not depend on who holds the buffers. `rest`, `advance` and `accept` are for the block.
template <class Block>
class writing_operation : public queued_operation {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] result<void> await_resume() const noexcept { return outcome_; }

  /// What is still to be sent; its first buffer, if there is one, is not empty.
  [[nodiscard]] std::span<buffer> rest() const noexcept { return rest_; }
  /// The transport below has accepted `count` bytes of the rest: they are taken out of their buffers (law W2).
  void advance(std::size_t count) noexcept {
    begun_ = true;
    while (count != 0) {
      buffer& front = rest_.front();
      const std::size_t part = count < front.size() ? count : front.size();
      front.remove_prefix(part);
      count -= part;
      skip_empty();
    }
  }
  /// The transport below has accepted all of a rest that is one buffer.
  void accept_last() noexcept {
    rest_.front().clear();
    rest_ = {};
  }
  /// The transport below takes over up to `limit` bytes of the first buffer of the rest, without copying them.
  [[nodiscard]] buffer accept(std::size_t limit) noexcept {
    begun_ = true;
    buffer taken = rest_.front().take_front(limit);
    skip_empty();
    return taken;
  }

 protected:
  friend flow_block<Block>;

  explicit writing_operation(Block& block) noexcept : block_(block) {}
  writing_operation(writing_operation&& unbegun) noexcept : block_(std::move(unbegun.block_)) {}
  ~writing_operation() {
    if (phase_ != phase::idle) block_->withdraw(*this);
  }

  void run() noexcept override {
    if (phase_ != phase::called || block_->try_again(*this)) {
      phase_ = phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept override { block_->stop(*this); }

  void skip_empty() noexcept {
    while (!rest_.empty() && rest_.front().empty()) rest_ = rest_.subspan(1);
  }

  detail::reference<Block> block_;
  std::span<buffer> rest_;
  result<void> outcome_;
  bool begun_ = false;  // a part has gone out
};

/// What `flow.write(buffer)` returns: gives a `result<void>`.
/// Cancellation: a write that has sent nothing leaves the flow usable; one that has sent a part ends the write half
/// with `error::torn_write` (law X2).
template <class Block>
class [[nodiscard]] write_operation final : public writing_operation<Block> {
 public:
  write_operation(Block& block, buffer bytes) noexcept : writing_operation<Block>(block), bytes_(std::move(bytes)) {}
  write_operation(write_operation&& unbegun) noexcept
      : writing_operation<Block>(std::move(unbegun)), bytes_(std::move(unbegun.bytes_)) {}

  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    if (!bytes_.empty()) this->rest_ = std::span<buffer>(&bytes_, 1);
    return this->block_->start(*this);
  }

 private:
  buffer bytes_;
};

/// What `flow.writev(span)` returns: gives a `result<void>`. The array behind the span must live until the await ends;
/// after an error or a cancellation the unsent rest is still in it (law W2).
template <class Block>
class [[nodiscard]] writev_operation final : public writing_operation<Block> {
 public:
  writev_operation(Block& block, std::span<buffer> list) noexcept : writing_operation<Block>(block), list_(list) {}
  writev_operation(writev_operation&& unbegun) noexcept
      : writing_operation<Block>(std::move(unbegun)), list_(unbegun.list_) {}

  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    this->rest_ = list_;
    this->skip_empty();
    return this->block_->start(*this);
  }

 private:
  std::span<buffer> list_;
};

/// What `flow.shutdown(mode)` returns: gives nothing and never fails (law S1). It waits while queued writes go out; a
/// stop ends that wait, not the shutdown (law X0).
template <class Block>
class [[nodiscard]] shutdown_operation final : public queued_operation {
 public:
  shutdown_operation(Block& block, shutdown_mode mode) noexcept : block_(block), mode_(mode) {}
  shutdown_operation(shutdown_operation&& unbegun) noexcept : block_(std::move(unbegun.block_)), mode_(unbegun.mode_) {}
  ~shutdown_operation() {
    if (phase_ != phase::idle) this->unlink();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    return block_->start(*this);
  }
  void await_resume() const noexcept {}

 private:
  friend flow_block<Block>;

  void run() noexcept override {
    phase_ = phase::idle;
    this->resume();
  }
  void on_stop() noexcept override { block_->stop(*this); }

  detail::reference<Block> block_;
  shutdown_mode mode_;
};

/// What `flow.close()` returns: gives nothing, never waits and never fails (laws C1, C2).
template <class Block>
class [[nodiscard]] close_operation final {
 public:
  explicit close_operation(Block& block) noexcept : block_(block) {}
  close_operation(const close_operation&) = delete;
  close_operation& operator=(const close_operation&) = delete;
  close_operation(close_operation&&) noexcept = default;
  ~close_operation() = default;

  [[nodiscard]] bool await_ready() const noexcept {
    block_->close();
    return true;
  }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}

 private:
  detail::reference<Block> block_;
};

}  // namespace coflow::inline v0
