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
/// `end(result)` (or `end()`), which sees what it gives. A hook that is destroyed after `begin` and without `end`
/// belonged to a coroutine that died waiting. It owns what it touches: the flow may be gone by then (law O2).
template <class Operation, class Hook>
class [[nodiscard]] hooked_operation {
 public:
  /// The operation is made in its place.
  template <class Make, class... Args>
  explicit hooked_operation(Make& make, Args&&... args) : hook_(std::forward<Args>(args)...), operation_(make()) {}

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
      hook_.end();
    } else {
      auto came = operation_.await_resume();
      hook_.end(came);
      return came;
    }
  }

 private:
  Hook hook_;
  Operation operation_;
};

// For awaitables that are no awaiters themselves, such as tasks.
template <class Awaitable, class Hook>
class [[nodiscard]] hooked_awaitable {
  using awaiter_type = std::remove_cvref_t<awaiter_t<Awaitable>>;

 public:
  template <class Make, class... Args>
  explicit hooked_awaitable(Make& make, Args&&... args) : hook_(std::forward<Args>(args)...), awaited_(make()) {}
  auto operator co_await() && {
    auto make = [this]() -> awaiter_type { return awaiter_of(std::move(awaited_)); };
    return hooked_operation<awaiter_type, Hook>(make, std::move(hook_));
  }

 private:
  Hook hook_;
  Awaitable awaited_;
};

/// What `make` gives, with a hook made of `args`.
template <class Hook, class Make, class... Args>
[[nodiscard]] auto hooked(Make make, Args&&... args) {
  using made = std::invoke_result_t<Make&>;
  if constexpr (awaiter<made>)
    return hooked_operation<made, Hook>(make, std::forward<Args>(args)...);
  else
    return hooked_awaitable<made, Hook>(make, std::forward<Args>(args)...);
}

}  // namespace detail
}  // namespace coflow::inline v0
