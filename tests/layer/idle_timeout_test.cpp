// What idle_timeout promises: what waits where nothing moves is given up, never early, and nothing is lost.
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
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::idle_timeout;
using coflow::memory_flow;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::manual_executor;
using support::start;
using support::yield_turn;
using flow = idle_timeout<memory_flow>;
using time_point = coflow::executor::time_point;

static_assert(coflow::check_flow_shape<flow>());
static_assert(coflow::ReadIntoFlow<flow>);

time_point now() { return coflow::executor::current()->now(); }
task<> pass(std::chrono::nanoseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  support::expect_success(slept);
}

task<> a_read_is_given_up() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 1s);
  for (int i = 0; i < 3; ++i) {
    const time_point begun = now();
    const coflow::read_result got = co_await a.read();
    support::expect_error(got, coflow::error::timed_out);
    expect(now() - begun == 1s, "a wait from the beginning ends at the limit");
    co_await pass(10s);  // in which nothing waits
  }
  const coflow::result<void> sent = co_await far.write(buffer("kept"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
}

// Whatever moves keeps everything waiting alive; nothing ends before the limit, nor an eighth of it later.
task<> progress_counts(bool by_reading) {
  auto [near, far] = coflow::memory_pipe(100);
  flow a(std::move(near), 800ms);
  support::reading read;
  support::writing written;
  task_scope scope;
  start(scope, support::write_once(&a, buffer(std::string(150, 'w')), &written));
  start(scope, support::read_once(&a, &read));
  time_point moved = now();
  for (int i = 0; i < 10; ++i) {
    co_await pass(std::chrono::milliseconds(390 + 40 * i));
    expect(!written.done, "the write waits");
    if (by_reading) {
      const coflow::result<void> sent = co_await far.write(buffer("x"));
      support::expect_success(sent);
      while (!read.done) co_await yield_turn();
      support::expect_data(read.got, "x");
      read = support::reading();
      start(scope, support::read_once(&a, &read));
      co_await yield_turn();
    } else {
      a.keep_alive();
    }
    moved = now();
  }
  while (!written.done || !read.done) co_await pass(1ms);
  support::expect_error(written.sent, coflow::error::timed_out);
  support::expect_error(read.got, coflow::error::timed_out);
  const auto late = now() - moved - 800ms;
  expect(late >= 0ms && late <= 101ms, "it ends at the limit, or a little later");
  const coflow::result<void> next = co_await a.write(buffer("n"));
  support::expect_error(next, coflow::error::torn_write);  // law X2
  const coflow::result<void> sent = co_await far.write(buffer("still"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "still");
}

// A slow reader takes a large write in small parts: as long as it takes any, the write goes on.
task<> parts_of_a_write_are_progress(bool as_list) {
  auto [near, far] = coflow::memory_pipe(1000);
  flow a(std::move(near), 1s);
  const std::size_t size = 50'000;
  std::array<buffer, 2> list{buffer(std::string(size / 2, 'a')), buffer(std::string(size / 2, 'b'))};
  support::writing written;
  task_scope scope;
  if (as_list)
    start(scope, support::writev_once(&a, list, &written));
  else
    start(scope, support::write_once(&a, buffer(std::string(size, 'a')), &written));
  std::size_t count = 0;
  while (!written.done) {
    co_await pass(900ms);
    const coflow::read_result got = co_await far.read();
    count += got->size();
    if (!got) break;
  }
  support::expect_success(written.sent);
  while (count < size) {
    const coflow::read_result got = co_await far.read();
    count += got->size();
    if (!got) break;
  }
  expect(count == size, "all of it arrives");
}

task<> a_write_that_sent_nothing_may_be_repeated() {
  auto [near, far] = coflow::memory_pipe(10);
  flow a(std::move(near), 1s);
  coflow::result<void> sent = co_await a.write(buffer("0123456789"));
  support::expect_success(sent);
  std::array<buffer, 1> list{buffer("again")};
  sent = co_await a.writev(list);
  support::expect_error(sent, coflow::error::timed_out);
  expect(list[0].text() == "again", "what was not sent is still there");
  coflow::read_result got = co_await far.read();
  support::expect_data(got, "0123456789");
  sent = co_await a.writev(list);
  support::expect_success(sent);
  got = co_await far.read();
  support::expect_data(got, "again");
}

task<> a_stop_is_no_timeout() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 1s);
  for (const bool at_the_limit : {false, true}) {
    support::reading read;
    task_scope scope;
    start(scope, support::read_once(&a, &read));
    co_await pass(at_the_limit ? 1s : 500ms);
    if (at_the_limit) expect(!read.done, "the timer has fired, and the read has not gone on");
    scope.cancel();
    const auto joined = co_await scope.join();
    support::expect_success(joined);
    support::expect_error(read.got, coflow::canceled());
  }
}

