/// \file
/// Operations that wait their turn on one half of a flow.
#pragma once

#include <cstdint>

#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/operation.hpp"

namespace coflow::inline v0 {

/// Where a queued operation stands.
enum class operation_phase : std::uint8_t {
  idle,     ///< not begun, or over
  waiting,  ///< in a queue
  called,   ///< first in its queue, and posted to try its luck
  settled,  ///< off the queue with its outcome, and posted to be resumed
};

/// An operation that can stand in an `operation_queue`. One that dies in another phase than idle must leave its queue.
class queued_operation : public basic_operation {
 protected:
  friend class operation_queue;
  template <class Derived>
  friend class flow_block;

  queued_operation() noexcept {}
  ~queued_operation() = default;

  operation_phase phase_ = operation_phase::idle;
};

/// First come, first served (laws R8, W4). The first one may be called: it is then on the executor's ready queue to try
/// again, and still holds its place.
class operation_queue {
 public:
  operation_queue() noexcept {}

  /// True if an operation that begins now need not wait for others.
  [[nodiscard]] bool idle() const noexcept { return first_ == nullptr; }

  /// The first operation if it waits; null if there is none or it has been called.
  [[nodiscard]] queued_operation* waiting() const noexcept {
    return first_ != nullptr && first_->phase_ == operation_phase::waiting ? first_ : nullptr;
  }

  void push(queued_operation& one) noexcept {
    one.phase_ = operation_phase::waiting;
    if (first_ == nullptr)
      first_ = &one;
    else
      others_.push_back(one);
  }

  /// Posts the first operation on `on` to try again, unless it has been called already.
  template <class Executor>
  void call(Executor& on) noexcept {
    queued_operation* first = waiting();
    if (first == nullptr) return;
    first->phase_ = operation_phase::called;
    on.post(*first);
  }

  /// The first operation, which has been called, tries now and waits on if that comes to nothing.
  void answer(queued_operation& first) noexcept { first.phase_ = operation_phase::waiting; }

  /// Takes the first operation off.
  void pop() noexcept {
    first_->phase_ = operation_phase::idle;
    first_ = others_.empty() ? nullptr : &others_.pop_front();
  }

  /// Takes `one` off, wherever it stands, also off the ready queue.
  void remove(queued_operation& one) noexcept {
    one.unlink();
    if (first_ == &one) {
      pop();
    } else {
      one.phase_ = operation_phase::idle;
    }
  }

  /// Takes everything off in order and hands it to `f`, but for `keep` if that is the first.
  template <class F>
  void take_all(F&& f, const queued_operation* keep = nullptr) noexcept {
    while (first_ != nullptr && first_ != keep) {
      queued_operation& one = *first_;
      remove(one);
      f(one);
    }
    while (!others_.empty()) {
      queued_operation& one = others_.pop_front();
      one.phase_ = operation_phase::idle;
      f(one);
    }
  }

 private:
  queued_operation* first_ = nullptr;
  detail::intrusive_list<queued_operation> others_;
};

}  // namespace coflow::inline v0
