// The outer operations of a codec's flow: sealing is the point of no return (laws X2, X3).
#include <coflow/testing/checked_flow.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "support/codec_ends.hpp"
#include "support/hand_flow.hpp"

namespace {

using namespace codec_ends;

// ---- X2

task<> a_sealed_write_is_a_success(bool destroyed) {
  ends on(16);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, "sealed whole, not yet accepted below", &sent));
    co_await turns(2);
    CHECK(!sent.done);
    if (!destroyed) {
      leaving.cancel();
      co_await turns(2);
      CHECK(sent.done);
      CHECK(sent.to.has_value());
    }
  }
  came<result<void>> next;
  task_scope scope;
  start(scope, write_once(&on.flow, "next", &next));
  co_await turns(2);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame("sealed whole, not yet accepted below") + frame("next"));
  CHECK(next.to.has_value());
}

TEST_CASE("a write that is cancelled when it is sealed whole is a success and goes out", "[codec_block]") {
  drive(a_sealed_write_is_a_success(false));
}

TEST_CASE("a write whose coroutine dies when it is sealed whole goes out all the same", "[codec_block]") {
  drive(a_sealed_write_is_a_success(true));
}

task<> a_torn_write_gets_no_goodbye() {
  ends on(1024);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, std::string(200'000, 't'), &sent));
    co_await turns(3);
    leaving.cancel();
    co_await turns(2);
    CHECK(sent.to.error() == coflow::canceled());
  }
  const result<void> next = co_await on.flow.write(buffer("x"));
  CHECK(next.error() == coflow::error::torn_write);
  co_await on.flow.shutdown(shutdown_mode::write);
  co_await on.flow.close();
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there.size() < 64 * 1024 + 4);
  CHECK(there.find(goodbye, 4) == std::string::npos);
}

TEST_CASE("a write that was cut off in the middle gets no goodbye", "[codec_block]") {
  drive(a_torn_write_gets_no_goodbye());
}

task<> a_torn_write_after_shutdown_read() {
  ends on(1024);
  co_await on.flow.shutdown(shutdown_mode::read);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, std::string(200'000, 't'), &sent));
    co_await turns(3);
    leaving.cancel();
    co_await turns(2);
    CHECK(sent.to.error() == coflow::canceled());
  }
  co_await turns(2);
  const result<void> refused = co_await on.raw.write(buffer("x"));
  CHECK(refused.error() == coflow::condition::disconnected);
}

TEST_CASE("a torn write that ends the last open half lets the layer close the inner flow", "[codec_block]") {
  drive(a_torn_write_after_shutdown_read());
}

task<> a_close_that_waits_and_is_let_go_on(coflow::virtual_executor* on_clock) {
  ends on(16);
  came<result<void>> sent;
  bool closed = false;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(3);
  start(scope, close_once(&on.flow, &closed));
  co_await turns(2);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there.size() == 108);
  CHECK(closed);
  CHECK(!on_clock->advance_to_next_deadline());
}

TEST_CASE("a close that had to wait leaves no timer behind", "[codec_block]") {
  coflow::virtual_executor on;
  coflow::run(on, a_close_that_waits_and_is_let_go_on(&on));
}

task<> a_shutdown_as_the_first_operation() {
  ends on;
  co_await on.flow.shutdown(shutdown_mode::read_write);
  for (int i = 0; i < 3; ++i) {  // the layer waits for the peer's end, for a second, and loses its goodbye to nothing
    const result<void> heard = co_await on.raw.write(buffer("x"));
    CHECK(heard.has_value());
    co_await turns(2);
  }
  co_await on.raw.shutdown(shutdown_mode::write);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == goodbye);
}

TEST_CASE("a flow whose first operation is a shutdown waits for the peer's end like any other", "[codec_block]") {
  drive(a_shutdown_as_the_first_operation());
}

// ---- reading into the caller's memory

static_assert(coflow::ReadIntoFlow<framed>);
static_assert(coflow::ReadIntoFlow<secure>);

