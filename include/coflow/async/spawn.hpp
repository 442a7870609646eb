/// \file
/// Starting a task from code that is no coroutine.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/root.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {

/// What a spawned task came to: its value, or the exception that left it.
template <class T>
using task_outcome = result<T, std::exception_ptr>;

namespace detail {

template <class T, class OnDone>
class spawned final : public root<T>, public executor::dependent, public pooled {
 public:
  spawned(task<T> body, OnDone on_done) : root<T>(std::move(body)), on_done_(std::move(on_done)) {}
  ~spawned() = default;

 private:
  void on_start() noexcept override { this->home().add_root(*this); }
  void on_end() noexcept override {
    task_outcome<T> outcome = collect();
    OnDone on_done = std::move(on_done_);
    delete this;
    on_done(std::move(outcome));
  }
  void on_executor_gone() noexcept override { delete this; }
  void on_discard() noexcept override { delete this; }
  void list_waits(wait_list& into) const override { into.add("a spawned task", this->stop_chain()); }

  task_outcome<T> collect() noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        this->take();
        return success;
      } else {
        return this->take();
      }
    } catch (...) {
      return unexpected<std::exception_ptr>(std::current_exception());
    }
  }

  OnDone on_done_;
};

}  // namespace detail

/// Starts `body` on `on` and calls `on_done(task_outcome<T>)` there when it has ended. Never runs anything inline; may
/// be called from any thread. The executor owns the task: if it is destroyed first, what the task waits for completes
/// with `error::closed`, and a task that does not end even then is destroyed without a call. `on_done` must not throw.
/// Throws std::bad_alloc.
template <class T, class OnDone>
  requires std::is_invocable_v<OnDone&, task_outcome<T>>
void spawn(executor& on, task<T> body, OnDone on_done) {
  (new detail::spawned<T, OnDone>(std::move(body), std::move(on_done)))->start(on);
}

/// Starts `body` on `on` and drops what it gives. An exception that leaves it ends the program.
template <class T>
void spawn(executor& on, task<T> body) {
  spawn(on, std::move(body), [](const task_outcome<T>& outcome) {
    if (!outcome) std::terminate();
  });
}

}  // namespace coflow::inline v0
