// What is particular to a codec's flow: the laws L2 to L11 on two codecs. The general laws are checked by the law suite
// over every stack (tests/laws), truncation at every byte by tests/truncation.
#include <coflow/layer/detail/buffer_queue.hpp>
#include <coflow/testing/layer_run.hpp>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "support/codec_ends.hpp"
#include "support/survival.hpp"

namespace {

using namespace codec_ends;

static_assert(coflow::check_flow_shape<framed>());
static_assert(coflow::check_flow_shape<secure>());

// ---- L2

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

TEST_CASE("close says goodbye once, after what was accepted, and closes the inner flow", "[codec_flow]") {
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

TEST_CASE("a peer that does not read holds a close up for one second", "[codec_flow]") {
  drive(close_is_bounded(coflow::codec_options(), 1s));
}

TEST_CASE("a peer that does not read holds a close up for as long as the options say", "[codec_flow]") {
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

TEST_CASE("what was sealed before a close goes out, and the goodbye behind it", "[codec_flow]") {
  drive(a_peer_that_reads_lets_a_close_go_on());
}

// ---- L3 and L4

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

TEST_CASE("shutdown of the write half sends one goodbye after all writes and shuts the inner half", "[codec_flow]") {
  drive(shutdown_says_goodbye_and_shuts_the_inner_half());
}

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
          "[codec_flow]") {
  drive(when_both_halves_are_over_the_layer_closes());
}

task<> a_close_cuts_that_wait_short() {
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

TEST_CASE("a close does not wait for what the layer does by itself after a shutdown", "[codec_flow]") {
  drive(a_close_cuts_that_wait_short());
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

TEST_CASE("a stopped task can close a codec's flow with its goodbye", "[codec_flow]") {
  drive(a_stopped_close_still_says_goodbye());
}

// ---- L5, L7, L9, L10

task<> goodbye_is_eof() {
  ends on;
  co_await say(&on.raw, frame("x") + goodbye + "rubbish");
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "x");
  for (int i = 0; i < 3; ++i) {
    got = co_await on.flow.read();
    CHECK(got.eof());
  }
  const result<void> sent = co_await on.flow.write(buffer("still here"));
  CHECK(sent.has_value());
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame("still here"));
}

TEST_CASE("the peer's goodbye is eof, what follows it is ignored, and the write half stays open", "[codec_flow]") {
  drive(goodbye_is_eof());
}

task<> an_end_without_goodbye(bool allowed) {
  ends on(1024, coflow::codec_options().allow_truncation(allowed));
  co_await say(&on.raw, frame("abc"));
  co_await on.raw.shutdown(shutdown_mode::write);
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "abc");
  for (int i = 0; i < 2; ++i) {
    got = co_await on.flow.read();
    CHECK(got.eof() == allowed);
    if (!allowed) CHECK(got.error() == coflow::error::truncated);
  }
}

TEST_CASE("an inner end without the goodbye is truncation, unless that is allowed", "[codec_flow]") {
  drive(an_end_without_goodbye(false));
  drive(an_end_without_goodbye(true));
}

task<> data_before_an_error() {
  ends on;
  co_await say(&on.raw, frame("good") + std::string("\xff\xff\xff\xff", 4));
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "good");
  for (int i = 0; i < 2; ++i) {
    got = co_await on.flow.read();
    CHECK(got.error() == std::errc::message_size);
  }
  const result<void> sent = co_await on.flow.write(buffer("you sent nonsense"));
  CHECK(sent.has_value());
}

TEST_CASE("data decoded before an error is delivered first, and the error stays", "[codec_flow]") {
  drive(data_before_an_error());
}

// ---- L6

task<> an_inner_error_is_latched() {
  ends on;
  co_await say(&on.raw, frame("abc"));
  on.raw.reset();
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "abc");
  for (int i = 0; i < 2; ++i) {
    got = co_await on.flow.read();
    CHECK(got.error() == std::errc::connection_reset);
    const result<void> sent = co_await on.flow.write(buffer("x"));
    CHECK(sent.error() == std::errc::connection_reset);
  }
}

TEST_CASE("an inner error surfaces as itself on both halves and stays", "[codec_flow]") {
  drive(an_inner_error_is_latched());
}

