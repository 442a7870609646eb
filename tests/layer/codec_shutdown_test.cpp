// The halves of a codec's flow: how each is shut, and that the layer closes when both are over (laws L3 and L4).
#include <coflow/testing/layer_run.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;

// ---- the write half

task<> shutdown_says_goodbye_and_shuts_the_inner_half() {
  ends on(16);
  came<result<void>> sent;
  bool shut[3] = {};
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(50, 'w'), &sent));
  co_await turns(2);
  for (bool& one : shut) start(scope, shutdown_once(&on.flow, shutdown_mode::write, &one));
  co_await turns(2);
  CHECK(!shut[0]);  // it waits for the write, and then for the goodbye
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame(std::string(50, 'w')) + goodbye);
  CHECK(sent.to.has_value());
  for (const bool one : shut) CHECK(one);
  const read_result end = co_await on.raw.read();
  CHECK(end.eof());
  // The other direction is open.
  co_await say(&on.raw, frame("and you?"));
  const read_result got = co_await on.flow.read();
  CHECK(got->text() == "and you?");
}

TEST_CASE("shutdown of the write half sends one goodbye after all writes and shuts the inner half",
          "[codec_shutdown]") {
  drive(shutdown_says_goodbye_and_shuts_the_inner_half());
}

// A codec that cannot encode, and needs input to work.
class refusing_codec {
 public:
  refusing_codec() noexcept {}
  void feed(buffer bytes, coflow::codec_output& out) { below_.feed(std::move(bytes), out); }
  std::error_code seal(std::span<buffer>, coflow::codec_output&) {
    return std::make_error_code(std::errc::value_too_large);
  }
  void farewell(coflow::codec_output& out) { below_.farewell(out); }
  [[nodiscard]] bool needs_input() const noexcept { return true; }

 private:
  coflow::length_prefix_codec below_;
};

task<> a_codec_that_refuses() {
  auto pipe = coflow::memory_pipe();
  coflow::codec_flow<refusing_codec, memory_flow> flow(refusing_codec(), std::move(pipe.first));
  for (int i = 0; i < 2; ++i) {
    const result<void> sent = co_await flow.write(buffer("x"));
    CHECK(sent.error() == std::errc::value_too_large);
  }
  co_await say(&pipe.second, frame("abc"));
  const read_result got = co_await flow.read();
  CHECK(got->text() == "abc");  // law W7
  co_await flow.close();
  const std::string there = co_await all_that_is_there(&pipe.second);
  CHECK(there.empty());
}

TEST_CASE("what a codec refuses to encode ends the write half, without a goodbye", "[codec_shutdown]") {
  drive(a_codec_that_refuses());
}

// ---- L3: what a shutdown of the read half is below

template <class Codec>
task<> the_read_half_below(std::size_t shutdowns) {
  auto pipe = coflow::memory_pipe(64);
  auto record = std::make_shared<coflow::probe_record>();
  coflow::probe_flow inner(std::move(pipe.first), coflow::fault_plan(), record);
  coflow::codec_flow<Codec, coflow::probe_flow> flow(Codec(), std::move(inner));
  co_await flow.shutdown(shutdown_mode::read);
  CHECK(record->shutdowns_of_read == shutdowns);
  for (int i = 0; i < 10; ++i) co_await say(&pipe.second, frame(std::string(40, 'd')));
  const read_result got = co_await flow.read();
  CHECK(got.eof());
}

TEST_CASE("shutdown of the read half shuts the inner one, unless the codec needs input to work", "[codec_shutdown]") {
  drive(the_read_half_below<coflow::length_prefix_codec>(1));
  drive(the_read_half_below<refusing_codec>(0));
}

// ---- both halves

task<> when_both_halves_are_over_the_layer_closes() {
  ends on;
  co_await on.flow.shutdown(shutdown_mode::write);
  co_await say(&on.raw, frame("answer") + goodbye);
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "answer");
  got = co_await on.flow.read();
  CHECK(got.eof());
  // It waits for the peer's end below, not for ever.
  const result<void> slept = co_await coflow::sleep_for(999ms);
  CHECK(slept.has_value());
  const result<void> heard = co_await on.raw.write(buffer("x"));
  CHECK(heard.has_value());
  const result<void> slept_on = co_await coflow::sleep_for(2ms);
  CHECK(slept_on.has_value());
  const result<void> refused = co_await on.raw.write(buffer("x"));
  CHECK(refused.error() == coflow::error::closed);
  // The verdicts stay.
  got = co_await on.flow.read();
  CHECK(got.eof());
  const result<void> late = co_await on.flow.write(buffer("x"));
  CHECK(late.error() == coflow::error::closed);
}

TEST_CASE("when both halves are over after a shutdown the layer closes the inner flow within the limit",
          "[codec_shutdown]") {
  drive(when_both_halves_are_over_the_layer_closes());
}

