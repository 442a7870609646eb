/// \file
/// Something of which there is a number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "coflow/async/detail/waiting_room.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {

class async_semaphore;

/// Holds a number of an `async_semaphore`'s units until it dies or is released. Movable. A permit that was moved from,
/// was released or forgotten, or has outlived its semaphore, holds nothing.
class [[nodiscard]] async_permit : private detail::list_link {
 public:
  async_permit() noexcept {}
  async_permit(async_permit&& other) noexcept { take_over(other); }
  /// Gives back what it held first.
  async_permit& operator=(async_permit&& other) noexcept {
    if (this != &other) {
      release();
      take_over(other);
    }
    return *this;
  }
  ~async_permit() { release(); }

  /// True while it holds something.
  [[nodiscard]] explicit operator bool() const noexcept { return semaphore_ != nullptr; }

  /// How many units it holds.
  [[nodiscard]] std::size_t count() const noexcept { return semaphore_ != nullptr ? count_ : 0; }

  /// Gives its units back now; resumes nobody inline. Does nothing if it holds none.
  inline void release() noexcept;

  /// Holds nothing any more, and gives nothing back: somebody else will, by `async_semaphore::release`.
  void forget() noexcept {
    if (std::exchange(semaphore_, nullptr) != nullptr) this->unlink();
  }

 private:
  friend async_semaphore;
  template <class T>
  friend class detail::intrusive_list;

  async_permit(async_semaphore& semaphore, std::size_t count) noexcept { hold(semaphore, count); }
  inline void hold(async_semaphore& semaphore, std::size_t count) noexcept;
  void take_over(async_permit& other) noexcept {
    if (other.semaphore_ == nullptr) return;
    other.unlink();
    hold(*std::exchange(other.semaphore_, nullptr), other.count_);
  }

  async_semaphore* semaphore_ = nullptr;
  std::size_t count_ = 0;
};

/// A number of units that coroutines take and give back; whoever asks for more than are there waits.
///
///     auto permit = co_await connections.acquire();
///     if (!permit) co_return permit.error();
///
/// First come, first served: nobody gets in before the one who has waited longest, so that a request for many is not
/// starved by requests for few. For the coroutines of one executor, on its thread: there is no lock and nothing atomic
/// in it. It may be made before the executor and outlive it. Acquiring allocates nothing.
class async_semaphore final : private detail::waiting_room {
 public:
  /// With `count` units to begin with.
  explicit async_semaphore(std::size_t count) noexcept : available_(count) {}
  async_semaphore(const async_semaphore&) = delete;
  async_semaphore& operator=(const async_semaphore&) = delete;
  /// Whoever still waits gets `error::closed`, and so does one who was given units and has not run yet. Permits hold
  /// nothing any more.
  ~async_semaphore() {
    end_waits();
    while (!permits_.empty()) permits_.pop_front().semaphore_ = nullptr;
  }

  class acquire_operation;
  /// Waits for `count` units and gives an `async_permit`; or `operation_canceled` when the task is stopped (law X0),
  /// which does not take back units that have been given already; `error::closed` when the semaphore dies or the
  /// executor goes away; `error::no_executor` if it would have to wait where none is current. If the coroutine that
  /// they were given to is destroyed before it runs, the units go back. A request for more units than there will ever
  /// be waits for ever, and others behind it.
  [[nodiscard]] inline acquire_operation acquire(std::size_t count = 1) noexcept;

  /// `count` units if they are there and nobody waits, else a permit that holds nothing.
  [[nodiscard]] async_permit try_acquire(std::size_t count = 1) noexcept {
    if (!may_take(count)) return async_permit();
    available_ -= count;
    return async_permit(*this, count);
  }

  /// Adds `count` units, which need not have been acquired before; resumes nobody inline. More than SIZE_MAX in all are
  /// a mistake.
  [[gnu::noinline]] void release(std::size_t count = 1) noexcept {
    COFLOW_ASSERT(count <= SIZE_MAX - available_, "a semaphore was given more than it can count");
    available_ = count > SIZE_MAX - available_ ? SIZE_MAX : available_ + count;
    if (!waits_.idle()) serve();
  }

  /// How many units are there.
  [[nodiscard]] std::size_t available() const noexcept { return available_; }

 private:
  friend async_permit;
  friend class detail::wait_in<acquire_operation, async_semaphore>;

  [[nodiscard]] bool may_take(std::size_t count) const noexcept { return waits_.idle() && count <= available_; }
  [[nodiscard]] bool start(acquire_operation& op) noexcept;
  inline void give(acquire_operation& op) noexcept;
  inline void serve() noexcept;
  // What was behind a request that was too large may be small enough.
  void withdraw(detail::queued_wait& op) noexcept {
    waits_.remove(op);
    serve();
  }
  void end_waits() noexcept override { this->settle_all(waits_, detail::wait_verdict::closed); }

  std::size_t available_;
  operation_queue waits_;
  detail::intrusive_list<async_permit> permits_;
};

/// What `async_semaphore::acquire` returns: gives a `result<async_permit>`.
class [[nodiscard]] async_semaphore::acquire_operation final
    : public detail::wait_in<acquire_operation, async_semaphore> {
 public:
  acquire_operation(async_semaphore& semaphore, std::size_t count) noexcept : wait_in(semaphore), count_(count) {}
  acquire_operation(acquire_operation&& unbegun) noexcept : wait_in(std::move(unbegun)), count_(unbegun.count_) {}
  ~acquire_operation() = default;

  [[nodiscard]] result<async_permit> await_resume() noexcept {
    if (permit_) [[likely]]
      return std::move(permit_);
    return detail::error_of(verdict_);  // also where the semaphore has died since they were given
  }

 private:
  friend async_semaphore;

  const char* waits_for() const noexcept override { return "an async_semaphore"; }

  std::size_t count_;
  async_permit permit_;  // gives the units back if it dies here
};

inline void async_permit::hold(async_semaphore& semaphore, std::size_t count) noexcept {
  semaphore_ = &semaphore;
  count_ = count;
  semaphore.permits_.push_back(*this);
}
inline void async_permit::release() noexcept {
  async_semaphore* const semaphore = semaphore_;
  if (semaphore == nullptr) return;
  forget();
  semaphore->release(count_);
}

inline async_semaphore::acquire_operation async_semaphore::acquire(std::size_t count) noexcept {
  return acquire_operation(*this, count);
}

[[gnu::noinline]] inline bool async_semaphore::start(acquire_operation& op) noexcept {
  if (op.stop_requested()) return this->refuse(op, detail::wait_verdict::canceled);
  if (!may_take(op.count_)) return this->line_up(op, waits_, waits_.idle());
  give(op);
  return this->grant_now(op);
}

inline void async_semaphore::give(acquire_operation& op) noexcept {
  available_ -= op.count_;
  op.permit_.hold(*this, op.count_);
}

inline void async_semaphore::serve() noexcept {
  while (queued_operation* const next = waits_.waiting()) {
    auto& op = static_cast<acquire_operation&>(*next);
    if (op.count_ > available_) return;
    waits_.pop();
    give(op);
    this->settle(op, detail::wait_verdict::granted);
  }
}

}  // namespace coflow::inline v0