// ---- L11

struct handshake_log {
  bool done = false;
  std::error_code failure;
  std::string first;
};
task<> shake(memory_flow inner, toy_role role, std::uint32_t secret, handshake_log* out) {
  auto made = co_await coflow::codec_handshake(toy_codec(role, secret), std::move(inner));
  out->done = true;
  if (!made) {
    out->failure = made.error();
    co_return;
  }
  if (role == toy_role::client) {
    const result<void> sent = co_await made->write(buffer("glued to the handshake"));
    CHECK(sent.has_value());
  }
  const read_result got = co_await made->read();
  if (got) out->first = got->text();
  if (role == toy_role::server) {
    const result<void> sent = co_await made->write(buffer("answer"));
    CHECK(sent.has_value());
  }
  co_await made->close();
}

task<> both_shake(std::uint32_t of_client, std::uint32_t of_server, handshake_log* client, handshake_log* server) {
  auto pipe = coflow::memory_pipe();
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::client, of_client, client));
  start(scope, shake(std::move(pipe.second), toy_role::server, of_server, server));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

TEST_CASE("a handshake gives flows that talk, with the bytes that were glued to it", "[codec_flow]") {
  handshake_log client;
  handshake_log server;
  drive(both_shake(5, 5, &client, &server));
  CHECK(!client.failure);
  CHECK(!server.failure);
  CHECK(server.first == "glued to the handshake");
  CHECK(client.first == "answer");
}

TEST_CASE("a handshake that fails gives the error and closes the inner flow", "[codec_flow]") {
  handshake_log client;
  handshake_log server;
  drive(both_shake(5, 6, &client, &server));
  CHECK(client.done);
  CHECK(server.done);
  CHECK(server.failure == std::errc::bad_message);
  CHECK(client.failure);
}

task<> a_cancelled_handshake(bool destroyed, handshake_log* out) {
  auto pipe = coflow::memory_pipe();
  task_scope scope;
  {
    task_scope leaving;
    start(leaving, shake(std::move(pipe.first), toy_role::client, 1, out));
    co_await turns(3);
    CHECK(!out->done);
    if (!destroyed) {
      leaving.cancel();
      co_await turns(3);
    }
  }
  const result<void> refused = co_await pipe.second.write(buffer("x"));
  CHECK(refused.error() == coflow::error::closed);
}

TEST_CASE("a handshake that is cancelled closes the inner flow", "[codec_flow]") {
  handshake_log log;
  drive(a_cancelled_handshake(false, &log));
  CHECK(log.failure == coflow::canceled());
}

TEST_CASE("a handshake whose coroutine dies closes the inner flow", "[codec_flow]") {
  handshake_log log;
  drive(a_cancelled_handshake(true, &log));
  CHECK(!log.done);
}

task<> a_cut_handshake(handshake_log* out) {
  auto pipe = coflow::memory_pipe();
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::client, 1, out));
  co_await turns(2);
  co_await pipe.second.shutdown(shutdown_mode::write);
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

TEST_CASE("a peer that ends in the handshake is truncation", "[codec_flow]") {
  handshake_log log;
  drive(a_cut_handshake(&log));
  CHECK(log.failure == coflow::error::truncated);
}

// ---- the layers below

TEST_CASE("a codec's flow shows what is below it", "[codec_flow]") {
  auto pipe = coflow::memory_pipe();
  using deep = coflow::codec_flow<coflow::length_prefix_codec, coflow::layered_flow<memory_flow>>;
  deep flow(coflow::length_prefix_codec(), coflow::layered_flow<memory_flow>(std::move(pipe.first)));
  static_assert(std::is_same_v<decltype(flow.next_layer()), coflow::layered_flow<memory_flow>&>);
  static_assert(std::is_same_v<decltype(flow.lowest_layer()), memory_flow&>);
  CHECK(&flow.next_layer().next_layer() == &flow.lowest_layer());
}

}  // namespace

