/// \file
/// The `Listener` concept: where connections come from.
#pragma once

#include <concepts>
#include <system_error>
#include <type_traits>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What an `accept` gives: a `result<F, E>`, taken apart.
template <class T>
struct accept_outcome {
  static constexpr bool is_result = false;
  static constexpr bool gives_a_flow = false;
};
template <class F, class E>
struct accept_outcome<result<F, E>> {
  using flow_type = F;
  static constexpr bool is_result = std::convertible_to<E, std::error_code>;
  static constexpr bool gives_a_flow = Flow<F>;
};

template <class L>
using accept_outcome_of = accept_outcome<std::remove_cvref_t<await_result_t<decltype(std::declval<L&>().accept())>>>;

}  // namespace detail

/// `listener.accept()`: awaitable, gives a `result<F>` with `F` a `Flow`.
template <class L>
concept has_accept = requires(L& listener) {
  { listener.accept() } -> awaitable;
  requires detail::accept_outcome_of<L>::is_result;
  requires detail::accept_outcome_of<L>::gives_a_flow;
};

/// A type that connections are accepted from, such as `tcp_listener`.
///
/// `accept` waits for the next connection and goes on through what concerns a single one; it fails only when the
/// listener is closed or broken. `close` gives nothing and does not fail; an `accept` that is pending then completes
/// with an error, and is not resumed inline (laws C3, O3). Destroying a listener closes it.
template <class L>
concept Listener = std::movable<L> && has_accept<L> && requires(L& listener) {
  { listener.close() } -> std::same_as<void>;
};

/// The flow that the connections of a listener are.
template <Listener L>
using accepted_flow_t = typename detail::accept_outcome_of<L>::flow_type;

/// Compiles only if `L` is a `Listener`, and says in one line what is missing or has the wrong shape:
/// `static_assert(coflow::check_listener_shape<my_listener>());`
template <class L>
consteval bool check_listener_shape() {
  static_assert(std::movable<L>, "a Listener must be movable");
  static_assert(
      requires(L& listener) {
        { listener.accept() } -> awaitable;
      }, "a Listener has accept(), an awaitable");
  if constexpr (requires(L& listener) {
                  { listener.accept() } -> awaitable;
                }) {
    static_assert(detail::accept_outcome_of<L>::is_result,
                  "accept() gives a result<F>, whose error is or converts to std::error_code");
    if constexpr (detail::accept_outcome_of<L>::is_result)
      static_assert(detail::accept_outcome_of<L>::gives_a_flow, "accept() gives a result<F> where F is a Flow");
  }
  static_assert(
      requires(L& listener) {
        { listener.close() } -> std::same_as<void>;
      }, "a Listener has close(), which gives nothing");
  return Listener<L>;
}

}  // namespace coflow::inline v0
