/// \file
/// A value or an error, with the interface of `std::expected` (C++23) and an error code that converts to it.
#pragma once

#include <concepts>
#include <exception>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/detail/storage.hpp"

namespace coflow::inline v0 {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // as in storage.hpp
#endif

/// What `result::value` throws when there is no value and the error is no `std::error_code`.
template <class E>
class bad_result_access : public std::exception {
 public:
  explicit bad_result_access(E error) : error_(std::move(error)) {}
  [[nodiscard]] const char* what() const noexcept override { return "the result holds an error"; }
  [[nodiscard]] const E& error() const noexcept { return error_; }

 private:
  E error_;
};

/// Marks a value as an error where the two types could be mistaken for each other.
template <class E>
class unexpected {
 public:
  explicit unexpected(E error) : error_(std::move(error)) {}
  [[nodiscard]] const E& error() const& noexcept { return error_; }
  [[nodiscard]] E&& error() && noexcept { return std::move(error_); }

 private:
  E error_;
};

/// The type of `success`.
struct success_t {
  explicit success_t() = default;
};

/// Converts to a `result<void, E>` that holds no error: `co_return coflow::success;`
inline constexpr success_t success{};

template <class T, class E = std::error_code>
class result;

namespace detail {

template <class E>
[[noreturn]] void throw_error(const E& error) {
  if constexpr (std::is_same_v<E, std::error_code>)
    throw std::system_error(error);
  else if constexpr (std::is_convertible_v<const E&, std::error_code> && requires { std::string(error.message()); })
    throw std::system_error(error, error.message());
  else
    throw bad_result_access<E>(error);
}

}  // namespace detail

/// A `T` or an `E`. True when it holds the value.
/// `*r` and `r->` need a value, `error()` needs an error (undefined otherwise, as with `std::expected`); `value()`
/// checks and throws (`std::system_error` for error codes and what converts to them).
template <class T, class E>
class [[nodiscard]] result {
  static_assert(std::is_object_v<T> && !std::is_same_v<T, E>, "use unexpected<E> and distinct types");

 public:
  using value_type = T;
  using error_type = E;

  result()
    requires std::default_initializable<T>
      : has_(true) {
    detail::construct(value_);
  }
  /// A value, from whatever makes one; implicitly from whatever converts to one.
  template <class U = T>
    requires(!std::same_as<std::remove_cvref_t<U>, result> && std::constructible_from<T, U &&> &&
             (std::convertible_to<U &&, T> || !std::convertible_to<U &&, E>))
  explicit(!std::convertible_to<U&&, T>) result(U&& value) : has_(true) {
    detail::construct(value_, std::forward<U>(value));
  }
  /// An error, from whatever converts to one and not to a value too.
  template <class U>
    requires(!std::same_as<std::remove_cvref_t<U>, result> && std::convertible_to<U &&, E> &&
             !std::convertible_to<U &&, T>)
  result(U&& error) : has_(false) {  // NOLINT: conversion is the point
    detail::construct(error_, std::forward<U>(error));
  }
  template <class G>
    requires std::constructible_from<E, G>
  result(unexpected<G> error) : has_(false) {  // NOLINT: conversion is the point
    detail::construct(error_, std::move(error).error());
  }