namespace {

// ---- the end, once more: what is asked of the flow below, and when

// Runs on, whoever is current: for what begins where no executor is.
class detached {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    detached get_return_object() const noexcept { return {}; }
    [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
};

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

TEST_CASE("a shutdown of the read half that ends it all closes the inner flow within the limit", "[codec_flow]") {
  drive(the_read_half_is_shut_last());
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

TEST_CASE("when both halves are over and the peer ends below the layer closes at once", "[codec_flow]") {
  drive(the_peer_ends_below());
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

TEST_CASE("a close after the goodbye waits for nothing", "[codec_flow]") { drive(a_close_after_the_goodbye()); }

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

TEST_CASE("a close that can say no goodbye closes the inner flow at once", "[codec_flow]") {
  drive(a_close_without_a_goodbye(true));
  drive(a_close_without_a_goodbye(false));
}

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

TEST_CASE("a close whose coroutine dies is done all the same", "[codec_flow]") { drive(a_close_is_given_up()); }

// A codec that cannot encode.
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

TEST_CASE("what a codec refuses to encode ends the write half, without a goodbye", "[codec_flow]") {
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

TEST_CASE("shutdown of the read half shuts the inner one, unless the codec needs input to work", "[codec_flow]") {
  drive(the_read_half_below<coflow::length_prefix_codec>(1));
  drive(the_read_half_below<refusing_codec>(0));
}

// ---- where no executor is, and where it ends

detached shut_alone(framed* flow, bool* done) {
  co_await flow->shutdown(shutdown_mode::write);
  *done = true;
}
detached close_alone(framed* flow, bool* done) {
  co_await flow->close();
  *done = true;
}
detached shake_alone(memory_flow inner, std::error_code* failure, bool* done) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::client), std::move(inner));
  if (!made) *failure = made.error();
  *done = true;
}

task<> read_beside(framed* flow, memory_flow* raw, std::string* there) {
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(flow, &got));
  co_await turns(3);
  *there = co_await all_that_is_there(raw);
}

TEST_CASE("a goodbye that had no executor goes out when there is one", "[codec_flow]") {
  ends on;
  bool done = false;
  shut_alone(&on.flow, &done);
  CHECK(done);
  std::string there;
  drive(read_beside(&on.flow, &on.raw, &there));
  CHECK(there == goodbye);
}

TEST_CASE("a close without an executor closes the inner flow without a goodbye", "[codec_flow]") {
  ends on;
  bool done = false;
  close_alone(&on.flow, &done);
  CHECK(done);
  CHECK(drive(all_that_is_there(&on.raw)).empty());
  close_alone(&on.flow, &done);
}

TEST_CASE("a handshake without an executor fails and closes the inner flow", "[codec_flow]") {
  auto pipe = coflow::memory_pipe();
  std::error_code failure;
  bool done = false;
  shake_alone(std::move(pipe.first), &failure, &done);
  CHECK(done);
  CHECK(failure == coflow::error::no_executor);
  CHECK(drive(all_that_is_there(&pipe.second)).empty());
}

TEST_CASE("an executor that ends completes a handshake and a close that wait", "[codec_flow]") {
  handshake_log log;
  auto pipe = coflow::memory_pipe();
  ends other(16);
  bool closed = false;
  came<result<void>> sent;
  {
    coflow::virtual_executor on;
    coflow::spawn(on, shake(std::move(pipe.first), toy_role::client, 1, &log));
    coflow::spawn(on, write_once(&other.flow, std::string(100, 'w'), &sent));
    coflow::run(on, turns(3));
    coflow::spawn(on, close_once(&other.flow, &closed));
    coflow::run(on, turns(3));
    CHECK(!log.done);
    CHECK(!closed);
  }
  CHECK(log.failure == coflow::error::closed);
  CHECK(closed);
}

// ---- handshakes that end badly

task<> a_failed_handshake_says_nothing() {
  auto pipe = coflow::memory_pipe();
  handshake_log log;
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::server, 1, &log));
  toy_codec stranger(toy_role::client, 2);
  co_await say(&pipe.second, std::string(stranger.forge('H', "clientNC").text()));
  co_await turns(3);
  CHECK(log.failure == std::errc::bad_message);
  const std::string there = co_await all_that_is_there(&pipe.second);
  CHECK(there.empty());
}

