// What tee promises: the sink gets what passes, slows down at most, and disturbs nothing.
#include <array>
#include <cerrno>
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
using coflow::string_flow;
using coflow::task;
using coflow::task_scope;
using coflow::tee;
using coflow::tee_options;
using support::expect;
using support::start;
using support::yield_turn;
using recording = tee<memory_flow, string_flow>;
using piped = tee<memory_flow, memory_flow>;

static_assert(coflow::check_flow_shape<recording>());
static_assert(coflow::ReadIntoFlow<recording>);
static_assert(!coflow::has_read_into<tee<coflow::scripted_flow, memory_flow>>, "where the flow below has none");

task<> say(memory_flow* to, std::string_view text) {
  const coflow::result<void> sent = co_await to->write(buffer(text));
  support::expect_success(sent);
}
task<> pass(std::chrono::nanoseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  support::expect_success(slept);
}
task<> read_all(memory_flow* from, std::string* all, coflow::read_result* last) {
  for (;;) {
    coflow::read_result got = co_await from->read();
    if (!got) {
      *last = std::move(got);
      co_return;
    }
    all->append(got->text());
  }
}

task<> what_passes_is_copied(bool reads, bool writes) {
  auto [near, far] = coflow::memory_pipe();
  recording a(std::move(near), coflow::string_sink(), tee_options().reads(reads).writes(writes));
  co_await say(&far, "read ");
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "read ");
  coflow::result<void> sent = co_await a.write(buffer("written "));
  support::expect_success(sent);
  std::array<buffer, 3> list{buffer("in "), buffer(), buffer("a list ")};
  sent = co_await a.writev(list);
  support::expect_success(sent);
  co_await say(&far, "room");
  std::byte room[10];
  const coflow::read_into_result into = co_await a.read_into(room);
  expect(*into == 4, "the room is filled");
  std::string wanted;
  if (reads) wanted += "read ";
  if (writes) wanted += "written in a list ";
  if (reads) wanted += "room";
  support::expect_same(a.sink().text(), wanted);
  expect(a.copied() == wanted.size() && a.not_copied() == 0 && !a.sink_error(), "it is counted");
  co_await a.close();
  const coflow::read_result last = co_await a.read();
  support::expect_error(last, coflow::error::closed);
  sent = co_await a.sink().write(buffer("late"));
  support::expect_error(sent, coflow::error::closed);  // the sink is closed, too
}

// Buffers are shared, not copied.
task<> nothing_is_copied_for_it() {
  auto [near, far] = coflow::memory_pipe();
  auto [sink, end] = coflow::memory_pipe();
  piped a(std::move(near), std::move(sink));
  co_await say(&far, "the same bytes");
  const coflow::read_result got = co_await a.read();
  const coflow::read_result copy = co_await end.read();
  support::expect_data(copy, "the same bytes");
  expect(got->data() == copy->data(), "in the same place");
}

// A sink that takes nothing: the flow goes on until the limit is reached, then waits, and goes on when there is room.
task<> a_slow_sink_slows_the_flow(bool into_room) {
  auto [near, far] = coflow::memory_pipe(1000);
  auto [sink, end] = coflow::memory_pipe(10);
  piped a(std::move(near), std::move(sink), tee_options().limit(30));
  for (int i = 0; i < 5; ++i) co_await say(&far, "0123456789");
  std::array<std::byte, 10> room{};
  for (int i = 0; i < 4; ++i) {
    if (into_room) {
      const coflow::read_into_result got = co_await a.read_into(room);
      expect(*got == 10, "up to the limit");
    } else {
      const coflow::read_result got = co_await a.read();
      support::expect_data(got, "0123456789");
    }
  }
  expect(a.queued() == 30, "one is out, three wait");
  support::reading read;
  support::reading leaving;
  task_scope scope;
  {
    task_scope stopped;
    start(stopped, support::read_once(&a, &leaving));
    start(scope, support::read_once(&a, &read));
    co_await pass(1h);
    expect(!leaving.done && !read.done, "reads wait for the sink");
    stopped.cancel();
    co_await support::turns(2);
  }
  support::expect_error(leaving.got, coflow::canceled());
  expect(!read.done, "the other one waits on");
  for (int i = 0; i < 4; ++i) {
    const coflow::read_result got = co_await end.read();
    support::expect_data(got, "0123456789");
  }
  co_await support::turns(4);
  support::expect_data(read.got, "0123456789");
  expect(a.copied() + a.queued() == 50, "nothing is missing");
}

