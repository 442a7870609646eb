/// \file
/// Something that has happened, or not yet, and coroutines that wait until it has.
#pragma once

#include "coflow/async/detail/waiting_room.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {

/// A flag that coroutines wait for: `set` lets all of them go on, and whoever comes later does not wait, until `reset`.
///
/// For the coroutines of one executor, on its thread: there is no lock and nothing atomic in it. It may be made before
/// the executor and outlive it. Waiting allocates nothing.
class async_event final : private detail::waiting_room {
 public:
  explicit async_event(bool set = false) noexcept : set_(set) {}
  async_event(const async_event&) = delete;
  async_event& operator=(const async_event&) = delete;
  /// Whoever still waits gets `error::closed`.
  ~async_event() { end_waits(); }

  /// Lets everybody go on who waits, first come, first served, each in a turn of its own (law O3), and everybody who
  /// comes from now on. Does nothing if it is set.
  void set() noexcept {
    set_ = true;
    if (!waits_.idle()) this->settle_all(waits_, detail::wait_verdict::granted);
  }

  /// From now on coroutines wait again. Those that were let go on by `set` do, even if they have not run yet.
  void reset() noexcept { set_ = false; }

  [[nodiscard]] bool is_set() const noexcept { return set_; }

  class wait_operation;
  /// Waits until the event is set. Gives success, whatever happens between `set` and the waiter's turn;
  /// `operation_canceled` when the task is stopped (law X0); `error::closed` when the event dies or the executor goes
  /// away; `error::no_executor` if it would have to wait where none is current.
  [[nodiscard]] inline wait_operation wait() noexcept;

 private:
  friend class detail::wait_in<wait_operation, async_event>;

  [[nodiscard]] bool start(wait_operation& op) noexcept;
  void withdraw(detail::queued_wait& op) noexcept { waits_.remove(op); }
  void end_waits() noexcept override { this->settle_all(waits_, detail::wait_verdict::closed); }

  operation_queue waits_;
  bool set_;
};

/// What `async_event::wait` returns: gives a `result<void>`.
class [[nodiscard]] async_event::wait_operation final : public detail::wait_in<wait_operation, async_event> {
 public:
  explicit wait_operation(async_event& event) noexcept : wait_in(event) {}
  wait_operation(wait_operation&&) noexcept = default;
  ~wait_operation() = default;

  [[nodiscard]] result<void> await_resume() const noexcept { return this->outcome(); }

 private:
  friend async_event;

  const char* waits_for() const noexcept override { return "an async_event"; }
};

inline async_event::wait_operation async_event::wait() noexcept { return wait_operation(*this); }

[[gnu::noinline]] inline bool async_event::start(wait_operation& op) noexcept {
  if (op.stop_requested()) return this->refuse(op, detail::wait_verdict::canceled);
  if (set_) return this->grant_now(op);
  return this->line_up(op, waits_, waits_.idle());
}

}  // namespace coflow::inline v0
