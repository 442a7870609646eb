/// \file
/// Expectations that may stand in any coroutine of a check, child tasks included: they never throw for a failure and
/// need no test framework; what fails becomes a `finding` of the check that is in progress on this thread.
#pragma once

#include <cstddef>
#include <source_location>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/testing/finding.hpp"

namespace coflow::inline v0 {
namespace laws {

using place = std::source_location;

/// The check that runs on this thread: whose name and law a finding gets, and where it goes. Checks nest.
class check_in_progress {
 public:
  check_in_progress(std::string law, std::string check, std::string reproduce, report& into)
      : law_(std::move(law)), check_(std::move(check)), reproduce_(std::move(reproduce)), into_(into) {
    outer_ = exchange_current(this);
    into_.count_check();
  }
  check_in_progress(const check_in_progress&) = delete;
  check_in_progress& operator=(const check_in_progress&) = delete;
  ~check_in_progress() { exchange_current(outer_); }

  /// The innermost one of this thread, or null.
  [[nodiscard, gnu::noinline]] static check_in_progress* current() noexcept { return slot(); }

  void meets() noexcept { into_.count_expectation(); }
  void fails(std::string expected, std::string happened, place at) {
    into_.count_expectation();
    into_.add({law_, check_, std::move(expected), std::move(happened),
               std::string(at.file_name()) + ":" + std::to_string(at.line()), reproduce_});
  }

 private:
  static check_in_progress*& slot() noexcept {
    static thread_local constinit check_in_progress* innermost = nullptr;
    return innermost;
  }
  [[gnu::noinline]] static check_in_progress* exchange_current(check_in_progress* with) noexcept {
    return std::exchange(slot(), with);
  }

  std::string law_;
  std::string check_;
  std::string reproduce_;
  report& into_;
  check_in_progress* outer_;
};

/// `what` must hold; `happened` says what was seen instead.
inline void expect(bool holds, std::string_view what, std::string_view happened = "it did not hold",
                   place at = place::current()) {
  check_in_progress* now = check_in_progress::current();
  if (now == nullptr) return;
  if (holds)
    now->meets();
  else
    now->fails(std::string(what), std::string(happened), at);
}

[[nodiscard]] inline std::string in_words(const std::error_code& code) {
  return std::string("error ") + code.category().name() + " '" + code.message() + "'";
}
[[nodiscard]] inline std::string in_words(const read_result& got) {
  if (got.eof()) return "eof";
  if (got.failed()) return in_words(got.error());
  if (got->empty()) return "an empty buffer";
  return std::to_string(got->size()) + " bytes, '" + std::string(got->text().substr(0, 40)) + "'";
}
[[nodiscard]] inline std::string in_words(const result<void>& got) { return got ? "success" : in_words(got.error()); }

inline void expect_data(const read_result& got, std::string_view text, place at = place::current()) {
  const bool holds = got.has_data() && got->text() == text;
  expect(holds, "a read gives '" + std::string(text.substr(0, 40)) + "'", in_words(got), at);
}
inline void expect_eof(const read_result& got, place at = place::current()) {
  expect(got.eof(), "a read gives eof", in_words(got), at);
}
inline void expect_error(const read_result& got, std::error_code code, place at = place::current()) {
  const bool holds = got.failed() && got.error() == code;
  expect(holds, "a read gives " + in_words(code), in_words(got), at);
}
/// The connection broke, and the read says so: `connection_reset`, never eof.
inline void expect_reset(const read_result& got, place at = place::current()) {
  const bool holds = got.failed() && got.error() == std::errc::connection_reset;
  expect(holds, "a read gives connection_reset", in_words(got), at);
}
/// The stream broke off, and the read says so by an error that is no stop: a reset, or that it is truncated. Never eof.
inline void expect_broken(const read_result& got, place at = place::current()) {
  const bool holds = got.failed() && (got.error() == std::errc::connection_reset || got.error() == error::truncated);
  expect(holds, "a read gives connection_reset or truncated", in_words(got), at);
}

inline void expect_success(const result<void>& got, place at = place::current()) {
  expect(got.has_value(), "it succeeds", in_words(got), at);
}
inline void expect_error(const result<void>& got, std::error_code code, place at = place::current()) {
  const bool holds = !got && got.error() == code;
  expect(holds, "it gives " + in_words(code), in_words(got), at);
}
inline void expect_reset(const result<void>& got, place at = place::current()) {
  const bool holds = !got && got.error() == std::errc::connection_reset;
  expect(holds, "it gives connection_reset", in_words(got), at);
}

/// Compares without printing megabytes.
inline void expect_same(std::string_view got, std::string_view wanted, place at = place::current()) {
  std::size_t first = 0;
  while (first < got.size() && first < wanted.size() && got[first] == wanted[first]) ++first;
  expect(got == wanted, "the same " + std::to_string(wanted.size()) + " bytes arrive",
         std::to_string(got.size()) + " bytes, first difference at " + std::to_string(first), at);
}

}  // namespace laws
}  // namespace coflow::inline v0
