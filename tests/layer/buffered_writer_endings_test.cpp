// How a buffered_writer ends: what becomes of bytes that were accepted and not sent, and of everything that waits.
#include <cerrno>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/buffered_writer.hpp>
#include <coflow/layer/graceful_close.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <cstddef>
#include <memory>
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
using coflow::buffered_writer_options;
using coflow::memory_flow;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using support::expect;
using support::expect_error;
using support::expect_same;
using support::expect_success;
using support::hand;
using support::hand_flow;
using support::job;
using support::reading;
using support::start;
using support::turns;
using support::writing;

using hand_writer = coflow::buffered_writer<hand_flow>;
using pipe_writer = coflow::buffered_writer<memory_flow>;

const buffered_writer_options by_hand = buffered_writer_options().flush_at_end_of_turn(false);

struct ends {
  explicit ends(buffered_writer_options options = buffered_writer_options())
      : below(std::make_shared<hand>()), writer(hand_flow(below), options) {}
  std::shared_ptr<hand> below;
  hand_writer writer;
};
struct pipe {
  explicit pipe(std::size_t capacity = 100, buffered_writer_options options = buffered_writer_options())
      : pipe(coflow::memory_pipe(capacity), options) {}
  pipe(std::pair<memory_flow, memory_flow> made, buffered_writer_options options)
      : writer(std::move(made.first), options), peer(std::move(made.second)) {}
  pipe_writer writer;
  memory_flow peer;
};

template <class Flow>
task<> put_once(Flow* flow, std::string text, writing* out) {
  const result<void> sent = co_await flow->put(text);
  out->sent = sent;
  out->done = true;
}
template <class Flow>
task<> flush_once(Flow* flow, writing* out) {
  const result<void> sent = co_await flow->flush();
  out->sent = sent;
  out->done = true;
}
template <class Flow>
std::string unsent_of(Flow& flow) {
  std::string all;
  for (const buffer& one : flow.take_unsent()) all += one.text();
  return all;
}
task<std::string> everything_from(memory_flow* peer, coflow::read_result* last) {
  std::string all;
  for (;;) {
    coflow::read_result got = co_await peer->read();
    if (got) {
      all += got->text();
      continue;
    }
    *last = std::move(got);
    co_return all;
  }
}

// ---- a flow below that fails

task<> a_failed_flush_keeps_what_was_not_sent() {
  ends to(buffered_writer_options().high_water(12));
  to.below->writes_wait = true;
  writing flushed;
  writing waits;
  coflow::task_scope scope;
  result<void> done = co_await to.writer.put("first ");
  expect_success(done);
  start(scope, flush_once(&to.writer, &flushed));
  co_await turns(2);
  done = co_await to.writer.put("then ");
  expect_success(done);
  start(scope, put_once(&to.writer, "too much", &waits));
  co_await turns(2);
  expect(to.writer.take_unsent().empty(), "all of it may still go out");
  to.below->refuse(make_error_code(std::errc::no_space_on_device));
  co_await turns(2);
  const std::error_code full = make_error_code(std::errc::no_space_on_device);
  expect_error(flushed.sent, full);
  expect(waits.done, "who waited is told");
  expect_error(waits.sent, full);
  done = co_await to.writer.put("more");
  expect_error(done, full);
  done = co_await to.writer.write(buffer("a large one, which would go through"));
  expect_error(done, full);
  done = co_await to.writer.flush();
  expect_error(done, full);
  expect(to.writer.buffered() == 11 && to.below->writes == 1, "nothing is dropped, and nothing tried again");
  expect_same(unsent_of(to.writer), "first then ");
  expect(to.writer.buffered() == 0 && to.writer.take_unsent().empty(), "it is given once");
}

task<> a_part_that_went_out_is_not_unsent() {
  pipe to(10);
  result<void> done = co_await to.writer.put("0123456789abcdef");
  expect_success(done);
  co_await turns(3);
  co_await to.peer.close();
  done = co_await to.writer.flush();
  expect_error(done, coflow::error::closed);
  expect_same(unsent_of(to.writer), "abcdef");
}

