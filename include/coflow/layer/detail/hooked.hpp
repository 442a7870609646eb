/// \file
/// Looking at where an operation begins and at what it gives, without a coroutine frame.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class Operation, class Handle>
concept suspends = requires(Operation& operation, Handle waiting) { operation.await_suspend(waiting); };

/// An operation with a hook, which has `begin()`, called when it is awaited and before anything of it happens, and
/// `end(result)` (or `end()`), whose result becomes the operation's. A hook that is destroyed after `begin` and without
/// `end` belonged to a coroutine that died waiting. It owns what it touches: the flow may be gone by then (law O2).
template <class Operation, class Hook>
class [[nodiscard]] hooked_operation {
 public:
  hooked_operation(Operation operation, Hook hook) : hook_(std::move(hook)), operation_(std::move(operation)) {}

  [[nodiscard]] bool await_ready() {
    hook_.begin();
    return operation_.await_ready();
  }
  template <class Handle>
    requires suspends<Operation, Handle>
  auto await_suspend(Handle waiting) {
    return operation_.await_suspend(waiting);
  }
  auto await_resume() {
    if constexpr (std::is_void_v<await_result_t<Operation&>>) {
      operation_.await_resume();
      return hook_.end();
    } else {
      return hook_.end(operation_.await_resume());
    }
  }

 private:
  Hook hook_;
  Operation operation_;
};

// For awaitables that are no awaiters themselves, such as tasks.
template <class Awaitable, class Hook>
class [[nodiscard]] hooked_awaitable {
 public:
  hooked_awaitable(Awaitable awaited, Hook hook) : awaited_(std::move(awaited)), hook_(std::move(hook)) {}
  auto operator co_await() && { return hooked_operation(awaiter_of(std::move(awaited_)), std::move(hook_)); }

 private:
  Awaitable awaited_;
  Hook hook_;
};

template <class Operation, class Hook>
[[nodiscard]] auto hooked(Operation operation, Hook hook) {
  if constexpr (awaiter<Operation>)
    return hooked_operation<Operation, Hook>(std::move(operation), std::move(hook));
  else
    return hooked_awaitable<Operation, Hook>(std::move(operation), std::move(hook));
}

}  // namespace detail
}  // namespace coflow::inline v0
