/// \file
/// The smaller and the larger of two values, without the whole of <algorithm>, which costs 8,000 lines to include.
#pragma once

namespace coflow::inline v0 {
namespace detail {

template <class T>
[[nodiscard]] constexpr T smaller(T a, T b) noexcept {
  return b < a ? b : a;
}
template <class T>
[[nodiscard]] constexpr T larger(T a, T b) noexcept {
  return a < b ? b : a;
}

}  // namespace detail
}  // namespace coflow::inline v0