// A reset that a read meets ends the writes too, before one more is accepted (law R7).
task<> a_reset_ends_both_halves() {
  for (const bool waits : {true, false}) {
    pipe to;
    reading got;
    coflow::task_scope scope;
    if (waits) {
      start(scope, support::read_once(&to.writer, &got));
      co_await turns(2);
    }
    to.peer.reset();
    if (!waits) start(scope, support::read_once(&to.writer, &got));
    co_await turns(3);
    support::expect_error(got.got, coflow::from_system(ECONNRESET));
    const result<void> done = co_await to.writer.put("x");
    expect_error(done, coflow::from_system(ECONNRESET));
  }
}

// ---- shutdown and close

task<> a_shutdown_sends_everything_first() {
  pipe to(10, by_hand);
  bool shut = false;
  coflow::task_scope scope;
  result<void> done = co_await to.writer.put("more than the pipe holds");
  expect_success(done);
  start(scope, support::shutdown_once(&to.writer, shutdown_mode::write, &shut));
  co_await turns(3);
  expect(!shut, "it waits for the peer");
  done = co_await to.writer.put("late");
  expect_error(done, coflow::error::closed);
  coflow::read_result last;
  const std::string all = co_await everything_from(&to.peer, &last);
  expect_same(all, "more than the pipe holds");
  support::expect_eof(last);
  co_await turns(2);
  expect(shut, "then it is done");
  done = co_await to.writer.flush();
  expect_error(done, coflow::error::closed);
}

task<> a_close_sends_what_is_buffered() {
  ends to(by_hand);
  result<void> done = co_await to.writer.put("all of it");
  expect_success(done);
  co_await to.writer.close();
  expect_same(to.below->written, "all of it");
  expect(to.below->closes == 1, "and closes the flow below");
  co_await to.writer.close();
  expect(to.below->closes == 1, "once");
  done = co_await to.writer.put("late");
  expect_error(done, coflow::error::closed);
  done = co_await to.writer.flush();
  expect_error(done, coflow::error::closed);
  const coflow::read_result got = co_await to.writer.read();
  support::expect_error(got, coflow::error::closed);
}

// The peer does not read: a close goes on trying for as long as it may, and ends what waits at once.
task<> a_close_is_bounded(bool peer_reads_in_time) {
  pipe to(10, buffered_writer_options().high_water(30).close_limit(3s));
  reading pending;
  writing waits;
  writing flushed;
  bool closed = false;
  coflow::task_scope scope;
  result<void> done = co_await to.writer.put("twenty-four bytes of it.");
  expect_success(done);
  start(scope, support::read_once(&to.writer, &pending));
  start(scope, put_once(&to.writer, "no room", &waits));
  start(scope, flush_once(&to.writer, &flushed));
  co_await turns(3);
  const auto begun = coflow::executor::current()->now();
  start(scope, support::close_once(&to.writer, &closed));
  co_await turns(4);
  expect(pending.done && waits.done && flushed.done && !closed, "what waits ends at once, but for the close");
  support::expect_error(pending.got, coflow::error::closed);
  expect_error(waits.sent, coflow::error::closed);
  expect_error(flushed.sent, coflow::error::closed);
  const coflow::read_result late = co_await to.writer.read();
  support::expect_error(late, coflow::error::closed);
  if (peer_reads_in_time) {
    coflow::read_result last;
    const std::string all = co_await everything_from(&to.peer, &last);
    expect_same(all, "twenty-four bytes of it.");
    support::expect_eof(last);
    co_await turns(3);
    expect(closed && coflow::executor::current()->now() == begun, "when all is out it is closed");
    expect(unsent_of(to.writer).empty(), "nothing is left");
  } else {
    const result<void> slept = co_await coflow::sleep_for(3s);
    expect_success(slept);
    co_await turns(3);
    expect(closed, "the limit ends it");
    expect_same(unsent_of(to.writer), "r bytes of it.");
    coflow::read_result last;
    const std::string all = co_await everything_from(&to.peer, &last);
    expect_same(all, "twenty-fou");
    expect(last.failed(), "the peer does not take the end for a clean one");
  }
}

