// How reads of a buffered_reader end otherwise than with a record, and that no byte is lost with them.
#include <cerrno>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/layer/read_deadline.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <coflow/testing/scripted_flow.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/hand_flow.hpp"
#include "support/manual_executor.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::buffered_reader;
using coflow::memory_flow;
using coflow::record_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using support::expect;
using support::expect_same;
using support::expect_success;
using support::hand;
using support::hand_flow;
using support::job;
using support::reading;
using support::start;
using support::turns;

using reader = buffered_reader<memory_flow>;

struct record {
  bool done = false;
  bool out_of_memory = false;
  record_result<buffer> got;
};
template <class Flow>
task<> line_once(Flow* from, record* out) {
  try {
    auto line = co_await from->read_line();
    out->got = std::move(line);
  } catch (const std::bad_alloc&) {
    out->out_of_memory = true;
  }
  out->done = true;
}
template <class Flow>
task<> exactly_once(Flow* from, std::size_t size, record* out) {
  auto bytes = co_await from->read_exactly(size);
  out->got = std::move(bytes);
  out->done = true;
}
task<> send(memory_flow* to, std::string text) {
  const result<void> sent = co_await to->write(buffer(text));
  expect_success(sent);
}
void expect_line(const record_result<buffer>& got, std::string_view text,
                 support::place at = support::place::current()) {
  expect(got.has_value() && got->text() == text, "a line is '" + std::string(text) + "'", at);
}

struct ends {
  ends() : ends(coflow::memory_pipe()) {}
  explicit ends(std::pair<memory_flow, memory_flow> pipe) : in(std::move(pipe.first)), peer(std::move(pipe.second)) {}
  reader in;
  memory_flow peer;
};

// ---- one queue

task<> records_and_reads_are_served_in_the_order_in_which_they_began() {
  ends of;
  record first;
  reading second;
  record third;
  reading fourth;
  coflow::task_scope scope;
  start(scope, line_once(&of.in, &first));
  start(scope, support::read_once(&of.in, &second));
  start(scope, exactly_once(&of.in, 4, &third));
  start(scope, support::read_once(&of.in, &fourth));
  co_await turns(2);
  co_await send(&of.peer, "half");
  co_await turns(4);
  expect(!first.done && !second.done, "a read does not take half of another's line");
  co_await send(&of.peer, " a line\nrest");
  co_await turns(4);
  expect(first.done && second.done && !third.done, "the line, and what came with it");
  expect_line(first.got, "half a line");
  support::expect_data(second.got, "rest");
  co_await send(&of.peer, "12");
  co_await send(&of.peer, "34last");
  co_await turns(6);
  expect(third.done && fourth.done, "and so on");
  expect_line(third.got, "1234");
  support::expect_data(fourth.got, "last");
}

// A read that begins when another one has been called, and has not run yet, is behind that.
task<> nobody_overtakes_a_read_that_is_called() {
  ends of;
  record line;
  reading behind_the_line;
  reading second;
  coflow::task_scope scope;
  const auto a_line_and_a_read = [](reader* from, record* first, reading* then) -> task<> {
    co_await line_once(from, first);
    co_await support::read_once(from, then);
  };
  start(scope, a_line_and_a_read(&of.in, &line, &second));
  start(scope, support::read_once(&of.in, &behind_the_line));
  co_await turns(2);
  co_await send(&of.peer, "a line\n");
  co_await turns(4);
  expect_line(line.got, "a line");
  expect(!behind_the_line.done && !second.done, "there is no more");
  co_await send(&of.peer, "first");
  co_await turns(4);
  expect(behind_the_line.done && !second.done, "who came first is served first");
  support::expect_data(behind_the_line.got, "first");
  co_await send(&of.peer, "second");
  co_await turns(4);
  support::expect_data(second.got, "second");
}

