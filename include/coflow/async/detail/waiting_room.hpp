/// \file
/// Operations that wait, in a queue, for something that other coroutines of the same executor do.
#pragma once

#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

/// How a wait has ended, or why it did not begin.
enum class wait_verdict : std::uint8_t { granted, canceled, closed, no_executor, wrong_executor };

/// What the waiter is told; not for `granted`.
[[nodiscard, gnu::noinline, gnu::cold]] inline std::error_code error_of(wait_verdict verdict) noexcept {
  switch (verdict) {
    case wait_verdict::canceled:
      return canceled();
    case wait_verdict::no_executor:
      return error::no_executor;
    case wait_verdict::wrong_executor:
      return error::wrong_executor;
    default:
      return error::closed;
  }
}

/// An operation that stands in a queue of a `waiting_room`. Once it is settled it needs the room no more.
class queued_wait : public queued_operation {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }

 protected:
  friend class waiting_room;

  queued_wait() noexcept {}
  ~queued_wait() = default;

  /// For a wait that gives nothing else.
  [[nodiscard]] result<void> outcome() const noexcept {
    if (verdict_ == wait_verdict::granted) [[likely]]
      return success;
    return error_of(verdict_);
  }

  wait_verdict verdict_ = wait_verdict::granted;

 private:
  void run() noexcept final {
    phase_ = operation_phase::idle;
    this->resume();
  }
};

/// Where waiters are: the executor on which they all wait, and that tells when it goes away (law O4). It is bound to an
/// executor while somebody waits; an object that outlives its executor goes on with the next one.
class waiting_room : public executor::dependent {
 protected:
  waiting_room() noexcept {}
  ~waiting_room() = default;

  /// `op` has what it wants: at once, or in a turn of its own if its coroutine has had its share of this one. Gives
  /// true for the latter: it is suspended, and settled.
  [[nodiscard]] static bool grant_now(queued_wait& op) noexcept {
    op.verdict_ = wait_verdict::granted;
    executor* const running = current_executor;
    if (running == nullptr || running->take_turn()) [[likely]]
      return false;
    op.phase_ = operation_phase::settled;
    running->post(op);
    return true;
  }

  /// `op` does not even begin to wait. Gives false: it is not suspended.
  [[nodiscard]] static bool refuse(queued_wait& op, wait_verdict why) noexcept {
    op.verdict_ = why;
    return false;
  }

  /// `op` waits in `queue` from now on, if it can. `idle` says that nobody waits in this room yet. Gives true if it is
  /// suspended.
  [[nodiscard, gnu::noinline]] bool line_up(queued_wait& op, operation_queue& queue, bool idle) noexcept {
    if (home_ == nullptr || home_ != current_executor) [[unlikely]] {
      if (const wait_verdict refused = enter(idle); refused != wait_verdict::granted) return refuse(op, refused);
    }
    queue.push(op);
    op.begin_wait();
    return true;
  }

  /// `op`, which is off its queue, has its verdict; its coroutine goes on in a turn of its own (law O3).
  void settle(queued_wait& op, wait_verdict verdict) noexcept {
    op.verdict_ = verdict;
    op.phase_ = operation_phase::settled;
    op.end_wait();
    home_->post(op);
  }
  void settle_all(operation_queue& queue, wait_verdict verdict) noexcept {
    queue.take_all([&](queued_operation& one) { settle(static_cast<queued_wait&>(one), verdict); });
  }

  /// All waits must end with `closed`.
  virtual void end_waits() noexcept = 0;

 private:
  [[gnu::noinline, gnu::cold]] wait_verdict enter(bool idle) noexcept {
    executor* const running = current_executor;
    if (running == nullptr) return wait_verdict::no_executor;
    if (running->finishing()) return wait_verdict::closed;
    if (!idle) {
      COFLOW_ASSERT(false, "coroutines of two executors wait for one object");
      return wait_verdict::wrong_executor;
    }
    this->unlink();
    home_ = running;
    home_->add_dependent(*this);
    return wait_verdict::granted;
  }
  void on_executor_gone() noexcept final {
    end_waits();
    home_ = nullptr;
  }

  executor* home_ = nullptr;
};

/// The part of an operation that does not depend on what it waits for. `Room` has `start(Self&)`, which gives true if
/// the operation is suspended, and `withdraw`, which takes one that waits off its queue.
template <class Self, class Room>
class wait_in : public queued_wait {
 public:
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return room_.start(static_cast<Self&>(*this));
  }

 protected:
  explicit wait_in(Room& room) noexcept : room_(room) {}
  wait_in(wait_in&& unbegun) noexcept : room_(unbegun.room_) {}
  ~wait_in() {
    if (phase_ != operation_phase::idle) [[unlikely]]
      take_back();
  }

  Room& room_;

 private:
  friend Room;

  void on_stop() noexcept final {
    room_.withdraw(*this);
    room_.settle(*this, wait_verdict::canceled);
  }
  [[gnu::noinline, gnu::cold]] void take_back() noexcept {
    if (phase_ == operation_phase::settled) {
      this->unlink();  // the room may be gone already
      return;
    }
    this->end_wait();
    room_.withdraw(*this);
  }
};

}  // namespace detail
}  // namespace coflow::inline v0