  result(const result& other)
    requires(std::copy_constructible<T> && std::copy_constructible<E>)
      : has_(other.has_) {
    if (has_)
      detail::construct(value_, other.value_);
    else
      detail::construct(error_, other.error_);
  }
  result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_constructible_v<E>)
      : has_(other.has_) {
    if (has_)
      detail::construct(value_, std::move(other.value_));
    else
      detail::construct(error_, std::move(other.error_));
  }
  /// If moving the value throws, this result is left with a default-made error.
  result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    static_assert(std::is_nothrow_move_constructible_v<E>, "moving the error of a result must not throw");
    detail::destroy(*this);
    if constexpr (std::is_nothrow_move_constructible_v<T>) {
      detail::construct(*this, std::move(other));
    } else {
      try {
        detail::construct(*this, std::move(other));
      } catch (...) {
        detail::construct(*this, unexpected<E>(E{}));
        throw;
      }
    }
    return *this;
  }
  ~result() {
    if (has_)
      detail::destroy(value_);
    else
      detail::destroy(error_);
  }

  [[nodiscard]] bool has_value() const noexcept { return has_; }
  [[nodiscard]] explicit operator bool() const noexcept { return has_; }

  [[nodiscard]] T& operator*() & noexcept { return value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return value_; }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(value_); }
  [[nodiscard]] T* operator->() noexcept { return __builtin_addressof(value_); }
  [[nodiscard]] const T* operator->() const noexcept { return __builtin_addressof(value_); }

  [[nodiscard]] T& value() & {
    if (!has_) detail::throw_error(error_);
    return value_;
  }
  [[nodiscard]] const T& value() const& {
    if (!has_) detail::throw_error(error_);
    return value_;
  }
  [[nodiscard]] T&& value() && {
    if (!has_) detail::throw_error(error_);
    return std::move(value_);
  }

  [[nodiscard]] E& error() & noexcept { return error_; }
  [[nodiscard]] const E& error() const& noexcept { return error_; }
  [[nodiscard]] E&& error() && noexcept { return std::move(error_); }

  template <class U>
  [[nodiscard]] T value_or(U&& fallback) const& {
    if (has_) return value_;
    return static_cast<T>(std::forward<U>(fallback));
  }
  template <class U>
  [[nodiscard]] T value_or(U&& fallback) && {
    if (has_) return std::move(value_);
    return static_cast<T>(std::forward<U>(fallback));
  }

  /// `f(value)` (which gives a result) or the error.
  template <class F>
  auto and_then(F&& f) && -> std::invoke_result_t<F, T&&> {
    if (!has_) return unexpected<E>(std::move(error_));
    return std::forward<F>(f)(std::move(value_));
  }
  /// A result of `f(value)`, or the error.
  template <class F>
  auto transform(F&& f) && -> result<std::invoke_result_t<F, T&&>, E> {
    if (!has_) return unexpected<E>(std::move(error_));
    if constexpr (std::is_void_v<std::invoke_result_t<F, T&&>>) {
      std::forward<F>(f)(std::move(value_));
      return success;
    } else {
      return std::forward<F>(f)(std::move(value_));
    }
  }
  /// The value, or `f(error)` (which gives a result of the same value type).
  template <class F>
  auto or_else(F&& f) && -> std::invoke_result_t<F, E&&> {
    if (has_) return std::move(value_);
    return std::forward<F>(f)(std::move(error_));
  }

 private:
  union {
    T value_;
    E error_;
  };
  bool has_;
};

/// Success, or an `E`. True on success.
template <class E>
class [[nodiscard]] result<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  result() noexcept : has_(true) {}
  result(success_t) noexcept : has_(true) {}  // NOLINT: conversion is the point
  template <class U>
    requires(std::convertible_to<U &&, E> && !std::same_as<std::remove_cvref_t<U>, result> &&
             !std::same_as<std::remove_cvref_t<U>, success_t>)
  result(U&& error) : has_(false) {  // NOLINT: conversion is the point
    detail::construct(error_, std::forward<U>(error));
  }
  template <class G>
    requires std::constructible_from<E, G>
  result(unexpected<G> error) : has_(false) {  // NOLINT: conversion is the point
    detail::construct(error_, std::move(error).error());
  }

  result(const result& other) : has_(other.has_) {
    if (!has_) detail::construct(error_, other.error_);
  }
  result(result&& other) noexcept(std::is_nothrow_move_constructible_v<E>) : has_(other.has_) {
    if (!has_) detail::construct(error_, std::move(other.error_));
  }
  result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<E>) {
    detail::destroy(*this);
    return *detail::construct(*this, std::move(other));
  }
  ~result() {
    if (!has_) detail::destroy(error_);
  }

  [[nodiscard]] bool has_value() const noexcept { return has_; }
  [[nodiscard]] explicit operator bool() const noexcept { return has_; }
  void operator*() const noexcept {}
  void value() const {
    if (!has_) detail::throw_error(error_);
  }

  /// The error; a default-constructed `E` (an empty code) on success.
  [[nodiscard]] E error() const { return has_ ? E{} : error_; }

  template <class F>
  auto and_then(F&& f) && -> std::invoke_result_t<F> {
    if (!has_) return unexpected<E>(std::move(error_));
    return std::forward<F>(f)();
  }
  template <class F>
  auto or_else(F&& f) && -> std::invoke_result_t<F, E&&> {
    if (has_) return success;
    return std::forward<F>(f)(std::move(error_));
  }

 private:
  union {
    E error_;
  };
  bool has_;
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace coflow::inline v0
