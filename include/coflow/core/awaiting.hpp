/// \file
/// A suspended coroutine as an awaiter sees it, without the type of its promise.
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/stop.hpp"

namespace coflow::inline v0 {

/// The handle of a suspended coroutine, together with the stop state that its promise hands on. It is what an awaiter's
/// `await_suspend` gets where the type of the promise is erased (`any_flow`): `promise().stop()` works as on the handle
/// that it was made from, so cancellation gets through. It does not own the coroutine.
class awaiting {
 public:
  /// From any coroutine's handle; one of an unknown promise (`std::coroutine_handle<>`) has no stop state.
  template <class Promise>
  awaiting(std::coroutine_handle<Promise> coroutine) noexcept  // NOLINT: conversion is the point
      : coroutine_(coroutine), stop_(stop_behind(coroutine)) {}

  /// A coroutine under a stop state of the caller's choice, or a null pointer for none.
  awaiting(std::coroutine_handle<> coroutine, stop_node* stop) noexcept : coroutine_(coroutine), stop_(stop) {}

  operator std::coroutine_handle<>() const noexcept { return coroutine_; }  // NOLINT: conversion is the point

  /// What stands in for the promise: all that can be asked of it is `stop()`.
  [[nodiscard]] const awaiting& promise() const noexcept { return *this; }
  [[nodiscard]] stop_node* stop() const noexcept { return stop_; }

 private:
  template <class Promise>
  static stop_node* stop_behind(std::coroutine_handle<Promise> coroutine) noexcept {
    return detail::stop_of(coroutine.promise());
  }
  static stop_node* stop_behind(std::coroutine_handle<>) noexcept { return nullptr; }

  std::coroutine_handle<> coroutine_;
  stop_node* stop_;
};

/// What an awaiter of this library accepts in `await_suspend`: the handle of a coroutine whose promise is known, or an
/// `awaiting`.
template <class Handle>
concept suspended_coroutine =
    std::convertible_to<Handle, std::coroutine_handle<>> && requires(Handle coroutine) { coroutine.promise(); };

namespace detail {

/// True for awaitables that can wait for a coroutine of unknown promise and leave the stack as they found it. The
/// others want to see a promise, or name the coroutine that goes on, which costs stack where a compiler makes that a
/// call.
template <class Awaitable>
concept waits_in_place = requires(std::remove_reference_t<awaiter_t<Awaitable>>& waits, awaiting coroutine) {
  requires std::is_void_v<decltype(waits.await_suspend(coroutine))> ||
               std::same_as<decltype(waits.await_suspend(coroutine)), bool>;
};

}  // namespace detail
}  // namespace coflow::inline v0
