#include <chrono>
#include <coflow/async/run.hpp>
#include <coflow/core.hpp>
#include <coflow/memory/memory_pipe.hpp>
#include <coflow/testing/finding.hpp>
#include <coflow/testing/law.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace coflow::laws;
using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::virtual_executor;

// Nothing can be told of what has arrived.
struct plain_maker {};
// It says what a test wants to be said.
struct telling_maker {
  std::size_t there = 0;
  bool ended = false;
  std::size_t unread(memory_flow&) { return there; }
  bool end_has_arrived(memory_flow&) { return ended; }
};

template <class Maker>
flow_ends pipe_under_check(Maker& make, std::size_t capacity = 64) {
  auto ends = coflow::memory_pipe(capacity);
  return flow_ends(checked_flow(std::make_unique<subject_of<memory_flow, Maker>>(std::move(ends.first), make)),
                   checked_flow(std::make_unique<subject_of<memory_flow, Maker>>(std::move(ends.second), make)));
}

// What `body` comes to as a check, on an executor of its own.
report checked(task<> body) {
  report found;
  virtual_executor on;
  const check_in_progress now("R1", "a check", "", found);
  coflow::run(on, std::move(body));
  return found;
}

class some_run final : public law_run {
 public:
  some_run(std::size_t capacity, int many, need given) {
    capacity_ = capacity;
    many_ = many;
    given_ = given;
  }
  ~some_run() = default;
  task<flow_ends> connect() override { co_return flow_ends(); }
};

}  // namespace

TEST_CASE("needs add up, and one covers itself and nothing", "[law]") {
  const need both = need::reset | need::one_type;
  CHECK(covers(both, need::reset));
  CHECK(covers(both, need::one_type));
  CHECK(covers(both, both));
  CHECK_FALSE(covers(both, need::cut));
  CHECK_FALSE(covers(need::reset, both));
  CHECK(covers(both, need::nothing));
  CHECK(covers(need::nothing, need::nothing));
}

TEST_CASE("a run tells a law what it has to work with", "[law]") {
  const some_run run(1000, 7, need::reset);
  CHECK(run.capacity() == 1000);
  CHECK(run.more_than_fits() > 2 * run.capacity());
  CHECK(run.many() == 7);
  CHECK(run.has(need::reset));
  CHECK_FALSE(run.has(need::reset | need::cut));
}

namespace {

task<> count_three(int* count) {
  for (int i = 0; i < 3; ++i) {
    ++*count;
    co_await turns();
  }
}
task<> let_others_run() {
  const auto began = coflow::executor::current()->now();
  int count = 0;
  task_scope scope;
  start(scope, count_three(&count));
  CHECK(count == 0);
  co_await turns();
  CHECK(count == 1);
  co_await turns(3);
  CHECK(count == 3);
  CHECK(coflow::executor::current()->now() == began);
}

task<> set_after(std::chrono::milliseconds time, bool* flag) {
  static_cast<void>(co_await coflow::sleep_for(time));
  *flag = true;
}
task<> wait_until() {
  const coflow::executor& on = *coflow::executor::current();
  const auto began = on.now();
  bool flag = false;
  task_scope scope;
  start(scope, set_after(5s, &flag));
  const bool at_once = co_await promptly([&flag] { return flag; });
  CHECK_FALSE(at_once);
  CHECK(on.now() == began);
  const bool came = co_await until([&flag] { return flag; });
  CHECK(came);
  CHECK(on.now() - began < 6s);
  const auto later = on.now();
  const bool never = co_await until([] { return false; });
  CHECK_FALSE(never);
  CHECK(on.now() - later >= 10s);
  CHECK(on.now() - later < 11s);
}
task<> wait_in_vain(bool* came_back) {
  const bool never = co_await until([] { return false; });
  CHECK_FALSE(never);
  *came_back = true;
}
task<> stop_who_waits() {
  const auto began = coflow::executor::current()->now();
  bool came_back = false;
  task_scope scope;
  start(scope, wait_in_vain(&came_back));
  co_await turns();
  scope.cancel();
  co_await turns(3);
  CHECK(came_back);
  CHECK(coflow::executor::current()->now() == began);
}
task<> mark_turns() {
  const turn_mark mark;
  CHECK_FALSE(mark.passed());
  co_await turns();
  CHECK(mark.passed());
}

}  // namespace

TEST_CASE("turns let what is ready run, and no time pass", "[law]") { checked(let_others_run()); }

TEST_CASE("a condition is waited for, at once or for ten seconds of the executor's clock", "[law]") {
  checked(wait_until());
}

TEST_CASE("a task that is stopped waits for no condition", "[law]") { checked(stop_who_waits()); }

TEST_CASE("a mark tells whether a turn has passed", "[law]") { checked(mark_turns()); }

namespace {

task<> wait_for_arrival(bool* came, bool end, flow_ends* ends) {
  if (end)
    co_await end_arrived(&ends->b);
  else
    co_await arrived(&ends->b, 3);
  *came = true;
}
task<> arrive(bool end) {
  telling_maker make;
  flow_ends ends = pipe_under_check(make);
  bool came = false;
  task_scope scope;
  start(scope, wait_for_arrival(&came, end, &ends));
  make.there = 2;
  co_await turns(20);
  CHECK_FALSE(came);
  make.there = 3;
  make.ended = true;
  co_await turns(20);
  CHECK(came);
}
task<> arrive_unseen() {
  plain_maker make;
  flow_ends ends = pipe_under_check(make);
  const turn_mark mark;
  co_await arrived(&ends.b, 3);
  co_await end_arrived(&ends.b);
  CHECK(mark.passed());
}
task<> arrive_never() {
  telling_maker make;
  flow_ends ends = pipe_under_check(make);
  co_await arrived(&ends.b, 3);
}

}  // namespace

