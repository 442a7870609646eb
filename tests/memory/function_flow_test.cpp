// What function_flow promises: callables move bytes, and the class keeps the contract whatever they do.
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::function_flow;
using coflow::no_function;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::close_once;
using support::expect;
using support::gate;
using support::read_once;
using support::reading;
using support::shutdown_once;
using support::start;
using support::turns;
using support::write_once;
using support::writev_once;
using support::writing;
using support::yield_turn;
using namespace std::chrono_literals;

template <class Read, class Write>
void keeps_its_shape(const function_flow<Read, Write>&) {
  static_assert(coflow::check_flow_shape<function_flow<Read, Write>>());
  static_assert(coflow::SystemFlow<function_flow<Read, Write>>);
}

// ---- what callables may give

read_result no_data() { return coflow::end_of_stream; }
void ignore(buffer) {}

template <class Read>
task<> reads_then(Read read, std::string data, read_result last) {
  function_flow flow(std::move(read), &ignore);
  keeps_its_shape(flow);
  const read_result got = co_await flow.read();
  support::expect_data(got, data);
  for (int i = 0; i < 2; ++i) {
    const read_result end = co_await flow.read();
    if (last.eof())
      support::expect_eof(end);
    else
      support::expect_error(end, last.error());
  }
}

task<read_result> data_later(int count) {
  co_await yield_turn();
  if (count == 1) co_return buffer("data");
  co_return coflow::end_of_stream;
}
task<std::optional<std::string>> text_later(int count) {
  co_await yield_turn();
  if (count == 1) co_return "data";
  co_return std::nullopt;
}

TEST_CASE("a read callable may give data in many ways", "[function_flow]") {
  int calls = 0;
  const std::error_code trouble = std::make_error_code(std::errc::io_error);
  SECTION("a read_result") {
    const auto read = [&]() -> read_result {
      if (++calls == 1) return buffer("data");
      return coflow::end_of_stream;
    };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
    CHECK(calls == 2);
  }
  SECTION("a read_result with an error") {
    const auto read = [&]() -> read_result {
      if (++calls == 1) return buffer("data");
      return trouble;
    };
    support::drive(reads_then(read, "data", trouble));
    CHECK(calls == 2);
  }
  SECTION("an optional buffer") {
    const auto read = [&]() -> std::optional<buffer> {
      if (++calls == 1) return buffer("data");
      return std::nullopt;
    };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
  }
  SECTION("an optional string") {
    const auto read = [&]() -> std::optional<std::string> {
      if (++calls == 1) return "data";
      return std::nullopt;
    };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
  }
  SECTION("a result of a buffer") {
    const auto read = [&]() -> result<buffer> {
      if (++calls == 1) return buffer("data");
      return trouble;
    };
    support::drive(reads_then(read, "data", trouble));
  }
  SECTION("a task of a read_result") {
    const auto read = [&] { return data_later(++calls); };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
    CHECK(calls == 2);
  }
  SECTION("a task of an optional string") {
    const auto read = [&] { return text_later(++calls); };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
  }
  SECTION("an exception of the system's") {
    const auto read = [&]() -> buffer {
      if (++calls == 1) return buffer("data");
      throw std::system_error(trouble);
    };
    support::drive(reads_then(read, "data", trouble));
  }
  SECTION("no memory") {
    const auto read = [&]() -> std::string {
      if (++calls == 1) return "data";
      throw std::bad_alloc();
    };
    support::drive(reads_then(read, "data", std::make_error_code(std::errc::not_enough_memory)));
  }
  SECTION("another exception") {
    const auto read = [&]() -> task<read_result> {
      if (++calls == 1) return data_later(1);
      throw std::runtime_error("no");
    };
    support::drive(reads_then(read, "data", trouble));
  }
  SECTION("a cancellation that nobody asked for") {
    const auto read = [&]() -> read_result {
      if (++calls == 1) return buffer("data");
      return coflow::canceled();
    };
    support::drive(reads_then(read, "data", make_error_code(coflow::error::closed)));
  }
}

