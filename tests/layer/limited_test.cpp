// What limited promises: so many bytes and then eof, and what is beyond is not lost.
#include <array>
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
#include <string_view>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::limited;
using coflow::limited_options;
using coflow::memory_flow;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::start;
using support::yield_turn;
using flow = limited<memory_flow>;

static_assert(coflow::check_flow_shape<flow>());
static_assert(coflow::ReadIntoFlow<flow>);
static_assert(!coflow::has_read_into<limited<coflow::scripted_flow>>, "where the flow below has none");

task<> say(memory_flow* to, std::string_view text) {
  const coflow::result<void> sent = co_await to->write(buffer(text));
  support::expect_success(sent);
}

// Two messages and a half in one piece, read one after another.
task<> messages_of_known_length() {
  auto [near, far] = coflow::memory_pipe();
  co_await say(&far, "12345abcde---");
  flow first(std::move(near), 5);
  coflow::read_result got = co_await first.read();
  support::expect_data(got, "12345");
  expect(first.remaining() == 0 && first.unread() == 8, "what is beyond is kept");
  for (int i = 0; i < 2; ++i) {
    got = co_await first.read();
    support::expect_eof(got);
  }
  const coflow::result<void> sent = co_await first.write(buffer("an answer"));
  support::expect_success(sent);
  auto rest = std::move(first).release();
  support::expect_same(rest.unread.text(), "abcde---");
  flow second(std::move(rest.flow), 5, limited_options(), std::move(rest.unread));
  std::byte room[3];
  coflow::read_into_result into = co_await second.read_into(room);
  expect(*into == 3 && static_cast<char>(room[0]) == 'a', "a room is filled from what was kept");
  into = co_await second.read_into(std::span<std::byte>(room, 0));
  expect(into.has_count() && *into == 0, "an empty room is an empty room");
  into = co_await second.read_into(room);
  expect(*into == 2, "up to the limit");
  into = co_await second.read_into(std::span<std::byte>(room, 0));
  expect(into.eof(), "and then the end");
  auto last = std::move(second).release();
  support::expect_same(last.unread.text(), "---");
  co_await say(&far, "more");
  got = co_await last.flow.read();
  support::expect_data(got, "more");
}

task<> a_room_is_never_filled_beyond_the_limit() {
  auto [near, far] = coflow::memory_pipe();
  co_await say(&far, "12345678");
  flow a(std::move(near), 6);
  std::array<std::byte, 10> room;
  room.fill(std::byte{'.'});
  const coflow::read_into_result into = co_await a.read_into(room);
  expect(*into == 6 && room[6] == std::byte{'.'}, "six bytes and no more");
  auto rest = std::move(a).release();
  expect(rest.unread.empty(), "nothing was read beyond");
  const coflow::read_result got = co_await rest.flow.read();
  support::expect_data(got, "78");
}

task<> the_end_before_the_limit(bool exactly) {
  auto [near, far] = coflow::memory_pipe();
  co_await say(&far, "123");
  co_await far.shutdown(coflow::shutdown_mode::write);
  flow a(std::move(near), 5, limited_options().exactly(exactly));
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "123");
  for (int i = 0; i < 2; ++i) {
    got = co_await a.read();
    if (exactly)
      support::expect_error(got, coflow::error::truncated);
    else
      support::expect_eof(got);
  }
  std::byte room[1];
  const coflow::read_into_result none = co_await a.read_into(std::span<std::byte>(room, 0));
  expect(exactly ? none.failed() : none.eof(), "an empty room gives the verdict");
  co_await a.shutdown(coflow::shutdown_mode::read);
  got = co_await a.read();
  if (exactly) support::expect_error(got, coflow::error::truncated);  // the first verdict wins (law R4)
  co_await a.close();
  got = co_await a.read();
  support::expect_error(got, coflow::error::closed);
}