template <class F>
task<std::string> into(F* flow, std::size_t size) {
  std::string room(size, '.');
  const coflow::read_into_result got = co_await flow->read_into(std::as_writable_bytes(std::span<char>(room)));
  if (got) CHECK(room.find_first_not_of('.', *got) == std::string::npos);
  if (got.eof()) co_return "eof";
  if (got.failed()) co_return got.error().message();
  room.resize(*got);
  co_return room;
}
template <class F>
task<> into_once(F* flow, std::size_t size, std::string* out) {
  *out = co_await into(flow, size);
}

task<> a_room_splits_what_was_decoded() {
  ends on;
  co_await say(&on.raw, frame("first") + frame("second") + frame("third"));
  std::string got = co_await into(&on.flow, 3);
  CHECK(got == "fir");
  got = co_await into(&on.flow, 4);
  CHECK(got == "stse");
  const read_result rest = co_await on.flow.read();
  REQUIRE(rest.has_data());
  CHECK(rest->text() == "cond");
  got = co_await into(&on.flow, 0);
  CHECK(got.empty());
  co_await say(&on.raw, goodbye);
  got = co_await into(&on.flow, 2);
  CHECK(got == "th");
  got = co_await into(&on.flow, 100);
  CHECK(got == "ird");
  got = co_await into(&on.flow, 100);
  CHECK(got == "eof");
}

TEST_CASE("a room takes what was decoded piece by piece, and loses none", "[codec_block]") {
  drive(a_room_splits_what_was_decoded());
}

task<> a_room_waits_for_a_record(bool truncated) {
  ends on;
  std::string first;
  std::string second;
  task_scope scope;
  start(scope, into_once(&on.flow, 2, &first));
  start(scope, into_once(&on.flow, 100, &second));
  const std::string record = frame("record");
  co_await say(&on.raw, record.substr(0, 3));
  co_await turns(3);
  CHECK(first.empty());  // half a header is nothing
  co_await say(&on.raw, record.substr(3));
  co_await turns(3);
  CHECK(first == "re");
  CHECK(second == "cord");
  co_await say(&on.raw, frame("late"));
  if (truncated) co_await on.raw.close();
  co_await turns(3);
  std::string got = co_await into(&on.flow, 3);
  CHECK(got == "lat");
  if (!truncated) co_await on.flow.shutdown(shutdown_mode::read);
  if (truncated) {
    got = co_await into(&on.flow, 3);
    CHECK(got == "e");
  }
  got = co_await into(&on.flow, 3);
  CHECK(got == (truncated ? make_error_code(coflow::error::truncated).message() : std::string("eof")));
}

TEST_CASE("a room waits for decoded bytes, and what it leaves comes before truncation", "[codec_block]") {
  drive(a_room_waits_for_a_record(true));
}

TEST_CASE("what a room has left of a record is dropped by a shutdown", "[codec_block]") {
  drive(a_room_waits_for_a_record(false));
}

// ---- what happens below, over a flow that is completed by hand

using support::hand;
using support::hand_flow;
using support::plain_codec;
using support::plain_handshake_codec;
using support::plain_orders;
using plain = coflow::codec_flow<plain_codec, hand_flow>;

// Coroutines that no executor runs.
using coflow::laws::foreign;
foreign close_abroad(plain* flow, bool* done) {
  co_await flow->close();
  *done = true;
}
foreign shutdown_abroad(plain* flow, shutdown_mode mode, bool* done) {
  co_await flow->shutdown(mode);
  *done = true;
}

struct by_hand {
  by_hand() : flow(plain_codec(orders), hand_flow(below)) {}
  std::shared_ptr<hand> below = std::make_shared<hand>();
  std::shared_ptr<plain_orders> orders = std::make_shared<plain_orders>();
  plain flow;
};

task<> a_torn_write_is_the_last_thing_open(bool destroyed) {
  by_hand on;
  on.below->writes_wait = true;
  co_await on.flow.shutdown(shutdown_mode::read);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, std::string(200'000, 't'), &sent));
    co_await turns(3);
    CHECK(on.below->closes == 0);
    if (!destroyed) {
      leaving.cancel();
      co_await turns(2);
      CHECK(sent.to.error() == coflow::canceled());
      CHECK(on.below->closes == 1);
    }
  }
  CHECK(on.below->closes == 1);
}

