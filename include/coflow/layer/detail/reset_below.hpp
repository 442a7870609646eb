/// \file
/// Finding the flow in a stack of layers that can be reset.
#pragma once

#include <type_traits>
#include <utility>

#include "coflow/layer/detail/next_layer.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class F>
concept has_reset = requires(F& flow) {
  { flow.reset() } noexcept;
};

template <class F>
[[nodiscard]] consteval bool can_reset() noexcept {
  if constexpr (has_reset<F>)
    return true;
  else if constexpr (has_next_layer<F>)
    return can_reset<std::remove_reference_t<decltype(std::declval<F&>().next_layer())>>();
  else
    return false;
}

/// Resets the flow, or the nearest one below that has a `reset()`; gives false if there is none.
template <class F>
bool reset_below(F& flow) noexcept {
  if constexpr (has_reset<F>) {
    flow.reset();
    return true;
  } else if constexpr (can_reset<F>()) {
    return reset_below(flow.next_layer());
  } else {
    return false;
  }
}

}  // namespace detail
}  // namespace coflow::inline v0
