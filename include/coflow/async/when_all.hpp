/// \file
/// Waiting for several things at once, until all of them are done.
#pragma once

#include <type_traits>
#include <utility>

#include "coflow/async/detail/children.hpp"
#include "coflow/async/detail/combination.hpp"
#include "coflow/async/on_failure.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"

namespace coflow::inline v0 {

/// What `when_all` returns. It lives in the awaiting coroutine's frame.
template <class Children>
class [[nodiscard]] when_all_operation final : private detail::combination {
 public:
  when_all_operation(on_failure policy, Children children) noexcept
      : combination(policy == on_failure::isolate ? detail::stop_rule::never : detail::stop_rule::at_failure),
        children_(std::move(children)) {}
  when_all_operation(when_all_operation&& unbegun) noexcept = default;
  ~when_all_operation() { this->end_wait(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) noexcept {
    return this->start(children_, coroutine);
  }
  [[nodiscard]] typename Children::results await_resume() { return take(); }
  typename Children::results await_resume()
    requires Children::give_nothing
  {
    return take();
  }

 private:
  typename Children::results take() {
    if (this->thrower() != nullptr) this->thrower()->rethrow();
    return children_.take();
  }

  Children children_;
};

/// Runs all of `children`, which are awaitables of any kind, side by side, and waits until every one has ended.
///
///     auto both = co_await coflow::when_all(flow.read(), other.write(std::move(bytes)));
///     auto& [got, sent] = both;
///
/// They are started in the order of the arguments, in the turn of the awaiting coroutine: each runs until it first
/// waits. Gives a `std::tuple` of what they gave, in the same order: a `std::monostate` for nothing, a pointer for a
/// reference. All results are given, whatever became of the children.
///
/// A child that fails (its result holds an error, or an exception left it) cancels the others: they are told to stop
/// and give what they give then, `operation_canceled` for most; those that have not been started begin in that state
/// (law X0). An exception is thrown when all children have ended; of several the first one, and the results are lost.
///
/// A stop of the awaiting task reaches every child; `when_all` still waits for all of them. Destroying the awaiting
/// coroutine destroys the children, and with them the waits they are in (law C6); a child may not do that itself.
/// Needs no executor of its own. A child that is no task costs a pooled frame. Throws std::bad_alloc, at the call; no
/// child has begun then.
template <awaitable... Awaitables>
[[nodiscard]] auto when_all(Awaitables... children) {
  using list = detail::listed_t<Awaitables...>;
  return when_all_operation<list>(on_failure::cancel_siblings, list(detail::as_task(std::move(children))...));
}

/// The same with a policy: `on_failure::isolate` leaves the others alone when a child fails.
template <awaitable... Awaitables>
[[nodiscard]] auto when_all(on_failure policy, Awaitables... children) {
  using list = detail::listed_t<Awaitables...>;
  return when_all_operation<list>(policy, list(detail::as_task(std::move(children))...));
}

/// The same for a range (a `std::vector` of tasks), out of which its elements are moved. Gives a `std::vector`, in the
/// order of the range; an empty range is done at once.
template <detail::awaitable_range Range>
[[nodiscard]] auto when_all(Range children) {
  using counted = detail::counted_t<Range>;
  return when_all_operation<counted>(on_failure::cancel_siblings, counted(children));
}
template <detail::awaitable_range Range>
[[nodiscard]] auto when_all(on_failure policy, Range children) {
  using counted = detail::counted_t<Range>;
  return when_all_operation<counted>(policy, counted(children));
}

}  // namespace coflow::inline v0