task<> eof_goes_to_all_that_wait() {
  ends of;
  reading first;
  record second;
  record third;
  reading fourth;
  coflow::task_scope scope;
  start(scope, support::read_once(&of.in, &first));
  start(scope, line_once(&of.in, &second));
  start(scope, exactly_once(&of.in, 4, &third));
  start(scope, support::read_once(&of.in, &fourth));
  co_await turns(2);
  co_await of.peer.shutdown(shutdown_mode::write);
  co_await turns(4);
  support::expect_eof(first.got);
  expect(second.done && second.got.eof() && third.done && third.got.eof(), "eof between records");
  expect(fourth.done, "a read gets it as well");
  support::expect_eof(fourth.got);
}

// ---- what ends a record early

task<> an_error_inside_a_record_leaves_its_bytes() {
  const std::error_code failure = make_error_code(std::errc::io_error);
  coflow::flow_script script;
  script.gives("a line\nhalf").gives_error(failure);
  buffered_reader<coflow::scripted_flow> in{coflow::scripted_flow(script)};
  auto line = co_await in.read_line();
  expect_line(line, "a line");
  for (int i = 0; i < 2; ++i) {
    line = co_await in.read_line();
    expect(line.failed() && line.error() == failure, "the error, as often as it is asked");
  }
  auto number = co_await in.read_big<std::uint64_t>();
  expect(number.failed() && number.error() == failure, "for a number too");
  auto seen = co_await in.peek(100);
  expect_line(seen, "half");
  coflow::read_result got = co_await in.read();
  support::expect_data(got, "half");
  got = co_await in.read();
  support::expect_error(got, failure);
  line = co_await in.read_line();
  expect(line.failed() && line.error() == failure, "the first verdict stays");
}

// A deadline of the flow below ends the operation that waits, and nothing else (law X0).
task<> a_deadline_below_is_no_verdict() {
  auto pipe = coflow::memory_pipe();
  using timed_reader = buffered_reader<coflow::read_deadline<memory_flow>>;
  timed_reader in{coflow::read_deadline<memory_flow>(std::move(pipe.first))};
  co_await send(&pipe.second, "half ");
  in.next_layer().expires_after(1s);
  auto line = co_await in.read_line();
  expect(line.failed() && line.error() == coflow::error::timed_out, "the deadline ends a line");
  auto seen = co_await in.peek(100);
  expect(seen.failed() && seen.error() == coflow::error::timed_out, "and a peek, which is no end of the stream");
  auto skipped = co_await in.skip(0);
  expect(skipped.has_value(), "what needs no more is not concerned");
  in.next_layer().expires_after(1s);
  record first;
  record second;
  reading third;
  {
    coflow::task_scope scope;
    start(scope, line_once(&in, &first));
    start(scope, line_once(&in, &second));
    start(scope, support::read_once(&in, &third));
    const result<void> slept = co_await coflow::sleep_for(2s);
    expect_success(slept);
  }
  for (const record* one : {&first, &second})
    expect(one->done && one->got.failed() && one->got.error() == coflow::error::timed_out, "all that wait are late");
  support::expect_data(third.got, "half ");
  in.next_layer().never();
  co_await send(&pipe.second, "a line\nanother\n");
  line = co_await in.read_line();
  expect_line(line, "a line");
  // One that passes when nobody waits is nobody's.
  in.next_layer().limit_each(1s);
  {
    coflow::task_scope scope;
    record given_up;
    start(scope, exactly_once(&in, 100, &given_up));
    co_await turns(3);
  }
  const result<void> slept = co_await coflow::sleep_for(2s);
  expect_success(slept);
  line = co_await in.read_line();
  expect_line(line, "another");
  co_await send(&pipe.second, "the last\n");
  line = co_await in.read_line();
  expect_line(line, "the last");
  co_await pipe.second.shutdown(shutdown_mode::write);
  line = co_await in.read_line();
  expect(line.eof(), "and the end is the end");
}

task<> no_memory_is_no_verdict() {
  auto below = std::make_shared<hand>();
  buffered_reader<hand_flow> in{hand_flow(below)};
  record first;
  record second;
  coflow::task_scope scope;
  start(scope, line_once(&in, &first));
  co_await turns(2);
  below->give("half ");
  co_await turns(2);
  below->give_no_memory();
  co_await turns(2);
  expect(first.done && first.out_of_memory, "the reader is told");
  start(scope, line_once(&in, &second));
  co_await turns(2);
  below->give("a line\n");
  co_await turns(2);
  expect_line(second.got, "half a line");
}

