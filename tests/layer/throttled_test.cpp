// What throttled promises: the rate is kept exactly over any time, and every law besides.
#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
using coflow::throttle_options;
using coflow::throttled;
using support::expect;
using support::start;
using support::yield_turn;
using flow = throttled<memory_flow>;
using time_point = coflow::executor::time_point;

static_assert(coflow::check_flow_shape<flow>());
static_assert(coflow::ReadIntoFlow<flow>);

time_point now() { return coflow::executor::current()->now(); }
task<> pass(std::chrono::nanoseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  support::expect_success(slept);
}
task<> say(memory_flow* to, std::string_view text) {
  const coflow::result<void> sent = co_await to->write(buffer(text));
  support::expect_success(sent);
}

task<> writes_take_their_time() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().write_rate(1000, 0));
  const time_point begun = now();
  coflow::result<void> sent = co_await a.write(buffer(std::string(250, 'x')));
  support::expect_success(sent);
  expect(now() - begun == 250ms, "250 bytes at 1000 a second take a quarter of a second");
  std::array<buffer, 2> list{buffer(std::string(500, 'y')), buffer(std::string(250, 'z'))};
  sent = co_await a.writev(list);
  support::expect_success(sent);
  expect(now() - begun == 1s, "a thousand take a second");
  co_await pass(10s);  // makes no credit without a burst
  sent = co_await a.write(buffer(std::string(1000, 'x')));
  expect(now() - begun == 12s, "a pause is no credit");
  co_await say(&far, "b");
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "b");
  expect(now() - begun == 12s, "the other side is not throttled");
}

task<> reads_take_their_time() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().read_rate(100, 0));
  const time_point begun = now();
  for (int i = 0; i < 10; ++i) co_await say(&far, std::string(50, 'x'));
  for (int i = 0; i < 9; ++i) {
    std::byte room[50];
    if (i % 2 == 0) {
      const coflow::read_result got = co_await a.read();
      expect(got->size() == 50, "a piece at a time");
    } else {
      const coflow::read_into_result got = co_await a.read_into(room);
      expect(*got == 50, "or into a room");
    }
    expect(now() - begun == i * 500ms, "each read waits until the one before is paid for");
  }
  std::byte room[1];
  const coflow::read_into_result none = co_await a.read_into(std::span<std::byte>(room, 0));
  expect(none.has_count() && now() - begun == 4s, "an empty room does not wait");
}

// A burst passes at once after a pause, and the rate holds behind it.
task<> bursts() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().write_rate(1000));  // a burst of 100
  for (int round = 0; round < 3; ++round) {
    const time_point begun = now();
    for (int i = 0; i < 30; ++i) {
      const coflow::result<void> sent = co_await a.write(buffer("1234567890"));
      support::expect_success(sent);
      const auto due = i < 10 ? 0ms : (i - 9) * 10ms;
      expect(now() - begun == due, "ten writes at once, then one in ten milliseconds");
    }
    co_await pass(1h);
  }
}

// Fractions of a tick add up: three bytes a second for a thousand seconds are three thousand bytes.
task<> the_rate_is_exact() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().write_rate(3, 0));
  flow fast(std::move(far), throttle_options().read_rate(10'000'000'001));
  const time_point begun = now();
  for (int i = 0; i < 3000; ++i) {
    const coflow::result<void> sent = co_await a.write(buffer("x"));
    const coflow::read_result got = co_await fast.read();
    if (!sent || !got) break;
  }
  expect(now() - begun == 1000s, "exactly, and a rate that is too fast to be told is none");
}

// The bytes of a write are on their way at once, in order; only its end waits.
task<> writes_are_handed_on_at_once() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().write_rate(1, 0));
  support::writing writes[2];
  task_scope scope;
  start(scope, support::write_once(&a, buffer("first "), &writes[0]));
  start(scope, support::write_once(&a, buffer("second"), &writes[1]));
  co_await yield_turn();
  co_await a.shutdown(coflow::shutdown_mode::write);
  std::string all;
  for (;;) {
    const coflow::read_result got = co_await far.read();
    if (!got) {
      support::expect_eof(got);
      break;
    }
    all += got->text();
  }
  support::expect_same(all, "first second");
  const coflow::result<void> empty = co_await a.write(buffer());
  support::expect_error(empty, coflow::error::closed);
  expect(!writes[0].done && !writes[1].done, "both wait to be paid for");
  co_await pass(6s + 1ns);
  expect(writes[0].done && !writes[1].done, "the first is paid for first");
  co_await pass(6s);
  support::expect_success(writes[1].sent);
}

