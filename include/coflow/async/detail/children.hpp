/// \file
/// The tasks that one coroutine waits for: so many as there were arguments, or as there were in a range.
#pragma once

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/detail/as_task.hpp"
#include "coflow/async/detail/combination.hpp"
#include "coflow/async/detail/pool_allocator.hpp"
#include "coflow/core/awaitable.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class... Ts>
class listed_children {
 public:
  using results = std::tuple<typename child_of<Ts>::given...>;
  /// There is nothing in the results that one might want to look at.
  static constexpr bool give_nothing = (std::is_void_v<Ts> && ...);

  explicit listed_children(task<Ts>... bodies) noexcept : children_(child_of<Ts>(std::move(bodies))...) {}

  template <class F>
  void for_each(F f) {
    std::apply([&f](auto&... child) { (f(child), ...); }, children_);
  }
  [[nodiscard]] results take() {
    return std::apply([](auto&... child) { return results(child.take()...); }, children_);
  }

 private:
  std::tuple<child_of<Ts>...> children_;
};

template <class T>
class counted_children {
 public:
  using results = std::vector<typename child_of<T>::given>;
  static constexpr bool give_nothing = std::is_void_v<T>;

  template <class Range>
  explicit counted_children(Range& range) {
    if constexpr (requires { range.size(); }) children_.reserve(static_cast<std::size_t>(range.size()));
    for (auto&& awaited : range) children_.emplace_back(as_task(std::move(awaited)));
    given_.reserve(children_.size());
  }

  template <class F>
  void for_each(F f) {
    for (child_of<T>& child : children_) f(child);
  }
  [[nodiscard]] results take() {
    for (child_of<T>& child : children_) given_.push_back(child.take());
    return std::move(given_);
  }

 private:
  std::vector<child_of<T>, pool_allocator<child_of<T>>> children_;
  results given_;  // has its room from the beginning: nothing that a child gave is lost for lack of memory
};

template <class Range>
using element_t = std::remove_reference_t<decltype(*std::declval<Range&>().begin())>;

/// A range of awaitables that may be moved out of it.
template <class Range>
concept awaitable_range = !awaitable<Range> && requires(Range& range) {
  range.begin() != range.end();
  requires awaitable<element_t<Range>>;
  requires std::move_constructible<element_t<Range>>;
};

template <class... Awaitables>
using listed_t = listed_children<task_result_t<Awaitables>...>;
template <class Range>
using counted_t = counted_children<task_result_t<element_t<Range>>>;

}  // namespace detail
}  // namespace coflow::inline v0
