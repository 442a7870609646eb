// How a function_flow calls: one at a time, and what a stop means to a call that is under way.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
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
using support::writev_once;
using support::writing;
using support::yield_turn;

// ---- the calls

task<> one_call_at_a_time() {
  plant of;
  gate reads;
  gate writes;
  of.reading = &reads;
  of.writing = &writes;
  plant_flow flow = flow_of(&of);
  reading got[3];
  writing sent[3];
  task_scope scope;
  for (reading& one : got) start(scope, read_once(&flow, &one));
  start(scope, write_once(&flow, buffer("1"), &sent[0]));
  start(scope, write_once(&flow, buffer("2"), &sent[1]));
  start(scope, write_once(&flow, buffer("3"), &sent[2]));
  co_await turns(3);
  expect(of.reads == 1 && of.writes == 1, "each callable is called once at a time");
  reads.open();
  writes.open();
  co_await turns(20);
  expect(of.reads == 3 && of.writes == 3, "one call for each");
  for (int i = 0; i < 3; ++i) {
    support::expect_data(got[i].got, "data " + std::to_string(i + 1));
    support::expect_success(sent[i].sent);
  }
  support::expect_same(of.sent, "123");
}
TEST_CASE("a callable is called once at a time and those who wait are served in order", "[function_flow_calls]") {
  support::drive(one_call_at_a_time());
}

task<> writev_goes_piece_by_piece() {
  std::vector<std::string> pieces;
  const auto write = [&pieces](buffer bytes) { pieces.emplace_back(bytes.text()); };
  function_flow flow(&no_data, write);
  std::vector<buffer> list;
  list.emplace_back();
  list.emplace_back("one");
  list.emplace_back();
  list.emplace_back("two");
  const result<void> sent = co_await flow.writev(list);
  support::expect_success(sent);
  expect(pieces == std::vector<std::string>{"one", "two"}, "no empty buffer is handed over");
  const result<void> nothing = co_await flow.write(buffer());
  support::expect_success(nothing);
  expect(pieces.size() == 2, "and for writing nothing none is called");
}
TEST_CASE("a writev is handed over piece by piece and without its empty ones", "[function_flow_calls]") {
  support::drive(writev_goes_piece_by_piece());
}

