/// \file
/// A task that nobody awaits, and what happens when it ends.
#pragma once

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Owns a task's frame and its stop state. Posted once to start the task, and once more when the task has ended: its
/// frame is not destroyed inside its own final suspension.
template <class T>
class root : public node, private task_end {
 public:
  explicit root(task<T> body) noexcept : frame_(body.release()) {
    frame_.promise().set_stop(&stop_);
    frame_.promise().set_end(*this);
  }
  root(const root&) = delete;
  root& operator=(const root&) = delete;

  /// Starts the task in a turn of `on`; from any thread.
  void start(executor& on) noexcept {
    home_ = &on;
    on.post(*this);
  }
  void request_stop() noexcept { stop_.request_stop(); }
  [[nodiscard]] executor& home() const noexcept { return *home_; }
  [[nodiscard]] const stop_node& stop_chain() const noexcept { return stop_; }

 protected:
  ~root() {
    if (frame_) frame_.destroy();
  }

  /// On the executor's thread, before the task runs for the first time.
  virtual void on_start() noexcept {}
  /// The executor is gone before the task was started, or before its end was heard of.
  virtual void on_discard() noexcept {}
  /// The task has ended; `take` gives its result once. May destroy this object.
  virtual void on_end() noexcept = 0;

  /// What the task gave; throws what it threw.
  decltype(auto) take() { return frame_.promise().take(); }
  void destroy_frame() noexcept { std::exchange(frame_, nullptr).destroy(); }

 private:
  void discard() noexcept final { on_discard(); }
  void run() noexcept final {
    if (frame_.promise().ended()) {
      on_end();
      return;
    }
    on_start();
    frame_.resume();
  }
  std::coroutine_handle<> on_task_end() noexcept final {
    home_->post(*this);
    return std::noop_coroutine();
  }

  std::coroutine_handle<task_promise<T>> frame_;
  executor* home_ = nullptr;
  stop_node stop_;
};

}  // namespace detail
}  // namespace coflow::inline v0
