/// \file
/// Waiting for time to pass.
#pragma once

#include <chrono>
#include <coroutine>
#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {

/// What `sleep_for` returns. It lives in the awaiting coroutine's frame and allocates nothing.
class [[nodiscard]] sleep_operation final : public operation {
 public:
  explicit sleep_operation(executor::duration time) noexcept : time_(time) {}
  sleep_operation(sleep_operation&& unbegun) noexcept : time_(unbegun.time_) {}
  ~sleep_operation() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    home_ = executor::current();
    if (this->stop_requested())
      outcome_ = canceled();
    else if (home_ == nullptr)
      outcome_ = error::no_executor;
    if (outcome_) return false;
    home_->arm(timer_, home_->after(time_));
    this->begin_wait();
    return true;
  }
  [[nodiscard]] result<void> await_resume() const noexcept {
    if (outcome_) return outcome_;
    return success;
  }

 private:
  class wake_up final : public timer {
   public:
    explicit wake_up(sleep_operation& of) noexcept : sleep_(of) {}
    void run() noexcept override {
      if (abandoned()) sleep_.outcome_ = error::closed;
      sleep_.resume();
    }

   private:
    sleep_operation& sleep_;
  };

  void on_stop() noexcept override {
    timer_.disarm();
    outcome_ = canceled();
    home_->post(*this);
  }
  void run() noexcept override { this->resume(); }
  const char* waits_for() const noexcept override { return "sleep_for"; }

  executor* home_ = nullptr;
  executor::duration time_;
  wake_up timer_{*this};
  std::error_code outcome_;
};

namespace detail {

/// `time` as the clock counts it, rounded up. What is beyond its range (292 years) becomes the end of that; a negative
/// time and no number become nothing.
template <class Rep, class Period>
[[nodiscard]] executor::duration saturated(std::chrono::duration<Rep, Period> time) noexcept {
  const double seconds = std::chrono::duration<double>(time).count();
  if (!(seconds > 0)) return executor::duration::zero();
  if (seconds > 9.2e9) return executor::duration::max();
  return std::chrono::ceil<executor::duration>(time);
}

}  // namespace detail

/// Waits for `time`, at least; other coroutines run meanwhile. A time that is not positive lets them run once.
/// Gives success, `operation_canceled` when the task is stopped, `error::closed` when the executor goes away, or
/// `error::no_executor`.
template <class Rep, class Period>
[[nodiscard]] sleep_operation sleep_for(std::chrono::duration<Rep, Period> time) noexcept {
  return sleep_operation(detail::saturated(time));
}

}  // namespace coflow::inline v0