task<> empty_data_is_skipped() {
  int calls = 0;
  const auto read = [&calls]() -> read_result {
    if (++calls < 10'000) return buffer();
    return buffer("at last");
  };
  function_flow flow(read, &ignore);
  reading got;
  task_scope scope;
  start(scope, read_once(&flow, &got));
  co_await yield_turn();
  co_await yield_turn();
  expect(!got.done && calls < 1000, "others run meanwhile");
  co_await turns(1000);
  support::expect_data(got.got, "at last");
}
task<read_result> empty_then_data(int* calls) {
  co_await yield_turn();
  if (++*calls < 5) co_return buffer();
  co_return buffer("at last");
}
task<> empty_data_of_tasks_is_skipped() {
  int calls = 0;
  const auto read = [&calls] { return empty_then_data(&calls); };
  function_flow flow(read, &ignore);
  const read_result got = co_await flow.read();
  support::expect_data(got, "at last");
  expect(calls == 5, "it is called as often as it takes");
}
TEST_CASE("a function_flow skips empty data without holding others up", "[function_flow_calls]") {
  SECTION("at once") { support::drive(empty_data_is_skipped()); }
  SECTION("later") { support::drive(empty_data_of_tasks_is_skipped()); }
}

// ---- cancellation

task<> a_cancelled_read_loses_nothing(bool destroy) {
  plant of;
  gate reads;
  of.reading = &reads;
  plant_flow flow = flow_of(&of);
  {
    reading first;
    task_scope scope;
    start(scope, read_once(&flow, &first));
    co_await turns(2);
    expect(of.reads == 1, "the call is under way");
    if (!destroy) {
      scope.cancel();
      co_await turns(2);
      support::expect_error(first.got, coflow::canceled());
    }
  }
  expect(of.under_way == 1, "the call goes on");
  reads.open();
  co_await turns(2);
  const read_result got = co_await flow.read();
  support::expect_data(got, "data 1");
  const read_result next = co_await flow.read();
  support::expect_data(next, "data 2");
}
TEST_CASE("a cancelled read leaves what its call gives to the next one", "[function_flow_calls]") {
  SECTION("stopped") { support::drive(a_cancelled_read_loses_nothing(false)); }
  SECTION("destroyed") { support::drive(a_cancelled_read_loses_nothing(true)); }
}

task<> a_call_decides_what_a_stop_means(bool gives_in, bool destroy) {
  plant of;
  gate writes;
  of.writing = &writes;
  of.gives_in = gives_in;
  plant_flow flow = flow_of(&of);
  writing next;
  task_scope scope;
  {
    writing first;
    task_scope leaving;
    start(leaving, write_once(&flow, buffer("first"), &first));
    start(scope, write_once(&flow, buffer("next"), &next));
    co_await turns(2);
    expect(of.writes == 1, "the call is under way");
    if (!destroy) {
      leaving.cancel();
      of.gives_in = false;
      co_await turns(4);
      if (gives_in) {
        support::expect_error(first.sent, coflow::canceled());
      } else {
        expect(!first.done, "what has been handed over is waited for");
        writes.open();
        co_await turns(4);
        support::expect_success(first.sent);
      }
    }
  }
  of.gives_in = false;
  writes.open();
  co_await turns(5);
  expect(next.done, "the half is not torn");
  support::expect_success(next.sent);
  support::expect_same(of.sent, gives_in ? "next" : "firstnext");
}
TEST_CASE("a write that is under way ends as its call says when it is told to stop", "[function_flow_calls]") {
  SECTION("it gives in") { support::drive(a_call_decides_what_a_stop_means(true, false)); }
  SECTION("it goes through") { support::drive(a_call_decides_what_a_stop_means(false, false)); }
  SECTION("it gives in to nobody") { support::drive(a_call_decides_what_a_stop_means(true, true)); }
  SECTION("it goes through for nobody") { support::drive(a_call_decides_what_a_stop_means(false, true)); }
}

enum class tear { first_piece_gives_in, between_pieces, second_piece_gives_in, destroyed };
task<> a_writev_is_torn_between_pieces(tear how) {
  plant of;
  gate writes;
  of.writing = &writes;
  plant_flow flow = flow_of(&of);
  std::vector<buffer> list;
  list.emplace_back("first");
  list.emplace_back("second");
  of.gives_in = how == tear::first_piece_gives_in;
  {
    writing torn;
    task_scope leaving;
    start(leaving, writev_once(&flow, list, &torn));
    co_await turns(2);
    if (how == tear::second_piece_gives_in) {
      of.gives_in = true;
      writes.open();
      co_await turns(3);
      expect(of.writes == 2, "the second piece is under way");
    }
    if (how != tear::destroyed) {
      leaving.cancel();
      co_await turns(2);
      of.gives_in = false;
      writes.open();
      co_await turns(3);
      support::expect_error(torn.sent, coflow::canceled());
    }
  }
  of.gives_in = false;
  writes.open();
  co_await turns(3);
  const result<void> sent = co_await flow.write(buffer("next"));
  if (how == tear::first_piece_gives_in) {
    support::expect_success(sent);
    support::expect_same(of.sent, "next");
    support::expect_same(list[0].text(), "first");
  } else {
    support::expect_error(sent, coflow::error::torn_write);
    support::expect_same(of.sent, "first");
  }
  if (how != tear::destroyed && how != tear::first_piece_gives_in) expect(list[0].empty(), "what was accepted is gone");
  support::expect_same(list[1].text(), "second");
  co_await flow.shutdown(shutdown_mode::write);
  expect(of.log.size() == (how == tear::first_piece_gives_in ? 1U : 0U), "a torn write has no clean end");
}
TEST_CASE("a writev is torn only between pieces that are out and pieces that are not", "[function_flow_calls]") {
  SECTION("nothing is out") { support::drive(a_writev_is_torn_between_pieces(tear::first_piece_gives_in)); }
  SECTION("between the pieces") { support::drive(a_writev_is_torn_between_pieces(tear::between_pieces)); }
  SECTION("the second gives in") { support::drive(a_writev_is_torn_between_pieces(tear::second_piece_gives_in)); }
  SECTION("its coroutine is gone") { support::drive(a_writev_is_torn_between_pieces(tear::destroyed)); }
}

task<> a_lost_rest_has_no_clean_end() {
  plant of;
  gate writes;
  of.writing = &writes;
  plant_flow flow = flow_of(&of);
  std::vector<buffer> list;
  list.emplace_back("first");
  list.emplace_back("second");
  bool shut = false;
  task_scope scope;
  {
    writing lost;
    task_scope leaving;
    start(leaving, writev_once(&flow, list, &lost));
    co_await turns(2);
    start(scope, shutdown_once(&flow, shutdown_mode::write, &shut));
    co_await turns(2);
  }
  expect(!shut, "the shutdown waits for the call");
  writes.open();
  co_await turns(4);
  support::expect_same(of.sent, "first");
  expect(shut, "the shutdown ends with it");
  co_await flow.shutdown(shutdown_mode::read);
  co_await turns(2);
  expect(of.log == std::vector<std::string>{"shut read after first"}, "no end is signalled after a part");
}
TEST_CASE("a writev that is lost after its first piece has no clean end", "[function_flow_calls]") {
  support::drive(a_lost_rest_has_no_clean_end());
}

}  // namespace
