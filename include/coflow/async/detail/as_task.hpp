/// \file
/// Any awaitable as a task.
#pragma once

#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What a task gives that awaits an `Awaitable`: an object, a reference to something that lives elsewhere, or nothing.
template <class Awaitable>
using task_result_t = std::conditional_t<std::is_lvalue_reference_v<await_result_t<Awaitable>>,
                                         await_result_t<Awaitable>, std::remove_cvref_t<await_result_t<Awaitable>>>;

template <class Awaitable>
task<task_result_t<Awaitable>> await_in_task(Awaitable awaited) {
  if constexpr (std::is_void_v<await_result_t<Awaitable>>) {
    co_await std::move(awaited);
  } else {
    task_result_t<Awaitable> given = co_await std::move(awaited);
    co_return std::forward<task_result_t<Awaitable>>(given);
  }
}

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

/// A task that awaits `awaited` and gives what it gives; a task is that itself.
template <class Awaitable>
[[nodiscard]] auto as_task(Awaitable awaited) {
  if constexpr (is_task<Awaitable>)
    return awaited;
  else
    return await_in_task<Awaitable>(std::move(awaited));
}

}  // namespace detail
}  // namespace coflow::inline v0
