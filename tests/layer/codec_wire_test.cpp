// The inner side of a codec's flow: who reads and writes below, and when (laws L1, L8, W8).
#include <coflow/testing/checked_flow.hpp>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "support/codec_ends.hpp"
#include "support/hand_flow.hpp"

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

// ---- over a flow that is completed by hand

using support::hand;
using support::hand_flow;
using support::plain_codec;
using support::plain_orders;
using plain = coflow::codec_flow<plain_codec, hand_flow>;

struct by_hand {
  by_hand() : flow(plain_codec(orders), hand_flow(below)) {}
  std::shared_ptr<hand> below = std::make_shared<hand>();
  std::shared_ptr<plain_orders> orders = std::make_shared<plain_orders>();
  plain flow;
};

task<> one_read_asks_once() {
  by_hand on;
  on.below->ready = 3;
  for (int i = 1; i <= 3; ++i) {
    const read_result got = co_await on.flow.read();
    CHECK(got->text() == "r");
    co_await turns(2);
    CHECK(on.below->reads == i);
  }
  // One that is taken back has asked for what comes next, and for no more.
  on.orders->swallow = true;
  came<read_result> none;
  {
    task_scope leaving;
    start(leaving, read_once(&on.flow, &none));
    co_await turns(2);
  }
  CHECK(on.below->reads == 4);
  on.below->give("a part of something");
  co_await turns(2);
  CHECK(on.below->reads == 4);
}

TEST_CASE("a read begins one read below", "[codec_wire]") { drive(one_read_asks_once()); }

task<> reading_and_finding_no_memory() {
  by_hand on;
  bool threw = false;
  struct reads {
    static task<> once(plain* flow, bool* out) {
      try {
        static_cast<void>(co_await flow->read());
      } catch (const std::bad_alloc&) {
        *out = true;
      }
    }
  };
  task_scope scope;
  start(scope, reads::once(&on.flow, &threw));
  co_await turns(2);
  on.below->give_no_memory();
  co_await turns(2);
  CHECK(threw);
  CHECK(on.below->reads == 1);
  CHECK(!on.below->reading());
  on.below->ready = 1;
  const read_result got = co_await on.flow.read();
  CHECK(got->text() == "r");
}

TEST_CASE("a read below that finds no memory is told to who asked, and the next one asks again", "[codec_wire]") {
  drive(reading_and_finding_no_memory());
}

task<> writing_and_finding_no_memory() {
  by_hand on;
  on.below->no_memory_for_writes = true;
  const result<void> sent = co_await on.flow.write(buffer("lost"));
  CHECK(sent.error() == std::errc::not_enough_memory);
  const result<void> next = co_await on.flow.write(buffer("late"));
  CHECK(next.error() == std::errc::not_enough_memory);
  CHECK(on.below->written.empty());
}

TEST_CASE("a write below that finds no memory is an error for good", "[codec_wire]") {
  drive(writing_and_finding_no_memory());
}

// Reads go on while there are as many bytes of answers as may wait, and end behind the one that makes it more.
task<> answers_wait_up_to_the_limit() {
  by_hand on;
  on.below->writes_wait = true;
  on.orders->answer = buffer(std::string(32 * 1024, 'a'));
  on.below->ready = 1000;
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(&on.flow, &got));
  co_await turns(5);
  CHECK(on.orders->feeds == 3);  // one on its way, two behind it
  for (int round = 0; round < 20; ++round) {
    REQUIRE(on.below->writing());
    const int fed = on.orders->feeds;
    on.below->accept();
    co_await turns(5);
    CHECK(on.orders->feeds > fed);
    CHECK(on.orders->feeds - static_cast<int>(on.below->written.size() / (32 * 1024)) == 3);
  }
  // Nobody will take them any more: they are released, so are those to come, and data is still to be had.
  CHECK(on.below->writing());
  on.below->refuse(std::make_error_code(std::errc::io_error));
  co_await turns(5);
  CHECK(on.below->writes <= 30);
  CHECK(!got.done);
  on.below->ready = 0;
  co_await turns(5);
  buffer kept = buffer::allocate(10);
  on.orders->answer = kept.share();
  REQUIRE(on.below->reading());
  on.below->give("x");
  co_await turns(3);
  on.orders->answer = buffer();
  CHECK(kept.writable().size() == 10);
  REQUIRE(on.below->reading());
  on.below->give("data at last");
  co_await turns(3);
  REQUIRE(got.done);
  CHECK(got.to->text() == "data at last");
}

