/// \file
/// One callable of a `function_flow`, and the call of it that is under way.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"
#include "coflow/memory/detail/function_results.hpp"

namespace coflow::inline v0 {

/// Stands where a `function_flow` has no callable.
class no_function {
 public:
  no_function() noexcept {}
};

/// What the close of a `function_flow` may be told.
enum class stream_end {
  complete,  ///< all that was written is out
  torn,      ///< a write was given up half-way: the peer must not take the end for a clean one (law X3)
};

namespace detail {

struct nothing_given {};

template <class F, class Argument>
decltype(auto) invoke_with(F& function, [[maybe_unused]] Argument& argument) {
  if constexpr (std::is_same_v<F, no_function>)
    return;
  else if constexpr (std::is_same_v<Argument, nothing_given> || !std::is_invocable_v<F&, Argument>)
    return function();
  else
    return function(std::move(argument));
}

/// Calls `function` for a control block, one call at a time, and keeps what comes of it until it is taken. An awaitable
/// is awaited by a coroutine that was made with this object: the call belongs to the control block, and no operation's
/// end touches it. An exception becomes an error.
template <class F, class Argument, class Result>
class function_call {
 public:
  using given = decltype(invoke_with(std::declval<F&>(), std::declval<Argument&>()));
  /// True if the callable gives something that is to be awaited.
  static constexpr bool asynchronous = awaitable<given>;

  /// `ended(owner)` is called when a call ends that `start` has not seen the end of; it must not run foreign code.
  function_call(F function, void* owner, void (*ended)(void*) noexcept)
      : function_(std::move(function)), owner_(owner), ended_(ended) {
    if constexpr (asynchronous) {
      frame_ = run(this).release();
      frame_.promise().set_stop(&stop_);
    }
  }
  function_call(const function_call&) = delete;
  function_call& operator=(const function_call&) = delete;
  ~function_call() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] bool busy() const noexcept { return busy_; }

  /// Calls. True if the call has ended at once. Needs `!busy()`, and no `cancel()` before.
  [[nodiscard]] bool start(Argument argument) noexcept {
    argument_ = std::move(argument);
    busy_ = true;
    starting_ = true;
    if constexpr (asynchronous) {
      if (stop_.stop_requested()) {
        destroy(stop_);
        construct(stop_);
      }
      frame_.resume();
    } else {
      call();
      busy_ = false;
    }
    starting_ = false;
    return !busy_;
  }

  /// What the last call came to; once.
  [[nodiscard]] Result take() noexcept { return std::exchange(result_, Result()); }

  /// Lets the call that is under way know that nobody wants it any more.
  void request_stop() noexcept { stop_.request_stop(); }

  /// Gives up the call that is under way, for good; unless this is called from inside it.
  void cancel() noexcept {
    if (starting_ || !frame_) return;
    std::exchange(frame_, nullptr).destroy();
    argument_ = Argument();
    busy_ = false;
  }

 private:
  template <class Given>
  static constexpr bool fits = outcome_as<Result>::template accepts<Given>;

  decltype(auto) invoke() { return invoke_with(function_, argument_); }

  void call() noexcept {
    static_assert(fits<given>, "a callable of a function_flow gives something that its half cannot use");
    try {
      if constexpr (std::is_void_v<given>) {
        invoke();
        result_ = outcome_as<Result>::from();
      } else {
        result_ = outcome_as<Result>::from(invoke());
      }
    } catch (...) {
      result_ = Result(code_of_exception());
    }
  }

  static task<> run(function_call* self) {
    using awaited = await_result_t<given>;
    static_assert(fits<awaited>, "a callable of a function_flow gives something that its half cannot use");
    for (;;) {
      try {
        if constexpr (std::is_void_v<awaited>) {
          co_await self->invoke();
          self->result_ = outcome_as<Result>::from();
        } else {
          auto came_to = co_await self->invoke();
          self->result_ = outcome_as<Result>::from(std::move(came_to));
        }
      } catch (...) {
        self->result_ = Result(code_of_exception());
      }
      self->end();
      co_await std::suspend_always();
    }
  }
  void end() noexcept {
    argument_ = Argument();
    busy_ = false;
    if (!starting_) ended_(owner_);
  }

  [[no_unique_address]] F function_;
  [[no_unique_address]] Argument argument_{};
  Result result_;
  void* owner_;
  void (*ended_)(void*) noexcept;
  std::coroutine_handle<task_promise<void>> frame_;
  stop_node stop_;
  bool busy_ = false;
  bool starting_ = false;  // `start` is on the stack
};

}  // namespace detail
}  // namespace coflow::inline v0
