/// \file
/// The outcome of a read: data, end of stream, or an error, in one flat value.
#pragma once

#include <concepts>
#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/storage.hpp"

namespace coflow::inline v0 {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // as in storage.hpp
#endif

/// The type of `end_of_stream`.
struct end_of_stream_t {
  explicit end_of_stream_t() = default;
};

/// Converts to a read result that says eof: `co_return coflow::end_of_stream;`
inline constexpr end_of_stream_t end_of_stream{};

/// What a read gives (law R1): data of one byte or more, eof, or an error. True when it holds data.
template <class E>
class [[nodiscard]] basic_read_result {
 public:
  using error_type = E;

  /// End of stream.
  basic_read_result() noexcept : kind_(kind::eof) {}
  basic_read_result(end_of_stream_t) noexcept : kind_(kind::eof) {}  // NOLINT: conversion is the point

  /// Data. An empty buffer is no data: who makes a read result answers for law R1.
  basic_read_result(buffer data) noexcept : data_(std::move(data)), kind_(kind::data) {}  // NOLINT: conversion

  /// An error, from anything that converts to `E`.
  template <class U>
    requires std::convertible_to<U&&, E>
  basic_read_result(U&& error) : kind_(kind::error) {  // NOLINT: conversion is the point
    detail::construct(error_, std::forward<U>(error));
  }

  basic_read_result(basic_read_result&& other) noexcept : data_(std::move(other.data_)), kind_(other.kind_) {
    if (kind_ == kind::error) detail::construct(error_, std::move(other.error_));
  }
  basic_read_result& operator=(basic_read_result&& other) noexcept {
    if (this != &other) {
      detail::destroy(*this);
      detail::construct(*this, std::move(other));
    }
    return *this;
  }
  ~basic_read_result() {
    if (kind_ == kind::error) detail::destroy(error_);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return kind_ == kind::data; }
  [[nodiscard]] bool has_data() const noexcept { return kind_ == kind::data; }
  [[nodiscard]] bool eof() const noexcept { return kind_ == kind::eof; }
  [[nodiscard]] bool failed() const noexcept { return kind_ == kind::error; }

  /// The data; an empty buffer on eof and error.
  [[nodiscard]] buffer& operator*() & noexcept { return data_; }
  [[nodiscard]] const buffer& operator*() const& noexcept { return data_; }
  [[nodiscard]] buffer&& operator*() && noexcept { return std::move(data_); }
  [[nodiscard]] buffer* operator->() noexcept { return &data_; }
  [[nodiscard]] const buffer* operator->() const noexcept { return &data_; }

  /// The error; a default-constructed `E` (an empty code) on data and eof.
  [[nodiscard]] E error() const { return kind_ == kind::error ? error_ : E{}; }

 private:
  enum class kind : std::uint8_t { data, eof, error };

  buffer data_;
  union {
    E error_;  // an object only when there is an error: making an empty code is a call
  };
  kind kind_;
};

/// What the flows of this library give.
using read_result = basic_read_result<std::error_code>;

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace coflow::inline v0
