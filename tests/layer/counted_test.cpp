// What counted promises: it counts each side as results reach the coroutines, and changes nothing else.
#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <coflow/testing/scripted_flow.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::counted;
using coflow::counted_options;
using coflow::flow_counts;
using coflow::memory_flow;
using coflow::side_counts;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::start;
using support::yield_turn;

static_assert(coflow::check_flow_shape<counted<memory_flow>>());
static_assert(coflow::ReadIntoFlow<counted<memory_flow>>);
static_assert(!coflow::has_read_into<counted<coflow::scripted_flow>>, "where the flow below has none");

void expect_counts(const side_counts& got, std::uint64_t bytes, std::uint64_t operations, std::uint64_t failures,
                   support::place at = support::place::current()) {
  expect(got.bytes == bytes && got.operations == operations && got.failures == failures,
         std::to_string(bytes) + " bytes, " + std::to_string(operations) + " operations, " + std::to_string(failures) +
             " failures, got " + std::to_string(got.bytes) + ", " + std::to_string(got.operations) + ", " +
             std::to_string(got.failures),
         at);
}

task<> each_side_is_counted() {
  auto [near, far] = coflow::memory_pipe();
  counted a(std::move(near));
  counted b(std::move(far));
  expect_counts(a.counts().reads(), 0, 0, 0);
  coflow::result<void> sent = co_await a.write(buffer("12345"));
  support::expect_success(sent);
  std::array<buffer, 3> list{buffer("67"), buffer(), buffer("8")};
  sent = co_await a.writev(list);
  support::expect_success(sent);
  const coflow::read_result got = co_await b.read();
  support::expect_data(got, "12345");
  std::byte room[2];
  const coflow::read_into_result into = co_await b.read_into(room);
  expect(*into == 2, "the room is filled");
  co_await a.shutdown(coflow::shutdown_mode::write);
  coflow::read_result last = co_await b.read();
  support::expect_data(last, "8");
  last = co_await b.read();
  support::expect_eof(last);
  expect_counts(a.counts().writes(), 8, 2, 0);
  expect_counts(a.counts().reads(), 0, 0, 0);
  expect_counts(b.counts().reads(), 8, 4, 0);
  sent = co_await a.write(buffer("late"));
  support::expect_error(sent, coflow::error::closed);
  expect_counts(a.counts().writes(), 8, 3, 1);
  expect(b.counts().reads().waited == 0ns, "no clock is asked unless that is wanted");
}

// Cancelled operations have completed; those whose coroutine died have not.
task<> cancellation_and_destruction() {
  auto [near, far] = coflow::memory_pipe();
  counted a(std::move(near));
  support::reading read;
  {
    task_scope scope;
    start(scope, support::read_once(&a, &read));
    co_await yield_turn();
    scope.cancel();
    co_await yield_turn();
  }
  support::expect_error(read.got, coflow::canceled());
  expect_counts(a.counts().reads(), 0, 1, 1);
  {
    task_scope scope;
    start(scope, support::read_once(&a, &read));
    co_await yield_turn();
  }
  expect_counts(a.counts().reads(), 0, 1, 1);
  const coflow::result<void> sent = co_await far.write(buffer("kept"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
  expect_counts(a.counts().reads(), 4, 2, 1);
}

task<> counts_outlive_the_flow() {
  auto made = coflow::memory_pipe();
  std::optional<counted<memory_flow>> a(std::in_place, std::move(made.first));
  const flow_counts counts = a->counts();
  support::reading read;
  task_scope scope;
  start(scope, support::read_once(&*a, &read));
  co_await yield_turn();
  counted<memory_flow> moved(std::move(*a));
  a.reset();
  expect_counts(counts.reads(), 0, 0, 0);
  {
    const counted<memory_flow> ended(std::move(moved));
  }
  co_await yield_turn();
  support::expect_error(read.got, coflow::error::closed);
  expect_counts(counts.reads(), 0, 1, 1);
}

task<> write_later(memory_flow* to, std::chrono::milliseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  support::expect_success(slept);
  const coflow::result<void> sent = co_await to->write(buffer("late"));
  support::expect_success(sent);
}
task<> durations() {
  auto [near, far] = coflow::memory_pipe(10);
  counted a(std::move(near), counted_options().timed(true));
  task_scope scope;
  for (int i = 0; i < 2; ++i) {
    start(scope, write_later(&far, 30ms));
    const coflow::read_result got = co_await a.read();
    support::expect_data(got, "late");
  }
  expect(a.counts().reads().waited == 60ms, "both waits are added up");
  expect(a.counts().writes().waited == 0ms, "each side for itself");
}

task<> failures_below() {
  auto [near, far] = coflow::memory_pipe();
  coflow::faulty_flow broken(std::move(near), coflow::fault_plan().fail_read(2, coflow::error::timed_out));
  counted a(std::move(broken));
  const coflow::result<void> sent = co_await far.write(buffer("one"));
  support::expect_success(sent);
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "one");
  got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  expect_counts(a.counts().reads(), 3, 3, 2);
}

task<> counting_allocates_nothing() {
  auto [near, far] = coflow::memory_pipe();
  counted a(std::move(near));
  const buffer payload("payload");
  std::uint64_t before = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 10) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(payload.share());
    const coflow::read_result got = co_await far.read();
    if (!sent || !got) break;
  }
  const std::uint64_t after = support::allocation_count();
  expect(after == before, "nothing is allocated");
  expect_counts(a.counts().writes(), 700, 100, 0);
}

TEST_CASE("bytes, operations and failures are counted for each side", "[counted]") {
  support::drive(each_side_is_counted());
}
TEST_CASE("cancelled operations count as failures, and those whose coroutine died do not count", "[counted]") {
  support::drive(cancellation_and_destruction());
}
TEST_CASE("the counts outlive the flow that they are about", "[counted]") { support::drive(counts_outlive_the_flow()); }
TEST_CASE("durations are added up where that is wanted", "[counted]") { support::drive(durations()); }
TEST_CASE("failures of a flow below that is made of coroutines are counted", "[counted]") {
  support::drive(failures_below());
}
TEST_CASE("counting allocates nothing", "[counted]") { support::drive(counting_allocates_nothing()); }

}  // namespace
