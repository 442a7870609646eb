/// \file
/// Whether a child has failed.
#pragma once

#include <concepts>
#include <type_traits>

namespace coflow::inline v0 {
namespace detail {

/// An outcome that says whether it is an error: the library's results, of any error type, and what looks like them
/// (`std::expected`). Ask with `failure_of`.
template <class T>
concept can_fail = std::is_object_v<T> && requires(const T& outcome) {
  outcome.error();
  requires requires {
    { outcome.failed() } -> std::convertible_to<bool>;
  } || requires {
    { outcome.has_value() } -> std::convertible_to<bool>;
  };
};

/// True for an error, of whatever type; false for a value, data and eof, and for what cannot fail.
template <class T>
[[nodiscard]] bool has_failed(const T& outcome) noexcept {
  if constexpr (!can_fail<T>)
    return false;
  else if constexpr (requires { outcome.failed(); })
    return outcome.failed();
  else
    return !outcome.has_value();
}

}  // namespace detail
}  // namespace coflow::inline v0