// Whole writes are missing, and none is torn: the stream must not end cleanly all the same (laws C6, X3).
enum class loss { limit, failure, taken, destruction };
task<> an_end_that_lacks_bytes_is_no_clean_one(loss how) {
  auto made = coflow::memory_pipe(4);
  coflow::fault_plan plan;
  using faulty_writer = coflow::buffered_writer<coflow::faulty_flow<memory_flow>>;
  if (how == loss::failure || how == loss::taken) plan.fail_write(2, make_error_code(std::errc::no_space_on_device));
  std::optional<faulty_writer> writer(std::in_place, coflow::faulty_flow<memory_flow>(std::move(made.first), plan),
                                      buffered_writer_options().close_limit(3s));
  result<void> done = co_await writer->put("1234");
  expect_success(done);
  done = co_await writer->flush();
  expect_success(done);
  done = co_await writer->put("and more");
  expect_success(done);
  if (how == loss::failure || how == loss::taken) {
    done = co_await writer->flush();
    expect(!done, "the flow below has refused it");
  }
  if (how == loss::taken) expect_same(unsent_of(*writer), "and more");
  if (how == loss::destruction)
    writer.reset();
  else
    co_await writer->close();
  coflow::read_result last;
  const std::string all = co_await everything_from(&made.second, &last);
  expect_same(all, "1234");
  expect(last.failed(), "the peer does not take the end for a clean one");
}

task<> a_graceful_close_loses_nothing() {
  pipe to(10, by_hand);
  writing closed;
  coflow::task_scope scope;
  const result<void> done = co_await to.writer.put("more than the pipe holds");
  expect_success(done);
  const auto close = [](pipe_writer* writer, writing* out) -> task<> {
    const result<void> came_to = co_await coflow::graceful_close(*writer, 5s);
    out->sent = came_to;
    out->done = true;
  };
  start(scope, close(&to.writer, &closed));
  coflow::read_result last;
  const std::string all = co_await everything_from(&to.peer, &last);
  expect_same(all, "more than the pipe holds");
  support::expect_eof(last);
  co_await to.peer.close();
  co_await turns(5);
  expect(closed.done, "it ends when the peer does");
  expect_success(closed.sent);
}

// ---- cancellation and destruction

// A put that waits, a flush that waits, or a large write that waits its turn: given up, it leaves the others as they
// are.
void given_up_in_line(bool stopped, int which) {
  support::manual_executor on;
  pipe to(10, buffered_writer_options().high_water(16));
  writing first;
  writing middle;
  writing last;
  std::vector<job<void>> jobs;
  jobs.push_back(job<void>::of(put_once(&to.writer, "0123456789abcde", &first)));
  if (which == 0) jobs.push_back(job<void>::of(put_once(&to.writer, "[small]", &middle)));
  if (which == 1) jobs.push_back(job<void>::of(put_once(&to.writer, "[a large one, larger than all]", &middle)));
  if (which == 2) jobs.push_back(job<void>::of(flush_once(&to.writer, &middle)));
  jobs.push_back(job<void>::of(put_once(&to.writer, "the last", &last)));
  for (job<void>& one : jobs) one.start(on);
  on.run_until_idle();
  CHECK(first.done);
  CHECK_FALSE(middle.done);
  {
    const coflow::executor::entry current(on);
    if (stopped)
      jobs[1].request_stop();
    else
      jobs[1].destroy();
  }
  on.run_until_idle();
  CHECK(middle.done == stopped);
  if (stopped) CHECK(middle.sent.error() == coflow::canceled());
  coflow::read_result end;
  const auto finish = [](pipe_writer* writer) -> task<> { co_await writer->shutdown(shutdown_mode::write); };
  job<void> shutting = job<void>::of(finish(&to.writer));
  shutting.start(on);
  CHECK(support::drive(on, everything_from(&to.peer, &end)) == "0123456789abcdethe last");
  CHECK(end.eof());
  CHECK(last.done);
  CHECK(last.sent.has_value());
  on.run_until_idle();
}

