// The outer operations of a codec's flow: sealing is the point of no return (laws X2, X3).
#include <optional>
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

}  // namespace
