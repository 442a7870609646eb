// What traced promises: a readable line for every operation, and no change to the flow.
#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::memory_flow;
using coflow::task;
using coflow::task_scope;
using coflow::trace_options;
using coflow::traced;
using support::expect;
using support::expect_same;
using support::start;
using support::yield_turn;

struct into_text {
  std::string* text;
  void operator()(std::string_view line) const { text->append(line).append("\n"); }
};
using flow = traced<memory_flow, into_text>;

static_assert(coflow::check_flow_shape<flow>());
static_assert(coflow::ReadIntoFlow<flow>);
static_assert(coflow::Flow<traced<memory_flow>>, "a sink need not be given");

task<> every_operation_has_a_line() {
  std::string text;
  auto [near, far] = coflow::memory_pipe();
  {
    flow a(std::move(near), "client", trace_options().preview(8), into_text{&text});
    coflow::result<void> sent = co_await a.write(buffer("x"));
    support::expect_success(sent);
    std::array<buffer, 2> list{buffer("a\r\n\"\\"), buffer("\t\x01\xff"
                                                           "beyond")};
    sent = co_await a.writev(list);
    support::expect_success(sent);
    sent = co_await far.write(buffer("an answer"));
    support::expect_success(sent);
    const coflow::read_result got = co_await a.read();
    support::expect_data(got, "an answer");
    sent = co_await far.write(buffer("12345"));
    support::expect_success(sent);
    std::byte room[4];
    const coflow::read_into_result into = co_await a.read_into(room);
    expect(*into == 4, "the room is filled");
    co_await a.shutdown(coflow::shutdown_mode::write);
    sent = co_await a.write(buffer("too late"));
    support::expect_error(sent, coflow::error::closed);
    co_await far.close();
    coflow::read_result last = co_await a.read();
    last = co_await a.read();
    support::expect_eof(last);
    co_await a.shutdown(coflow::shutdown_mode::read);
    co_await a.shutdown(coflow::shutdown_mode::read_write);
    co_await a.close();
  }
  expect_same(text,
              "[client] write #1: 1 byte \"x\" after 0 us\n"
              "[client] write #2: 14 bytes \"a\\r\\n\\\"\\\\\\t\\x01\\xff\"... after 0 us\n"
              "[client] read #1: 9 bytes \"an answe\"... after 0 us\n"
              "[client] read #2: 4 bytes \"1234\" after 0 us\n"
              "[client] shutdown(write) after 0 us\n"
              "[client] write #3: 8 bytes \"too late\": the flow is closed after 0 us\n"
              "[client] read #3: 1 byte \"5\" after 0 us\n"
              "[client] read #4: eof after 0 us\n"
              "[client] shutdown(read) after 0 us\n"
              "[client] shutdown(read_write) after 0 us\n"
              "[client] close after 0 us\n");
}

task<> write_after(memory_flow* to, std::chrono::microseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  support::expect_success(slept);
  const coflow::result<void> sent = co_await to->write(buffer("x"));
  support::expect_success(sent);
}
task<> durations_are_readable() {
  std::string text;
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), "", trace_options(), into_text{&text});
  task_scope scope;
  for (const std::chrono::microseconds time : {7us, 1200us, 2'500'000us}) {
    start(scope, write_after(&far, time));
    const coflow::read_result got = co_await a.read();
    support::expect_data(got, "x");
  }
  expect_same(text,
              "read #1: 1 byte after 7 us\n"
              "read #2: 1 byte after 1.2 ms\n"
              "read #3: 1 byte after 2.50 s\n");
}

