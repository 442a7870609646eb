/// \file
/// What can go wrong on a flow, and the one table that says what a system error becomes.
///
/// What coflow itself has to say is `coflow::error`; what the operating system said stays a `std::system_category`
/// code, except for the three spellings of "closed" (`from_system`). A cancelled operation gives
/// `std::errc::operation_canceled` (law X0). Generic code needs one test: `code == coflow::condition::disconnected`.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace coflow::inline v0 {

/// The library's own error codes.
enum class error {
  closed = 1,      ///< the flow, or the half that was asked, is closed (laws W5, C1)
  truncated,       ///< the stream ended without the goodbye that its protocol demands (law L7)
  timed_out,       ///< a deadline that this program set has passed; not the kernel's ETIMEDOUT (law X0)
  torn_write,      ///< an earlier write was given up after a part of it had gone out (law X2)
  no_executor,     ///< the operation was started where no executor is running (law O4)
  wrong_executor,  ///< the flow belongs to another executor than the one that is running
  bad_endpoint,    ///< the text is not an address and a port
  not_a_stream,    ///< the descriptor is not a connected socket of the kind that was asked for
};

/// Properties that several codes share; compare with `==`.
enum class condition {
  disconnected = 1,  ///< the connection is gone: closed by either side, or reset
};

namespace detail {

/// True for errno values, in either of the categories that the standard has for them.
[[nodiscard]] inline bool has_errno(const std::error_code& code) noexcept {
  return code.category() == std::system_category() || code.category() == std::generic_category();
}

/// True for the system errors that end a connection as a whole, whichever half meets them first.
[[nodiscard]] inline bool ends_connection(const std::error_code& code) noexcept {
  if (!has_errno(code)) return false;
  switch (code.value()) {
    case ECONNRESET:
    case ECONNABORTED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
      return true;
    default:
      return false;
  }
}

class error_category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "coflow"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<error>(value)) {
      case error::closed:
        return "the flow is closed";
      case error::truncated:
        return "the stream was cut off before its end";
      case error::timed_out:
        return "the deadline has passed";
      case error::torn_write:
        return "an earlier write was cancelled half-way, so nothing can follow it";
      case error::no_executor:
        return "no event loop is running on this thread";
      case error::wrong_executor:
        return "the flow belongs to another event loop";
      case error::bad_endpoint:
        return "not an address and a port (like 127.0.0.1:80 or [::1]:80)";
      case error::not_a_stream:
        return "the descriptor is not a stream of the kind that was asked for";
    }
    return "unknown coflow error";
  }
};

class condition_category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "coflow.condition"; }
  [[nodiscard]] std::string message(int value) const override {
    return value == static_cast<int>(condition::disconnected) ? "the connection is gone" : "unknown coflow condition";
  }
  [[nodiscard]] bool equivalent(const std::error_code& code, int value) const noexcept override;
};

}  // namespace detail

/// The category of `coflow::error`. It has default visibility, so that several shared libraries agree on it.
[[nodiscard, gnu::visibility("default")]] inline const std::error_category& error_category() noexcept {
  static const detail::error_category category;
  return category;
}

/// The category of `coflow::condition`.
[[nodiscard, gnu::visibility("default")]] inline const std::error_category& condition_category() noexcept {
  static const detail::condition_category category;
  return category;
}

[[nodiscard]] inline std::error_code make_error_code(error code) noexcept {
  return {static_cast<int>(code), error_category()};
}

[[nodiscard]] inline std::error_condition make_error_condition(condition value) noexcept {
  return {static_cast<int>(value), condition_category()};
}

/// The code for a system call that failed with `number` (an errno value): EPIPE, ENOTCONN and ESHUTDOWN become
/// `error::closed` (law W5), everything else keeps its number in `std::system_category`.
[[nodiscard]] inline std::error_code from_system(int number) noexcept {
  if (number == EPIPE || number == ENOTCONN || number == ESHUTDOWN) return make_error_code(error::closed);
  return {number, std::system_category()};
}

/// The code of a cancelled operation (law X0).
[[nodiscard]] inline std::error_code canceled() noexcept { return std::make_error_code(std::errc::operation_canceled); }

}  // namespace coflow::inline v0

template <>
struct std::is_error_code_enum<coflow::error> : std::true_type {};
template <>
struct std::is_error_condition_enum<coflow::condition> : std::true_type {};

inline bool coflow::detail::condition_category::equivalent(const std::error_code& code, int value) const noexcept {
  if (value != static_cast<int>(condition::disconnected)) return false;
  if (!has_errno(code)) return code == error::closed;
  switch (code.value()) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
      return true;
    default:
      return false;
  }
}
