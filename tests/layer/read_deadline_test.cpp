// What read_deadline promises: reads end at a time that may be set at any time, and nothing is lost.
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
using coflow::memory_flow;
using coflow::read_deadline;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::job;
using support::manual_executor;
using support::start;
using support::yield_turn;
using flow = read_deadline<memory_flow>;
using time_point = coflow::executor::time_point;

static_assert(coflow::check_flow_shape<flow>());
static_assert(coflow::ReadIntoFlow<flow>);

time_point now() { return coflow::executor::current()->now(); }
task<> pass(std::chrono::nanoseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  support::expect_success(slept);
}

task<> reads_end_at_the_deadline() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near));
  expect(a.deadline() == time_point::max(), "there is none at first");
  const time_point begun = now();
  a.expires_after(5s);
  expect(a.deadline() == begun + 5s, "it can be asked for");
  coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  expect(now() == begun + 5s, "the wait ends exactly then");
  const coflow::result<void> sent = co_await far.write(buffer("kept"));
  support::expect_success(sent);
  got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);  // whatever is there
  a.expires_after(1s);
  got = co_await a.read();
  support::expect_data(got, "kept");
  a.expires_at(now() - 1h);
  std::byte room[1];
  const coflow::read_into_result into = co_await a.read_into(room);
  expect(into.failed() && into.error() == coflow::error::timed_out, "a read into a room, too");
  const coflow::result<void> written = co_await a.write(buffer("w"));
  support::expect_success(written);
  a.never();
  support::reading read;
  task_scope scope;
  start(scope, support::read_once(&a, &read));
  co_await pass(1000h);
  expect(!read.done, "there is none any more");
}

// Set while reads wait: it applies to them, however it moves.
task<> a_deadline_applies_to_waiting_reads() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near));
  support::reading reads[2];
  task_scope scope;
  for (support::reading& one : reads) start(scope, support::read_once(&a, &one));
  co_await pass(1s);
  a.expires_after(10s);
  co_await pass(1s);
  a.expires_after(2s);  // earlier
  co_await pass(1s);
  a.expires_after(20s);  // later: the timer fires in between, and finds nothing to do
  co_await pass(19s);
  expect(!reads[0].done && !reads[1].done, "it has moved away");
  a.never();
  co_await pass(100s);
  expect(!reads[0].done, "it was taken away");
  a.expires_at(now());
  expect(!reads[0].done && !reads[1].done, "nobody is resumed inline");
  co_await support::turns(2);
  for (const support::reading& one : reads) support::expect_error(one.got, coflow::error::timed_out);
  a.never();
  const coflow::result<void> sent = co_await far.write(buffer("kept"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
}

task<> each_read_has_its_own_limit() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 4s);
  support::reading first;
  support::reading second;
  const time_point begun = now();
  task_scope scope;
  start(scope, support::read_once(&a, &first));
  co_await pass(3s);
  start(scope, support::read_once(&a, &second));
  while (!first.done) co_await pass(1ms);
  expect(now() - begun >= 4s && now() - begun <= 4001ms, "the first has waited for four seconds");
  expect(!second.done, "the second has a limit of its own");
  while (!second.done) co_await pass(1ms);
  expect(now() - begun >= 7s && now() - begun <= 7002ms, "and has waited as long");
  support::expect_error(second.got, coflow::error::timed_out);
  const time_point again = now();
  a.expires_after(1s);
  coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  expect(now() - again == 1s, "the earlier of the two counts");
  a.never();
  a.limit_each(500ms);
  got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  expect(now() - again == 1500ms, "another limit may be set");
}

// Reads that come in time arm no timer of their own: it fires once in a while.
task<> one_timer(std::size_t* most) {
  auto& on = static_cast<manual_executor&>(*coflow::executor::current());
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 10s);
  time_point armed{};
  for (int i = 0; i < 2000; ++i) {
    support::reading read;
    task_scope scope;
    start(scope, support::read_once(&a, &read));
    co_await yield_turn();
    const time_point next = on.next_deadline().value_or(time_point());
    if (next != armed) ++*most;
    armed = next;
    on.advance(10ms);
    const coflow::result<void> sent = co_await far.write(buffer("x"));
    support::expect_success(sent);
    while (!read.done) co_await yield_turn();
    if (!read.got) break;
  }
  expect(*most <= 4, "20 seconds arm the timer of a 10 second limit three times or so, did " + std::to_string(*most));
}

task<> a_stop_is_no_timeout() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near));
  support::reading reads[2];
  a.expires_after(1s);
  {
    task_scope scope;
    start(scope, support::read_once(&a, &reads[0]));
    co_await yield_turn();
    scope.cancel();
    a.expires_at(now());
    const auto joined = co_await scope.join();
    support::expect_success(joined);
  }
  support::expect_error(reads[0].got, coflow::canceled());
  {
    task_scope scope;
    scope.cancel();
    start(scope, support::read_once(&a, &reads[1]));
    const auto joined = co_await scope.join();
    support::expect_success(joined);
  }
  support::expect_error(reads[1].got, coflow::canceled());
}

