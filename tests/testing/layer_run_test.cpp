#include <chrono>
#include <coflow/async/run.hpp>
#include <coflow/async/task_scope.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <coflow/memory/memory_pipe.hpp>
#include <coflow/testing/layer_run.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::fault_plan;
using coflow::layer_end;
using coflow::layered_flow;
using coflow::memory_flow;
using coflow::probe_flow;
using coflow::probe_record;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::laws::layer_ends;
using coflow::laws::layer_plan;
using coflow::laws::layer_run_of;
using coflow::laws::turns;
using coflow::laws::writing;

using bare = layered_flow<probe_flow>;

const std::error_code trouble = std::make_error_code(std::errc::io_error);

void drive(task<> body) {
  coflow::virtual_executor on;
  coflow::run(on, std::move(body));
}
report checked(task<> body) {
  report found;
  const coflow::laws::check_in_progress now("L2", "a check", "", found);
  drive(std::move(body));
  return found;
}

// ---- the flow below

task<> write_to(probe_flow* flow, std::string text, bool* done) {
  const result<void> sent = co_await flow->write(buffer(text));
  *done = sent.has_value();
}

task<> record_what_happens() {
  auto ends = coflow::memory_pipe(8);
  const auto record = std::make_shared<probe_record>();
  bool done[2] = {};
  {
    probe_flow probe(std::move(ends.first), fault_plan(), record);
    result<void> sent = co_await probe.write(buffer("abcd"));
    CHECK(sent);
    buffer list[2] = {buffer("ef"), buffer("gh")};
    sent = co_await probe.writev(list);
    CHECK(sent);
    CHECK(record->written == "abcdefgh");
    CHECK(record->most_in_flight == 1);
    CHECK(record->writes_in_flight == 0);
    {
      task_scope scope;
      coflow::laws::start(scope, write_to(&probe, "i", &done[0]));
      coflow::laws::start(scope, write_to(&probe, "j", &done[1]));
      co_await turns(2);
      CHECK(record->writes_in_flight == 2);
      CHECK(record->most_in_flight == 2);
      CHECK(record->written == "abcdefgh");
      const read_result got = co_await ends.second.read();
      CHECK(got.has_data());
      co_await turns(3);
      CHECK((done[0] && done[1]));
    }
    CHECK(record->writes_in_flight == 0);
    CHECK(record->written == "abcdefghij");
    CHECK(record->reads == 0);
    sent = co_await ends.second.write(buffer("back"));
    const read_result got = co_await probe.read();
    CHECK((got && got->text() == "back"));
    CHECK(record->reads == 1);

    co_await probe.shutdown(shutdown_mode::read);
    CHECK((record->shutdowns_of_read == 1 && record->shutdowns_of_write == 0));
    co_await probe.shutdown(shutdown_mode::write);
    co_await probe.shutdown(shutdown_mode::read_write);
    CHECK((record->shutdowns_of_read == 2 && record->shutdowns_of_write == 2));
    CHECK(record->before_shutdown == "abcdefghij");
    CHECK(record->late_writes == 0);
    sent = co_await probe.write(buffer());
    CHECK(record->late_writes == 0);
    sent = co_await probe.write(buffer("late"));
    CHECK_FALSE(sent);
    CHECK(record->late_writes == 1);
    CHECK(record->written == "abcdefghij");

    CHECK_FALSE(record->let_go());
    co_await probe.close();
    CHECK((record->closes == 1 && record->let_go()));
    CHECK_FALSE(record->destroyed);
    probe_flow moved(std::move(probe));
    CHECK_FALSE(record->destroyed);
  }
  CHECK(record->destroyed);
  CHECK(record->closes == 1);
}

task<> destroy_unclosed() {
  auto ends = coflow::memory_pipe();
  const auto record = std::make_shared<probe_record>();
  {
    const probe_flow probe(std::move(ends.first), fault_plan(), record);
  }
  CHECK(record->destroyed);
  CHECK(record->closes == 0);
  CHECK(record->let_go());
  const read_result end = co_await ends.second.read();
  CHECK(end.eof());
}

task<> fail_as_planned() {
  auto ends = coflow::memory_pipe();
  const auto record = std::make_shared<probe_record>();
  probe_flow probe(std::move(ends.first), fault_plan().fail_write_after(2, trouble), record);
  const result<void> sent = co_await probe.write(buffer("abc"));
  CHECK((!sent && sent.error() == trouble));
  CHECK(record->written == "ab");
}

}  // namespace

TEST_CASE("the flow below a layer records what it is asked", "[layer_run]") { drive(record_what_happens()); }

TEST_CASE("the flow below a layer says when it is let go", "[layer_run]") { drive(destroy_unclosed()); }

TEST_CASE("the flow below a layer fails by its plan", "[layer_run]") { drive(fail_as_planned()); }

// ---- pairs of layers