task<> writes_wait_when_they_have_gone_out(int how) {
  auto made = coflow::memory_pipe(1000);
  auto [sink, end] = coflow::memory_pipe(10);
  std::optional<piped> a(std::in_place, std::move(made.first), std::move(sink),
                         tee_options().reads(false).writes(true).limit(10));
  coflow::result<void> sent = co_await a->write(buffer("0123456789"));
  support::expect_success(sent);
  support::writing written;
  task_scope scope;
  start(scope, support::write_once(&*a, buffer("abcdefghijk"), &written));
  co_await yield_turn();
  const coflow::read_result first = co_await made.second.read();
  support::expect_data(first, "0123456789");
  const coflow::read_result second = co_await made.second.read();
  support::expect_data(second, "abcdefghijk");
  co_await pass(1h);
  expect(!written.done, "the write waits for the sink");
  if (how == 0) {
    coflow::read_result got = co_await end.read();
    support::expect_data(got, "0123456789");
    got = co_await end.read();
    support::expect_data(got, "abcdefghij");
  }
  if (how == 1) scope.cancel();
  if (how == 2) a.reset();
  task_scope closing;
  bool closed = false;
  if (how == 3) start(closing, support::close_once(&*a, &closed));
  expect(!written.done, "nobody is resumed inline");
  co_await support::turns(4);
  expect(written.done, "the wait is over");
  support::expect_success(written.sent);
  if (how != 3) co_return;
  expect(!closed, "the close waits for the sink");
  co_await pass(1s + 1ns);
  expect(closed, "within the limit");
  expect(a->sink_error() == coflow::error::timed_out && a->copied() == 10 && a->not_copied() == 11,
         "what was not copied is counted");
}

task<> a_sink_that_fails_disturbs_nobody() {
  auto [near, far] = coflow::memory_pipe();
  recording a(std::move(near), coflow::string_sink(7), tee_options().writes(true));
  for (int i = 0; i < 3; ++i) {
    co_await say(&far, "data");
    const coflow::read_result got = co_await a.read();
    support::expect_data(got, "data");
    const coflow::result<void> sent = co_await a.write(buffer("back"));
    support::expect_success(sent);
    const coflow::read_result back = co_await far.read();
    support::expect_data(back, "back");
  }
  support::expect_same(a.sink().text(), "databac");
  expect(a.sink_error() == std::errc::no_space_on_device, "the first error is kept");
  expect(a.copied() == 7 && a.not_copied() == 17, "what was not copied is counted");
  co_await a.close();
  const coflow::read_result last = co_await far.read();
  support::expect_eof(last);
}

// A sink that fails while the flow waits for it lets it go on.
task<> a_sink_that_goes_away_lets_go() {
  auto [near, far] = coflow::memory_pipe(1000);
  auto made = coflow::memory_pipe(10);
  std::optional<memory_flow> end(std::move(made.second));
  piped a(std::move(near), std::move(made.first), tee_options().limit(10));
  for (int i = 0; i < 3; ++i) co_await say(&far, "0123456789");
  support::reading reads[3];
  task_scope scope;
  for (support::reading& one : reads) start(scope, support::read_once(&a, &one));
  co_await pass(1s);
  expect(!reads[2].done, "the last one waits");
  end.reset();
  co_await support::turns(4);
  for (const support::reading& one : reads) support::expect_data(one.got, "0123456789");
  expect(a.sink_error() == coflow::error::closed, "the sink's error is kept");
  expect(a.copied() + a.not_copied() == 30, "every byte is counted");
}