// A large write that is given up half-way is torn, as it would be on the flow below (laws X2, X3).
void given_up_half_way(bool stopped) {
  support::manual_executor on;
  pipe to(10, buffered_writer_options().high_water(16));
  writing large;
  writing behind;
  job<void> one = job<void>::of(put_once(&to.writer, "0123456789abcdefghijklmnopqrstuvwxyz", &large));
  one.start(on);
  job<void> two = job<void>::of(put_once(&to.writer, "behind", &behind));
  two.start(on);
  on.run_until_idle();
  CHECK_FALSE(large.done);
  CHECK_FALSE(behind.done);
  {
    const coflow::executor::entry current(on);
    if (stopped)
      one.request_stop();
    else
      one.destroy();
  }
  on.run_until_idle();
  if (stopped) CHECK(large.sent.error() == coflow::canceled());
  CHECK(behind.done);
  CHECK(behind.sent.error() == coflow::error::torn_write);
  coflow::read_result end;
  const auto finish = [](pipe_writer* writer) -> task<> {
    co_await writer->shutdown(shutdown_mode::write);
    co_await writer->close();
  };
  support::drive(on, finish(&to.writer));
  CHECK(support::drive(on, everything_from(&to.peer, &end)) == "0123456789");
  CHECK(end.failed());
}

// The writer goes, by destruction or with its executor, while everything waits.
void goes_while_everything_waits(bool with_executor) {
  auto on = std::make_optional<support::manual_executor>();
  std::optional<pipe> to(std::in_place, 10, buffered_writer_options().high_water(16));
  writing through;
  writing put;
  writing flushed;
  reading got;
  bool shut = false;
  std::vector<job<void>> jobs;
  jobs.push_back(job<void>::of(put_once(&to->writer, "a large one, larger than all", &through)));
  jobs.push_back(job<void>::of(put_once(&to->writer, "small", &put)));
  jobs.push_back(job<void>::of(support::read_once(&to->writer, &got)));
  jobs.push_back(job<void>::of(support::shutdown_once(&to->writer, shutdown_mode::write, &shut)));
  for (job<void>& one : jobs) one.start(*on);
  on->run_until_idle();
  CHECK_FALSE((through.done || put.done || got.done || shut));
  if (with_executor) {
    on.reset();
  } else {
    const coflow::executor::entry current(*on);
    to.reset();
    CHECK_FALSE((through.done || put.done || got.done || shut));
    on->run_until_idle();
  }
  CHECK((through.done && put.done && got.done && shut));
  CHECK(through.sent.error() == coflow::error::closed);
  CHECK(put.sent.error() == coflow::error::closed);
  CHECK(got.got.error() == coflow::error::closed);
}

TEST_CASE("what a failed flush has not sent stays, and the error too", "[buffered_writer_endings]") {
  support::drive(a_failed_flush_keeps_what_was_not_sent());
  support::drive(a_part_that_went_out_is_not_unsent());
}

TEST_CASE("a reset that a read meets is the next write's error", "[buffered_writer_endings]") {
  support::drive(a_reset_ends_both_halves());
}

TEST_CASE("a shutdown of the write half sends everything before the end", "[buffered_writer_endings]") {
  support::drive(a_shutdown_sends_everything_first());
}

TEST_CASE("a close sends what is buffered, within its limit", "[buffered_writer_endings]") {
  support::drive(a_close_sends_what_is_buffered());
  support::drive(a_close_is_bounded(true));
  support::drive(a_close_is_bounded(false));
}

TEST_CASE("an end that lacks bytes is no clean one", "[buffered_writer_endings]") {
  for (const loss how : {loss::limit, loss::failure, loss::taken, loss::destruction})
    support::drive(an_end_that_lacks_bytes_is_no_clean_one(how));
}

TEST_CASE("a graceful close of a buffered writer loses nothing", "[buffered_writer_endings]") {
  support::drive(a_graceful_close_loses_nothing());
}

TEST_CASE("who gives up in line takes nothing of the others along", "[buffered_writer_endings]") {
  for (const bool stopped : {true, false})
    for (const int which : {0, 1, 2}) given_up_in_line(stopped, which);
}

TEST_CASE("a large write that is given up half-way is torn and the last", "[buffered_writer_endings]") {
  given_up_half_way(true);
  given_up_half_way(false);
}

TEST_CASE("everything that waits ends with the writer, and with its executor", "[buffered_writer_endings]") {
  goes_while_everything_waits(false);
  goes_while_everything_waits(true);
}

}  // namespace