namespace {

task<> connect_plain() {
  auto wrap = [](probe_flow inner) { return bare(std::move(inner)); };
  layer_run_of<decltype(wrap)> run(wrap, 1500ms, true);
  CHECK(run.close_limit() == 1500ms);
  CHECK(run.codec());
  layer_ends ends;
  CHECK_FALSE(ends.made());
  co_await run.connect(layer_plan().first(fault_plan().fail_write(2, trouble)).capacity(3), &ends);
  REQUIRE(ends.made());
  result<void> sent = co_await ends.a->write(buffer("abc"));
  CHECK(sent);
  CHECK(ends.below_a->written == "abc");
  CHECK(ends.below_b->written.empty());
  sent = co_await ends.a->write(buffer("d"));
  CHECK((!sent && sent.error() == trouble));
  const read_result got = co_await ends.b->read();
  CHECK((got && got->text() == "abc"));
  // Three bytes are all that fit.
  writing waits;
  task_scope scope;
  coflow::laws::start(scope, coflow::laws::write_once(&*ends.b, buffer("four"), &waits));
  co_await turns(5);
  CHECK_FALSE(waits.done);
}

// The first end greets, the second one answers.
task<result<bare>> greet(probe_flow inner, layer_end end) {
  if (end == layer_end::first) {
    const result<void> sent = co_await inner.write(buffer("hello"));
    if (!sent) co_return sent.error();
  }
  const read_result got = co_await inner.read();
  if (!got) co_return got.failed() ? got.error() : make_error_code(coflow::error::truncated);
  if (end == layer_end::second) {
    const result<void> sent = co_await inner.write(buffer("hi"));
    if (!sent) co_return sent.error();
  }
  co_return bare(std::move(inner));
}

task<> connect_by_awaiting() {
  auto wrap = &greet;
  layer_run_of<decltype(wrap)> run(wrap, 1s, false);
  CHECK_FALSE(run.codec());
  layer_ends ends;
  co_await run.connect(layer_plan(), &ends);
  CHECK(ends.made());
  const coflow::laws::bytes_below count = co_await coflow::laws::bytes_of_handshake(&run);
  CHECK(count.to_a == 2);
  CHECK(count.to_b == 5);
}
task<> fail_to_connect() {
  auto wrap = &greet;
  layer_run_of<decltype(wrap)> run(wrap, 1s, false);
  layer_plan plan;
  plan.second(fault_plan().fail_read(1, trouble));
  layer_ends ends;
  co_await run.connect(plan, &ends);
  CHECK_FALSE(ends.made());
  CHECK(ends.b_failed == trouble);
  CHECK(ends.below_b->let_go());
  // The other one hears of the end, and says so in its own words.
  CHECK(ends.a_failed == coflow::error::truncated);
  CHECK(ends.below_a->let_go());
  plan.first(fault_plan().fail_read(1, trouble));
  layer_ends others;
  const bool made = co_await coflow::laws::connected(&run, plan, &others);
  CHECK_FALSE(made);
  CHECK(others.a_failed == trouble);
}

}  // namespace

TEST_CASE("two layers are made around a connection that keeps to a plan", "[layer_run]") { drive(connect_plain()); }

TEST_CASE("layers are made at both ends at once, by awaiting", "[layer_run]") { drive(connect_by_awaiting()); }

TEST_CASE("a layer that cannot be made says why", "[layer_run]") {
  const report found = checked(fail_to_connect());
  REQUIRE(found.findings().size() == 1);
  CHECK(found.findings().front().happened == coflow::laws::in_words(trouble));
}

// ---- small steps

namespace {

task<> wait_within() {
  const coflow::executor& on = *coflow::executor::current();
  const auto began = on.now();
  const bool at_once = co_await coflow::laws::within(1s, [] { return true; });
  CHECK(at_once);
  CHECK(on.now() == began);
  const bool in_time = co_await coflow::laws::within(1s, [&on, began] { return on.now() - began >= 500ms; });
  CHECK(in_time);
  const auto later = on.now();
  const bool too_late = co_await coflow::laws::within(1s, [] { return false; });
  CHECK_FALSE(too_late);
  CHECK(on.now() - later > 1s);
  CHECK(on.now() - later < 1100ms);
}

task<> write_several() {
  auto wrap = [](probe_flow inner) { return bare(std::move(inner)); };
  layer_run_of<decltype(wrap)> run(wrap, 1s, false);
  layer_ends ends;
  co_await run.connect(layer_plan().second(fault_plan().fail_write(3, trouble)), &ends);
  writing first;
  writing second;
  const std::vector<std::string> three = {"a", "bc", "def"};
  co_await coflow::laws::write_all(&*ends.a, three, &first);
  CHECK(first.done);
  CHECK(first.sent);
  CHECK(ends.below_a->written == "abcdef");
  const std::vector<std::string> four = {"a", "bc", "def", "g"};
  co_await coflow::laws::write_all(&*ends.b, four, &second);
  CHECK(second.done);
  CHECK((!second.sent && second.sent.error() == trouble));
  CHECK(ends.below_b->written == "abc");
}

}  // namespace

TEST_CASE("a layer has so long and no longer", "[layer_run]") { drive(wait_within()); }

TEST_CASE("texts are written one after another, up to the first error", "[layer_run]") { drive(write_several()); }
