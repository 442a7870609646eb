/// \file
/// The outcome of reading a record: the record, which may be empty, end of stream, or an error.
#pragma once

#include <concepts>
#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/read_result.hpp"

namespace coflow::inline v0 {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // as in storage.hpp
#endif

/// What reading one record gives: a `T`, eof, or an error. True when it holds the record, were it an empty line or the
/// number 0, so that a loop reads to the end:
///
///     while (auto line = co_await reader.read_line()) use(line->text());
///
/// Eof is told only between records; a stream that ends inside one gives `error::truncated`.
template <class T = buffer, class E = std::error_code>
class [[nodiscard]] record_result {
 public:
  using value_type = T;
  using error_type = E;

  /// End of stream.
  record_result() noexcept : kind_(kind::eof) {}
  record_result(end_of_stream_t) noexcept : kind_(kind::eof) {}  // NOLINT: conversion is the point

  /// The record.
  record_result(T record) noexcept : record_(std::move(record)), kind_(kind::record) {}  // NOLINT: conversion

  /// An error, from anything that converts to `E`, and not to a `T`.
  template <class U>
    requires(std::convertible_to<U &&, E> && !std::convertible_to<U &&, T>)
  record_result(U&& error) : kind_(kind::error) {  // NOLINT: conversion is the point
    detail::construct(error_, std::forward<U>(error));
  }

  record_result(record_result&& other) noexcept : record_(std::move(other.record_)), kind_(other.kind_) {
    if (kind_ == kind::error) detail::construct(error_, std::move(other.error_));
  }
  record_result& operator=(record_result&& other) noexcept {
    if (this != &other) {
      detail::destroy(*this);
      detail::construct(*this, std::move(other));
    }
    return *this;
  }
  ~record_result() {
    if (kind_ == kind::error) detail::destroy(error_);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return kind_ == kind::record; }
  [[nodiscard]] bool has_value() const noexcept { return kind_ == kind::record; }
  [[nodiscard]] bool eof() const noexcept { return kind_ == kind::eof; }
  [[nodiscard]] bool failed() const noexcept { return kind_ == kind::error; }

  /// The record; a default-made `T` on eof and error.
  [[nodiscard]] T& operator*() & noexcept { return record_; }
  [[nodiscard]] const T& operator*() const& noexcept { return record_; }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(record_); }
  [[nodiscard]] T* operator->() noexcept { return &record_; }
  [[nodiscard]] const T* operator->() const noexcept { return &record_; }

  /// The error; a default-constructed `E` (an empty code) on a record and eof.
  [[nodiscard]] E error() const { return kind_ == kind::error ? error_ : E{}; }

 private:
  enum class kind : std::uint8_t { record, eof, error };

  T record_{};
  union {
    E error_;  // an object only when there is an error: making an empty code is a call
  };
  kind kind_;
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace coflow::inline v0