TEST_CASE("a handshake that fails says no goodbye", "[codec_flow]") { drive(a_failed_handshake_says_nothing()); }

task<> a_stuck_handshake() {
  auto pipe = coflow::memory_pipe(4);  // not even the first record fits
  handshake_log log;
  task_scope scope;
  const auto began = coflow::executor::current()->now();
  {
    task_scope leaving;
    start(leaving, shake(std::move(pipe.first), toy_role::client, 1, &log));
    co_await turns(3);
    leaving.cancel();
    co_await turns(3);
  }
  CHECK(log.failure == coflow::canceled());
  CHECK(coflow::executor::current()->now() == began);
  const result<void> refused = co_await pipe.second.write(buffer("x"));
  CHECK(!refused.has_value());  // closed, or reset, because a part of the record had gone out (law X3)
}

TEST_CASE("a handshake that is cancelled waits for nobody", "[codec_flow]") { drive(a_stuck_handshake()); }

// ---- what it is made of

TEST_CASE("a codec's flow that is const shows what is below it, and its codec", "[codec_flow]") {
  auto pipe = coflow::memory_pipe();
  framed flow(coflow::length_prefix_codec(), std::move(pipe.first));
  const framed& fixed = flow;
  CHECK(&fixed.next_layer() == &flow.next_layer());
  static_assert(std::is_same_v<decltype(fixed.codec()), const coflow::length_prefix_codec&>);
  CHECK(&fixed.codec() == &fixed.codec());
}

TEST_CASE("a codec's queue counts its bytes, in order, and takes no new memory in steady state", "[codec_flow]") {
  coflow::detail::buffer_queue one;
  one.push(buffer("abc"));
  one.push(buffer("de"));
  CHECK(one.size() == 2);
  CHECK(one.bytes() == 5);
  CHECK(one.pop().text() == "abc");
  CHECK(one.size() == 1);
  CHECK(one.bytes() == 2);
  one.push(buffer("f"));
  coflow::detail::buffer_queue other;
  other.swap(one);
  CHECK(one.empty());
  CHECK(one.bytes() == 0);
  REQUIRE(other.size() == 2);
  CHECK(other.bytes() == 3);
  CHECK(other.list()[0].text() == "de");
  CHECK(other.list()[1].text() == "f");
  other.clear();
  CHECK(other.empty());
  CHECK(other.bytes() == 0);
  const buffer payload("payload");
  one.push(payload.share());
  CHECK(one.pop().text() == "payload");
  const auto before = support::allocation_count();
  bool right = true;
  for (int i = 0; i < 1000; ++i) {
    one.push(payload.share());
    const buffer got = one.pop();
    if (got.size() != payload.size()) right = false;
  }
  CHECK(support::allocation_count() == before);
  CHECK(right);
}

}  // namespace

namespace {

// ---- what ends the waits at the end, other than the limit

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

TEST_CASE("a close that waits ends when the connection is reset", "[codec_flow]") { drive(a_reset_ends_a_close()); }

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

TEST_CASE("a shutdown during a close takes no goodbye away", "[codec_flow]") { drive(a_shutdown_during_a_close()); }

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

TEST_CASE("a shutdown of both halves that has to drain closes the inner flow in the end", "[codec_flow]") {
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

TEST_CASE("a connection that breaks after a shutdown is closed below at once", "[codec_flow]") {
  drive(a_reset_after_a_shutdown());
}

task<> a_reset_alone() {
  ends on;
  on.raw.reset();
  const read_result got = co_await on.flow.read();
  CHECK(got.error() == std::errc::connection_reset);
  const result<void> sent = co_await on.flow.write(buffer("x"));
  CHECK(sent.error() == std::errc::connection_reset);
  co_await turns(3);
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == std::errc::connection_reset);  // not closed
}

TEST_CASE("a connection that breaks without a shutdown is not closed below", "[codec_flow]") { drive(a_reset_alone()); }

// ---- more about handshakes

task<> both_shake_in_small_pieces(handshake_log* client, handshake_log* server) {
  auto pipe = coflow::memory_pipe(3);
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::client, 1, client));
  start(scope, shake(std::move(pipe.second), toy_role::server, 1, server));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

