/// \file
/// A task that runs beside the coroutine that started it.
#pragma once

#include <coroutine>

#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Told that an errand has ended, in the middle of somebody's turn.
class errand_listener {
 public:
  virtual void errand_ended() noexcept = 0;

 protected:
  ~errand_listener() = default;
};

/// A task that is nobody's child: it runs when it is started, under no stop, and its end is reported once. It is not
/// destroyed inside its own end.
template <class T>
class errand final : private task_end {
 public:
  errand(task<T> body, errand_listener& told) noexcept : frame_(body.release()), told_(told) {
    frame_.promise().set_end(*this);
  }
  errand(const errand&) = delete;
  errand& operator=(const errand&) = delete;
  ~errand() { frame_.destroy(); }

  [[nodiscard]] bool started() const noexcept { return started_; }
  [[nodiscard]] bool ended() const noexcept { return frame_.promise().ended(); }
  void start() noexcept {
    started_ = true;
    frame_.resume();
  }
  /// What it gave; throws what it threw.
  T take() { return frame_.promise().take(); }

 private:
  std::coroutine_handle<> on_task_end() noexcept override {
    told_.errand_ended();
    return std::noop_coroutine();
  }

  std::coroutine_handle<task_promise<T>> frame_;
  errand_listener& told_;
  bool started_ = false;
};

template <class F>
task<> close_flow(F* flow) {
  co_await flow->close();
}

}  // namespace detail
}  // namespace coflow::inline v0
