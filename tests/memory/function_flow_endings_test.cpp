// How a function_flow ends: its shutdown and its close, what ends with them, and the end of its executor.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/plant.hpp"

namespace {

using coflow::buffer;
using coflow::function_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::close_once;
using support::expect;
using support::flow_of;
using support::gate;
using support::ignore;
using support::no_data;
using support::plant;
using support::plant_flow;
using support::read_once;
using support::reading;
using support::shutdown_once;
using support::start;
using support::turns;
using support::write_once;
using support::writing;
using support::yield_turn;

// ---- shutdown and close

task<> shutdown_calls_after_the_writes() {
  plant of;
  gate writes;
  of.writing = &writes;
  plant_flow flow = flow_of(&of);
  writing sent[2];
  bool shut = false;
  task_scope scope;
  start(scope, write_once(&flow, buffer("1"), &sent[0]));
  start(scope, write_once(&flow, buffer("2"), &sent[1]));
  co_await turns(2);
  start(scope, shutdown_once(&flow, shutdown_mode::read_write, &shut));
  co_await turns(2);
  expect(!shut, "the shutdown waits for the writes");
  expect(of.log == std::vector<std::string>{"shut read after "}, "the read half needs no wait");
  const result<void> late = co_await flow.write(buffer("3"));
  support::expect_error(late, coflow::error::closed);
  writes.open();
  co_await turns(6);
  expect(shut, "the shutdown ends with the writes");
  co_await flow.shutdown(shutdown_mode::read_write);
  expect(of.log == std::vector<std::string>{"shut read after ", "shut write after 12"}, "each half is shut once");
  const read_result end = co_await flow.read();
  support::expect_eof(end);
}
TEST_CASE("the shutdown callable is called once a half and after all writes", "[function_flow_endings]") {
  support::drive(shutdown_calls_after_the_writes());
}

task<> wait_then_note(gate* at, int* into) {
  co_await at->pass();
  ++*into;
}
task<> slow_ends_are_waited_for(bool stopped) {
  gate shutting;
  gate closing;
  int shut = 0;
  int closed = 0;
  const auto shutdown = [&](shutdown_mode) { return wait_then_note(&shutting, &shut); };
  const auto close = [&] { return wait_then_note(&closing, &closed); };
  function_flow flow(&no_data, &ignore, shutdown, close);
  bool shut_done = false;
  bool closed_done[2] = {false, false};
  task_scope scope;
  start(scope, shutdown_once(&flow, shutdown_mode::write, &shut_done));
  co_await turns(3);
  expect(!shut_done, "the shutdown waits for its callable");
  const result<void> late = co_await flow.write(buffer("x"));
  support::expect_error(late, coflow::error::closed);
  shutting.open();
  co_await turns(3);
  expect(shut_done && shut == 1, "the shutdown ends with its callable");
  start(scope, close_once(&flow, &closed_done[0]));
  start(scope, close_once(&flow, &closed_done[1]));
  co_await turns(3);
  expect(!closed_done[0] && closed == 0, "the close waits for its callable");
  const read_result got = co_await flow.read();
  support::expect_error(got, coflow::error::closed);
  if (stopped) {
    scope.cancel();
    co_await turns(3);
    expect(closed_done[0] && closed_done[1], "a stop ends the wait");
    expect(closed == 0, "and not the closing");
  }
  closing.open();
  co_await turns(3);
  expect(closed_done[0] && closed_done[1], "the close ends with its callable");
  expect(closed == 1, "it is closed once");
}
TEST_CASE("a shutdown and a close wait for what their callables give", "[function_flow_endings]") {
  SECTION("to the end") { support::drive(slow_ends_are_waited_for(false)); }
  SECTION("until a stop") { support::drive(slow_ends_are_waited_for(true)); }
}

TEST_CASE("the close callable is called exactly once", "[function_flow_endings]") {
  support::manual_executor on;
  plant of;
  SECTION("by close, and not again") {
    std::optional<plant_flow> flow(flow_of(&of));
    bool done = false;
    support::drive(on, close_once(&*flow, &done));
    support::drive(on, close_once(&*flow, &done));
    CHECK(done);
    flow.reset();
  }
  SECTION("by destruction") {
    const plant_flow flow = flow_of(&of);
    CHECK(of.log.empty());
  }
  SECTION("by the flow that was moved to") {
    plant_flow first = flow_of(&of);
    const plant_flow second(std::move(first));
    CHECK(of.log.empty());
  }
  CHECK(of.log == std::vector<std::string>{"close"});
}

task<> close_ends_what_waits() {
  plant of;
  gate reads;
  gate writes;
  of.reading = &reads;
  of.writing = &writes;
  plant_flow flow = flow_of(&of);
  reading got[2];
  writing sent[2];
  bool shut = false;
  task_scope scope;
  for (reading& one : got) start(scope, read_once(&flow, &one));
  for (writing& one : sent) start(scope, write_once(&flow, buffer("x"), &one));
  co_await turns(2);
  start(scope, shutdown_once(&flow, shutdown_mode::write, &shut));
  co_await turns(2);
  expect(of.under_way == 2, "both calls are under way");
  co_await flow.close();
  expect(!got[0].done && !sent[0].done && !shut, "nobody is resumed inline");
  co_await yield_turn();
  for (const reading& one : got) support::expect_error(one.got, coflow::error::closed);
  for (const writing& one : sent) support::expect_error(one.sent, coflow::error::closed);
  expect(got[0].done && got[1].done && sent[0].done && sent[1].done && shut, "all end within a turn");
  expect(of.under_way == 0, "the calls' coroutines are destroyed");
  support::expect_same(of.sent, "");
}
TEST_CASE("closing a function_flow ends what waits although its calls do not end", "[function_flow_endings]") {
  support::drive(close_ends_what_waits());
}

task<> destruction_ends_the_calls() {
  plant of;
  gate reads;
  gate writes;
  of.reading = &reads;
  of.writing = &writes;
  std::optional<plant_flow> flow(flow_of(&of));
  reading got;
  writing sent;
  task_scope scope;
  start(scope, read_once(&*flow, &got));
  start(scope, write_once(&*flow, buffer("x"), &sent));
  co_await turns(2);
  std::optional<plant_flow> moved(std::move(*flow));
  flow.reset();
  expect(of.under_way == 2, "moving changes nothing");
  moved.reset();
  expect(of.under_way == 0, "the calls go with the flow");
  expect(!got.done, "nobody is resumed inline");
  co_await turns(1);
  support::expect_error(got.got, coflow::error::closed);
  support::expect_error(sent.sent, coflow::error::closed);
}
TEST_CASE("destroying a function_flow destroys its calls at once", "[function_flow_endings]") {
  support::drive(destruction_ends_the_calls());
}

// ---- executors

TEST_CASE("a function_flow is closed, and its call destroyed, when its executor goes", "[function_flow_endings]") {
  plant of;
  plant_flow flow = flow_of(&of);
  reading got;
  gate reads;
  of.reading = &reads;
  {
    support::manual_executor on;
    auto reader = support::job<void>::of(read_once(&flow, &got));
    reader.start(on);
    on.run_until_idle();
    CHECK(of.under_way == 1);
    on.finish();
    CHECK(reader.ended());
    CHECK(got.got.error() == coflow::error::closed);
    CHECK(of.under_way == 0);
  }
  CHECK(of.log == std::vector<std::string>{"close"});
}

}  // namespace