TEST_CASE("answers wait up to 64 KiB, those on their way among them", "[codec_wire]") {
  drive(answers_wait_up_to_the_limit());
}

task<> an_answer_behind_a_write_that_fails() {
  by_hand on;
  on.below->writes_wait = true;
  on.below->ready = 1;
  buffer kept = buffer::allocate(10);
  on.orders->answer = kept.share();
  came<result<void>> sent;
  came<read_result> got;
  task_scope scope;
  start(scope, write_once(&on.flow, "first", &sent));
  co_await turns(2);
  start(scope, read_once(&on.flow, &got));
  co_await turns(2);
  on.orders->answer = buffer();
  CHECK(kept.writable().empty());
  on.below->refuse(std::make_error_code(std::errc::io_error));
  co_await turns(2);
  CHECK(kept.writable().size() == 10);
  CHECK(sent.to.error() == std::errc::io_error);
  CHECK(on.below->writes == 1);
}

TEST_CASE("what waits behind a write that fails is released", "[codec_wire]") {
  drive(an_answer_behind_a_write_that_fails());
}

task<> a_goodbye_that_is_lost() {
  by_hand on;
  on.below->writes_wait = true;
  bool shut = false;
  task_scope scope;
  start(scope, shutdown_once(&on.flow, shutdown_mode::write, &shut));
  co_await turns(2);
  on.below->refuse(std::make_error_code(std::errc::io_error));
  co_await turns(2);
  CHECK(shut);
  CHECK(on.below->shutdowns_of_write == 0);
}

TEST_CASE("a goodbye that is lost is followed by no clean end", "[codec_wire]") { drive(a_goodbye_that_is_lost()); }

task<> nothing_after_the_close() {
  by_hand on;
  on.orders->needs_input = true;
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(&on.flow, &got));
  co_await turns(2);
  co_await on.flow.close();
  co_await turns(2);
  CHECK(on.below->closes == 1);
  REQUIRE(on.below->reading());
  const int fed = on.orders->feeds;
  on.below->ready = 10;
  on.below->give("too late");
  co_await turns(2);
  CHECK(on.below->reads == 1);
  CHECK(on.orders->feeds == fed);
}

TEST_CASE("nothing is read and nothing decoded after the close below", "[codec_wire]") {
  drive(nothing_after_the_close());
}

// Without an executor nothing can be read; what has to be is read when there is one.
coflow::laws::foreign shutdown_abroad(plain* flow, bool* done) {
  co_await flow->shutdown(shutdown_mode::read);
  *done = true;
}
task<> goes_on_at_home(by_hand* on) {
  on->below->writes_wait = true;
  came<result<void>> sent;
  task_scope scope;
  start(scope, write_once(&on->flow, "now", &sent));
  co_await turns(2);
  CHECK(on->below->reads == 2);
  CHECK(on->below->reading());
}

TEST_CASE("what could not be read for want of an executor is read where there is one", "[codec_wire]") {
  by_hand on;
  on.orders->needs_input = true;
  on.below->needs_executor = true;
  bool shut = false;
  const coflow::laws::foreign caller = shutdown_abroad(&on.flow, &shut);
  CHECK(shut);
  CHECK(on.below->reads == 1);
  drive(goes_on_at_home(&on));
}

task<> input_without_end() {
  by_hand on;
  on.orders->needs_input = true;
  on.below->ready = 1'000'000;
  co_await on.flow.shutdown(shutdown_mode::read);
  const result<void> slept = co_await coflow::sleep_for(0ns);
  CHECK(slept.has_value());
  CHECK(on.below->ready > 900'000);
}

TEST_CASE("input that is dropped without end leaves others their turn", "[codec_wire]") { drive(input_without_end()); }

}  // namespace