TEST_CASE("a write that is cut off half-way closes the inner flow if nothing else was open", "[codec_block]") {
  drive(a_torn_write_is_the_last_thing_open(false));
  drive(a_torn_write_is_the_last_thing_open(true));
}

task<> a_refused_write_is_the_last_thing_open() {
  by_hand on;
  co_await on.flow.shutdown(shutdown_mode::read);
  on.orders->refusal = std::make_error_code(std::errc::message_size);
  const result<void> sent = co_await on.flow.write(buffer("too long"));
  CHECK(sent.error() == std::errc::message_size);
  CHECK(on.below->closes == 1);
}

TEST_CASE("a write that the codec refuses closes the inner flow if nothing else was open", "[codec_block]") {
  drive(a_refused_write_is_the_last_thing_open());
}

task<> one_write(plain* flow, came<result<void>>* out) {
  const result<void> sent = co_await flow->write(buffer("waits below"));
  out->to = sent;
  out->done = true;
}

TEST_CASE("a close where no executor runs closes the inner flow, whatever is on its way", "[codec_block]") {
  by_hand with;
  with.below->writes_wait = true;
  came<result<void>> sent;
  coflow::virtual_executor on;
  coflow::spawn(on, one_write(&with.flow, &sent));
  on.turn();
  CHECK(with.below->writing());
  bool closed = false;
  const foreign closer = close_abroad(&with.flow, &closed);
  CHECK(closed);
  CHECK(with.below->closes == 1);
  on.turn();
  CHECK(sent.to.error() == coflow::error::closed);
}

task<> read_where_it_ends(memory_flow* waits_on, framed* fresh, came<read_result>* out) {
  const read_result last = co_await waits_on->read();
  CHECK(last.error() == coflow::error::closed);
  read_result got = co_await fresh->read();
  out->to = std::move(got);
  out->done = true;
}

TEST_CASE("a flow whose first operation begins when its executor goes away is closed", "[codec_block]") {
  ends other;
  auto pipe = coflow::memory_pipe();
  came<read_result> got;
  {
    coflow::virtual_executor on;
    coflow::spawn(on, read_where_it_ends(&pipe.first, &other.flow, &got));
    on.turn();
  }
  CHECK(got.done);
  CHECK(got.to.error() == coflow::error::closed);
}

// What is dropped gives its memory back at once (law S2).
task<> dropped_input_is_released(bool decoded_before) {
  by_hand on;
  on.orders->needs_input = true;
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(&on.flow, &got));
  co_await turns(2);
  on.below->give("first");
  co_await turns(2);
  CHECK(got.done);
  buffer kept = buffer::allocate(7);
  if (decoded_before) {
    on.below->give(kept.share());
    co_await turns(2);
    CHECK(kept.writable().empty());
    co_await on.flow.shutdown(shutdown_mode::read);
  } else {
    co_await on.flow.shutdown(shutdown_mode::read);
    on.below->give(kept.share());
    co_await turns(2);
  }
  CHECK(kept.writable().size() == 7);
  // And it reads on, for the codec's sake.
  CHECK(on.below->reading());
}

TEST_CASE("a shutdown of the read half releases what was decoded and not read", "[codec_block]") {
  drive(dropped_input_is_released(true));
}

TEST_CASE("what comes after a shutdown of the read half is released", "[codec_block]") {
  drive(dropped_input_is_released(false));
}

task<> the_end_below_came_first() {
  by_hand on;
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(&on.flow, &got));
  co_await turns(2);
  on.below->give_end();
  co_await turns(2);
  CHECK(got.to.error() == coflow::error::truncated);
  const auto before = coflow::executor::current()->now();
  co_await on.flow.shutdown(shutdown_mode::read_write);
  co_await turns(2);
  CHECK(on.below->written == "~");
  CHECK(on.below->closes == 1);
  CHECK(coflow::executor::current()->now() == before);
}

TEST_CASE("a layer whose peer has ended below does not wait for that before it closes", "[codec_block]") {
  drive(the_end_below_came_first());
}

