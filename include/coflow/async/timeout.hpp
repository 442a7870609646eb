/// \file
/// Limits on how long an operation may take.
#pragma once

#include <chrono>
#include <utility>

#include "coflow/async/detail/closing_limit.hpp"
#include "coflow/async/detail/held_wait.hpp"
#include "coflow/async/detail/moment.hpp"
#include "coflow/async/detail/timed_operation.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {

/// Awaits `awaited`, an operation of any kind, and tells it to give up when `limit` has passed.
///
///     coflow::read_result got = co_await coflow::with_timeout(flow.read(), 5s);
///     if (got.error() == coflow::error::timed_out) ...
///
/// Gives what the operation gives; `error::timed_out` for one that was cancelled because of the limit, which is latched
/// nowhere (law X0): a read that timed out has taken no byte, and the flow stays usable (law X1). What completed is
/// preferred to the limit, always, also in the same turn. A stop of the awaiting task reaches the operation and gives
/// `operation_canceled`. Where the result has no room for an error it comes in a `result<T>` (a pointer for a
/// reference, nothing for nothing): the value if the operation ended before the limit, else an error; a value that
/// comes after the limit is dropped, so give a `result` where that matters.
///
/// The operation always gets its try: one that completes at once is reported however short the limit, looks at no clock
/// and arms no timer. The time counts from where it waits for the first time; one that is not positive ends the wait in
/// the next turn. An operation that takes no stop is not cut short: for a flow that may not, see below.
///
/// It lives in the awaiting coroutine's frame, with one timer; only an awaitable that insists on a certain kind of
/// coroutine costs a pooled frame (and std::bad_alloc at the call). Without an executor there is no limit, and the
/// operation gives what it gives, `error::no_executor` for most. When the executor goes away it gives `error::closed`.
template <awaitable Awaitable, class Rep, class Period>
[[nodiscard]] auto with_timeout(Awaitable awaited, std::chrono::duration<Rep, Period> limit) {
  return detail::timed_operation<detail::in_place_t<Awaitable>>(detail::in_place(awaited),
                                                                detail::moment(detail::saturated(limit)));
}

/// The same with a point on the clock of the executor (`executor::now`), which several operations may share.
template <awaitable Awaitable>
[[nodiscard]] auto with_deadline(Awaitable awaited, executor::time_point deadline) {
  return detail::timed_operation<detail::in_place_t<Awaitable>>(detail::in_place(awaited), detail::moment(deadline));
}

/// Awaits `operation`, which is one on `flow` or a task of several, and closes `flow` when `limit` has passed: for
/// flows that may know nothing of cancellation, since every operation on a closed flow ends (law C3).
///
///     auto got = co_await coflow::with_timeout(flow, flow.read(), 5s);
///
/// Gives what the other `with_timeout` gives: an operation that ends with `error::closed` after the limit has timed
/// out, and anything else that it comes to is preferred. It waits for the end of the close too, and throws what that
/// throws if the operation did not throw; `flow` must live until the await ends. A stop of the awaiting task reaches
/// the operation as usual, and does not lift the limit. The time counts from the await. When the executor goes away the
/// flow is closed. One timer, two pooled frames, which are made before the operation begins: the close cannot fail for
/// lack of memory. Throws std::bad_alloc; nothing has happened then.
template <has_close F, awaitable Awaitable, class Rep, class Period>
[[nodiscard]] task<detail::limited_t<await_result_t<Awaitable>>> with_timeout(
    F& flow, Awaitable operation, std::chrono::duration<Rep, Period> limit) {
  return detail::limit_by_close(&flow, std::move(operation), detail::moment(detail::saturated(limit)));
}

/// The same with a point on the clock of the executor.
template <has_close F, awaitable Awaitable>
[[nodiscard]] task<detail::limited_t<await_result_t<Awaitable>>> with_deadline(F& flow, Awaitable operation,
                                                                               executor::time_point deadline) {
  return detail::limit_by_close(&flow, std::move(operation), detail::moment(deadline));
}

}  // namespace coflow::inline v0