task<> the_read_half_is_shut_last() {
  ends on;
  const result<void> sent = co_await on.flow.write(buffer("x"));
  CHECK(sent.has_value());
  co_await on.flow.shutdown(shutdown_mode::write);
  co_await on.flow.shutdown(shutdown_mode::read);
  const result<void> slept = co_await coflow::sleep_for(999ms);
  CHECK(slept.has_value());
  const result<void> heard = co_await on.raw.write(buffer("x"));
  CHECK(heard.has_value());
  const result<void> slept_on = co_await coflow::sleep_for(2ms);
  CHECK(slept_on.has_value());
  const result<void> refused = co_await on.raw.write(buffer("x"));
  CHECK(refused.error() == coflow::error::closed);
}

TEST_CASE("a shutdown of the read half that ends it all closes the inner flow within the limit", "[codec_shutdown]") {
  drive(the_read_half_is_shut_last());
}

// Also when the shutdown is the first operation of all.
task<> a_shutdown_comes_first() {
  ends on;
  co_await on.flow.shutdown(shutdown_mode::read_write);
  co_await turns(3);
  const result<void> heard = co_await on.raw.write(buffer("x"));
  CHECK(heard.has_value());
  const result<void> slept = co_await coflow::sleep_for(1001ms);
  CHECK(slept.has_value());
  const result<void> refused = co_await on.raw.write(buffer("x"));
  CHECK(refused.error() == coflow::error::closed);
}

TEST_CASE("a shutdown of both halves that is the first operation of all waits for the peer's end below",
          "[codec_shutdown]") {
  drive(a_shutdown_comes_first());
}

task<> the_peer_ends_below() {
  ends on;
  co_await on.flow.shutdown(shutdown_mode::write);
  co_await say(&on.raw, goodbye);
  const read_result got = co_await on.flow.read();
  CHECK(got.eof());
  const auto began = coflow::executor::current()->now();
  co_await on.raw.shutdown(shutdown_mode::write);
  co_await turns(3);
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == coflow::error::closed);
  CHECK(coflow::executor::current()->now() == began);
}

TEST_CASE("when both halves are over and the peer ends below the layer closes at once", "[codec_shutdown]") {
  drive(the_peer_ends_below());
}

task<> a_shutdown_that_drains() {
  ends on(16);
  came<result<void>> sent;
  bool shut = false;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(2);
  start(scope, shutdown_once(&on.flow, shutdown_mode::read_write, &shut));
  co_await turns(2);
  CHECK(!shut);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame(std::string(100, 'w')) + goodbye);
  CHECK(shut);
  const result<void> slept = co_await coflow::sleep_for(1001ms);
  CHECK(slept.has_value());
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == coflow::error::closed);
}

TEST_CASE("a shutdown of both halves that has to drain closes the inner flow in the end", "[codec_shutdown]") {
  drive(a_shutdown_that_drains());
}

task<> a_reset_after_a_shutdown() {
  ends on(16);
  came<result<void>> sent;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await on.flow.shutdown(shutdown_mode::read);
  co_await turns(2);
  const auto began = coflow::executor::current()->now();
  on.raw.reset();
  co_await turns(3);
  CHECK(sent.to.error() == std::errc::connection_reset);
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == coflow::error::closed);
  CHECK(coflow::executor::current()->now() == began);
}

TEST_CASE("a connection that breaks after a shutdown is closed below at once", "[codec_shutdown]") {
  drive(a_reset_after_a_shutdown());
}

// Both sides drain: neither may wait for the other to read first (law S2).
task<> draining_takes_input() {
  ends on(16);
  came<result<void>> sent;
  came<result<void>> heard;
  bool shut = false;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(100, 'w'), &sent));
  co_await turns(2);
  start(scope, shutdown_once(&on.flow, shutdown_mode::read_write, &shut));
  start(scope, write_once(&on.raw, frame(std::string(1000, 'h')), &heard));
  co_await turns(5);
  for (int i = 0; i < 500 && !heard.done; ++i) co_await turns(1);
  CHECK(heard.done);
  CHECK(!shut);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame(std::string(100, 'w')) + goodbye);
}

TEST_CASE("a flow that drains takes what its peer still sends, and drops it", "[codec_shutdown]") {
  drive(draining_takes_input());
}

task<> undecodable_input_after_a_shutdown() {
  auto pipe = coflow::memory_pipe(64);
  coflow::codec_flow<refusing_codec, memory_flow> flow(refusing_codec(), std::move(pipe.first));
  co_await flow.shutdown(shutdown_mode::read);
  came<result<void>> sent;
  task_scope scope;
  start(scope, write_once(&pipe.second, std::string("\xff\xff\xff\xff", 4) + std::string(1000, 'x'), &sent));
  for (int i = 0; i < 500 && !sent.done; ++i) co_await turns(1);
  CHECK(sent.done);
  CHECK(sent.to.has_value());
  co_await flow.close();
}

TEST_CASE("what comes behind input that cannot be decoded is taken and dropped, too, once nobody reads",
          "[codec_shutdown]") {
  drive(undecodable_input_after_a_shutdown());
}

}  // namespace