// Whatever ends the wait for payment, the bytes have been accepted.
task<> accepted_is_accepted(int how) {
  auto made = coflow::memory_pipe();
  std::optional<flow> a(std::in_place, std::move(made.first), throttle_options().write_rate(1));
  support::writing written;
  task_scope scope;
  start(scope, support::write_once(&*a, buffer("accepted"), &written));
  co_await yield_turn();
  if (how == 0) scope.cancel();
  if (how == 1) co_await a->close();
  if (how == 2) a.reset();
  expect(!written.done, "nobody is resumed inline");
  co_await support::turns(2);
  expect(written.done, "the wait ends at once");
  support::expect_success(written.sent);
  const coflow::read_result got = co_await made.second.read();
  support::expect_data(got, "accepted");
}

// Reads that wait for their time hear of ends at once.
task<> waiting_reads_hear_of_ends(int how) {
  auto made = coflow::memory_pipe();
  std::optional<flow> a(std::in_place, std::move(made.first), throttle_options().read_rate(1, 0));
  co_await say(&made.second, "data");
  coflow::read_result got = co_await a->read();
  support::expect_data(got, "data");
  co_await say(&made.second, "more");
  support::reading reads[3];
  task_scope scope;
  task_scope leaving;
  start(leaving, support::read_once(&*a, &reads[2]));
  for (int i = 0; i < 2; ++i) start(scope, support::read_once(&*a, &reads[i]));
  co_await yield_turn();
  leaving.cancel();
  co_await yield_turn();
  support::expect_error(reads[2].got, coflow::canceled());
  if (how == 0) co_await a->close();
  if (how == 1) co_await a->shutdown(coflow::shutdown_mode::read);
  if (how == 2) a.reset();
  if (how == 3) {
    co_await made.second.close();
    co_await pass(3s);
    expect(!reads[0].done, "it is not time yet");
    co_await pass(1s + 1ns);
    support::expect_data(reads[0].got, "more");
    co_await pass(4s);
    support::expect_eof(reads[1].got);
    got = co_await a->read();
    support::expect_eof(got);
    co_return;
  }
  expect(!reads[0].done && !reads[1].done, "nobody is resumed inline");
  co_await support::turns(3);
  for (int i = 0; i < 2; ++i) {
    if (how == 1)
      support::expect_eof(reads[i].got);
    else
      support::expect_error(reads[i].got, coflow::error::closed);
  }
}

// The first of those who wait leaves when its time has come and it has not run: the next one is served.
task<> leaving_at_the_last_moment(bool destroyed) {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().read_rate(4, 0));
  co_await say(&far, "data");
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "data");
  support::reading first;
  support::reading second;
  task_scope scope;
  auto leaving = std::make_unique<task_scope>();
  start(*leaving, support::read_once(&a, &first));
  start(scope, support::read_once(&a, &second));
  co_await say(&far, "more");
  co_await pass(1s);
  if (destroyed)
    leaving.reset();
  else
    leaving->cancel();
  co_await pass(1ms);
  expect(first.done == !destroyed || first.got.has_data(), "it has ended");
  if (!first.got.has_data()) support::expect_data(second.got, "more");
}

task<> failed_writes_owe_nothing() {
  auto [near, far] = coflow::memory_pipe(4);
  flow a(std::move(near), throttle_options().write_rate(4, 0));
  coflow::result<void> sent = co_await a.write(buffer("1234"));
  support::expect_success(sent);
  support::writing written;
  {
    task_scope scope;
    start(scope, support::write_once(&a, buffer(std::string(4000, 'x')), &written));
    co_await yield_turn();
    scope.cancel();
    co_await support::turns(2);
  }
  support::expect_error(written.sent, coflow::canceled());
  const coflow::read_result got = co_await far.read();
  support::expect_data(got, "1234");
  const time_point begun = now();
  sent = co_await a.write(buffer("5678"));
  support::expect_success(sent);
  expect(now() - begun == 1s, "what was not sent is not owed");
}

