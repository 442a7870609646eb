/// \file
/// A task that is given up when a deadline passes.
#pragma once

#include <optional>
#include <system_error>
#include <utility>

#include "coflow/async/detail/root.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Awaited once: runs `body`, which gives a result, and gives what it gives, or throws what it throws. At the deadline,
/// or when the awaiting task is stopped, the body is told to stop and then destroyed, whatever it does about it; a body
/// that has ended beats both.
template <class T>
class [[nodiscard]] limited_task final : public operation {
 public:
  /// `waits_for` names the body in the report of a hang.
  limited_task(task<T> body, std::optional<executor::time_point> deadline, const char* waits_for) noexcept
      : child_(*this, std::move(body)), deadline_(deadline), waits_for_(waits_for) {}
  limited_task(limited_task&&) = delete;
  ~limited_task() = default;

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
    child_.start(*home_);
    if (deadline_) home_->arm(timer_, *deadline_);
    this->begin_wait();
    return true;
  }
  [[nodiscard]] T await_resume() {
    if (outcome_) return outcome_;
    return child_.take();
  }

 private:
  class child final : public root<T> {
   public:
    child(limited_task& owner, task<T> body) noexcept : root<T>(std::move(body)), owner_(owner) {}
    ~child() = default;
    using root<T>::take;
    void destroy() noexcept {
      this->unlink();
      this->destroy_frame();
    }

   private:
    void on_end() noexcept override { owner_.on_child_end(); }

    limited_task& owner_;
  };
  class deadline_timer final : public timer {
   public:
    explicit deadline_timer(limited_task& of) noexcept : task_(of) {}
    void run() noexcept override { task_.give_up(abandoned() ? error::closed : error::timed_out); }

   private:
    limited_task& task_;
  };

  void on_child_end() noexcept {
    timer_.disarm();
    this->unlink();
    outcome_ = {};
    this->resume();
  }
  // The child hears of it before this is run, and may end by itself.
  void give_up(std::error_code why) noexcept {
    if (outcome_) return;
    outcome_ = why;
    timer_.disarm();
    this->end_wait();
    child_.request_stop();
    home_->post(*this);
  }
  void on_stop() noexcept override { give_up(canceled()); }
  void run() noexcept override {
    child_.destroy();
    this->resume();
  }
  const char* waits_for() const noexcept override { return waits_for_; }

  child child_;
  std::optional<executor::time_point> deadline_;
  deadline_timer timer_{*this};
  executor* home_ = nullptr;
  const char* waits_for_;
  std::error_code outcome_;
};

}  // namespace detail
}  // namespace coflow::inline v0