// What this side has shut below tells nothing about the peer (fact K4).
task<> the_end_below_was_made_here() {
  by_hand on;
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(&on.flow, &got));
  co_await turns(2);
  co_await on.flow.shutdown(shutdown_mode::read);
  CHECK(on.below->shutdowns_of_read == 1);
  on.below->give_end();
  co_await turns(2);
  co_await on.flow.shutdown(shutdown_mode::write);
  co_await turns(5);
  CHECK(on.below->closes == 0);
  const result<void> slept = co_await coflow::sleep_for(2s);
  CHECK(slept.has_value());
  CHECK(on.below->closes == 1);
}

TEST_CASE("a layer that has shut the inner read half leaves its goodbye time to arrive", "[codec_block]") {
  drive(the_end_below_was_made_here());
}

task<> what_comes_while_it_lingers(coflow::virtual_executor* on_clock) {
  by_hand on;
  co_await on.flow.shutdown(shutdown_mode::read_write);
  co_await turns(2);
  on.orders->needs_input = true;
  REQUIRE(on.below->reading());
  const int fed = on.orders->feeds;
  on.below->give("late");
  on.below->give_no_memory();  // which is not the peer's end
  co_await turns(2);
  CHECK(on.orders->feeds == fed);
  CHECK(on.below->closes == 0);
  REQUIRE(on.below->reading());
  on.below->give_end();
  co_await turns(2);
  CHECK(on.below->closes == 1);
  const int reads = on.below->reads;
  co_await on.flow.close();
  co_await turns(2);
  CHECK(on.below->reads == reads);
  CHECK(on.below->closes == 1);
  CHECK(!on_clock->advance_to_next_deadline());
}

TEST_CASE("what comes while a layer waits for the peer's end is not decoded", "[codec_block]") {
  coflow::virtual_executor on;
  coflow::run(on, what_comes_while_it_lingers(&on));
}

TEST_CASE("a flow that is shut where no executor runs closes an inner flow that needs none", "[codec_block]") {
  by_hand with;
  bool shut = false;
  const foreign shutter = shutdown_abroad(&with.flow, shutdown_mode::read_write, &shut);
  CHECK(shut);
  CHECK(with.below->written == "~");
  CHECK(with.below->closes == 1);
}

// ---- handshakes

using shaken = coflow::codec_flow<plain_handshake_codec, hand_flow>;

task<> shake(std::shared_ptr<hand> below, std::shared_ptr<plain_orders> orders, came<result<void>>* out) {
  auto made = co_await coflow::codec_handshake(plain_handshake_codec(orders), hand_flow(below));
  if (made)
    out->to = coflow::success;
  else
    out->to = made.error();
  out->done = true;
}

enum class mishap { write_fails, no_memory_to_read, no_memory_to_feed, stopped_before };

task<> a_handshake_fails(mishap what, std::error_code code) {
  auto below = std::make_shared<hand>();
  auto orders = std::make_shared<plain_orders>();
  below->writes_wait = what == mishap::write_fails;
  came<result<void>> made;
  task_scope scope;
  start(scope, shake(below, orders, &made));
  if (what == mishap::stopped_before) scope.cancel();
  co_await turns(3);
  if (what == mishap::write_fails) below->refuse(code);
  if (what == mishap::no_memory_to_read) below->give_no_memory();
  if (what == mishap::no_memory_to_feed) {
    orders->no_memory_to_feed = true;
    below->give("hello");
  }
  co_await turns(3);
  REQUIRE(made.done);
  CHECK(made.to.error() == code);
  CHECK(below->closes == 1);
}

TEST_CASE("a handshake whose bytes cannot be written fails while its read waits", "[codec_block]") {
  drive(a_handshake_fails(mishap::write_fails, std::make_error_code(std::errc::io_error)));
}

TEST_CASE("a handshake that finds no memory fails", "[codec_block]") {
  drive(a_handshake_fails(mishap::no_memory_to_read, std::make_error_code(std::errc::not_enough_memory)));
  drive(a_handshake_fails(mishap::no_memory_to_feed, std::make_error_code(std::errc::not_enough_memory)));
}

TEST_CASE("a handshake that begins in a stopped task is cancelled, and the inner flow closed", "[codec_block]") {
  drive(a_handshake_fails(mishap::stopped_before, coflow::canceled()));
}

}  // namespace