// The end that this side has made is no truncation; what has no bytes left ends at once, and closed is closed.
task<> ends_of_ones_own() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 5, limited_options().exactly(true), buffer("12"));
  support::reading reads[2];
  task_scope scope;
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "12");
  for (support::reading& one : reads) start(scope, support::read_once(&a, &one));
  co_await yield_turn();
  co_await a.shutdown(coflow::shutdown_mode::read);
  co_await support::turns(3);
  for (const support::reading& one : reads) support::expect_eof(one.got);
  auto [other, peer] = coflow::memory_pipe();
  flow nothing(std::move(other), 0, limited_options().exactly(true));
  got = co_await nothing.read();
  support::expect_eof(got);
  co_await nothing.close();
  got = co_await nothing.read();
  support::expect_error(got, coflow::error::closed);
}

// Reads wait their turn: those that find the limit reached get eof, whatever else would have come.
task<> concurrent_reads() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 5);
  support::reading reads[4];
  task_scope scope;
  task_scope leaving;
  start(scope, support::read_once(&a, &reads[0]));
  start(leaving, support::read_once(&a, &reads[3]));
  start(scope, support::read_once(&a, &reads[1]));
  start(scope, support::read_once(&a, &reads[2]));
  co_await yield_turn();
  leaving.cancel();
  co_await yield_turn();
  support::expect_error(reads[3].got, coflow::canceled());
  co_await say(&far, "12");
  co_await support::turns(3);
  support::expect_data(reads[0].got, "12");
  expect(!reads[1].done, "the next one waits");
  co_await say(&far, "345678");
  co_await support::turns(4);
  support::expect_data(reads[1].got, "345");
  support::expect_eof(reads[2].got);
  expect(a.unread() == 3, "the rest is kept");
}

// The first of two reads dies, wherever it stands: the second has its turn and loses nothing.
task<> a_read_that_dies_passes_its_turn() {
  for (int step = 0; step < 4; ++step) {
    auto [near, far] = coflow::memory_pipe();
    flow a(std::move(near), 100);
    support::reading reads[2];
    task_scope scope;
    {
      task_scope dying;
      start(dying, support::read_once(&a, &reads[0]));
      start(scope, support::read_once(&a, &reads[1]));
      co_await yield_turn();
      if (step > 0) co_await say(&far, "data");
      co_await support::turns(step - 1);
    }
    if (step == 0) co_await say(&far, "data");
    co_await support::turns(3);
    if (reads[0].done) co_await say(&far, "data");
    co_await support::turns(3);
    support::expect_data(reads[1].got, "data");
  }
}

task<> what_may_be_written_is_limited() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 100, limited_options().most_written(10));
  coflow::result<void> sent = co_await a.write(buffer("1234567"));
  support::expect_success(sent);
  std::array<buffer, 2> list{buffer("89"), buffer("0abcdef")};
  sent = co_await a.writev(list);
  support::expect_error(sent, std::make_error_code(std::errc::message_size));
  expect(list[0].text() == "89" && list[1].text() == "0abcdef", "nothing of it was sent");
  expect(a.may_write() == 3, "nor counted");
  sent = co_await a.write(buffer("8"));
  support::expect_error(sent, std::make_error_code(std::errc::message_size));  // law W6
  sent = co_await a.write(buffer());
  support::expect_error(sent, std::make_error_code(std::errc::message_size));  // law W9
  const coflow::read_result got = co_await far.read();
  support::expect_data(got, "1234567");
  co_await say(&far, "still");
  const coflow::read_result still = co_await a.read();
  support::expect_data(still, "still");
  co_await a.close();
  sent = co_await a.write(buffer("8"));
  support::expect_error(sent, coflow::error::closed);
  auto [other, peer] = coflow::memory_pipe();
  flow shut(std::move(other), 100, limited_options().most_written(2));
  co_await shut.shutdown(coflow::shutdown_mode::write);
  sent = co_await shut.write(buffer("too long"));
  support::expect_error(sent, coflow::error::closed);  // law W5
}

