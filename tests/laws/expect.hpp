#pragma once

// Expectations that may stand in any coroutine, child tasks included: they report to the test framework, never throw,
// and cost nothing to compile, where a framework's macro costs a lot in every flow's copy of a law.

#include <coflow/core.hpp>
#include <source_location>
#include <string>
#include <string_view>
#include <system_error>

#include "support/catch.hpp"

namespace laws {

using place = std::source_location;

inline void expect(bool holds, std::string_view what, place at = place::current()) {
  if (holds)
    SUCCEED();
  else
    FAIL_CHECK(at.file_name() << ":" << at.line() << ": expected that " << what);
}

inline std::string in_words(const coflow::read_result& got) {
  if (got.eof()) return "eof";
  if (got.failed()) return "error " + got.error().message();
  std::string text(got->text().substr(0, 40));
  return std::to_string(got->size()) + " bytes, '" + text + "'";
}
inline std::string in_words(const coflow::result<void>& got) {
  return got ? "success" : "error " + got.error().message();
}

inline void expect_data(const coflow::read_result& got, std::string_view text, place at = place::current()) {
  const bool holds = got.has_data() && got->text() == text;
  std::string wanted(text.substr(0, 40));
  expect(holds, "a read gives '" + wanted + "', got " + in_words(got), at);
}
inline void expect_eof(const coflow::read_result& got, place at = place::current()) {
  expect(got.eof(), "a read gives eof, got " + in_words(got), at);
}
inline void expect_error(const coflow::read_result& got, std::error_code code, place at = place::current()) {
  const bool holds = got.failed() && got.error() == code;
  expect(holds, "a read gives error " + code.message() + ", got " + in_words(got), at);
}
inline void expect_reset(const coflow::read_result& got, place at = place::current()) {
  const bool holds = got.failed() && got.error() == std::errc::connection_reset;
  expect(holds, "a read gives connection_reset, got " + in_words(got), at);
}

inline void expect_success(const coflow::result<void>& got, place at = place::current()) {
  expect(got.has_value(), "it succeeds, got " + in_words(got), at);
}
inline void expect_error(const coflow::result<void>& got, std::error_code code, place at = place::current()) {
  const bool holds = !got && got.error() == code;
  expect(holds, "it gives error " + code.message() + ", got " + in_words(got), at);
}
inline void expect_reset(const coflow::result<void>& got, place at = place::current()) {
  const bool holds = !got && got.error() == std::errc::connection_reset;
  expect(holds, "it gives connection_reset, got " + in_words(got), at);
}

/// Compares without printing megabytes.
inline void expect_same(std::string_view got, std::string_view wanted, place at = place::current()) {
  if (got == wanted) return expect(true, "", at);
  std::size_t first = 0;
  while (first < got.size() && first < wanted.size() && got[first] == wanted[first]) ++first;
  expect(false,
         "the same bytes arrive: " + std::to_string(got.size()) + " instead of " + std::to_string(wanted.size()) +
             ", first difference at " + std::to_string(first),
         at);
}

}  // namespace laws
