// The outer operations of a codec's flow: sealing is the point of no return (laws X2, X3).
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "support/codec_ends.hpp"

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

task<> a_close_that_waits_and_is_let_go_on() {
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
}

TEST_CASE("a close that had to wait leaves no timer behind", "[codec_block]") {
  coflow::virtual_executor on;
  coflow::run(on, a_close_that_waits_and_is_let_go_on());
  CHECK(!on.advance_to_next_deadline());
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

}  // namespace