TEST_CASE("a handshake whose flights do not fit below waits until they are out", "[codec_flow]") {
  handshake_log client;
  handshake_log server;
  drive(both_shake_in_small_pieces(&client, &server));
  CHECK(!client.failure);
  CHECK(!server.failure);
  CHECK(server.first == "glued to the handshake");
}

task<> a_goodbye_in_the_handshake() {
  auto pipe = coflow::memory_pipe();
  handshake_log log;
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::server, 1, &log));
  toy_codec liar(toy_role::client);
  co_await say(&pipe.second, std::string(liar.forge('G', {}).text()));
  co_await turns(3);
  CHECK(log.failure == coflow::error::truncated);
}

TEST_CASE("a goodbye in the handshake is truncation", "[codec_flow]") { drive(a_goodbye_in_the_handshake()); }

task<> shake_over_probe(coflow::probe_flow inner, std::error_code* failure) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::client), std::move(inner));
  if (!made) *failure = made.error();
}

task<> a_handshake_that_cannot_write() {
  auto pipe = coflow::memory_pipe();
  auto record = std::make_shared<coflow::probe_record>();
  const coflow::fault_plan plan = coflow::fault_plan().fail_write_after(4, std::make_error_code(std::errc::io_error));
  coflow::probe_flow inner(std::move(pipe.first), plan, record);
  std::error_code failure;
  const auto began = coflow::executor::current()->now();
  co_await shake_over_probe(std::move(inner), &failure);
  CHECK(failure == std::errc::io_error);
  CHECK(coflow::executor::current()->now() == began);
  CHECK(record->let_go());
}

TEST_CASE("a handshake that cannot be written fails with what the flow below said", "[codec_flow]") {
  drive(a_handshake_that_cannot_write());
}

}  // namespace

namespace {

// A codec that changes nothing and says no goodbye, but counts how often it was to.
class plain_codec {
 public:
  plain_codec() noexcept {}
  void feed(buffer bytes, coflow::codec_output& out) { out.data(std::move(bytes)); }
  std::error_code seal(std::span<buffer> plain, coflow::codec_output& out) {
    for (buffer& one : plain) out.send(std::move(one));
    return {};
  }
  void farewell(coflow::codec_output&) { ++farewells_; }
  [[nodiscard]] int farewells() const noexcept { return farewells_; }

 private:
  int farewells_ = 0;
};
using plainly = coflow::codec_flow<plain_codec, coflow::probe_flow>;

task<> a_close_without_words() {
  auto pipe = coflow::memory_pipe();
  auto record = std::make_shared<coflow::probe_record>();
  plainly flow(plain_codec(), coflow::probe_flow(std::move(pipe.first), coflow::fault_plan(), record));
  const result<void> sent = co_await flow.write(buffer("x"));
  CHECK(sent.has_value());
  const auto began = coflow::executor::current()->now();
  co_await flow.close();
  CHECK(coflow::executor::current()->now() == began);
  CHECK(flow.codec().farewells() == 1);
  CHECK(record->closes == 1);
  CHECK(record->shutdowns_of_write == 0);
  CHECK(record->shutdowns_of_read == 0);
}

TEST_CASE("a close asks of the flow below nothing but to be closed", "[codec_flow]") { drive(a_close_without_words()); }

task<> a_shutdown_without_words() {
  auto pipe = coflow::memory_pipe();
  auto record = std::make_shared<coflow::probe_record>();
  plainly flow(plain_codec(), coflow::probe_flow(std::move(pipe.first), coflow::fault_plan(), record));
  for (int i = 0; i < 2; ++i) co_await flow.shutdown(shutdown_mode::write);
  const read_result end = co_await pipe.second.read();
  CHECK(end.eof());
  CHECK(record->shutdowns_of_write == 1);
  CHECK(record->shutdowns_of_read == 0);
  co_await flow.close();
  CHECK(flow.codec().farewells() == 1);
  CHECK(record->shutdowns_of_write == 1);
  CHECK(record->closes == 1);
}

TEST_CASE("a codec is asked for its goodbye once, and the inner half is shut once", "[codec_flow]") {
  drive(a_shutdown_without_words());
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

TEST_CASE("a flow that drains takes what its peer still sends, and drops it", "[codec_flow]") {
  drive(draining_takes_input());
}

task<> open_server(memory_flow inner, std::optional<secure>* out) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::server), std::move(inner));
  if (made) out->emplace(std::move(*made));
}