template <class Write>
task<> writes_twice(Write write, std::error_code second) {
  function_flow flow(&no_data, std::move(write));
  const result<void> first = co_await flow.write(buffer("one"));
  support::expect_success(first);
  for (int i = 0; i < 2; ++i) {
    const result<void> sent = co_await flow.write(buffer("two"));
    if (second)
      support::expect_error(sent, second);
    else
      support::expect_success(sent);
  }
}
task<result<void>> write_later(std::string* into, buffer bytes) {
  co_await yield_turn();
  *into += bytes.text();
  co_return coflow::success;
}
task<> write_and_say_nothing(std::string* into, buffer bytes) {
  co_await yield_turn();
  *into += bytes.text();
}
task<result<void>> throw_later() {
  co_await yield_turn();
  throw std::system_error(std::make_error_code(std::errc::io_error));
}

TEST_CASE("a write callable may give its outcome in many ways", "[function_flow]") {
  int calls = 0;
  std::string all;
  const std::error_code trouble = std::make_error_code(std::errc::io_error);
  SECTION("nothing") {
    const auto write = [&](const buffer& bytes) { all += bytes.text(); };
    support::drive(writes_twice(write, {}));
    CHECK(all == "onetwotwo");
  }
  SECTION("a result") {
    const auto write = [&](buffer) -> result<void> {
      if (++calls == 1) return coflow::success;
      return trouble;
    };
    support::drive(writes_twice(write, trouble));
    CHECK(calls == 2);
  }
  SECTION("an error code") {
    const auto write = [&](buffer) { return ++calls == 1 ? std::error_code() : trouble; };
    support::drive(writes_twice(write, trouble));
  }
  SECTION("a task of a result") {
    const auto write = [&](buffer bytes) { return write_later(&all, std::move(bytes)); };
    support::drive(writes_twice(write, {}));
    CHECK(all == "onetwotwo");
  }
  SECTION("a task of nothing") {
    const auto write = [&](buffer bytes) { return write_and_say_nothing(&all, std::move(bytes)); };
    support::drive(writes_twice(write, {}));
    CHECK(all == "onetwotwo");
  }
  SECTION("an exception at once") {
    const auto write = [&](buffer) {
      if (++calls != 1) throw std::runtime_error("no");
    };
    support::drive(writes_twice(write, trouble));
  }
  SECTION("an exception later") {
    const auto write = [&](buffer bytes) -> task<result<void>> {
      return ++calls == 1 ? write_later(&all, std::move(bytes)) : throw_later();
    };
    support::drive(writes_twice(write, trouble));
  }
  SECTION("a cancellation that nobody asked for") {
    const auto write = [&](buffer) -> result<void> {
      if (++calls == 1) return coflow::success;
      return coflow::canceled();
    };
    support::drive(writes_twice(write, make_error_code(coflow::error::closed)));
  }
}

// ---- a source and a sink that the test opens and shuts

struct plant {
  gate* reading = nullptr;
  gate* writing = nullptr;
  int reads = 0;
  int writes = 0;
  int under_way = 0;
  std::string sent;
  std::vector<std::string> log;
  bool gives_in = false;  // a write that is told to stop gives operation_canceled
};
class presence {
 public:
  explicit presence(plant* of) noexcept : plant_(of) { ++plant_->under_way; }
  presence(const presence&) = delete;
  presence& operator=(const presence&) = delete;
  ~presence() { --plant_->under_way; }

 private:
  plant* plant_;
};
task<read_result> read_plant(plant* of) {
  const presence here(of);
  const int number = ++of->reads;
  if (of->reading != nullptr) co_await of->reading->pass();
  co_return buffer("data " + std::to_string(number));
}
task<result<void>> write_plant(plant* of, buffer bytes) {
  const presence here(of);
  ++of->writes;
  if (of->gives_in) {
    const result<void> slept = co_await coflow::sleep_for(1h);
    if (!slept) co_return slept.error();
  }
  if (of->writing != nullptr) co_await of->writing->pass();
  of->sent += bytes.text();
  co_return coflow::success;
}

class plant_reader {
 public:
  explicit plant_reader(plant* of) noexcept : plant_(of) {}
  task<read_result> operator()() const { return read_plant(plant_); }

 private:
  plant* plant_;
};
class plant_writer {
 public:
  explicit plant_writer(plant* of) noexcept : plant_(of) {}
  task<result<void>> operator()(buffer bytes) const { return write_plant(plant_, std::move(bytes)); }

 private:
  plant* plant_;
};
class plant_shutdown {
 public:
  explicit plant_shutdown(plant* of) noexcept : plant_(of) {}
  void operator()(shutdown_mode mode) const {
    plant_->log.push_back((mode == shutdown_mode::read ? "shut read after " : "shut write after ") + plant_->sent);
  }