TEST_CASE("what has arrived is waited for where it can be told", "[law]") {
  CHECK(checked(arrive(false)).passed());
  CHECK(checked(arrive(true)).passed());
  CHECK(checked(arrive_unseen()).expectations() == 0);
  CHECK(checked(arrive_never()).broke("R1"));
}

namespace {

task<> operations_as_children() {
  plain_maker make;
  flow_ends ends = pipe_under_check(make, 4);
  reading read;
  writing sent;
  writing listed;
  shutting shut;
  shutting closed;
  buffer list[2] = {buffer("de"), buffer("f")};
  task_scope scope;
  start(scope, read_once(&ends.b, &read));
  co_await turns();
  CHECK(read.started);
  CHECK_FALSE(read.done);
  start(scope, write_once(&ends.a, buffer("abc"), &sent));
  co_await turns(3);
  CHECK(read.done);
  CHECK((read.got && read.got->text() == "abc"));
  CHECK(sent.done);
  CHECK(sent.sent);
  start(scope, writev_once(&ends.a, list, &listed));
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await turns(3);
  CHECK(listed.done);
  CHECK(joined(list).empty());
  CHECK(shut.done);
  std::string all;
  const read_result end = co_await drain(&ends.b, &all);
  CHECK(end.eof());
  CHECK(all == "def");
  start(scope, close_once(&ends.a, &closed));
  co_await turns(3);
  CHECK(closed.done);
  const read_result after = co_await ends.a.read();
  CHECK(after.error() == coflow::error::closed);
}

task<> offers() {
  plain_maker make;
  flow_ends ends = pipe_under_check(make, 4);
  writing fits;
  writing too_much;
  {
    task_scope scope;
    co_await offer(&scope, &ends.a, "abcd", &fits);
    CHECK(fits.done);
    co_await offer(&scope, &ends.a, "efgh", &too_much);
    CHECK_FALSE(too_much.done);
    CHECK(too_much.started);
  }
  expect_delivered("abcd", "abcd", fits);
  expect_delivered("", "efgh", too_much);
  expect_delivered("ef", "efgh", too_much);
}
task<> offers_in_part() {
  writing accepted;
  accepted.done = true;
  accepted.sent = coflow::success;
  expect_delivered("ab", "abcd", accepted);
  co_return;
}
task<> offers_other_bytes() {
  const writing open;
  expect_delivered("ax", "abcd", open);
  co_return;
}

task<> reads_to_a_size() {
  plain_maker make;
  flow_ends ends = pipe_under_check(make);
  std::string all;
  reading drained;
  std::string rest;
  for (const char* text : {"ab", "cd", "ef"}) {
    const result<void> sent = co_await ends.a.write(buffer(text));
    CHECK(sent);
    if (all.empty()) co_await read_up_to(&ends.b, 1, &all);
  }
  CHECK(all == "ab");
  task_scope scope;
  start(scope, drain_once(&ends.b, &rest, &drained));
  co_await turns(3);
  CHECK(rest == "cdef");
  CHECK_FALSE(drained.done);
  co_await ends.a.close();
  co_await turns(3);
  CHECK(drained.done);
  CHECK(drained.got.eof());
  co_await read_up_to(&ends.b, 100, &all);  // ends with the stream
  CHECK(all == "ab");
}

task<> writes_until_it_fails() {
  plain_maker make;
  flow_ends ends = pipe_under_check(make);
  co_await ends.b.close();
  const result<void> failed = co_await write_until_error(&ends.a);
  CHECK_FALSE(failed);
  // A peer that has shut its read half takes what nobody will read.
  flow_ends open = pipe_under_check(make);
  co_await open.b.shutdown(shutdown_mode::read);
  const result<void> none = co_await write_until_error(&open.a);
  CHECK(none);
}

task<> start_a_child() {
  task_scope scope;
  start(scope, turns());
  static_cast<void>(co_await scope.join());
}

}  // namespace

TEST_CASE("operations that run as children say what came of them", "[law]") { checked(operations_as_children()); }

TEST_CASE("what is offered is accepted or goes on waiting, and is delivered accordingly", "[law]") {
  CHECK(checked(offers()).passed());
  CHECK(checked(offers_in_part()).broke("R1"));
  CHECK(checked(offers_other_bytes()).broke("R1"));
}

TEST_CASE("a stream is read up to a size or to its end", "[law]") { checked(reads_to_a_size()); }

TEST_CASE("writing goes on until an error comes, and ends if none does", "[law]") { checked(writes_until_it_fails()); }

TEST_CASE("a child that cannot be started is a finding", "[law]") {
  CHECK(checked(start_a_child()).passed());
  report found;
  const check_in_progress now("R1", "a check", "", found);
  task_scope scope;
  start(scope, turns());  // where no executor is current
  CHECK(found.broke("R1"));
}

TEST_CASE("patterns are of one size, differ by seed and place, and are the same each time", "[law]") {
  CHECK(pattern(0).empty());
  CHECK(pattern(1000).size() == 1000);
  CHECK(pattern(1000) == pattern(1000, 1));
  CHECK(pattern(1000, 2) != pattern(1000, 1));
  CHECK(pattern(1000).substr(0, 500) != pattern(1000).substr(500));
  for (const char byte : pattern(1000)) {
    CHECK(byte >= '!');
    CHECK(byte <= 'z');
  }
}

TEST_CASE("buffers are joined in order", "[law]") {
  buffer list[3] = {buffer("a"), buffer(), buffer("bc")};
  CHECK(joined(list) == "abc");
  CHECK(joined({}).empty());
}