task<> nothing_follows_the_goodbye() {
  auto pipe = coflow::memory_pipe();
  toy_codec peer(toy_role::client);
  std::optional<secure> server;
  task_scope scope;
  start(scope, open_server(std::move(pipe.second), &server));
  co_await say(&pipe.first, std::string(peer.forge('H', "clientNC").text()));
  co_await say(&pipe.first, std::string(peer.forge('F', {}).text()));
  co_await turns(5);
  const bool open = server.has_value();
  CHECK(open);
  if (!open) co_return;
  std::string there = co_await all_that_is_there(&pipe.first);
  // A ping is answered, though nobody reads: the codec needs input to work.
  co_await say(&pipe.first, std::string(peer.forge('P', "one").text()));
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.size() == 10);
  co_await server->shutdown(shutdown_mode::write);
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.size() == 7);
  co_await say(&pipe.first, std::string(peer.forge('P', "two").text()));
  co_await say(&pipe.first, std::string(peer.forge('D', "data").text()));
  const read_result got = co_await server->read();
  CHECK(got->text() == "data");
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.empty());
}

TEST_CASE("a codec that answers on its own has nothing to say after its goodbye", "[codec_flow]") {
  drive(nothing_follows_the_goodbye());
}

}  // namespace

namespace {

detached shut_both_alone(framed* flow, bool* done) {
  co_await flow->shutdown(shutdown_mode::read_write);
  *done = true;
}

task<> say_and_take(framed* flow, memory_flow* raw) {
  const result<void> sent = co_await flow->write(buffer("x"));
  CHECK(sent.has_value());
  const std::string there = co_await all_that_is_there(raw);
  CHECK(there == frame("x"));
}

TEST_CASE("what is asked for outside of the executor's turn is done in it", "[codec_flow]") {
  ends on;
  coflow::virtual_executor home;
  coflow::run(home, say_and_take(&on.flow, &on.raw));
  bool done = false;
  shut_both_alone(&on.flow, &done);
  CHECK(coflow::run(home, all_that_is_there(&on.raw)) == goodbye);
}

TEST_CASE("what is asked for outside of the executor's turn goes with the executor", "[codec_flow]") {
  ends on;
  bool done = false;
  {
    coflow::virtual_executor home;
    coflow::run(home, say_and_take(&on.flow, &on.raw));
    shut_both_alone(&on.flow, &done);
  }
  close_alone(&on.flow, &done);
  CHECK(done);
  CHECK(drive(all_that_is_there(&on.raw)).empty());
}

}  // namespace

namespace {

// ---- memory runs out below

class scarce_flow : public coflow::layered_flow<memory_flow> {
 public:
  scarce_flow(memory_flow inner, int* shortages) noexcept
      : coflow::layered_flow<memory_flow>(std::move(inner)), shortages_(shortages) {}
  [[nodiscard]] auto read() {
    if (*shortages_ > 0) {
      --*shortages_;
      throw std::bad_alloc();
    }
    return coflow::layered_flow<memory_flow>::read();
  }

 private:
  int* shortages_;
};
using scarce = coflow::codec_flow<coflow::length_prefix_codec, scarce_flow>;

task<> read_or_run_out(scarce* flow, bool* ran_out) {
  try {
    const read_result got = co_await flow->read();
    CHECK(!got.has_data());
  } catch (const std::bad_alloc&) {
    *ran_out = true;
  }
}

task<> memory_runs_out_below() {
  auto pipe = coflow::memory_pipe();
  int shortages = 1;
  scarce flow(coflow::length_prefix_codec(), scarce_flow(std::move(pipe.first), &shortages));
  bool ran_out = false;
  co_await read_or_run_out(&flow, &ran_out);
  CHECK(ran_out);
  CHECK(shortages == 0);
  co_await say(&pipe.second, frame("abc"));
  read_result got = co_await flow.read();
  CHECK(got->text() == "abc");
  // Now in the middle of a frame, while the read waits.
  ran_out = false;
  task_scope scope;
  start(scope, read_or_run_out(&flow, &ran_out));
  co_await turns(2);
  shortages = 1;
  co_await say(&pipe.second, frame("def").substr(0, 3));
  co_await turns(3);
  CHECK(ran_out);
  CHECK(shortages == 0);
  shortages = 5;
  co_await turns(3);
  CHECK(shortages == 5);  // nobody wants to read
  shortages = 0;
  co_await say(&pipe.second, frame("def").substr(3));
  got = co_await flow.read();
  CHECK(got->text() == "def");
}

TEST_CASE("an inner read that finds no memory is the read's failure once, and loses nothing", "[codec_flow]") {
  drive(memory_runs_out_below());
}

}  // namespace

