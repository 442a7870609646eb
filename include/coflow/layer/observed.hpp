/// \file
/// Looking at what an operation gives, without a coroutine frame.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class Operation, class Handle>
concept can_suspend = requires(Operation& operation, Handle awaiting) { operation.await_suspend(awaiting); };

}  // namespace detail

/// An operation whose result passes through a function on its way to the awaiting coroutine.
///
/// It adds no frame and no suspension, and hands the promise through, so that cancellation reaches the inner operation.
/// The function is called when the inner operation completes, not when it is withdrawn; the flow it came from may be
/// gone by then, so the function owns what it touches (law O2).
template <class Operation, class Function>
class [[nodiscard]] observed_operation {
 public:
  observed_operation(Operation operation, Function function)
      : operation_(std::move(operation)), function_(std::move(function)) {}

  [[nodiscard]] bool await_ready() { return operation_.await_ready(); }
  template <class Handle>
    requires detail::can_suspend<Operation, Handle>
  auto await_suspend(Handle awaiting) {
    return operation_.await_suspend(awaiting);
  }
  auto await_resume() {
    if constexpr (std::is_void_v<await_result_t<Operation&>>) {
      operation_.await_resume();
      return function_();
    } else {
      return function_(operation_.await_resume());
    }
  }

 private:
  Operation operation_;
  Function function_;
};

namespace detail {

// For awaitables that are no awaiters themselves, such as tasks.
template <class Awaitable, class Function>
class [[nodiscard]] observed_awaitable {
 public:
  observed_awaitable(Awaitable awaited, Function function)
      : awaited_(std::move(awaited)), function_(std::move(function)) {}
  auto operator co_await() && { return observed_operation(awaiter_of(std::move(awaited_)), std::move(function_)); }

 private:
  Awaitable awaited_;
  Function function_;
};

}  // namespace detail

/// Gives an awaitable that runs `operation` and returns `function(its result)` (or `function()` where there is none).
/// Name a lambda with captures before the `co_await`: g++ 12 destroys the captures of one written inside it twice.
template <class Operation, class Function>
[[nodiscard]] auto observed(Operation operation, Function function) {
  if constexpr (detail::awaiter<Operation>) {
    return observed_operation<Operation, Function>(std::move(operation), std::move(function));
  } else {
    return detail::observed_awaitable<Operation, Function>(std::move(operation), std::move(function));
  }
}

}  // namespace coflow::inline v0
