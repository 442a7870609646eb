/// \file
/// Doing something at the moment in which an operation begins, without a coroutine frame.
#pragma once

#include <coroutine>
#include <utility>

#include "coflow/core/awaitable.hpp"

namespace coflow::inline v0 {
namespace detail {

/// An operation of the flow below that begins with a call of a function of the layer's own (law O1). It is made where
/// it stays.
template <class Operation, class Function>
class [[nodiscard]] preceded_operation {
 public:
  template <class Make>
  preceded_operation(Make&& make, Function function) : operation_(make()), function_(std::move(function)) {}

  [[nodiscard]] bool await_ready() {
    function_();
    return operation_.await_ready();
  }
  template <class Handle>
  auto await_suspend(Handle awaiting) {
    return operation_.await_suspend(awaiting);
  }
  decltype(auto) await_resume() { return operation_.await_resume(); }

 private:
  Operation operation_;
  Function function_;
};

// For awaitables that are no awaiters themselves, such as tasks.
template <class Awaitable, class Function>
class [[nodiscard]] preceded_awaitable {
 public:
  template <class Make>
  preceded_awaitable(Make&& make, Function function) : awaited_(make()), function_(std::move(function)) {}
  auto operator co_await() && {
    const auto make = [this]() -> decltype(auto) { return awaiter_of(std::move(awaited_)); };
    return preceded_operation<awaiter_t<Awaitable>, Function>(make, std::move(function_));
  }

 private:
  Awaitable awaited_;
  Function function_;
};

/// What `make` gives, an awaitable, preceded by `function()`.
template <class Make, class Function>
[[nodiscard]] auto preceded(Make make, Function function) {
  using awaitable_type = decltype(make());
  if constexpr (awaiter<awaitable_type>)
    return preceded_operation<awaitable_type, Function>(make, std::move(function));
  else
    return preceded_awaitable<awaitable_type, Function>(make, std::move(function));
}

}  // namespace detail
}  // namespace coflow::inline v0
