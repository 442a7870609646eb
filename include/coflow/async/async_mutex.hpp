/// \file
/// Something that one coroutine at a time may use.
#pragma once

#include <utility>

#include "coflow/async/detail/waiting_room.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {

class async_mutex;

/// Holds an `async_mutex` until it dies or is unlocked. Movable. A lock that was moved from, was unlocked, or has
/// outlived its mutex, holds nothing.
class [[nodiscard]] async_lock {
 public:
  async_lock() noexcept {}
  async_lock(async_lock&& other) noexcept { take_over(other); }
  /// Gives up what it held first.
  async_lock& operator=(async_lock&& other) noexcept {
    if (this != &other) {
      unlock();
      take_over(other);
    }
    return *this;
  }
  ~async_lock() { unlock(); }

  /// True while it holds a mutex.
  [[nodiscard]] explicit operator bool() const noexcept { return mutex_ != nullptr; }

  /// Lets the next one have the mutex now; resumes nobody inline. Does nothing if it holds none.
  inline void unlock() noexcept;

 private:
  friend async_mutex;

  explicit async_lock(async_mutex& mutex) noexcept { hold(mutex); }
  inline void hold(async_mutex& mutex) noexcept;
  void take_over(async_lock& other) noexcept {
    if (other.mutex_ != nullptr) hold(*std::exchange(other.mutex_, nullptr));
  }

  async_mutex* mutex_ = nullptr;
};

/// Mutual exclusion across suspensions: what the holder does, it does alone, however often it waits meanwhile.
///
///     auto lock = co_await mutex.lock();
///     if (!lock) co_return lock.error();
///
/// First come, first served: when it is unlocked it passes to the coroutine that has waited longest, and nobody gets
/// in between. It is not recursive. For the coroutines of one executor, on its thread: there is no lock and nothing
/// atomic in it. It may be made before the executor and outlive it. Locking allocates nothing.
class async_mutex final : private detail::waiting_room {
 public:
  async_mutex() noexcept {}
  async_mutex(const async_mutex&) = delete;
  async_mutex& operator=(const async_mutex&) = delete;
  /// Whoever still waits gets `error::closed`, and so does one whom it was passed to and who has not run yet. A lock
  /// that holds it holds nothing any more.
  ~async_mutex() {
    end_waits();
    if (holder_ != nullptr) holder_->mutex_ = nullptr;
  }

  class lock_operation;
  /// Waits for the mutex and gives an `async_lock`; or `operation_canceled` when the task is stopped (law X0), which
  /// does not take back a mutex that has been passed on to it already; `error::closed` when the mutex dies or the
  /// executor goes away; `error::no_executor` if it would have to wait where none is current. If the coroutine that it
  /// was passed on to is destroyed before it runs, the next one has it.
  [[nodiscard]] inline lock_operation lock() noexcept;

  /// The mutex if it is free, else a lock that holds nothing.
  [[nodiscard]] async_lock try_lock() noexcept {
    if (holder_ != nullptr) return async_lock();
    return async_lock(*this);
  }

  [[nodiscard]] bool is_locked() const noexcept { return holder_ != nullptr; }

 private:
  friend async_lock;
  friend class detail::wait_in<lock_operation, async_mutex>;

  [[nodiscard]] bool start(lock_operation& op) noexcept;
  void pass_on() noexcept;
  void withdraw(detail::queued_wait& op) noexcept { waits_.remove(op); }
  void end_waits() noexcept override { this->settle_all(waits_, detail::wait_verdict::closed); }

  operation_queue waits_;
  async_lock* holder_ = nullptr;
};

/// What `async_mutex::lock` returns: gives a `result<async_lock>`.
class [[nodiscard]] async_mutex::lock_operation final : public detail::wait_in<lock_operation, async_mutex> {
 public:
  explicit lock_operation(async_mutex& mutex) noexcept : wait_in(mutex) {}
  lock_operation(lock_operation&& unbegun) noexcept : wait_in(std::move(unbegun)) {}
  ~lock_operation() = default;

  [[nodiscard]] result<async_lock> await_resume() noexcept {
    if (lock_) [[likely]]
      return std::move(lock_);
    return detail::error_of(verdict_);  // also where the mutex has died since it was granted
  }

 private:
  friend async_mutex;

  const char* waits_for() const noexcept override { return "an async_mutex"; }

  async_lock lock_;  // passes the mutex on if it dies here
};

inline void async_lock::hold(async_mutex& mutex) noexcept {
  mutex_ = &mutex;
  mutex.holder_ = this;
}
inline void async_lock::unlock() noexcept {
  if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->pass_on();
}

inline async_mutex::lock_operation async_mutex::lock() noexcept { return lock_operation(*this); }

[[gnu::noinline]] inline bool async_mutex::start(lock_operation& op) noexcept {
  if (op.stop_requested()) return this->refuse(op, detail::wait_verdict::canceled);
  if (holder_ != nullptr) return this->line_up(op, waits_, waits_.idle());
  op.lock_.hold(*this);
  return this->grant_now(op);
}

[[gnu::noinline]] inline void async_mutex::pass_on() noexcept {
  holder_ = nullptr;
  queued_operation* const next = waits_.waiting();
  if (next == nullptr) return;
  waits_.pop();
  auto& op = static_cast<lock_operation&>(*next);
  op.lock_.hold(*this);
  this->settle(op, detail::wait_verdict::granted);
}

}  // namespace coflow::inline v0
