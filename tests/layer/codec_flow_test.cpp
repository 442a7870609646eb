// What is particular to a codec's flow: the laws L2 to L11 on two codecs. The general laws are checked by the law suite
// over every stack (tests/laws), truncation at every byte by tests/truncation.
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "support/codec_ends.hpp"

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
