/// \file
/// Waiting for several things at once, until one of them is done.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/children.hpp"
#include "coflow/async/detail/combination.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"

namespace coflow::inline v0 {

/// What `when_any` gives: who ended first, and what everybody gave.
template <class Results>
class when_any_result {
 public:
  /// The index of a race without runners.
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  when_any_result(std::size_t first, Results all) noexcept(std::is_nothrow_move_constructible_v<Results>)
      : index(first), results(std::move(all)) {}

  std::size_t index;  ///< the child that ended first, or `npos` if there was none
  Results results;    ///< of all children, in their order: a `std::tuple`, or a `std::vector` for a range
};

/// What `when_any` returns. It lives in the awaiting coroutine's frame.
template <class Children>
class [[nodiscard]] when_any_operation final : private detail::combination {
 public:
  using result_type = when_any_result<typename Children::results>;

  explicit when_any_operation(Children children) noexcept
      : combination(detail::stop_rule::at_end), children_(std::move(children)) {}
  when_any_operation(when_any_operation&& unbegun) noexcept = default;
  ~when_any_operation() { this->end_wait(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) noexcept {
    return this->start(children_, coroutine);
  }
  [[nodiscard]] result_type await_resume() { return take(); }
  result_type await_resume()
    requires Children::give_nothing
  {
    return take();
  }

 private:
  result_type take() {
    if (this->thrower() != nullptr) this->thrower()->rethrow();
    return result_type(this->has_winner() ? this->winner() : result_type::npos, children_.take());
  }

  Children children_;
};

/// Runs all of `children`, which are awaitables of any kind, side by side; when one ends, with whatever it gives, the
/// others are told to stop, and when all have ended it gives a `when_any_result`: the index of the one that ended first
/// and the results of all of them.
///
///     auto [first, results] = co_await coflow::when_any(flow.read(), coflow::sleep_for(30s));
///
/// Look at every result, not at the first one's alone: nothing that a loser came to is lost. A read that completed in
/// the same turn as the winner reports its bytes; one that was cancelled gives `operation_canceled` and has left them
/// in the flow (law X1). A loser that ignores the stop is waited for.
///
/// They are started in the order of the arguments, in the turn of the awaiting coroutine. Where one ends at once, those
/// behind it are begun all the same, under a stop request (law X0), so that each gives its own result: an operation
/// that begins so gives `operation_canceled` and has done nothing.
///
/// A stop of the awaiting task reaches every child. An exception of any child is thrown when all have ended; of several
/// the first one, and the results are lost. Nothing, references, destruction, memory: as for `when_all`. Without any
/// argument there would be nothing to wait for: that does not compile.
template <awaitable... Awaitables>
  requires(sizeof...(Awaitables) != 0)
[[nodiscard]] auto when_any(Awaitables... children) {
  using list = detail::listed_t<Awaitables...>;
  return when_any_operation<list>(list(detail::as_task(std::move(children))...));
}

/// The same for a range (a `std::vector` of tasks), out of which its elements are moved. An empty range is done at
/// once, with the index `npos`.
template <detail::awaitable_range Range>
[[nodiscard]] auto when_any(Range children) {
  using counted = detail::counted_t<Range>;
  return when_any_operation<counted>(counted(children));
}

}  // namespace coflow::inline v0