// Bytes that are always there, and never the end: others have their turn.
task<> a_long_record_lets_others_run() {
  auto below = std::make_shared<hand>();
  buffered_reader<hand_flow> in{hand_flow(below)};
  below->ready = 10'000;
  record got;
  coflow::task_scope scope;
  start(scope, exactly_once(&in, 10'000, &got));
  int turns_taken = 0;
  for (; !got.done && turns_taken < 10'000; ++turns_taken) co_await support::yield_turn();
  expect(got.done && got.got->size() == 10'000, "it is read in the end");
  expect(turns_taken > 10, "in many turns");
}

// ---- cancellation: at each step, by a stop or by the end of the coroutine

template <class Ask>
void given_up_at_each_step(Ask ask) {
  const std::string text = "some text\r\nand more of it";
  for (const bool stopped : {true, false}) {
    for (std::size_t step = 0;; ++step) {
      support::manual_executor on;
      ends of;
      const auto write = [](memory_flow* to, const std::string* all) -> task<> {
        for (const char one : *all) {
          const result<void> sent = co_await to->write(buffer(std::string_view(&one, 1)));
          if (!sent) co_return;
          co_await support::yield_turn();
        }
        co_await to->shutdown(shutdown_mode::write);
      };
      job<void> writer = job<void>::of(write(&of.peer, &text));
      record came;
      job<void> asked = job<void>::of(ask(&of.in, &came));
      asked.start(on);
      writer.start(on);
      for (std::size_t i = 0; i < step; ++i) on.run_once();
      const bool over = came.done;
      {
        const coflow::executor::entry current(on);
        if (stopped)
          asked.request_stop();
        else
          asked.destroy();
      }
      on.run_until_idle();
      std::string rest;
      const auto read = [](reader* from, std::string* into) -> task<> {
        for (;;) {
          const coflow::read_result got = co_await from->read();
          if (!got) co_return;
          *into += got->text();
        }
      };
      support::drive(on, read(&of.in, &rest));
      const std::string taken = came.got.has_value() ? "some text\r\n" : "";
      CHECK(taken + rest == text);
      if (stopped && !over) CHECK((came.got.has_value() || came.got.error() == coflow::canceled()));
      if (over) break;
    }
  }
}

// Also when it is given up between the deadline and its turn: the next operation is not late.
void given_up_behind_a_deadline(bool stopped) {
  for (int step = 0; step < 6; ++step) {
    support::manual_executor on;
    auto pipe = coflow::memory_pipe();
    buffered_reader<coflow::read_deadline<memory_flow>> in{coflow::read_deadline<memory_flow>(std::move(pipe.first))};
    record late;
    job<void> asked = job<void>::of(line_once(&in, &late));
    asked.start(on);
    on.run_until_idle();
    {
      const coflow::executor::entry current(on);
      in.next_layer().expires_at(on.now());
    }
    for (int i = 0; i < step; ++i) on.run_once();
    {
      const coflow::executor::entry current(on);
      if (stopped)
        asked.request_stop();
      else
        asked.destroy();
    }
    on.run_until_idle();
    if (stopped) CHECK((late.done && late.got.failed()));
    in.next_layer().never();
    record next;
    job<void> again = job<void>::of(line_once(&in, &next));
    again.start(on);
    support::drive(on, send(&pipe.second, "a line\n"));
    on.run_until_idle();
    CHECK((next.done && next.got.has_value()));
  }
}

// ---- destruction and close

enum class ending { close, shutdown, destruction, assignment, release, executor };

void ends_while_everything_waits(ending how) {
  std::optional<support::manual_executor> on(std::in_place);
  std::optional<ends> of(std::in_place);
  record line;
  reading behind;
  std::vector<job<void>> jobs;
  jobs.push_back(job<void>::of(line_once(&of->in, &line)));
  jobs.push_back(job<void>::of(support::read_once(&of->in, &behind)));
  for (job<void>& one : jobs) one.start(*on);
  support::drive(*on, send(&of->peer, "half"));
  on->run_until_idle();
  CHECK_FALSE((line.done || behind.done));
  if (how == ending::executor) {
    on.reset();
  } else {
    {
      const coflow::executor::entry current(*on);
      if (how == ending::destruction) of.reset();
      if (how == ending::assignment) of->in = reader(std::move(coflow::memory_pipe().first));
      if (how == ending::close) CHECK(of->in.close().await_ready());
      if (how == ending::shutdown) {
        bool done = false;
        job<void> shut = job<void>::of(support::shutdown_once(&of->in, shutdown_mode::read, &done));
        shut.start(*on);
        on->run_until_idle();
        CHECK(done);
      }
      if (how == ending::release) {
        auto given = std::move(of->in).release();
        CHECK(given.unread.text() == "half");
        support::drive(*on, send(&of->peer, "more"));
        reading next;
        support::drive(*on, support::read_once(&given.flow, &next));
        CHECK(next.got->text() == "more");
      }
      if (how != ending::shutdown && how != ending::release) CHECK_FALSE((line.done || behind.done));
    }
    on->run_until_idle();
  }
  CHECK((line.done && behind.done));
  if (how == ending::shutdown) {
    CHECK(line.got.eof());
    CHECK(behind.got.eof());
  } else {
    CHECK(line.got.error() == coflow::error::closed);
    CHECK(behind.got.error() == coflow::error::closed);
  }
}

task<> what_is_buffered_goes_with_the_half() {
  for (const bool closed : {true, false}) {
    ends of;
    co_await send(&of.peer, "a line\nanother\n");
    auto line = co_await of.in.read_line();
    expect_line(line, "a line");
    if (closed)
      co_await of.in.close();
    else
      co_await of.in.shutdown(shutdown_mode::read);
    expect(of.in.buffered() == 0, "the memory is given back");
    line = co_await of.in.read_line();
    const coflow::read_result got = co_await of.in.read();
    if (closed) {
      expect(line.error() == coflow::error::closed && got.error() == coflow::error::closed, "closed is closed");
    } else {
      expect(line.eof() && got.eof(), "shut is eof");
    }
  }
}

// What was skipped of a record is gone, and no reason to call its end torn: it is this side that wants no more.
task<> a_skip_that_is_half_done_ends_with_the_half() {
  ends of;
  std::optional<record_result<std::uint64_t>> came;
  const auto skip_ten = [](reader* from, std::optional<record_result<std::uint64_t>>* out) -> task<> {
    auto skipped = co_await from->skip(10);
    out->emplace(std::move(skipped));
  };
  coflow::task_scope scope;
  start(scope, skip_ten(&of.in, &came));
  co_await turns(2);
  co_await send(&of.peer, "four");
  co_await turns(4);
  expect(!came && of.in.unskipped() == 6, "it waits for six more");
  co_await of.in.shutdown(shutdown_mode::read);
  co_await turns(2);
  expect(came && came->eof(), "shut is eof");
  expect(of.in.unskipped() == 6, "and six were not dropped");
  const coflow::read_result got = co_await of.in.read();
  support::expect_eof(got);
}

// What the flow below has said stays, also if it was said to a read that waited there directly (law R4).
task<> a_verdict_outlives_a_shutdown() {
  ends of;
  co_await send(&of.peer, "half");
  of.peer.reset();
  coflow::read_result got = co_await of.in.read();
  support::expect_data(got, "half");
  got = co_await of.in.read();
  support::expect_error(got, coflow::from_system(ECONNRESET));
  co_await of.in.shutdown(shutdown_mode::read_write);
  got = co_await of.in.read();
  support::expect_error(got, coflow::from_system(ECONNRESET));
  auto line = co_await of.in.read_line();
  expect(line.failed() && line.error() == coflow::from_system(ECONNRESET), "records get it too");
}

// A reader moves under the operations that wait, and one of them destroys it when it is resumed.
task<> a_reader_moves_and_goes_under_its_operations() {
  auto pipe = coflow::memory_pipe();
  memory_flow peer(std::move(pipe.second));
  std::optional<reader> in(std::in_place, std::move(pipe.first));
  record line;
  record next;
  coflow::task_scope scope;
  const auto take_and_destroy = [](std::optional<reader>* from, std::optional<reader>* now, record* out) -> task<> {
    auto got = co_await (*from)->read_line();
    now->reset();
    out->got = std::move(got);
    out->done = true;
  };
  std::optional<reader> moved;
  start(scope, take_and_destroy(&in, &moved, &line));
  start(scope, line_once(&*in, &next));
  co_await turns(2);
  moved.emplace(std::move(*in));
  co_await send(&peer, "one\ntwo\n");
  co_await turns(4);
  expect_line(line.got, "one");
  expect(next.done && next.got.error() == coflow::error::closed, "the other is told");
}

// ---- a chain of tiny pieces, and of cuts

task<> lines_come_through_any_cut(coflow::fault_plan plan) {
  auto pipe = coflow::memory_pipe();
  buffered_reader<coflow::faulty_flow<memory_flow>> in{coflow::faulty_flow<memory_flow>(std::move(pipe.first), plan)};
  std::string all;
  for (int i = 0; i < 100; ++i) all += "line " + std::to_string(i) + (i % 2 == 0 ? "\n" : "\r\n");
  co_await send(&pipe.second, all);
  co_await pipe.second.shutdown(shutdown_mode::write);
  int count = 0;
  while (auto line = co_await in.read_line()) expect_same(line->text(), "line " + std::to_string(count++));
  expect(count == 100, "all lines come");
}

TEST_CASE("records and reads are served in the order in which they began", "[buffered_reader_endings]") {
  support::drive(records_and_reads_are_served_in_the_order_in_which_they_began());
  support::drive(nobody_overtakes_a_read_that_is_called());
  support::drive(eof_goes_to_all_that_wait());
}

TEST_CASE("an error inside a record leaves its bytes, and stays", "[buffered_reader_endings]") {
  support::drive(an_error_inside_a_record_leaves_its_bytes());
}

TEST_CASE("a read that finds no memory below loses nothing", "[buffered_reader_endings]") {
  support::drive(no_memory_is_no_verdict());
}

TEST_CASE("a deadline below ends what waits, and not the stream", "[buffered_reader_endings]") {
  support::drive(a_deadline_below_is_no_verdict());
  given_up_behind_a_deadline(true);
  given_up_behind_a_deadline(false);
}

TEST_CASE("a record that never ends lets others run", "[buffered_reader_endings]") {
  support::drive(a_long_record_lets_others_run());
}

TEST_CASE("a record that is given up at any step loses no byte", "[buffered_reader_endings]") {
  given_up_at_each_step([](reader* in, record* out) { return line_once(in, out); });
  given_up_at_each_step([](reader* in, record* out) { return exactly_once(in, 11, out); });
}

TEST_CASE("everything that waits ends with the reader, its half, or its executor", "[buffered_reader_endings]") {
  for (const ending how :
       {ending::close, ending::shutdown, ending::destruction, ending::assignment, ending::release, ending::executor})
    ends_while_everything_waits(how);
}

TEST_CASE("what is buffered goes with the half", "[buffered_reader_endings]") {
  support::drive(what_is_buffered_goes_with_the_half());
  support::drive(a_skip_that_is_half_done_ends_with_the_half());
  support::drive(a_verdict_outlives_a_shutdown());
}

TEST_CASE("a reader moves, and is destroyed, under the operations that wait on it", "[buffered_reader_endings]") {
  support::drive(a_reader_moves_and_goes_under_its_operations());
}

TEST_CASE("lines come through any cut", "[buffered_reader_endings]") {
  support::drive(lines_come_through_any_cut(coflow::fault_plan().reads(coflow::split::one_byte)));
  support::drive(lines_come_through_any_cut(coflow::fault_plan().reads(coflow::split::halves)));
  support::drive(lines_come_through_any_cut(coflow::fault_plan().reads(coflow::split::random).seed(7)));
}

}  // namespace