namespace {

// ---- L4: what comes while the goodbye waits to go out

task<> a_goodbye_that_waits() {
  auto pipe = coflow::memory_pipe(12);
  toy_codec peer(toy_role::client);
  std::optional<secure> server;
  task_scope scope;
  start(scope, open_server(std::move(pipe.second), &server));
  co_await say(&pipe.first, std::string(peer.forge('H', "clientNC").text()));
  std::string there = co_await all_that_is_there(&pipe.first);
  co_await say(&pipe.first, std::string(peer.forge('F', {}).text()));
  co_await turns(5);
  const bool open = server.has_value();
  CHECK(open);
  if (!open) co_return;
  co_await say(&pipe.first, std::string(peer.forge('P', "one").text()));
  co_await turns(3);
  bool shut = false;
  start(scope, shutdown_once(&*server, shutdown_mode::write, &shut));
  co_await turns(3);
  CHECK(!shut);
  co_await say(&pipe.first, std::string(peer.forge('P', "two").text()));
  co_await turns(3);
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.size() == 10 + 7);
  CHECK(shut);
}

TEST_CASE("nothing is said after a goodbye that waits to go out", "[codec_flow]") { drive(a_goodbye_that_waits()); }

// Says a goodbye, and counts how often it is asked to.
class counting_codec : public coflow::length_prefix_codec {
 public:
  counting_codec() noexcept {}
  void farewell(coflow::codec_output& out) {
    ++farewells_;
    coflow::length_prefix_codec::farewell(out);
  }
  [[nodiscard]] int farewells() const noexcept { return farewells_; }

 private:
  int farewells_ = 0;
};

task<> many_ask_for_a_goodbye() {
  auto pipe = coflow::memory_pipe(2);
  coflow::codec_flow<counting_codec, memory_flow> flow(counting_codec(), std::move(pipe.first));
  bool done[4] = {};
  task_scope scope;
  for (bool& one : done) {
    if (&one == &done[3])
      start(scope, close_once(&flow, &one));
    else
      start(scope, shutdown_once(&flow, shutdown_mode::write, &one));
    co_await turns(2);
  }
  CHECK(!done[3]);
  const std::string there = co_await all_that_is_there(&pipe.second);
  CHECK(there == goodbye);
  for (const bool one : done) CHECK(one);
  CHECK(flow.codec().farewells() == 1);
}

TEST_CASE("a codec is asked for its goodbye once, however many end the flow", "[codec_flow]") {
  drive(many_ask_for_a_goodbye());
}

task<> a_cancelled_handshake_below(std::shared_ptr<coflow::probe_record> record) {
  auto pipe = coflow::memory_pipe();
  std::error_code failure;
  task_scope leaving;
  start(leaving, shake_over_probe(coflow::probe_flow(std::move(pipe.first), coflow::fault_plan(), record), &failure));
  co_await turns(3);
  leaving.cancel();
  co_await turns(3);
  CHECK(failure == coflow::canceled());
}

TEST_CASE("a handshake that is cancelled closes the inner flow, once, before it is destroyed", "[codec_flow]") {
  auto record = std::make_shared<coflow::probe_record>();
  drive(a_cancelled_handshake_below(record));
  CHECK(record->closes == 1);
}

}  // namespace

namespace {

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
          "[codec_flow]") {
  drive(a_shutdown_comes_first());
}

}  // namespace