task<> beginnings_and_given_up_waits() {
  std::string text;
  auto made = coflow::memory_pipe();
  std::optional<flow> a(std::in_place, std::move(made.first), "", trace_options().preview(3).beginnings(true),
                        into_text{&text});
  support::reading read;
  {
    task_scope scope;
    start(scope, support::read_once(&*a, &read));
    co_await yield_turn();
  }
  {
    task_scope scope;
    start(scope, support::read_once(&*a, &read));
    co_await yield_turn();
    scope.cancel();
    co_await yield_turn();
  }
  coflow::result<void> sent = co_await a->write(buffer("abcdef"));
  support::expect_success(sent);
  task_scope scope;
  start(scope, support::read_once(&*a, &read));
  co_await yield_turn();
  a.reset();
  co_await yield_turn();
  support::expect_error(read.got, coflow::error::closed);
  {
    const auto never = flow(std::move(made.second), "", trace_options(), into_text{&text}).read();
  }
  expect_same(text,
              "read #1 begins\n"
              "read #1: given up after 0 us\n"
              "read #2 begins\n"
              "read #2: " +
                  coflow::canceled().message() +
                  " after 0 us\n"
                  "write #1: 6 bytes \"abc\"... begins\n"
                  "write #1: 6 bytes \"abc\"... after 0 us\n"
                  "read #3 begins\n"
                  "read #3: the flow is closed after 0 us\n");
}

struct throwing {
  int* calls;
  void operator()(std::string_view) const {
    ++*calls;
    throw std::runtime_error("no room on the disk");
  }
};
task<> a_sink_that_throws() {
  int calls = 0;
  auto [near, far] = coflow::memory_pipe();
  traced<memory_flow, throwing> a(std::move(near), "", trace_options(), throwing{&calls});
  const coflow::result<void> sent = co_await far.write(buffer("kept"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
  expect(calls == 1, "the sink was called");
}

task<> long_lines_are_cut() {
  std::size_t longest = 0;
  auto [near, far] = coflow::memory_pipe();
  const auto look = [&longest](std::string_view line) { longest = line.size(); };
  traced<memory_flow, decltype(look)> a(std::move(near), std::string(1000, 'n'), trace_options(), look);
  const coflow::result<void> sent = co_await a.write(buffer("x"));
  support::expect_success(sent);
  expect(longest == 512, "a line has 512 bytes at most");
}

task<> tracing_allocates_nothing() {
  std::size_t total = 0;
  const auto add = [&total](std::string_view line) { total += line.size(); };
  auto [near, far] = coflow::memory_pipe();
  traced<memory_flow, decltype(add)> a(std::move(near), "a name", trace_options().preview(64).beginnings(true), add);
  const buffer payload(std::string(300, '\x02'));
  std::uint64_t before = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 10) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(payload.share());
    const coflow::read_result got = co_await far.read();
    if (!sent || !got) break;
  }
  const std::uint64_t after = support::allocation_count();
  expect(after == before, "nothing is allocated");
  expect(total > 100 * 256, "lines were made");
}

task<> over_coroutines() {
  std::string text;
  auto [near, far] = coflow::memory_pipe();
  coflow::faulty_flow below(std::move(near), coflow::fault_plan());
  traced<coflow::faulty_flow<memory_flow>, into_text> a(std::move(below), "", trace_options(), into_text{&text});
  const coflow::result<void> sent = co_await a.write(buffer("x"));
  support::expect_success(sent);
  co_await a.close();
  expect_same(text, "write #1: 1 byte after 0 us\nclose after 0 us\n");
}

TEST_CASE("every operation has its line", "[traced]") { support::drive(every_operation_has_a_line()); }
TEST_CASE("durations are readable", "[traced]") { support::drive(durations_are_readable()); }
TEST_CASE("beginnings can be shown, and a wait that is given up is told", "[traced]") {
  support::drive(beginnings_and_given_up_waits());
}
TEST_CASE("a sink that throws disturbs nobody", "[traced]") { support::drive(a_sink_that_throws()); }
TEST_CASE("a line that is too long is cut off", "[traced]") { support::drive(long_lines_are_cut()); }
TEST_CASE("tracing allocates nothing", "[traced]") { support::drive(tracing_allocates_nothing()); }
TEST_CASE("flows made of coroutines can be traced", "[traced]") { support::drive(over_coroutines()); }

}  // namespace
