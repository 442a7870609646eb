/// \file
/// Waiting for time to pass.
#pragma once

#include <chrono>
#include <coroutine>
#include <system_error>

#include "coflow/async/detail/moment.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {

/// What `sleep_for` and `sleep_until` return. It lives in the awaiting coroutine's frame and allocates nothing.
class [[nodiscard]] sleep_operation final : public operation {
 public:
  explicit sleep_operation(executor::duration time) noexcept : end_(time) {}
  explicit sleep_operation(executor::time_point end) noexcept : end_(end) {}
  sleep_operation(sleep_operation&& unbegun) noexcept : end_(unbegun.end_) {}
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
    home_->arm(timer_, end_.on(*home_));
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
    // There is no executor any more to post a stopped sleep to.
    void discard() noexcept override { sleep_.end_wait(); }

   private:
    sleep_operation& sleep_;
  };

  void on_stop() noexcept override {
    timer_.disarm();
    outcome_ = canceled();
    home_->post(*this);
  }
  void run() noexcept override { this->resume(); }
  const char* waits_for() const noexcept override { return end_.is_point() ? "sleep_until" : "sleep_for"; }

  executor* home_ = nullptr;
  detail::moment end_;
  wake_up timer_{*this};
  std::error_code outcome_;
};

/// Waits for `time`, at least; other coroutines run meanwhile. A time that is not positive lets them run once.
/// Gives success, `operation_canceled` when the task is stopped, `error::closed` when the executor goes away, or
/// `error::no_executor`.
template <class Rep, class Period>
[[nodiscard]] sleep_operation sleep_for(std::chrono::duration<Rep, Period> time) noexcept {
  return sleep_operation(detail::saturated(time));
}

/// Waits until the executor's clock (`executor::now`) shows `time`; a time that is past lets other coroutines run once.
/// Gives what `sleep_for` gives.
[[nodiscard]] inline sleep_operation sleep_until(executor::time_point time) noexcept { return sleep_operation(time); }

}  // namespace coflow::inline v0
