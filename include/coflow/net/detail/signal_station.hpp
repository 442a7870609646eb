/// \file
/// The control block of a `signal_watch`.
#pragma once

#include <cerrno>
#include <coroutine>
#include <initializer_list>
#include <system_error>
#include <utility>

#include "coflow/core/config.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/signal_registry.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail {

class signal_wait;

/// The descriptor is the end of what the signal handler writes to.
class signal_station final : public descriptor, public pooled {
 public:
  explicit signal_station(std::initializer_list<int> numbers) : descriptor(-1) {
    if (const int status = sys::make_wake(wake_); status < 0) {
      refused_ = from_system(-status);
      return;
    }
    refused_ = watched_signals.enter(entry_, numbers, wake_);
    if (refused_) {
      sys::close_wake(wake_);
      return;
    }
    fd_ = wake_.read;
    readable_ = false;  // for good: each report counts, and is taken
  }

  [[nodiscard]] std::error_code refused() const noexcept { return refused_; }

  inline bool start(signal_wait& op) noexcept;
  inline bool try_again(signal_wait& op) noexcept;
  inline void withdraw(signal_wait& op) noexcept;
  inline void stop(signal_wait& op) noexcept;
  inline void close() noexcept;
  void destroy() noexcept { delete this; }

 private:
  [[nodiscard]] inline std::error_code enter() noexcept;
  [[nodiscard]] inline bool attempt(signal_wait& op) noexcept;
  inline void settle(signal_wait& op, std::error_code code) noexcept;
  void call() noexcept {
    if (!waits_.idle() && entry_.any()) waits_.call(*loop_);
  }

  void on_ready(unsigned what) noexcept override {
    if ((what & readiness::readable) == 0) return;
    sys::clear_wake(wake_);  // before the look at what has arrived, so that none is missed
    call();
  }
  void on_loop_gone() noexcept override {
    close();
    loop_ = nullptr;
  }

  sys::pipe_ends wake_;
  std::error_code refused_;
  operation_queue waits_;
  signal_entry entry_;
};

/// The wait for a signal. Cancellation: no signal is lost.
class [[nodiscard]] signal_wait : public queued_operation {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return station_.start(*this);
  }

 protected:
  explicit signal_wait(signal_station& station) noexcept : station_(station) {}
  signal_wait(signal_wait&& unbegun) noexcept : station_(unbegun.station_) {}
  ~signal_wait() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the watch may be gone already
    else
      station_.withdraw(*this);
  }

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] const std::error_code& failure() const noexcept { return failure_; }

 private:
  friend class signal_station;

  void run() noexcept final {
    if (phase_ != operation_phase::called || station_.try_again(*this)) {
      phase_ = operation_phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept final { station_.stop(*this); }
  const char* waits_for() const noexcept final { return "a signal"; }

  signal_station& station_;
  int number_ = 0;
  std::error_code failure_;
};

inline std::error_code signal_station::enter() noexcept {
  if (loop_ != nullptr && loop_ == executor::current()) return {};
  io_executor* running = io_executor::current_io();
  if (running == nullptr) return error::no_executor;
  if (loop_ == nullptr) return running->attach(*this, interest::read);
  COFLOW_ASSERT(false, "a signal_watch was used on a thread whose event loop it does not belong to");
  return error::wrong_executor;
}

inline bool signal_station::start(signal_wait& op) noexcept {
  op.failure_ = {};
  if (op.stop_requested())
    op.failure_ = canceled();
  else if (refused_)
    op.failure_ = refused_;
  else if (fd_ < 0)
    op.failure_ = error::closed;
  else
    op.failure_ = enter();
  if (op.failure_) return false;
  const bool first = waits_.idle();
  const bool now = first && loop_->take_turn();
  if (now && attempt(op)) return false;
  waits_.push(op);
  if (first && !now) call();
  op.begin_wait();
  return true;
}

inline bool signal_station::attempt(signal_wait& op) noexcept {
  op.number_ = entry_.take();
  return op.number_ != 0;
}

inline bool signal_station::try_again(signal_wait& op) noexcept {
  waits_.answer(op);
  if (!attempt(op)) return false;
  waits_.pop();
  call();
  return true;
}

inline void signal_station::withdraw(signal_wait& op) noexcept {
  const bool was_called = op.phase_ == operation_phase::called;
  waits_.remove(op);
  if (was_called) call();
}

inline void signal_station::stop(signal_wait& op) noexcept {
  withdraw(op);
  settle(op, canceled());
}

inline void signal_station::close() noexcept {
  if (fd_ < 0) return;
  watched_signals.leave(entry_);
  waits_.take_all([this](queued_operation& one) { settle(static_cast<signal_wait&>(one), error::closed); });
  if (loop_ != nullptr) loop_->detach(*this);
  fd_ = -1;
  sys::close_wake(wake_);
}

inline void signal_station::settle(signal_wait& op, std::error_code code) noexcept {
  op.failure_ = code;
  op.phase_ = operation_phase::settled;
  op.end_wait();
  loop_->post(op);
}

}  // namespace detail
}  // namespace coflow::inline v0
