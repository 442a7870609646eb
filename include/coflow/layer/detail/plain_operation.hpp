/// \file
/// Operations of an inner flow as a layer's operation holds them: awaiters that wait in place.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/buffer.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/erased_wait.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class Operation>
concept plain_operation = awaiter<Operation> && waits_in_place<Operation>;

/// True for operations that resume the awaiting coroutine in a turn of the executor alone, so that they can still be
/// touched when they have been suspended.
template <class Operation>
concept resumes_in_a_turn =
    std::derived_from<Operation, basic_operation> || requires { requires Operation::never_resumes_inline; };

/// A task as an operation. It may be moved before it is awaited.
template <class Result>
class framed_operation {
 public:
  explicit framed_operation(task<Result> body) noexcept : body_(std::move(body)) {}
  framed_operation(framed_operation&& unbegun) noexcept : body_(std::move(unbegun.body_)) {}
  ~framed_operation() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) {
    awaiter_.emplace(std::move(body_).operator co_await());
    return awaiter_->await_suspend(waiting);
  }
  [[nodiscard]] Result await_resume() { return awaiter_->await_resume(); }

 private:
  task<Result> body_;
  std::optional<typename task<Result>::awaiter> awaiter_;
};

template <class Result, class Awaitable>
task<Result> run_in_frame(Awaitable awaited) {
  auto given = co_await std::move(awaited);
  co_return as_system_result<Result>(std::move(given));
}

/// What `make` gives; in a pooled frame if it wants to see a promise, or names the coroutine that is to go on. Throws
/// std::bad_alloc then.
template <class Result, class Make>
[[nodiscard]] auto made_plain(Make& make) {
  using made = std::invoke_result_t<Make&>;
  if constexpr (plain_operation<made>)
    return make();
  else
    return framed_operation<Result>(run_in_frame<Result, made>(make()));
}
template <class Result, class Make>
using made_operation = decltype(made_plain<Result>(std::declval<Make&>()));

/// Lets the coroutine wait; false if it need not. It may be gone when this returns.
template <class Operation, class Handle>
[[nodiscard, gnu::always_inline]] inline bool suspend_on(Operation& operation, Handle waiting) {
  if constexpr (std::is_void_v<decltype(operation.await_suspend(waiting))>) {
    operation.await_suspend(waiting);
    return true;
  } else {
    return operation.await_suspend(waiting);
  }
}
template <class Result, class Operation>
[[nodiscard, gnu::always_inline]] inline Result result_of(Operation& operation) {
  if constexpr (std::same_as<decltype(operation.await_resume()), Result>)
    return operation.await_resume();
  else
    return as_system_result<Result>(operation.await_resume());
}

[[nodiscard]] inline std::size_t sum_of(std::span<const buffer> list) noexcept {
  std::size_t sum = 0;
  for (const buffer& one : list) sum += one.size();
  return sum;
}

}  // namespace detail
}  // namespace coflow::inline v0
