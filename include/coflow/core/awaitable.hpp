/// \file
/// Concepts for things that can be awaited.
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace coflow::inline v0 {
namespace detail {

template <class A>
concept awaiter = requires(A& a) {
  { a.await_ready() } -> std::convertible_to<bool>;
  a.await_resume();
};
template <class A>
concept has_member_co_await = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept has_free_co_await = requires(A&& a) { operator co_await(std::forward<A>(a)); };

template <class A>
decltype(auto) awaiter_of(A&& a) {
  if constexpr (has_member_co_await<A>)
    return std::forward<A>(a).operator co_await();
  else if constexpr (has_free_co_await<A>)
    return operator co_await(std::forward<A>(a));
  else
    return std::forward<A>(a);
}

template <class Awaitable>
using awaiter_t = decltype(awaiter_of(std::declval<Awaitable>()));

}  // namespace detail

/// Something that `co_await` accepts: an awaiter, or a type with an `operator co_await`.
template <class A>
concept awaitable = detail::awaiter<A> || detail::has_member_co_await<A> || detail::has_free_co_await<A>;

/// What `co_await std::declval<A>()` gives.
template <awaitable A>
using await_result_t =
    decltype(std::declval<std::remove_reference_t<decltype(detail::awaiter_of(std::declval<A>()))>&>().await_resume());

/// An awaitable whose result is `T`, up to references and const.
template <class A, class T>
concept awaitable_of = awaitable<A> && std::same_as<std::remove_cvref_t<await_result_t<A>>, T>;

}  // namespace coflow::inline v0
