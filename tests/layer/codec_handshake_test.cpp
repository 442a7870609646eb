// The handshake of a codec: what it gives, how it fails, and that the inner flow is closed when it does (law L11).
#include <coflow/testing/checked_flow.hpp>
#include <coflow/testing/layer_run.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "support/codec_ends.hpp"
#include "support/every_step.hpp"

namespace {

using namespace codec_ends;

// ---- two that agree, or not, on a secret

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

TEST_CASE("a handshake gives flows that talk, with the bytes that were glued to it", "[codec_handshake]") {
  handshake_log client;
  handshake_log server;
  drive(both_shake(5, 5, &client, &server));
  CHECK(!client.failure);
  CHECK(!server.failure);
  CHECK(server.first == "glued to the handshake");
  CHECK(client.first == "answer");
}

TEST_CASE("a handshake that fails gives the error and closes the inner flow", "[codec_handshake]") {
  handshake_log client;
  handshake_log server;
  drive(both_shake(5, 6, &client, &server));
  CHECK(client.done);
  CHECK(server.done);
  CHECK(server.failure == std::errc::bad_message);
  CHECK(client.failure);
}

// ---- when it does not fit

task<> both_shake_in_small_pieces(handshake_log* client, handshake_log* server) {
  auto pipe = coflow::memory_pipe(3);
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::client, 1, client));
  start(scope, shake(std::move(pipe.second), toy_role::server, 1, server));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

TEST_CASE("a handshake whose flights do not fit below waits until they are out", "[codec_handshake]") {
  handshake_log client;
  handshake_log server;
  drive(both_shake_in_small_pieces(&client, &server));
  CHECK(!client.failure);
  CHECK(!server.failure);
  CHECK(server.first == "glued to the handshake");
}

// ---- handshakes that are given up

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

TEST_CASE("a handshake that is cancelled closes the inner flow", "[codec_handshake]") {
  handshake_log log;
  drive(a_cancelled_handshake(false, &log));
  CHECK(log.failure == coflow::canceled());
}

TEST_CASE("a handshake whose coroutine dies closes the inner flow", "[codec_handshake]") {
  handshake_log log;
  drive(a_cancelled_handshake(true, &log));
  CHECK(!log.done);
}

task<> shake_and_close(memory_flow inner, toy_role role, handshake_log* out) {
  auto made = co_await coflow::codec_handshake(toy_codec(role), std::move(inner));
  out->done = true;
  if (made) co_await made->close();
}
// Also where it is done, and its coroutine has not gone on yet.
struct handshake_under_attack {
  std::pair<memory_flow, memory_flow> pipe = coflow::memory_pipe();
  handshake_log client;
  handshake_log server;

  task<> attacked() { return shake_and_close(std::move(pipe.first), toy_role::client, &client); }
  task<> peer() { return shake_and_close(std::move(pipe.second), toy_role::server, &server); }
  static task<> heir() { co_return; }
  [[nodiscard]] std::string judge(support::blow) const { return server.done ? "" : "the peer's handshake has no end"; }
};

TEST_CASE("a handshake may be cancelled, and its coroutine die, at every step", "[codec_handshake]") {
  CHECK(support::hit_at_every_step<handshake_under_attack>(support::blow::destroy) > 4);
  CHECK(support::hit_at_every_step<handshake_under_attack>(support::blow::stop) > 4);
}

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

TEST_CASE("a handshake that is cancelled waits for nobody", "[codec_handshake]") { drive(a_stuck_handshake()); }

task<> shake_over_probe(coflow::probe_flow inner, std::error_code* failure) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::client), std::move(inner));
  if (!made) *failure = made.error();
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

TEST_CASE("a handshake that is cancelled closes the inner flow, once, before it is destroyed", "[codec_handshake]") {
  auto record = std::make_shared<coflow::probe_record>();
  drive(a_cancelled_handshake_below(record));
  CHECK(record->closes == 1);
}

// ---- handshakes that end badly

task<> a_cut_handshake(handshake_log* out) {
  auto pipe = coflow::memory_pipe();
  task_scope scope;
  start(scope, shake(std::move(pipe.first), toy_role::client, 1, out));
  co_await turns(2);
  co_await pipe.second.shutdown(shutdown_mode::write);
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

TEST_CASE("a peer that ends in the handshake is truncation", "[codec_handshake]") {
  handshake_log log;
  drive(a_cut_handshake(&log));
  CHECK(log.failure == coflow::error::truncated);
}

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

TEST_CASE("a handshake that fails says no goodbye", "[codec_handshake]") { drive(a_failed_handshake_says_nothing()); }

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

TEST_CASE("a goodbye in the handshake is truncation", "[codec_handshake]") { drive(a_goodbye_in_the_handshake()); }

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

TEST_CASE("a handshake that cannot be written fails with what the flow below said", "[codec_handshake]") {
  drive(a_handshake_that_cannot_write());
}

// ---- where no executor is, and where it ends

coflow::laws::foreign shake_alone(memory_flow inner, std::error_code* failure, bool* done) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::client), std::move(inner));
  if (!made) *failure = made.error();
  *done = true;
}

TEST_CASE("a handshake without an executor fails and closes the inner flow", "[codec_handshake]") {
  auto pipe = coflow::memory_pipe();
  std::error_code failure;
  bool done = false;
  const coflow::laws::foreign shaking = shake_alone(std::move(pipe.first), &failure, &done);
  CHECK(done);
  CHECK(failure == coflow::error::no_executor);
  CHECK(drive(all_that_is_there(&pipe.second)).empty());
}

TEST_CASE("an executor that ends completes a handshake and a close that wait", "[codec_handshake]") {
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

}  // namespace