// Bytes that come in the same turn as the limit beat it, or are still there.
task<> completion_beats_the_limit() {
  for (const auto time : {999ms, 1000ms, 1001ms}) {
    auto [near, far] = coflow::memory_pipe();
    flow a(std::move(near), 1s);
    support::reading read;
    task_scope scope;
    start(scope, support::read_once(&a, &read));
    co_await pass(time);
    const coflow::result<void> sent = co_await far.write(buffer("data"));
    support::expect_success(sent);
    while (!read.done) co_await yield_turn();
    if (!read.got) {
      support::expect_error(read.got, coflow::error::timed_out);
      expect(time >= 1s, "not before the limit");
      const coflow::read_result got = co_await a.read();
      support::expect_data(got, "data");
    }
  }
}

task<> other_limits() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), coflow::executor::duration::max());
  support::reading read;
  task_scope scope;
  start(scope, support::read_once(&a, &read));
  co_await pass(1000h);
  expect(!read.done, "no limit");
  a.limit(3s);
  const time_point begun = now();
  while (!read.done) co_await pass(1ms);
  expect(now() - begun == 3s || now() - begun == 3001ms, "another limit counts from when it is set");
  support::expect_error(read.got, coflow::error::timed_out);
  a.limit(-1s);
  const coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
}

task<> destruction_with_waits() {
  auto made = coflow::memory_pipe(10);
  std::optional<flow> a(std::in_place, std::move(made.first), 1s);
  support::reading read;
  support::writing written;
  task_scope scope;
  {
    task_scope dying;
    start(dying, support::read_once(&*a, &read));
    start(dying, support::write_once(&*a, buffer(std::string(20, 'x')), &written));
    co_await yield_turn();
  }
  co_await pass(2s);  // the timer finds nobody
  start(scope, support::read_once(&*a, &read));
  co_await yield_turn();
  flow moved(std::move(*a));
  a.reset();
  {
    const flow ended(std::move(moved));
  }
  expect(!read.done, "nobody is resumed inline");
  co_await yield_turn();
  support::expect_error(read.got, coflow::error::closed);
}

task<> over_coroutines() {
  auto [near, far] = coflow::memory_pipe();
  coflow::faulty_flow slow(std::move(near), coflow::fault_plan().reads(coflow::split::one_byte).slow(10ms));
  idle_timeout a(std::move(slow), 1s);
  coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  const coflow::result<void> sent = co_await far.write(buffer("ab"));
  support::expect_success(sent);
  for (const char* byte : {"a", "b"}) {
    got = co_await a.read();
    support::expect_data(got, byte);
  }
  got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
}

task<> it_allocates_nothing() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 1s);
  const buffer payload("payload");
  std::uint64_t before = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 10) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(payload.share());
    const coflow::read_result got = co_await far.read();
    const coflow::result<void> back = co_await far.write(payload.share());
    const coflow::read_result answer = co_await a.read();
    if (!sent || !got || !back || !answer) break;
  }
  const std::uint64_t after = support::allocation_count();
  expect(after == before, "nothing is allocated");
}

TEST_CASE("a read where nothing comes is given up at the limit, again and again", "[idle_timeout]") {
  support::drive(a_read_is_given_up());
}
TEST_CASE("a read that comes to something keeps a write alive", "[idle_timeout]") {
  support::drive(progress_counts(true));
}
TEST_CASE("the program may say that something moves", "[idle_timeout]") { support::drive(progress_counts(false)); }
TEST_CASE("each part of a large write is progress", "[idle_timeout]") {
  support::drive(parts_of_a_write_are_progress(false));
  support::drive(parts_of_a_write_are_progress(true));
}
TEST_CASE("a write that was given up and had sent nothing may be repeated", "[idle_timeout]") {
  support::drive(a_write_that_sent_nothing_may_be_repeated());
}
TEST_CASE("a task that is stopped is not told of a timeout", "[idle_timeout]") {
  support::drive(a_stop_is_no_timeout());
}
TEST_CASE("what completes at the limit is not lost", "[idle_timeout]") { support::drive(completion_beats_the_limit()); }
TEST_CASE("the limit may be none, another one, or nothing at all", "[idle_timeout]") { support::drive(other_limits()); }
TEST_CASE("a flow with a limit may be moved and destroyed with operations waiting", "[idle_timeout]") {
  support::drive(destruction_with_waits());
}
TEST_CASE("operations that are coroutines are given up, too", "[idle_timeout]") { support::drive(over_coroutines()); }
TEST_CASE("a limit allocates nothing", "[idle_timeout]") { support::drive(it_allocates_nothing()); }

TEST_CASE("an executor that goes ends what waits under a limit", "[idle_timeout]") {
  auto on = std::make_unique<manual_executor>();
  auto made = coflow::memory_pipe();
  flow a(std::move(made.first), 1s);
  support::reading read;
  auto waiting = support::job<void>::of(support::read_once(&a, &read));
  waiting.start(*on);
  on->run_until_idle();
  CHECK_FALSE(read.done);
  on.reset();
  CHECK(read.done);
  CHECK(read.got.error() == coflow::error::closed);
}

}  // namespace
