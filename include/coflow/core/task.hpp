/// \file
/// A lazy coroutine that is awaited once.
///
/// A loop of tasks that complete at once uses no stack, on every compiler and at every optimisation level: a parent
/// resumes its child from inside `await_suspend` and goes on by itself when the child has ended meanwhile; a child that
/// ends later transfers to its parent, so that depth is nesting only. A task stays on one thread.
#pragma once

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/detail/frame.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/stop.hpp"

namespace coflow::inline v0 {

template <class T = void>
class task;

namespace detail {

/// Told when a task that nobody awaits has ended. Must not destroy the task's frame inline; gives the coroutine that
/// goes on, which may, or `std::noop_coroutine()`.
class task_end {
 public:
  [[nodiscard]] virtual std::coroutine_handle<> on_task_end() noexcept = 0;

 protected:
  ~task_end() = default;
};

class task_promise_base : public pooled_frame {
 public:
  task_promise_base() noexcept {}
  task_promise_base(const task_promise_base&) = delete;
  task_promise_base& operator=(const task_promise_base&) = delete;

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

  class final_awaiter {
   public:
    final_awaiter() noexcept {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      return ended.promise().end();
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] final_awaiter final_suspend() const noexcept { return final_awaiter(); }

  [[nodiscard]] stop_node* stop() const noexcept { return stop_; }
  void set_stop(stop_node* inherited) noexcept { stop_ = inherited; }
  void set_parent(std::coroutine_handle<> parent) noexcept { parent_ = parent; }
  void set_end(task_end& told) noexcept { end_ = &told; }

  // The parent has resumed this task and must know whether it is to wait.
  [[nodiscard]] bool parent_must_wait() noexcept {
    if (ended_) return false;
    parent_waits_ = true;
    return true;
  }
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  friend class final_awaiter;

  std::coroutine_handle<> end() noexcept {
    ended_ = true;
    if (parent_waits_) return parent_;
    if (end_ != nullptr) return end_->on_task_end();
    return std::noop_coroutine();
  }

  std::coroutine_handle<> parent_;
  stop_node* stop_ = nullptr;
  task_end* end_ = nullptr;
  bool parent_waits_ = false;
  bool ended_ = false;
};

/// Holds what a task gives: a value, a reference, nothing, or an exception.
template <class T>
class task_promise : public task_promise_base {
 public:
  task_promise() noexcept {}
  ~task_promise() {
    if (state_ == state::value) destroy(value_);
    if (state_ == state::exception) destroy(exception_);
  }
  task<T> get_return_object() noexcept;

  template <class U = T>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    construct(value_, std::forward<U>(value));
    state_ = state::value;
  }
  // A destructor may throw after the value was returned; then the exception is what the task gives.
  void unhandled_exception() noexcept {
    if (state_ == state::value) destroy(value_);
    construct(exception_, std::current_exception());
    state_ = state::exception;
  }
  [[nodiscard]] T take() {
    if (state_ == state::exception) std::rethrow_exception(exception_);
    return std::move(value_);
  }
  // For a look at what an ended task came to, before it is taken.
  [[nodiscard]] bool threw() const noexcept { return state_ == state::exception; }
  [[nodiscard]] const T& value() const noexcept { return value_; }

 private:
  enum class state : unsigned char { empty, value, exception };
  union {
    T value_;
    std::exception_ptr exception_;
  };
  state state_ = state::empty;
};

template <class T>
class task_promise<T&> : public task_promise_base {
 public:
  task_promise() noexcept {}
  task<T&> get_return_object() noexcept;
  void return_value(T& value) noexcept { value_ = __builtin_addressof(value); }
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  [[nodiscard]] T& take() {
    if (exception_) std::rethrow_exception(exception_);
    return *value_;
  }
  [[nodiscard]] bool threw() const noexcept { return exception_ != nullptr; }

 private:
  T* value_ = nullptr;
  std::exception_ptr exception_;
};

template <>
class task_promise<void> : public task_promise_base {
 public:
  task_promise() noexcept {}
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  void take() {
    if (exception_) std::rethrow_exception(exception_);
  }
  [[nodiscard]] bool threw() const noexcept { return exception_ != nullptr; }

 private:
  std::exception_ptr exception_;
};

}  // namespace detail

/// A coroutine that runs when it is awaited and gives a `T` (an object, a reference, or nothing).
///
/// Move-only; await it once: `co_await make()` or `co_await std::move(kept)`, which takes the task over, so that `kept`
/// holds nothing then, wherever it lives. Destroying a task that has not ended, or the coroutine that awaits it,
/// destroys its frame, and with it the wait it is in (law C6). An exception that leaves the body is thrown where the
/// task is awaited. Cancellation: a task inherits the stop state of the task that awaits it. Frames come from a
/// per-thread pool; making one may throw std::bad_alloc.
template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }

  /// False for a task that was moved from.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(frame_); }

  /// Owns the frame: whoever waits may die, and the object that the task came from as well.
  class awaiter {
   public:
    explicit awaiter(std::coroutine_handle<promise_type> child) noexcept : child_(child) {}
    awaiter(awaiter&& unbegun) noexcept : child_(std::exchange(unbegun.child_, nullptr)) {}
    awaiter& operator=(awaiter&&) = delete;
    ~awaiter() {
      if (child_) child_.destroy();
    }
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <suspended_coroutine Handle>
    [[nodiscard]] bool await_suspend(Handle parent) const noexcept {
      promise_type& promise = child_.promise();
      promise.set_parent(parent);
      promise.set_stop(detail::stop_of(parent.promise()));
      child_.resume();
      return promise.parent_must_wait();
    }
    [[nodiscard]] decltype(auto) await_resume() const { return child_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> child_;
  };
  [[nodiscard]] awaiter operator co_await() && noexcept {
    COFLOW_ASSERT(frame_ && !frame_.promise().ended(), "a task is awaited once, and not after it was moved from");
    return awaiter(std::exchange(frame_, nullptr));
  }

  /// For code that starts tasks without awaiting them: gives up the frame, which the caller then destroys.
  [[nodiscard]] std::coroutine_handle<promise_type> release() noexcept { return std::exchange(frame_, nullptr); }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
template <class T>
task<T&> task_promise<T&>::get_return_object() noexcept {
  return task<T&>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace coflow::inline v0
