/// \file
/// The outcome of a read into the caller's memory: how many bytes, end of stream, or an error, in one flat value.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/core/detail/storage.hpp"
#include "coflow/core/read_result.hpp"

namespace coflow::inline v0 {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // as in storage.hpp
#endif

/// What a `read_into` gives (law R1): the count of bytes that are in the caller's memory now, eof, or an error. True
/// when it holds a count, which is 0 only for an empty room.
template <class E>
class [[nodiscard]] basic_read_into_result {
 public:
  using error_type = E;

  /// End of stream.
  basic_read_into_result() noexcept : kind_(kind::eof) {}
  basic_read_into_result(end_of_stream_t) noexcept : kind_(kind::eof) {}  // NOLINT: conversion is the point

  /// So many bytes. Of no other type: a signed number is rather what a system call gave.
  template <std::same_as<std::size_t> Count>
  basic_read_into_result(Count count) noexcept : count_(count), kind_(kind::count) {}  // NOLINT: conversion

  /// An error, from anything that converts to `E`.
  template <class U>
    requires(std::convertible_to<U &&, E> && !std::same_as<std::remove_cvref_t<U>, std::size_t>)
  basic_read_into_result(U&& error) : kind_(kind::error) {  // NOLINT: conversion is the point
    detail::construct(error_, std::forward<U>(error));
  }

  basic_read_into_result(basic_read_into_result&& other) noexcept : count_(other.count_), kind_(other.kind_) {
    if (kind_ == kind::error) detail::construct(error_, std::move(other.error_));
  }
  basic_read_into_result& operator=(basic_read_into_result&& other) noexcept {
    if (this != &other) {
      detail::destroy(*this);
      detail::construct(*this, std::move(other));
    }
    return *this;
  }
  ~basic_read_into_result() {
    if (kind_ == kind::error) detail::destroy(error_);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return kind_ == kind::count; }
  [[nodiscard]] bool has_count() const noexcept { return kind_ == kind::count; }
  [[nodiscard]] bool eof() const noexcept { return kind_ == kind::eof; }
  [[nodiscard]] bool failed() const noexcept { return kind_ == kind::error; }

  /// How many bytes; 0 on eof and error.
  [[nodiscard]] std::size_t operator*() const noexcept { return count_; }

  /// The error; a default-constructed `E` (an empty code) on a count and eof.
  [[nodiscard]] E error() const { return kind_ == kind::error ? error_ : E{}; }

 private:
  enum class kind : std::uint8_t { count, eof, error };

  std::size_t count_ = 0;
  union {
    E error_;  // an object only when there is an error: making an empty code is a call
  };
  kind kind_;
};

/// What the flows of this library give.
using read_into_result = basic_read_into_result<std::error_code>;

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace coflow::inline v0