task<> ends_reach_reads_that_wait_for_the_sink(bool by_close) {
  auto [near, far] = coflow::memory_pipe(1000);
  auto [sink, end] = coflow::memory_pipe(10);
  piped a(std::move(near), std::move(sink), tee_options().limit(1));
  co_await say(&far, "0123456789abcdef");
  const coflow::read_result got = co_await a.read();
  expect(got.has_data(), "one read");
  support::reading read;
  support::reading peer;
  task_scope scope;
  start(scope, support::read_once(&a, &read));
  start(scope, support::read_once(&far, &peer));
  co_await yield_turn();
  expect(!read.done, "it waits");
  bool closed = false;
  if (by_close)
    start(scope, support::close_once(&a, &closed));
  else
    co_await a.shutdown(coflow::shutdown_mode::read);
  co_await support::turns(4);
  if (!by_close) {
    support::expect_eof(read.got);
    co_return;
  }
  support::expect_error(read.got, coflow::error::closed);
  support::expect_eof(peer.got);  // the flow below is closed at once
  expect(!closed, "the sink has its time");
  std::string all;
  coflow::read_result last;
  co_await read_all(&end, &all, &last);
  support::expect_same(all, "0123456789abcdef");
  support::expect_eof(last);
  co_await yield_turn();
  expect(closed && !a.sink_error() && a.copied() == 16, "everything was copied");
}

// An error that one read has met is the verdict of those that wait for the sink, which may never take anything (R8).
task<> an_error_reaches_reads_that_wait_for_the_sink() {
  auto [near, far] = coflow::memory_pipe(1000);
  auto [sink, end] = coflow::memory_pipe(10);
  piped a(std::move(near), std::move(sink), tee_options().limit(1));
  support::reading first;
  support::reading below;
  support::reading waits;
  task_scope scope;
  start(scope, support::read_once(&a, &first));
  start(scope, support::read_once(&a, &below));
  co_await support::turns(2);
  co_await say(&far, "0123456789abcdef");
  co_await support::turns(3);
  support::expect_data(first.got, "0123456789abcdef");
  start(scope, support::read_once(&a, &waits));
  co_await support::turns(3);
  expect(!below.done && !waits.done, "one waits for bytes, the other for the sink");
  far.reset();
  co_await support::turns(4);
  support::expect_error(below.got, coflow::from_system(ECONNRESET));
  expect(waits.done, "the other one is told, too");
  support::expect_error(waits.got, coflow::from_system(ECONNRESET));
}

task<> destruction_and_second_closes() {
  auto made = coflow::memory_pipe(10);
  auto [sink, end] = coflow::memory_pipe(10);
  std::optional<piped> a(std::in_place, std::move(made.first), std::move(sink));
  co_await say(&made.second, "0123456789");
  coflow::read_result got = co_await a->read();
  co_await say(&made.second, "0123456789");
  got = co_await a->read();
  bool first = false;
  bool second = false;
  {
    task_scope dying;
    start(dying, support::close_once(&*a, &first));
    co_await yield_turn();
  }
  task_scope scope;
  start(scope, support::close_once(&*a, &second));
  co_await yield_turn();
  expect(!first && second, "a second close does nothing");
  support::reading read;
  a.reset();
  std::string all;
  coflow::read_result last;
  co_await read_all(&end, &all, &last);
  support::expect_same(all, "0123456789");
  support::expect_eof(last);  // a pipe cannot tell more
}

task<> a_sink_made_of_coroutines() {
  auto [near, far] = coflow::memory_pipe();
  auto [sink, end] = coflow::memory_pipe();
  coflow::faulty_flow slow(std::move(sink), coflow::fault_plan().slow(100ms).writes(coflow::split::one_byte));
  tee a(std::move(near), std::move(slow));
  co_await say(&far, "data");
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "data");
  expect(a.copied() == 0 && a.queued() == 4, "the sink takes its time");
  co_await a.close();
  std::string all;
  co_await read_all(&end, &all, &got);
  support::expect_same(all, "data");
  expect(a.copied() == 4, "the close has waited");
}

