// The close of a codec's flow: what it says, how long it waits, and what ends the wait (law L2).
#include <chrono>
#include <string>
#include <system_error>

#include "support/codec_ends.hpp"
#include "support/every_step.hpp"

namespace {

using namespace codec_ends;

// ---- the goodbye, and the limit

task<> close_says_goodbye_after_what_was_accepted() {
  ends on;
  const result<void> sent = co_await on.flow.write(buffer("last words"));
  CHECK(sent.has_value());
  co_await on.flow.close();
  co_await on.flow.close();
  std::string all;
  for (;;) {
    const read_result got = co_await on.raw.read();
    if (!got) {
      CHECK(got.eof());
      break;
    }
    all.append(got->text());
  }
  CHECK(all == frame("last words") + goodbye);
}

TEST_CASE("close says goodbye once, after what was accepted, and closes the inner flow", "[codec_close]") {
  drive(close_says_goodbye_after_what_was_accepted());
}

task<> close_is_bounded(coflow::codec_options options, coflow::executor::duration limit) {
  ends on(16, options);
  came<result<void>> sent;
  bool closed[2] = {};
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));  // sealed whole; the pipe takes 16 bytes
  co_await turns(3);
  const auto began = coflow::executor::current()->now();
  start(scope, close_once(&on.flow, &closed[0]));
  start(scope, close_once(&on.flow, &closed[1]));
  co_await turns(2);
  CHECK(sent.done);  // at once, whatever the goodbye needs (law C3)
  CHECK(sent.to.error() == coflow::error::closed);
  CHECK(!closed[0]);
  CHECK(closed[1]);  // a second close does nothing (law C2)
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(closed[0]);
  CHECK(coflow::executor::current()->now() - began == limit);
  // The peer sees a stream that was cut, never a goodbye.
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame(std::string(100, 'w')).substr(0, 16));
}

TEST_CASE("a peer that does not read holds a close up for one second", "[codec_close]") {
  drive(close_is_bounded(coflow::codec_options(), 1s));
}

TEST_CASE("a peer that does not read holds a close up for as long as the options say", "[codec_close]") {
  drive(close_is_bounded(coflow::codec_options().close_limit(250ms), 250ms));
}

task<> a_peer_that_reads_lets_a_close_go_on() {
  ends on(16);
  came<result<void>> sent;
  bool closed = false;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(3);
  start(scope, close_once(&on.flow, &closed));
  co_await turns(2);
  CHECK(!closed);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame(std::string(100, 'w')) + goodbye);
  CHECK(closed);
}

TEST_CASE("what was sealed before a close goes out, and the goodbye behind it", "[codec_close]") {
  drive(a_peer_that_reads_lets_a_close_go_on());
}

task<> a_stopped_close_still_says_goodbye() {
  ends on;
  bool closed = false;
  task_scope scope;
  scope.cancel();
  start(scope, close_once(&on.flow, &closed));
  co_await turns(2);
  CHECK(closed);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == goodbye);
}

TEST_CASE("a stopped task can close a codec's flow with its goodbye", "[codec_close]") {
  drive(a_stopped_close_still_says_goodbye());
}

// ---- after a shutdown, and during one

task<> a_close_cuts_the_wait_short() {
  ends on;
  co_await on.flow.shutdown(shutdown_mode::read_write);
  const auto began = coflow::executor::current()->now();
  co_await on.flow.close();
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == goodbye);
  const result<void> refused = co_await on.raw.write(buffer("x"));
  CHECK(refused.error() == coflow::error::closed);
  CHECK(coflow::executor::current()->now() == began);
}

TEST_CASE("a close does not wait for what the layer does by itself after a shutdown", "[codec_close]") {
  drive(a_close_cuts_the_wait_short());
}

task<> a_close_after_the_goodbye() {
  ends on;
  const result<void> sent = co_await on.flow.write(buffer("x"));
  CHECK(sent.has_value());
  co_await on.flow.shutdown(shutdown_mode::write);
  const auto began = coflow::executor::current()->now();
  co_await on.flow.close();
  CHECK(coflow::executor::current()->now() == began);
  const result<void> refused = co_await on.raw.write(buffer("x"));
  CHECK(refused.error() == coflow::error::closed);
}

TEST_CASE("a close after the goodbye waits for nothing", "[codec_close]") { drive(a_close_after_the_goodbye()); }

task<> a_shutdown_during_a_close() {
  ends on(16);
  came<result<void>> sent;
  bool closed = false;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(2);
  start(scope, close_once(&on.flow, &closed));
  co_await turns(2);
  co_await on.flow.shutdown(shutdown_mode::read_write);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame(std::string(100, 'w')) + goodbye);
  CHECK(closed);
}

TEST_CASE("a shutdown during a close takes no goodbye away", "[codec_close]") { drive(a_shutdown_during_a_close()); }

// ---- without a goodbye

task<> a_close_without_a_goodbye(bool torn) {
  ends on(1024);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, std::string(200'000, 't'), &sent));
    co_await turns(3);
    if (!torn) on.raw.reset();
    if (torn) leaving.cancel();
    co_await turns(2);
    CHECK(!sent.to.has_value());
  }
  const auto began = coflow::executor::current()->now();
  co_await on.flow.close();
  CHECK(coflow::executor::current()->now() == began);
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == coflow::error::closed);
}

TEST_CASE("a close that can say no goodbye closes the inner flow at once", "[codec_close]") {
  drive(a_close_without_a_goodbye(true));
  drive(a_close_without_a_goodbye(false));
}

// ---- what ends the wait, other than the limit

task<> a_close_is_given_up() {
  ends on(16);
  came<result<void>> sent;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(2);
  bool closed = false;
  {
    task_scope leaving;
    start(leaving, close_once(&on.flow, &closed));
    co_await turns(2);
  }
  CHECK(!closed);
  const result<void> slept = co_await coflow::sleep_for(2s);
  CHECK(slept.has_value());
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == coflow::error::closed);
}

TEST_CASE("a close whose coroutine dies is done all the same", "[codec_close]") { drive(a_close_is_given_up()); }

task<> a_reset_ends_a_close() {
  ends on(16);
  came<result<void>> sent;
  bool closed = false;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(2);
  const auto began = coflow::executor::current()->now();
  start(scope, close_once(&on.flow, &closed));
  co_await turns(2);
  CHECK(!closed);
  on.raw.reset();
  co_await turns(3);
  CHECK(closed);
  CHECK(coflow::executor::current()->now() == began);
}

TEST_CASE("a close that waits ends when the connection is reset", "[codec_close]") { drive(a_reset_ends_a_close()); }

// Also where it is over, and its coroutine has not gone on yet.
struct close_under_attack {
  ends on{3};  // less than the goodbye
  std::string heard;

  task<> attacked() {
    co_await on.flow.close();
    co_await on.flow.close();
  }
  task<> peer() {
    co_await turns(2);
    for (;;) {
      const read_result got = co_await on.raw.read();
      if (!got) co_return;
      heard += got->text();
    }
  }
  task<> heir() { co_await on.flow.close(); }
  [[nodiscard]] std::string judge(support::blow) const {
    return heard == goodbye || heard.empty() ? "" : "the peer hears " + heard;
  }
};

TEST_CASE("the coroutine of a close may die at every step", "[codec_close]") {
  CHECK(support::hit_at_every_step<close_under_attack>(support::blow::destroy) > 4);
  CHECK(support::hit_at_every_step<close_under_attack>(support::blow::stop) > 4);
}

}  // namespace
