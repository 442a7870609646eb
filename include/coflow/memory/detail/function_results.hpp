/// \file
/// What the callables of a `function_flow` may give, brought into one form.
#pragma once

#include <concepts>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class Given>
concept becomes_buffer = std::same_as<std::remove_cvref_t<Given>, buffer> || std::convertible_to<Given, std::string>;

// An optional of data: empty means eof. A result of data has an error too.
template <class Given>
concept optional_data = requires(Given given) {
  static_cast<bool>(given);
  { *std::move(given) } -> becomes_buffer;
};
template <class Given>
concept has_system_error = requires(Given given) {
  { given.error() } -> std::convertible_to<std::error_code>;
};

template <class Given>
concept read_outcome = std::convertible_to<Given, read_result> || becomes_buffer<Given> || optional_data<Given>;

template <class Given>
concept write_outcome = std::is_void_v<Given> || std::convertible_to<Given, result<void>> || has_system_error<Given>;

/// An error that a half can keep: a cancellation that nobody asked for is no verdict (law X0), but that what does the
/// work has ended.
[[nodiscard]] inline std::error_code as_verdict(const std::error_code& code) noexcept {
  if (code == canceled()) return error::closed;
  if (!code) return std::make_error_code(std::errc::io_error);
  return code;
}

[[nodiscard]] inline buffer as_buffer(buffer given) noexcept { return given; }
[[nodiscard]] inline buffer as_buffer(std::string given) { return buffer::adopt(std::move(given)); }

template <class Result>
struct outcome_as;

template <>
struct outcome_as<read_result> {
  template <class Given>
  static constexpr bool accepts = read_outcome<Given>;

  template <class Given>
  [[nodiscard]] static read_result from(Given&& given) {
    if constexpr (std::convertible_to<Given, read_result>)
      return std::forward<Given>(given);
    else if constexpr (becomes_buffer<Given>)
      return as_buffer(std::forward<Given>(given));
    else if (static_cast<bool>(given))
      return as_buffer(*std::forward<Given>(given));
    else if constexpr (requires {
                         given.eof();
                         given.error();
                       })
      return given.eof() ? read_result(end_of_stream) : read_result(std::error_code(given.error()));
    else if constexpr (has_system_error<Given>)
      return read_result(std::error_code(given.error()));
    else
      return end_of_stream;
  }
};

template <>
struct outcome_as<result<void>> {
  template <class Given>
  static constexpr bool accepts = write_outcome<Given>;

  template <class Given>
  [[nodiscard]] static result<void> from(Given&& given) {
    if constexpr (std::convertible_to<Given, result<void>>) {
      const result<void> came_to(std::forward<Given>(given));
      if (came_to || !came_to.error()) return success;  // an empty code is no error
      return came_to;
    } else {
      if (given.has_value()) return success;
      return std::error_code(given.error());
    }
  }
  [[nodiscard]] static result<void> from() noexcept { return success; }
};

/// The code for the exception that is being handled.
[[nodiscard]] inline std::error_code code_of_exception() noexcept {
  try {
    throw;
  } catch (const std::system_error& thrown) {
    return as_verdict(thrown.code());
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  } catch (...) {
    return std::make_error_code(std::errc::io_error);
  }
}

}  // namespace detail
}  // namespace coflow::inline v0