task<> it_allocates_nothing() {
  auto [near, far] = coflow::memory_pipe();
  auto [sink, end] = coflow::memory_pipe();
  piped a(std::move(near), std::move(sink), tee_options().writes(true));
  const buffer payload("payload");
  std::uint64_t before = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 10) before = support::allocation_count();
    std::array<buffer, 2> list{payload.share(), payload.share()};
    const coflow::result<void> sent = co_await a.writev(list);
    const coflow::read_result got = co_await far.read();
    const coflow::read_result more = co_await far.read();
    const coflow::result<void> back = co_await far.write(payload.share());
    const coflow::read_result answer = co_await a.read();
    std::size_t copied = 0;
    while (copied < 21) {
      const coflow::read_result copy = co_await end.read();
      if (!copy) break;
      copied += copy->size();
    }
    if (!sent || !got || !more || !back || !answer) break;
  }
  const std::uint64_t after = support::allocation_count();
  expect(!coflow::detail::pooling || after == before, "nothing is allocated");
  expect(a.copied() == 2100, "everything is copied");
}

TEST_CASE("what is read, written or both goes to the sink", "[tee]") {
  support::drive(what_passes_is_copied(true, false));
  support::drive(what_passes_is_copied(false, true));
  support::drive(what_passes_is_copied(true, true));
}
TEST_CASE("the sink gets the same bytes, not copies", "[tee]") { support::drive(nothing_is_copied_for_it()); }
TEST_CASE("reads wait for a slow sink before they begin", "[tee]") {
  support::drive(a_slow_sink_slows_the_flow(false));
  support::drive(a_slow_sink_slows_the_flow(true));
}
TEST_CASE("writes wait for a slow sink when they have gone out", "[tee]") {
  for (int how = 0; how < 4; ++how) support::drive(writes_wait_when_they_have_gone_out(how));
}
TEST_CASE("a sink that fails disturbs nobody, and what it did not get is counted", "[tee]") {
  support::drive(a_sink_that_fails_disturbs_nobody());
}
TEST_CASE("a sink that goes away lets those go on who wait for it", "[tee]") {
  support::drive(a_sink_that_goes_away_lets_go());
}
TEST_CASE("ends reach the reads that wait for a sink", "[tee]") {
  support::drive(ends_reach_reads_that_wait_for_the_sink(false));
  support::drive(ends_reach_reads_that_wait_for_the_sink(true));
  support::drive(an_error_reaches_reads_that_wait_for_the_sink());
}
TEST_CASE("a tee may be destroyed while its close waits for the sink", "[tee]") {
  support::drive(destruction_and_second_closes());
}
TEST_CASE("a sink may be made of coroutines", "[tee]") { support::drive(a_sink_made_of_coroutines()); }
TEST_CASE("copying allocates nothing", "[tee]") { support::drive(it_allocates_nothing()); }

TEST_CASE("an executor that goes ends what waits in a tee", "[tee]") {
  auto on = std::make_unique<support::manual_executor>();
  auto made = coflow::memory_pipe(100);
  auto sinks = coflow::memory_pipe(10);
  piped a(std::move(made.first), std::move(sinks.first), tee_options().limit(1));
  support::reading reads[2];
  support::writing filling[2];
  bool closed = false;
  std::vector<support::job<void>> jobs;
  for (support::writing& one : filling)
    jobs.push_back(support::job<void>::of(support::write_once(&made.second, buffer("0123456789abcdef"), &one)));
  for (support::reading& one : reads) jobs.push_back(support::job<void>::of(support::read_once(&a, &one)));
  for (auto& one : jobs) one.start(*on);
  on->run_until_idle();
  CHECK(reads[0].done);
  CHECK_FALSE(reads[1].done);
  jobs.push_back(support::job<void>::of(support::close_once(&a, &closed)));
  jobs.back().start(*on);
  on->run_once();
  CHECK_FALSE(closed);
  on.reset();
  CHECK(closed);
  CHECK(reads[1].got.error() == coflow::error::closed);
  CHECK(a.copied() + a.not_copied() == 16);
}

}  // namespace