// A cancelled write that has sent nothing gives back what it had reserved.
task<> a_cancelled_write_is_not_counted() {
  auto [near, far] = coflow::memory_pipe(4);
  flow a(std::move(near), 100, limited_options().most_written(8));
  coflow::result<void> sent = co_await a.write(buffer("1234"));
  support::expect_success(sent);
  support::writing written;
  {
    task_scope scope;
    start(scope, support::write_once(&a, buffer("5678"), &written));
    co_await yield_turn();
    expect(a.may_write() == 0, "what waits is counted");
    scope.cancel();
    co_await yield_turn();
  }
  support::expect_error(written.sent, coflow::canceled());
  expect(a.may_write() == 4, "what was cancelled is not");
  const coflow::read_result got = co_await far.read();
  support::expect_data(got, "1234");
  sent = co_await a.write(buffer("5678"));
  support::expect_success(sent);
}

task<> destruction_and_release_with_waits() {
  for (const bool released : {false, true}) {
    auto made = coflow::memory_pipe();
    std::optional<flow> a(std::in_place, std::move(made.first), 100);
    support::reading reads[2];
    task_scope scope;
    for (support::reading& one : reads) start(scope, support::read_once(&*a, &one));
    co_await yield_turn();
    std::optional<coflow::limited_rest<memory_flow>> rest;
    if (released) rest.emplace(std::move(*a).release());
    a.reset();
    expect(!reads[0].done && !reads[1].done, "nobody is resumed inline");
    co_await support::turns(3);
    support::expect_error(reads[1].got, coflow::error::closed);
    if (released) {
      expect(!reads[0].done, "a read that was at the flow below goes on there");
      co_await say(&made.second, "data");
      co_await yield_turn();
      support::expect_data(reads[0].got, "data");
    } else {
      support::expect_error(reads[0].got, coflow::error::closed);
    }
  }
}

task<> over_coroutines() {
  auto [near, far] = coflow::memory_pipe();
  coflow::faulty_flow bytewise(std::move(near), coflow::fault_plan().reads(coflow::split::one_byte));
  limited a(std::move(bytewise), 2);
  co_await say(&far, "123");
  for (const char* one : {"1", "2"}) {
    const coflow::read_result got = co_await a.read();
    support::expect_data(got, one);
  }
  const coflow::read_result got = co_await a.read();
  support::expect_eof(got);
}

task<> it_allocates_nothing() {
  auto [near, far] = coflow::memory_pipe();
  flow a(std::move(near), 1'000'000, limited_options().most_written(1'000'000));
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
  expect(a.remaining() == 1'000'000 - 700 && a.may_write() == 1'000'000 - 700, "everything is counted");
}

TEST_CASE("messages of known length can be read one after another", "[limited]") {
  support::drive(messages_of_known_length());
}
TEST_CASE("the caller's memory is never filled beyond the limit", "[limited]") {
  support::drive(a_room_is_never_filled_beyond_the_limit());
}
TEST_CASE("an end before the limit is eof, or truncated where that was asked for", "[limited]") {
  support::drive(the_end_before_the_limit(false));
  support::drive(the_end_before_the_limit(true));
}
TEST_CASE("an end that this side has made is no truncation", "[limited]") { support::drive(ends_of_ones_own()); }
TEST_CASE("concurrent reads are served in order, and the limit ends them all", "[limited]") {
  support::drive(concurrent_reads());
}
TEST_CASE("a limited read that dies passes its turn on", "[limited]") {
  support::drive(a_read_that_dies_passes_its_turn());
}
TEST_CASE("a write beyond the limit fails before anything is sent, for good", "[limited]") {
  support::drive(what_may_be_written_is_limited());
}
TEST_CASE("a cancelled write does not count against the limit", "[limited]") {
  support::drive(a_cancelled_write_is_not_counted());
}
TEST_CASE("a limited flow may be destroyed or released with reads waiting", "[limited]") {
  support::drive(destruction_and_release_with_waits());
}
TEST_CASE("a flow made of coroutines can be limited", "[limited]") { support::drive(over_coroutines()); }
TEST_CASE("a limited flow allocates nothing", "[limited]") { support::drive(it_allocates_nothing()); }

}  // namespace
