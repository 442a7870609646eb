/// \file
/// Finding the way down through a stack of layers.
#pragma once

namespace coflow::inline v0 {
namespace detail {

template <class F>
concept has_next_layer = requires(F& flow) { flow.next_layer(); };

template <class F>
[[nodiscard]] auto& lowest_layer_of(F& flow) noexcept {
  if constexpr (has_next_layer<F>)
    return lowest_layer_of(flow.next_layer());
  else
    return flow;
}

}  // namespace detail
}  // namespace coflow::inline v0
