/// \file
/// Ending a flow so that its peer does not take the end for a clean one.
#pragma once

#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/reset_below.hpp"

namespace coflow::inline v0 {

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
  return detail::reset_below(flow);
}

}  // namespace coflow::inline v0