task<> destruction_with_waits() {
  auto made = coflow::memory_pipe();
  std::optional<flow> a(std::in_place, std::move(made.first), 2s);
  a->expires_after(1s);
  support::reading read;
  {
    task_scope dying;
    start(dying, support::read_once(&*a, &read));
    co_await yield_turn();
  }
  co_await pass(3s);
  a->expires_after(1s);
  task_scope scope;
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

task<> over_coroutines_and_layers() {
  auto [near, far] = coflow::memory_pipe();
  coflow::faulty_flow below(std::move(near), coflow::fault_plan());
  coflow::idle_timeout middle(std::move(below), 1s);
  read_deadline a(std::move(middle), 3s);
  const time_point begun = now();
  coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  expect(now() - begun == 1s, "the layer below was first");
  a.expires_after(500ms);
  got = co_await a.read();
  support::expect_error(got, coflow::error::timed_out);
  expect(now() - begun == 1500ms, "and this one is first");
  a.never();
  const coflow::result<void> sent = co_await far.write(buffer("kept"));
  support::expect_success(sent);
  got = co_await a.read();
  support::expect_data(got, "kept");
}

// A peer that speaks at its own pace, and deadlines that pass all the time, also in the turn in which bytes come.
template <class F>
task<> speak_slowly(F* to, int pieces) {
  for (int i = 0; i < pieces; ++i) {
    co_await pass(std::chrono::microseconds(i * 7919 % 500));
    const coflow::result<void> sent = co_await to->write(buffer(std::to_string(i) + " "));
    support::expect_success(sent);
  }
  co_await to->shutdown(coflow::shutdown_mode::write);
}
template <class F>
task<> nothing_is_lost(F below, F peer) {
  constexpr int pieces = 300;
  read_deadline a(std::move(below));
  std::string wanted;
  for (int i = 0; i < pieces; ++i) wanted += std::to_string(i) + " ";
  std::string all;
  int given_up = 0;
  task_scope scope;
  start(scope, speak_slowly(&peer, pieces));
  for (int round = 0;; ++round) {
    a.expires_after(std::chrono::microseconds(round * 104'729 % 300));
    const coflow::read_result got = co_await a.read();
    if (got.eof()) break;
    if (got.has_data()) {
      all += got->text();
    } else {
      support::expect_error(got, coflow::error::timed_out);
      ++given_up;
    }
  }
  support::expect_same(all, wanted);
  expect(given_up > 50, "many reads were given up");
}

TEST_CASE("no byte is lost however often deadlines pass", "[read_deadline]") {
  auto plain = coflow::memory_pipe(10);
  support::drive(nothing_is_lost(std::move(plain.first), std::move(plain.second)));
  auto below = coflow::memory_pipe(10);
  using frames = coflow::codec_flow<coflow::length_prefix_codec, memory_flow>;
  support::drive(nothing_is_lost(frames(coflow::length_prefix_codec(), std::move(below.first)),
                                 frames(coflow::length_prefix_codec(), std::move(below.second))));
  auto wild = coflow::memory_pipe(10);
  using faulty = coflow::faulty_flow<memory_flow>;
  const auto plan = coflow::fault_plan().reads(coflow::split::random).writes(coflow::split::one_byte).slow(50us);
  support::drive(nothing_is_lost(faulty(std::move(wild.first), plan), faulty(std::move(wild.second), plan)));
}

TEST_CASE("reads end at the deadline, and later ones at once until there is another", "[read_deadline]") {
  support::drive(reads_end_at_the_deadline());
}
TEST_CASE("a deadline applies to reads that wait already", "[read_deadline]") {
  support::drive(a_deadline_applies_to_waiting_reads());
}
TEST_CASE("each read may have a limit of its own", "[read_deadline]") { support::drive(each_read_has_its_own_limit()); }
TEST_CASE("reads that come in time cost no timer each", "[read_deadline]") {
  std::size_t armed = 0;
  support::drive(one_timer(&armed));
  CHECK(armed >= 2);
}
TEST_CASE("a task that is stopped is not told of a deadline", "[read_deadline]") {
  support::drive(a_stop_is_no_timeout());
}
TEST_CASE("a flow with a deadline may be moved and destroyed with reads waiting", "[read_deadline]") {
  support::drive(destruction_with_waits());
}
TEST_CASE("deadlines work over coroutines and over one another", "[read_deadline]") {
  support::drive(over_coroutines_and_layers());
}

TEST_CASE("a deadline may be set where no executor is current", "[read_deadline]") {
  manual_executor on;
  auto made = coflow::memory_pipe();
  flow a(std::move(made.first));
  a.expires_after(1s);  // from when?
  CHECK(a.deadline() == time_point::max());
  a.expires_at(on.now() + 1s);
  support::reading reads[2];
  auto first = job<void>::of(support::read_once(&a, &reads[0]));
  first.start(on);
  on.run_until_idle();
  CHECK(on.next_deadline() == on.now() + 1s);
  a.expires_at(on.now() + 500ms);  // in between the executor's turns
  on.advance(500ms);
  on.run_until_idle();
  CHECK(reads[0].done);
  CHECK(reads[0].got.error() == coflow::error::timed_out);
  a.expires_at(on.now() - 1s);
  auto second = job<void>::of(support::read_once(&a, &reads[1]));
  second.start(on);
  on.run_until_idle();
  CHECK(reads[1].got.error() == coflow::error::timed_out);
}

TEST_CASE("an executor that goes ends what waits under a deadline", "[read_deadline]") {
  auto on = std::make_unique<manual_executor>();
  auto made = coflow::memory_pipe();
  flow a(std::move(made.first), 1s);
  support::reading read;
  auto waiting = job<void>::of(support::read_once(&a, &read));
  waiting.start(*on);
  on->run_until_idle();
  CHECK_FALSE(read.done);
  on.reset();
  CHECK(read.done);
  CHECK(read.got.error() == coflow::error::closed);
  a.expires_at(time_point());  // nobody is there to hear it
}

}  // namespace