 private:
  plant* plant_;
};
class plant_close {
 public:
  explicit plant_close(plant* of) noexcept : plant_(of) {}
  void operator()() const { plant_->log.emplace_back("close"); }

 private:
  plant* plant_;
};
using plant_flow = function_flow<plant_reader, plant_writer, plant_shutdown, plant_close>;
plant_flow flow_of(plant* of) {
  return plant_flow(plant_reader(of), plant_writer(of), plant_shutdown(of), plant_close(of));
}

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
TEST_CASE("a callable is called once at a time and those who wait are served in order", "[function_flow]") {
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
TEST_CASE("a writev is handed over piece by piece and without its empty ones", "[function_flow]") {
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
TEST_CASE("a function_flow skips empty data without holding others up", "[function_flow]") {
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
TEST_CASE("a cancelled read leaves what its call gives to the next one", "[function_flow]") {
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
TEST_CASE("a write that is under way ends as its call says when it is told to stop", "[function_flow]") {
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
TEST_CASE("a writev is torn only between pieces that are out and pieces that are not", "[function_flow]") {
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
TEST_CASE("a writev that is lost after its first piece has no clean end", "[function_flow]") {
  support::drive(a_lost_rest_has_no_clean_end());
}

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
TEST_CASE("the shutdown callable is called once a half and after all writes", "[function_flow]") {
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
TEST_CASE("a shutdown and a close wait for what their callables give", "[function_flow]") {
  SECTION("to the end") { support::drive(slow_ends_are_waited_for(false)); }
  SECTION("until a stop") { support::drive(slow_ends_are_waited_for(true)); }
}

TEST_CASE("the close callable is called exactly once", "[function_flow]") {
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
TEST_CASE("closing a function_flow ends what waits although its calls do not end", "[function_flow]") {
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
TEST_CASE("destroying a function_flow destroys its calls at once", "[function_flow]") {
  support::drive(destruction_ends_the_calls());
}

// ---- callables that turn on their flow

struct hooks {
  void (*at_read)(hooks&) = nullptr;
  void (*at_write)(hooks&) = nullptr;
  bool later = false;
  int calls = 0;
  struct read_hook;
  struct write_hook;
  std::unique_ptr<function_flow<read_hook, write_hook>> flow;
  std::optional<support::job<void>> victim;
};
struct hooks::read_hook {
  hooks* of;
  task<read_result> operator()() const { return run(of); }
  static task<read_result> run(hooks* of) {
    if (of->later) co_await yield_turn();
    ++of->calls;
    if (of->at_read != nullptr) of->at_read(*of);
    co_return buffer("data");
  }
};
struct hooks::write_hook {
  hooks* of;
  task<result<void>> operator()(buffer) const { return run(of); }
  static task<result<void>> run(hooks* of) {
    if (of->later) co_await yield_turn();
    ++of->calls;
    if (of->at_write != nullptr) of->at_write(*of);
    co_return coflow::success;
  }
};
void make(hooks& of) {
  of.flow = std::make_unique<function_flow<hooks::read_hook, hooks::write_hook>>(hooks::read_hook{&of},
                                                                                 hooks::write_hook{&of});
}
task<> close_it(hooks* of) { co_await of->flow->close(); }

// A close from inside a call, by a coroutine of its own.
void run_close(hooks& of) {
  auto closer = support::job<void>::of(close_it(&of));
  closer.started().run();
  expect(closer.ended(), "a close does not wait");
}

task<> a_call_closes_the_flow(bool later, bool waited) {
  hooks of;
  of.later = later;
  of.at_read = &run_close;
  of.at_write = &run_close;
  make(of);
  reading got[2];
  task_scope scope;
  if (waited) {
    // The first read is told to try again in a turn of its own, and calls then.
    for (int i = 0; i < 64; ++i) static_cast<void>(coflow::executor::current()->take_turn());
    auto first = support::job<void>::of(read_once(&*of.flow, &got[0]));
    first.started().run();
    expect(of.calls == 0, "the read waits for its turn");
    co_await turns(4);
    expect(first.ended(), "the read ends");
  } else {
    start(scope, read_once(&*of.flow, &got[0]));
  }
  start(scope, read_once(&*of.flow, &got[1]));
  co_await turns(6);
  expect(got[0].done && got[1].done, "the reads end");
  support::expect_error(got[0].got, coflow::error::closed);
  support::expect_error(got[1].got, coflow::error::closed);
  expect(of.calls == 1, "nothing is called after the close");
}
task<> a_writing_call_closes_the_flow(bool later, bool waited) {
  hooks of;
  of.later = later;
  of.at_write = &run_close;
  make(of);
  writing sent[2];
  task_scope scope;
  if (waited) {
    for (int i = 0; i < 64; ++i) static_cast<void>(coflow::executor::current()->take_turn());
    auto first = support::job<void>::of(write_once(&*of.flow, buffer("x"), &sent[0]));
    first.started().run();
    expect(of.calls == 0, "the write waits for its turn");
    co_await turns(4);
    expect(first.ended(), "the write ends");
  } else {
    start(scope, write_once(&*of.flow, buffer("x"), &sent[0]));
  }
  start(scope, write_once(&*of.flow, buffer("y"), &sent[1]));
  co_await turns(6);
  expect(sent[0].done && sent[1].done, "the writes end");
  support::expect_error(sent[0].sent, coflow::error::closed);
  support::expect_error(sent[1].sent, coflow::error::closed);
}
TEST_CASE("a callable may close its flow", "[function_flow]") {
  SECTION("reading, at once") { support::drive(a_call_closes_the_flow(false, false)); }
  SECTION("reading, at once, for a read that has waited") { support::drive(a_call_closes_the_flow(false, true)); }
  SECTION("reading, later") { support::drive(a_call_closes_the_flow(true, false)); }
  SECTION("writing, at once") { support::drive(a_writing_call_closes_the_flow(false, false)); }
  SECTION("writing, at once, for a write that has waited") {
    support::drive(a_writing_call_closes_the_flow(false, true));
  }
  SECTION("writing, later") { support::drive(a_writing_call_closes_the_flow(true, false)); }
}

void destroy_flow(hooks& of) { of.flow.reset(); }
task<> a_call_destroys_the_flow(bool write) {
  hooks of;
  of.at_read = &destroy_flow;
  of.at_write = &destroy_flow;
  make(of);
  if (write) {
    const result<void> sent = co_await of.flow->write(buffer("x"));
    support::expect_error(sent, coflow::error::closed);
  } else {
    const read_result got = co_await of.flow->read();
    support::expect_error(got, coflow::error::closed);
  }
  expect(of.flow == nullptr, "the flow is gone");
  co_await turns(2);
}
TEST_CASE("a callable may destroy its flow while it is being called", "[function_flow]") {
  SECTION("reading") { support::drive(a_call_destroys_the_flow(false)); }
  SECTION("writing") { support::drive(a_call_destroys_the_flow(true)); }
}

task<> a_closing_call_destroys_the_flow() {
  int calls = 0;
  struct closer {
    void operator()() const {
      ++*calls;
      drop(owner);
    }
    int* calls;
    void* owner;
    void (*drop)(void*);
  };
  using flow_type = function_flow<decltype(&no_data), decltype(&ignore), no_function, closer>;
  std::unique_ptr<flow_type> flow;
  const auto drop = [](void* owner) { static_cast<std::unique_ptr<flow_type>*>(owner)->reset(); };
  const closer close{&calls, &flow, drop};
  flow = std::make_unique<flow_type>(&no_data, &ignore, no_function(), close);
  co_await flow->close();
  expect(flow == nullptr && calls == 1, "the flow is closed once, and gone");
}
TEST_CASE("a callable that closes may destroy its flow", "[function_flow]") {
  support::drive(a_closing_call_destroys_the_flow());
}

// The call of a write that nobody waits for any more ends, and the shutdown that it held up is due.
struct ended_by_shutdown {
  plant of;
  std::unique_ptr<function_flow<plant_reader, plant_writer, void (*)(shutdown_mode), no_function>> flow;
};
ended_by_shutdown* under_test = nullptr;
void destroy_under_test(shutdown_mode) { under_test->flow.reset(); }
task<> a_late_shutdown_call_destroys_the_flow() {
  ended_by_shutdown here;
  under_test = &here;
  gate writes;
  here.of.writing = &writes;
  here.flow = std::make_unique<function_flow<plant_reader, plant_writer, void (*)(shutdown_mode), no_function>>(
      plant_reader(&here.of), plant_writer(&here.of), &destroy_under_test);
  bool shut = false;
  task_scope scope;
  {
    writing lost;
    task_scope leaving;
    start(leaving, write_once(&*here.flow, buffer("x"), &lost));
    co_await turns(2);
    start(scope, shutdown_once(&*here.flow, shutdown_mode::write, &shut));
    co_await turns(2);
  }
  expect(here.flow != nullptr && !shut, "the end waits for the call");
  writes.open();
  co_await turns(4);
  support::expect_same(here.of.sent, "x");
  expect(here.flow == nullptr && shut, "the flow is gone and the shutdown has ended");
  under_test = nullptr;
}
TEST_CASE("a callable that shuts down may destroy its flow", "[function_flow]") {
  support::drive(a_late_shutdown_call_destroys_the_flow());
}

void destroy_victim(hooks& of) {
  if (of.victim) of.victim->destroy();
}
void stop_victim(hooks& of) {
  if (of.victim) of.victim->request_stop();
}
task<> a_call_ends_its_operation(bool write, bool stop) {
  hooks of;
  of.at_read = stop ? &stop_victim : &destroy_victim;
  of.at_write = of.at_read;
  make(of);
  reading got;
  writing sent;
  for (int i = 0; i < 64; ++i) static_cast<void>(coflow::executor::current()->take_turn());
  task<> body = write ? write_once(&*of.flow, buffer("x"), &sent) : read_once(&*of.flow, &got);
  of.victim.emplace(support::job<void>::of(std::move(body)));
  of.victim->started().run();
  expect(of.calls == 0, "the operation waits for its turn");
  co_await turns(4);
  expect(of.calls == 1, "it was called");
  if (stop && write) support::expect_success(sent.sent);  // it has gone through
  if (stop && !write) support::expect_error(got.got, coflow::canceled());
  if (!stop) expect(!got.done && !sent.done, "nobody is there to hear");
  of.at_read = nullptr;
  of.at_write = nullptr;
  if (!write) {
    const read_result next = co_await of.flow->read();
    support::expect_data(next, "data");
    expect(of.calls == 1, "what the call gave was kept");
  } else {
    const result<void> next = co_await of.flow->write(buffer("y"));
    support::expect_success(next);
  }
}
TEST_CASE("a callable may end the operation on whose behalf it is called", "[function_flow]") {
  SECTION("destroying a read") { support::drive(a_call_ends_its_operation(false, false)); }
  SECTION("destroying a write") { support::drive(a_call_ends_its_operation(true, false)); }
  SECTION("stopping a read") { support::drive(a_call_ends_its_operation(false, true)); }
  SECTION("stopping a write") { support::drive(a_call_ends_its_operation(true, true)); }
}

// ---- executors

TEST_CASE("a function_flow is closed, and its call destroyed, when its executor goes", "[function_flow]") {
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

// ---- cost

template <class F>
task<int> a_million_reads_and_writes(F* flow) {
  int count = 0;
  for (; count < 1'000'000; ++count) {
    const read_result got = co_await flow->read();
    if (!got) break;
    const result<void> sent = co_await flow->write(buffer("y"));
    if (!sent) break;
  }
  co_return count;
}
task<read_result> data_at_once() { co_return buffer("x"); }
task<result<void>> taken_at_once() { co_return coflow::success; }

TEST_CASE("a million calls that end at once use no stack", "[function_flow]") {
  SECTION("plain") {
    const auto read = [] { return buffer("x"); };
    function_flow flow(read, &ignore);
    CHECK(support::drive(a_million_reads_and_writes(&flow)) == 1'000'000);
  }
  SECTION("tasks") {
    const auto read = [] { return data_at_once(); };
    const auto write = [](buffer) { return taken_at_once(); };
    function_flow flow(read, write);
    CHECK(support::drive(a_million_reads_and_writes(&flow)) == 1'000'000);
  }
}

task<std::uint64_t> allocations_of_calls() {
  const auto read = [] { return data_at_once(); };
  const auto write = [](buffer) { return taken_at_once(); };
  function_flow flow(read, write);
  std::uint64_t before = 0;
  for (int i = 0; i < 1100; ++i) {
    if (i == 100) before = support::allocation_count();
    const read_result got = co_await flow.read();
    if (!got) break;
    const result<void> sent = co_await flow.write(buffer("y"));
    if (!sent) break;
  }
  const std::uint64_t made = support::allocation_count() - before;
  co_return coflow::detail::pooling ? made : 0;
}
TEST_CASE("an operation of a function_flow allocates nothing", "[function_flow]") {
  if (support::counts_allocations) CHECK(support::drive(allocations_of_calls()) == 0);
}

}  // namespace
