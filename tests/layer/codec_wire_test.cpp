// The inner side of a codec's flow: who reads and writes below, and when (laws L1, L8, W8).
#include <optional>
#include <string>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;

// ---- L1

task<> a_withdrawn_read_leaves_the_inner_one() {
  ends on;
  came<read_result> first;
  came<read_result> second;
  {
    task_scope leaving;
    start(leaving, read_once(&on.flow, &first));
    co_await turns(2);
    leaving.cancel();
    co_await turns(2);
    CHECK(first.done);
    CHECK(first.to.error() == coflow::canceled());
  }
  // Half a frame's header comes while nobody reads, the rest later.
  co_await say(&on.raw, frame("abc").substr(0, 2));
  co_await turns(3);
  co_await say(&on.raw, frame("abc").substr(2));
  co_await turns(3);
  const read_result got = co_await on.flow.read();
  CHECK(got->text() == "abc");
}

TEST_CASE("a read that is withdrawn leaves the inner read pending and loses nothing", "[codec_wire]") {
  drive(a_withdrawn_read_leaves_the_inner_one());
}

task<> answers_are_bounded() {
  auto pipe = coflow::memory_pipe(1024);
  toy_codec peer(toy_role::client);  // by hand: what it says is forged by its own codec object
  std::optional<secure> server;
  struct open {
    static task<> server_side(memory_flow inner, std::optional<secure>* out) {
      auto made = co_await coflow::codec_handshake(toy_codec(toy_role::server), std::move(inner));
      if (made) out->emplace(std::move(*made));
    }
  };
  task_scope scope;
  start(scope, open::server_side(std::move(pipe.second), &server));
  const result<void> greeted = co_await pipe.first.write(peer.forge('H', "clientNC"));
  CHECK(greeted.has_value());
  co_await turns(3);
  const result<void> finished = co_await pipe.first.write(peer.forge('F', {}));
  CHECK(finished.has_value());
  co_await turns(3);
  REQUIRE(server.has_value());
  // A reader waits, and pings of which nobody takes the answers come without end.
  came<read_result> read;
  start(scope, read_once(&*server, &read));
  std::size_t taken = 0;
  for (int i = 0; i < 5000; ++i) {
    came<result<void>> sent;
    task_scope attempt;
    start(attempt, write_once(&pipe.first, std::string(peer.forge('P', std::string(100, 'p')).text()), &sent));
    co_await turns(4);
    if (!sent.done) break;
    taken += 107;
  }
  CHECK(taken > 64 * 1024);
  CHECK(taken < 128 * 1024);
  CHECK(!read.done);
  co_await server->close();
  co_await turns(2);
  CHECK(read.to.error() == coflow::error::closed);
}

TEST_CASE("a peer that asks without end and takes no answer is heard only so far", "[codec_wire]") {
  drive(answers_are_bounded());
}

// An inner read is begun when a read wants it, and for nothing else: what nobody reads stays with the peer (law W8).
task<> writes_read_nothing() {
  ends on(48);
  std::size_t accepted = 0;
  task_scope scope;
  for (int i = 0; i < 200; ++i) {
    const result<void> sent = co_await on.flow.write(buffer("w"));
    CHECK(sent.has_value());
    const std::string taken = co_await all_that_is_there(&on.raw);
    CHECK(taken == frame("w"));
    came<result<void>> heard;
    task_scope attempt;
    start(attempt, write_once(&on.raw, frame(std::string(20, 'h')), &heard));
    co_await turns(3);
    if (!heard.done) break;
    ++accepted;
  }
  CHECK(accepted <= 2);
}

TEST_CASE("writing reads nothing that nobody asked for", "[codec_wire]") { drive(writes_read_nothing()); }

task<> a_blocked_write_stops_no_read() {
  ends on(16);
  came<result<void>> sent;
  task_scope scope;
  start(scope, write_once(&on.flow, std::string(300'000, 'w'), &sent));
  co_await turns(3);
  CHECK(!sent.done);
  for (int i = 0; i < 50; ++i) {
    co_await say(&on.raw, frame("still"));
    const read_result got = co_await on.flow.read();
    REQUIRE(got.has_data());
    CHECK(got->text() == "still");
  }
  on.raw.reset();
  co_await turns(3);
  CHECK(sent.done);
  CHECK(sent.to.error() == std::errc::connection_reset);
}

TEST_CASE("a write that waits stops no read", "[codec_wire]") { drive(a_blocked_write_stops_no_read()); }

task<> serve(memory_flow inner, std::optional<secure>* out) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::server), std::move(inner));
  if (made) out->emplace(std::move(*made));
}

// The codec must be fed to work: its peer is answered also while nobody reads, before and after data.
task<> a_codec_that_needs_input_is_fed() {
  auto pipe = coflow::memory_pipe();
  toy_codec peer(toy_role::client);
  std::optional<secure> server;
  task_scope scope;
  start(scope, serve(std::move(pipe.second), &server));
  for (const char kind : {'H', 'F'}) {
    const result<void> sent = co_await pipe.first.write(peer.forge(kind, kind == 'H' ? "clientNC" : ""));
    CHECK(sent.has_value());
    co_await turns(3);
  }
  REQUIRE(server.has_value());
  const result<void> said = co_await pipe.first.write(peer.forge('D', "data"));
  CHECK(said.has_value());
  const read_result got = co_await server->read();
  CHECK(got->text() == "data");
  std::string there = co_await all_that_is_there(&pipe.first);
  for (int i = 0; i < 3; ++i) {
    const result<void> asked = co_await pipe.first.write(peer.forge('P', "are you there"));
    CHECK(asked.has_value());
    there = co_await all_that_is_there(&pipe.first);
    CHECK(!there.empty());
  }
}

TEST_CASE("a codec that must be fed to work is fed while nobody reads", "[codec_wire]") {
  drive(a_codec_that_needs_input_is_fed());
}

}  // namespace
