/// \file
/// Ending a flow so that its peer does not take the end for a clean one.
#pragma once

#include <type_traits>
#include <utility>

#include "coflow/core/flow.hpp"
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

}  // namespace detail

/// A flow that `reset` can end: it has a `reset()` that does not throw, or stands on a flow that has.
template <class F>
concept ResettableFlow = Flow<F> && detail::can_reset<F>();

/// Closes `flow` now, and so that its peer does not take that for a clean end: by the `reset()` of the flow or, if it
/// has none, of the nearest layer below that has. What waits on the flow completes with `error::closed`, by post (laws
/// C3, O3). It does not wait, and allocates nothing where the flow's own `reset()` does not.
///
/// Gives false where no layer can, and does nothing then; whoever must end a flow of any kind writes
/// `if (!reset(flow)) co_await flow.close();`.
///
/// What the peer sees: `connection_reset` of TCP and of a `memory_flow`, behind the bytes that have reached it (what
/// TCP has not sent yet is lost); `error::truncated` of a codec whose inner flow can only be closed. Pipes, files and
/// local sockets have nothing that tells: there it is a close like any other (see `fd_flow`, `unix_flow`). `any_flow`
/// destroys a flow that cannot be reset (law C6).
template <Flow F>
bool reset(F& flow) noexcept {
  if constexpr (detail::has_reset<F>) {
    flow.reset();
    return true;
  } else if constexpr (ResettableFlow<F>) {
    return coflow::reset(flow.next_layer());
  } else {
    return false;
  }
}

}  // namespace coflow::inline v0
