/// \file
/// Closing a flow without losing what was written.
#pragma once

#include <chrono>
#include <concepts>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/farewell.hpp"

namespace coflow::inline v0 {

/// Closes `flow` so that nothing that was written is lost (law C5): shuts the write half down, reads and discards until
/// the peer ends its stream, an error comes or `limit` has passed, and closes. A plain close of a TCP flow with input
/// unread destroys output that is on its way (fact K4).
///
/// `flow` must live until the await ends, and is closed then in every case. Gives success when the peer's end was seen;
/// `error::timed_out` when the limit cut the wait short; otherwise what reading ended with. A time that is not positive
/// still sends, and discards, what goes without waiting.
///
/// The limit is enforced by `close`, so it holds for flows that know nothing of cancellation. A stop ends the wait and
/// gives `operation_canceled`; it does not prevent the close (law X0). Without an executor there is no wait either:
/// `error::no_executor`. One timer, three pooled frames. Throws std::bad_alloc; the flow is then as it was.
template <Flow F, class Rep, class Period>
[[nodiscard]] task<result<void>> graceful_close(F& flow, std::chrono::duration<Rep, Period> limit) {
  return detail::say_farewell(&flow, detail::saturated(limit));
}

/// The same for a flow that is given away: `co_await graceful_close(std::move(flow), 5s)`.
template <Flow F, class Rep, class Period>
  requires(!std::is_reference_v<F> && !std::is_const_v<F>)
[[nodiscard]] task<result<void>> graceful_close(F&& flow, std::chrono::duration<Rep, Period> limit) {
  return detail::say_last_farewell(F(std::move(flow)), detail::saturated(limit));
}

}  // namespace coflow::inline v0