task<> over_coroutines() {
  auto [near, far] = coflow::memory_pipe();
  coflow::faulty_flow below(std::move(near), coflow::fault_plan().slow(100ms));
  throttled a(std::move(below), throttle_options().read_rate(10, 0).write_rate(10, 0));
  const time_point begun = now();
  coflow::result<void> sent = co_await a.write(buffer("12345"));
  support::expect_success(sent);
  expect(now() - begun == 500ms, "the wait below is part of the time");
  co_await say(&far, "abcde");
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "abcde");
  co_await say(&far, "fghij");
  got = co_await a.read();
  support::expect_data(got, "fghij");
  expect(now() - begun == 1200ms, "half a second later, and the wait below");
}

task<> it_allocates_nothing() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), throttle_options().read_rate(1'000'000, 50).write_rate(1'000'000, 50));
  const buffer payload("payload");
  std::uint64_t before = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 20) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(payload.share());
    const coflow::read_result got = co_await far.read();
    const coflow::result<void> back = co_await far.write(payload.share());
    const coflow::read_result answer = co_await a.read();
    if (!sent || !got || !back || !answer) break;
  }
  const std::uint64_t after = support::allocation_count();
  expect(!coflow::detail::pooling || after == before, "nothing is allocated, not even by operations that wait");
}

TEST_CASE("writes take the time that their bytes take", "[throttled]") { support::drive(writes_take_their_time()); }
TEST_CASE("reads take the time that the bytes before them take", "[throttled]") {
  support::drive(reads_take_their_time());
}
TEST_CASE("a burst passes at once after a pause", "[throttled]") { support::drive(bursts()); }
TEST_CASE("a rate is kept exactly", "[throttled]") { support::drive(the_rate_is_exact()); }
TEST_CASE("a throttled write is handed on at once and in order", "[throttled]") {
  support::drive(writes_are_handed_on_at_once());
}
TEST_CASE("what ends a throttled write's wait does not make it a failure", "[throttled]") {
  for (int how = 0; how < 3; ++how) support::drive(accepted_is_accepted(how));
}
TEST_CASE("throttled reads that wait hear of ends", "[throttled]") {
  for (int how = 0; how < 4; ++how) support::drive(waiting_reads_hear_of_ends(how));
}
TEST_CASE("a throttled read that leaves passes its turn on", "[throttled]") {
  support::drive(leaving_at_the_last_moment(false));
  support::drive(leaving_at_the_last_moment(true));
}
TEST_CASE("writes that fail owe nothing", "[throttled]") { support::drive(failed_writes_owe_nothing()); }
TEST_CASE("a flow made of coroutines can be throttled", "[throttled]") { support::drive(over_coroutines()); }
TEST_CASE("throttling allocates nothing", "[throttled]") { support::drive(it_allocates_nothing()); }

TEST_CASE("an executor that goes ends the waits of a throttled flow", "[throttled]") {
  auto on = std::make_unique<support::manual_executor>();
  auto made = coflow::memory_pipe();
  flow a(std::move(made.first), throttle_options().read_rate(1, 0).write_rate(1, 0));
  support::reading read;
  support::writing written;
  support::writing filling;
  auto jobs = std::make_unique<std::vector<support::job<void>>>();
  jobs->push_back(support::job<void>::of(support::write_once(&made.second, buffer("data"), &filling)));
  jobs->push_back(support::job<void>::of(support::read_once(&a, &read)));
  jobs->push_back(support::job<void>::of(support::write_once(&a, buffer("accepted"), &written)));
  for (auto& one : *jobs) one.start(*on);
  on->run_until_idle();
  CHECK(read.done);
  support::reading waiting;
  jobs->push_back(support::job<void>::of(support::read_once(&a, &waiting)));
  jobs->back().start(*on);
  on->run_until_idle();
  CHECK_FALSE(waiting.done);
  CHECK_FALSE(written.done);
  on.reset();
  CHECK(waiting.done);
  CHECK(waiting.got.error() == coflow::error::closed);
  CHECK(written.sent.has_value());
}

}  // namespace
