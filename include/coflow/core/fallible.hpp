/// \file
/// What operations give, seen alike: whether they failed, and room for an error where there is none.
#pragma once

#include <concepts>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/record_result.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class T>
struct holds_error : std::false_type {};
template <class T, class E>
struct holds_error<result<T, E>> : std::is_convertible<std::error_code, E> {};
template <class E>
struct holds_error<basic_read_result<E>> : std::is_convertible<std::error_code, E> {};
template <class E>
struct holds_error<basic_read_into_result<E>> : std::is_convertible<std::error_code, E> {};
template <class T, class E>
struct holds_error<record_result<T, E>> : std::is_convertible<std::error_code, E> {};

}  // namespace detail

/// A result that can hold a `std::error_code`: `result`, `read_result`, `read_into_result`, `record_result`, of the
/// library's error type or of one that a code converts to.
template <class T>
concept Fallible = detail::holds_error<std::remove_cv_t<T>>::value;

/// What gives a `T`, or an error besides: `T` itself if it can hold one, else `result<T>`. For what adds a failure of
/// its own to an operation of any kind, such as a deadline.
template <class T>
using fallible = std::conditional_t<Fallible<T>, std::remove_cv_t<T>, result<T>>;

/// The error of an outcome, or an empty code for a value, data and eof. An error that is no `std::error_code`, nor
/// converts to one, counts as `std::errc::io_error`.
template <class Outcome>
[[nodiscard]] std::error_code failure_of(const Outcome& outcome) {
  if constexpr (requires { outcome.failed(); }) {
    if (!outcome.failed()) return {};
  } else {
    if (outcome.has_value()) return {};
  }
  if constexpr (std::convertible_to<decltype(outcome.error()), std::error_code>)
    return outcome.error();
  else
    return std::make_error_code(std::errc::io_error);
}

namespace detail {

/// A `Result` that holds an error, also where the value could be made from an error code.
template <class Result>
[[nodiscard]] Result failed_with(std::error_code code) {
  if constexpr (std::is_constructible_v<Result, unexpected<std::error_code>>)
    return Result(unexpected<std::error_code>(code));
  else
    return Result(code);
}

}  // namespace detail
}  // namespace coflow::inline v0
