#pragma once

// Operations of any flow as children of a scope, with what came of them, and expectations that may stand in any
// coroutine, children included: they report to the test framework and never throw, and cost little to compile, where a
// framework's macro costs a lot in every coroutine.

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/testing/expect.hpp>
#include <cstddef>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace support {

using place = std::source_location;

// ---- expectations

inline void expect(bool holds, std::string_view what, place at = place::current()) {
  if (holds)
    SUCCEED();
  else
    FAIL_CHECK(at.file_name() << ":" << at.line() << ": expected that " << what);
}

inline void expect_data(const coflow::read_result& got, std::string_view text, place at = place::current()) {
  const bool holds = got.has_data() && got->text() == text;
  expect(holds, "a read gives '" + std::string(text.substr(0, 40)) + "', got " + coflow::laws::in_words(got), at);
}
inline void expect_eof(const coflow::read_result& got, place at = place::current()) {
  expect(got.eof(), "a read gives eof, got " + coflow::laws::in_words(got), at);
}
inline void expect_error(const coflow::read_result& got, std::error_code code, place at = place::current()) {
  const bool holds = got.failed() && got.error() == code;
  expect(holds, "a read gives " + coflow::laws::in_words(code) + ", got " + coflow::laws::in_words(got), at);
}
inline void expect_success(const coflow::result<void>& got, place at = place::current()) {
  expect(got.has_value(), "it succeeds, got " + coflow::laws::in_words(got), at);
}
inline void expect_error(const coflow::result<void>& got, std::error_code code, place at = place::current()) {
  const bool holds = !got && got.error() == code;
  expect(holds, "it gives " + coflow::laws::in_words(code) + ", got " + coflow::laws::in_words(got), at);
}
inline void expect_same(std::string_view got, std::string_view wanted, place at = place::current()) {
  expect(got == wanted,
         "it is '" + std::string(wanted.substr(0, 40)) + "', got '" + std::string(got.substr(0, 40)) + "'", at);
}

// ---- letting others run

/// Lets everything run that is queued already, `count` times over.
inline coflow::task<> turns(int count) {
  for (int i = 0; i < count; ++i) co_await yield_turn();
}

// ---- operations as children

struct reading {
  reading() noexcept {}
  bool done = false;
  coflow::read_result got;
};
struct writing {
  writing() noexcept {}
  bool done = false;
  coflow::result<void> sent;
};

template <class Flow>
coflow::task<> read_once(Flow* flow, reading* out) {
  coflow::read_result got = co_await flow->read();
  out->got = std::move(got);
  out->done = true;
}
template <class Flow>
coflow::task<> write_once(Flow* flow, coflow::buffer bytes, writing* out) {
  const coflow::result<void> sent = co_await flow->write(std::move(bytes));
  out->sent = sent;
  out->done = true;
}
template <class Flow>
coflow::task<> writev_once(Flow* flow, std::span<coflow::buffer> list, writing* out) {
  const coflow::result<void> sent = co_await flow->writev(list);
  out->sent = sent;
  out->done = true;
}
template <class Flow>
coflow::task<> shutdown_once(Flow* flow, coflow::shutdown_mode mode, bool* done) {
  co_await flow->shutdown(mode);
  *done = true;
}
template <class Flow>
coflow::task<> close_once(Flow* flow, bool* done) {
  co_await flow->close();
  *done = true;
}

/// Starts a child; it runs when the caller next lets others run.
inline void start(coflow::task_scope& scope, coflow::task<> child, place at = place::current()) {
  expect_success(scope.spawn(std::move(child)), at);
}

}  // namespace support
