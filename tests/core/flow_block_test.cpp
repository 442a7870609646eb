#include "coflow/core/flow_block.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <coroutine>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/fake_transport.hpp"
#include "support/manual_executor.hpp"

using coflow::buffer;
using coflow::error;
using coflow::from_system;
using coflow::half;
using coflow::shutdown_mode;
using coflow::task;
using support::fake_flow;
using support::journal;
using support::manual_executor;
using support::note_close;
using support::note_read;
using support::note_shutdown;
using support::note_write;

namespace {

// A flow on a fake transport, coroutines that use it, and what they note.
struct stage {
  stage() { flow.emplace(wire); }

  /// Starts a coroutine and runs it up to where it waits. Its number is its place in `jobs`.
  support::job<void>& start(task<> body) {
    jobs.push_back(std::make_unique<support::job<void>>(support::job<void>::of(std::move(body))));
    jobs.back()->start(on);
    on.run_until_idle();
    return *jobs.back();
  }
  support::job<void>& read(std::string name) { return start(note_read(&*flow, &log, std::move(name))); }
  support::job<void>& write(std::string name, std::string text) {
    return start(note_write(&*flow, &log, std::move(name), std::move(text)));
  }
  support::job<void>& shutdown(std::string name, shutdown_mode mode) {
    return start(note_shutdown(&*flow, &log, std::move(name), mode));
  }
  support::job<void>& close(std::string name) { return start(note_close(&*flow, &log, std::move(name))); }
  /// What was noted since the last call.
  journal noted() {
    on.run_until_idle();
    return std::exchange(log, {});
  }
  /// What was noted so far, without running anything.
  [[nodiscard]] const journal& so_far() const { return log; }

  manual_executor on;
  coflow::executor::entry inside{on};
  support::wire wire;
  journal log;
  std::optional<fake_flow> flow;
  std::vector<std::unique_ptr<support::job<void>>> jobs;
};

const std::error_code reset = from_system(ECONNRESET);
const std::error_code broken_pipe = from_system(EPIPE);
const std::error_code io_error = from_system(EIO);

}  // namespace

// ---- reading

TEST_CASE("a read that finds data completes at once", "[flow_block]") {
  stage s;
  s.wire.give("data");
  s.read("a");
  CHECK(s.so_far() == journal{"a: data"});
}

TEST_CASE("a read waits until data comes, and is resumed in a turn of its own", "[flow_block]") {
  stage s;
  s.read("a");
  CHECK(s.so_far().empty());
  s.wire.give("data");
  CHECK(s.so_far().empty());
  CHECK(s.noted() == journal{"a: data"});
}

TEST_CASE("reads that wait are served first come, first served", "[flow_block]") {
  stage s;
  for (const char* name : {"a", "b", "c", "d"}) s.read(name);
  s.wire.give("1");
  CHECK(s.noted() == journal{"a: 1"});
  s.wire.give("2");
  s.wire.give("3");
  CHECK(s.noted() == journal{"b: 2", "c: 3"});
  s.wire.give("4");
  CHECK(s.noted() == journal{"d: 4"});
}

TEST_CASE("a read that begins while others wait does not overtake them", "[flow_block]") {
  stage s;
  s.read("a");
  s.wire.give("1");  // "a" is called but has not run yet
  s.wire.give("2");
  s.jobs.push_back(std::make_unique<support::job<void>>(support::job<void>::of(note_read(&*s.flow, &s.log, "b"))));
  s.jobs.back()->start(s.on);
  CHECK(s.noted() == journal{"a: 1", "b: 2"});
}

TEST_CASE("eof goes to every read that waits, and to every later one at once", "[flow_block]") {
  stage s;
  s.read("a");
  s.read("b");
  s.read("c");
  s.wire.end_input();
  CHECK(s.noted() == journal{"a: eof", "b: eof", "c: eof"});
  const int attempts = s.wire.read_attempts;
  s.read("d");
  CHECK(s.so_far() == journal{"d: eof"});
  CHECK(s.wire.read_attempts == attempts);
  CHECK(s.flow->state().read_half() == half::ended);
  s.write("w", "half-closed only");
  CHECK(s.wire.sent == "half-closed only");
}

TEST_CASE("a read error goes to every read that waits, and stays", "[flow_block]") {
  stage s;
  s.read("a");
  s.read("b");
  s.wire.break_reads(io_error);
  CHECK(s.noted() == journal{"a: io error", "b: io error"});
  s.wire.read_error = {};
  s.wire.give("too late");
  s.wire.end_input();
  s.read("c");
  CHECK(s.noted() == journal{"c: io error"});
  s.write("w", "still open");
  CHECK(s.noted() == journal{"w: ok"});
}

TEST_CASE("everything that arrived before the end is delivered before it", "[flow_block]") {
  for (const bool clean : {true, false}) {
    stage s;
    s.wire.give("1");
    s.wire.give("2");
    if (clean)
      s.wire.end_input();
    else
      s.wire.break_reads(reset);
    for (const char* name : {"a", "b", "c"}) s.read(name);
    CHECK(s.noted() == journal{"a: 1", "b: 2", clean ? "c: eof" : "c: reset"});
  }
}

TEST_CASE("a reset that a read sees fails the write half and everything in it", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.read("r");
  s.write("v", "queued");
  s.write("w", "queued");
  s.shutdown("s", shutdown_mode::write);
  s.wire.break_reads(reset);
  CHECK(s.noted() == journal{"r: reset", "v: reset", "w: reset", "s: done"});
  CHECK(s.wire.ends_signalled == 0);
  s.wire.make_room(100);
  s.write("x", "after");
  CHECK(s.noted() == journal{"x: closed"});  // as every write after the shutdown
  CHECK(s.wire.sent.empty());
}

TEST_CASE("a read that knows that nothing is there waits without an attempt", "[flow_block]") {
  stage s;
  s.wire.known_to_be_dry = true;
  s.read("a");
  s.read("b");
  CHECK(s.wire.read_attempts == 0);
  s.wire.known_to_be_dry = false;
  s.wire.give("1");
  s.wire.give("2");
  CHECK(s.noted() == journal{"a: 1", "b: 2"});
}

TEST_CASE("a reader that the transport serves on the spot is resumed inline", "[flow_block]") {
  stage s;
  s.read("a");
  s.read("b");
  s.wire.input.push_back("1");
  s.wire.input.push_back("2");
  s.wire.block->serve_reader();
  CHECK(s.so_far() == journal{"a: 1"});
  CHECK(s.noted() == journal{"a: 1", "b: 2"});
  s.wire.block->serve_reader();  // nobody waits
  s.read("c");
  s.wire.block->serve_reader();  // nothing is there
  CHECK(s.so_far().empty());
  s.wire.input_ends = true;
  s.read("d");
  s.wire.block->serve_reader();
  CHECK(s.so_far() == journal{"c: eof"});
  CHECK(s.noted() == journal{"c: eof", "d: eof"});
}

TEST_CASE("a reader that has been called is not served twice", "[flow_block]") {
  stage s;
  s.read("a");
  s.wire.give("1");  // called
  s.wire.input.push_back("2");
  s.wire.block->serve_reader();
  CHECK(s.so_far().empty());
  CHECK(s.noted() == journal{"a: 1"});
  s.read("b");
  CHECK(s.noted() == journal{"b: 2"});
}

// ---- out of memory

namespace {

task<> note_read_or_bad_alloc(fake_flow* flow, journal* into, std::string name) {
  std::string came = "nothing";
  try {
    const auto given = co_await flow->read();
    came = support::in_words(given);
  } catch (const std::bad_alloc&) {
    came = "bad alloc";
  }
  into->push_back(name + ": " + came);
}

}  // namespace

TEST_CASE("a read without memory throws to the reader, and nothing is lost or latched", "[flow_block]") {
  for (const bool waits : {false, true}) {
    stage s;
    if (!waits) s.wire.give("1");
    s.wire.out_of_memory = 1;
    if (waits) s.wire.known_to_be_dry = true;
    s.start(note_read_or_bad_alloc(&*s.flow, &s.log, "a"));
    s.wire.known_to_be_dry = false;
    if (waits) s.wire.give("1");
    CHECK(s.noted() == journal{"a: bad alloc"});
    CHECK(s.flow->state().can_read());
    s.read("b");
    CHECK(s.noted() == journal{"b: 1"});
  }
}

TEST_CASE("a reader without memory gives way to the next", "[flow_block]") {
  for (const bool on_the_spot : {false, true}) {
    stage s;
    s.start(note_read_or_bad_alloc(&*s.flow, &s.log, "a"));
    s.start(note_read_or_bad_alloc(&*s.flow, &s.log, "b"));
    s.wire.out_of_memory = 1;
    if (on_the_spot) {
      s.wire.input.push_back("1");
      s.wire.block->serve_reader();
    } else {
      s.wire.give("1");
    }
    CHECK(s.noted() == journal{"a: bad alloc", "b: 1"});
  }
}

// ---- writing

TEST_CASE("a write that is accepted whole completes at once", "[flow_block]") {
  stage s;
  s.write("a", "hello");
  CHECK(s.so_far() == journal{"a: ok"});
  CHECK(s.wire.sent == "hello");
}

TEST_CASE("a write completes when all its bytes are accepted", "[flow_block]") {
  stage s;
  s.wire.room = 2;
  s.write("a", "hello");
  CHECK(s.wire.sent == "he");
  s.wire.make_room(2);
  CHECK(s.noted().empty());
  CHECK(s.wire.sent == "hell");
  s.wire.make_room(2);
  CHECK(s.noted() == journal{"a: ok"});
  CHECK(s.wire.sent == "hello");
}

TEST_CASE("writes queue and none of them interleaves with another", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AAAA");
  s.write("b", "BBBB");
  s.write("c", "CCCC");
  journal all;
  for (int i = 0; i < 12; ++i) {
    s.wire.make_room(1);
    for (auto& line : s.noted()) all.push_back(line + " after " + std::to_string(s.wire.sent.size()));
  }
  CHECK(s.wire.sent == "AAAABBBBCCCC");
  CHECK(all == journal{"a: ok after 4", "b: ok after 8", "c: ok after 12"});
}

TEST_CASE("room for several queued writes serves them all", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AA");
  s.write("b", "BB");
  s.write("c", "CC");
  s.wire.make_room(5);
  CHECK(s.noted() == journal{"a: ok", "b: ok"});
  CHECK(s.wire.sent == "AABBC");
}

TEST_CASE("a write error goes to all that wait and to all that follow", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AA");
  s.write("b", "BB");
  s.shutdown("s", shutdown_mode::write);
  s.wire.break_writes(io_error);
  CHECK(s.noted() == journal{"a: io error", "b: io error", "s: done"});
  s.wire.write_error = {};
  s.wire.make_room(100);
  s.write("c", "CC");
  s.write("d", "");
  CHECK(s.noted() == journal{"c: closed", "d: closed"});  // as every write after the shutdown
  CHECK(s.wire.sent.empty());
  CHECK(s.wire.ends_signalled == 0);
}

TEST_CASE("a broken pipe ends the write half alone", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.read("r");
  s.write("a", "AA");
  s.wire.break_writes(broken_pipe);
  CHECK(s.noted() == journal{"a: closed"});
  CHECK(s.flow->state().can_read());
  s.wire.give("the peer still sends");
  CHECK(s.noted() == journal{"r: the peer still sends"});
  s.wire.end_input();
  s.read("q");
  CHECK(s.noted() == journal{"q: eof"});
}

TEST_CASE("a reset that a write sees is the readers' end too, behind what has arrived", "[flow_block]") {
  for (const bool clean_end_follows : {false, true}) {
    stage s;
    s.wire.give("1");
    s.wire.give("2");
    s.wire.write_error = reset;
    s.write("w", "text");
    CHECK(s.noted() == journal{"w: reset"});
    s.wire.input_ends = clean_end_follows;  // "a recv of 0 after a reset is the reset"
    for (const char* name : {"a", "b", "c", "d"}) s.read(name);
    CHECK(s.noted() == journal{"a: 1", "b: 2", "c: reset", "d: reset"});
  }
}

TEST_CASE("a reader that waits hears of a reset that a write sees", "[flow_block]") {
  stage s;
  s.read("a");
  s.read("b");
  s.wire.write_error = reset;
  s.write("w", "text");
  // The transport has nothing more to give, so the reset is the verdict of all.
  CHECK(s.noted() == journal{"w: reset", "a: reset", "b: reset"});
}

TEST_CASE("a reset that a queued write sees reaches readers and writers", "[flow_block]") {
  stage s;
  s.wire.room = 1;
  s.read("a");
  s.write("v", "VV");
  s.write("w", "WW");
  s.wire.break_writes(reset);
  journal noted = s.noted();
  std::sort(noted.begin(), noted.end());
  CHECK(noted == journal{"a: reset", "v: reset", "w: reset"});
  CHECK(s.flow->state().torn());  // half of "VV" is out
}

// ---- writing nothing

TEST_CASE("writing nothing never waits, also behind others and without an executor", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AA");
  s.write("b", "");
  CHECK(s.so_far() == journal{"b: ok"});
  s.shutdown("s", shutdown_mode::write);
  s.write("c", "");
  CHECK(s.noted() == journal{"b: ok", "c: closed"});
}

// ---- shutdown

TEST_CASE("shutting the write half down with nothing queued signals the end at once", "[flow_block]") {
  stage s;
  s.shutdown("s", shutdown_mode::write);
  CHECK(s.so_far() == journal{"s: done"});
  CHECK(s.wire.ends_signalled == 1);
  s.write("w", "late");
  s.shutdown("t", shutdown_mode::write);
  CHECK(s.noted() == journal{"s: done", "w: closed", "t: done"});
  CHECK(s.wire.ends_signalled == 1);
  s.wire.give("reading goes on");
  s.read("r");
  CHECK(s.noted() == journal{"r: reading goes on"});
}

TEST_CASE("shutting the write half down lets queued writes out, then signals the end once", "[flow_block]") {
  stage s;
  s.wire.room = 1;
  s.write("a", "AA");
  s.write("b", "BB");
  s.shutdown("s", shutdown_mode::write);
  s.write("c", "CC");  // refused from the call on
  s.shutdown("t", shutdown_mode::read_write);
  CHECK(s.noted() == journal{"c: closed"});
  CHECK(s.wire.ends_signalled == 0);
  CHECK(s.flow->state().write_half() == half::draining);
  s.wire.make_room(100);
  CHECK(s.noted() == journal{"a: ok", "b: ok", "s: done", "t: done"});
  CHECK(s.wire.sent == "AABB");
  CHECK(s.wire.ends_signalled == 1);
  CHECK(s.flow->state().write_half() == half::shut);
}

TEST_CASE("shutting the read half down ends reads and drops input, once", "[flow_block]") {
  stage s;
  s.read("a");
  s.read("b");
  s.shutdown("s", shutdown_mode::read);
  journal noted = s.noted();
  std::sort(noted.begin(), noted.end());
  CHECK(noted == journal{"a: eof", "b: eof", "s: done"});
  CHECK(s.wire.input_refused == 1);
  s.wire.input.push_back("late");
  s.read("c");
  s.shutdown("t", shutdown_mode::read);
  s.write("w", "still open");
  CHECK(s.noted() == journal{"c: eof", "t: done", "w: ok"});
  CHECK(s.wire.input_refused == 1);
}

TEST_CASE("shutting both halves down is both", "[flow_block]") {
  stage s;
  s.wire.give("dropped");
  s.shutdown("s", shutdown_mode::read_write);
  s.read("r");
  s.write("w", "late");
  CHECK(s.noted() == journal{"s: done", "r: eof", "w: closed"});
  CHECK(s.wire.ends_signalled == 1);
  CHECK(s.wire.input_refused == 1);
  CHECK(s.wire.released == 0);
}

TEST_CASE("a shutdown after the end of a half changes nothing", "[flow_block]") {
  stage s;
  s.wire.break_reads(io_error);
  s.wire.write_error = io_error;
  s.read("r");
  s.write("w", "text");
  s.shutdown("s", shutdown_mode::read_write);
  s.read("q");
  s.write("v", "text");
  CHECK(s.noted() == journal{"r: io error", "w: io error", "s: done", "q: io error", "v: io error"});
  CHECK(s.wire.ends_signalled == 0);
}

TEST_CASE("a shutdown works without an executor", "[flow_block]") {
  support::wire wire;
  {
    fake_flow flow(wire);
    journal log;
    manual_executor elsewhere;  // drives the coroutine by hand, without being current
    auto job = support::job<void>::of(note_shutdown(&flow, &log, "s", shutdown_mode::read_write));
    elsewhere.post(job.started());
    {
      // The node runs with no executor current.
      elsewhere.run_ready();
    }
    CHECK(log == journal{"s: done"});
    CHECK(wire.ends_signalled == 1);
    CHECK(wire.input_refused == 1);
  }
  CHECK(wire.block_gone);
}

// ---- cancellation

TEST_CASE("a read that is cancelled loses nothing", "[flow_block]") {
  stage s;
  auto& a = s.read("a");
  s.read("b");
  a.request_stop();
  CHECK(s.so_far().empty());  // never inline
  CHECK(s.noted() == journal{"a: canceled"});
  s.wire.give("1");
  CHECK(s.noted() == journal{"b: 1"});
  CHECK(s.flow->state().can_read());
}

TEST_CASE("a read that is cancelled between data and its turn leaves the data to the next", "[flow_block]") {
  stage s;
  auto& a = s.read("a");
  s.read("b");
  s.wire.give("1");  // "a" is called
  a.request_stop();
  journal noted = s.noted();
  std::sort(noted.begin(), noted.end());
  CHECK(noted == journal{"a: canceled", "b: 1"});
}

TEST_CASE("a cancelled read leaves its data to a read that comes later", "[flow_block]") {
  stage s;
  auto& a = s.read("a");
  s.wire.give("1");
  a.request_stop();
  CHECK(s.noted() == journal{"a: canceled"});
  s.read("b");
  CHECK(s.noted() == journal{"b: 1"});
}

TEST_CASE("a stop request that comes after the verdict changes nothing", "[flow_block]") {
  stage s;
  auto& a = s.read("a");
  auto& b = s.read("b");
  s.flow.reset();
  a.request_stop();
  b.request_stop();
  CHECK(s.noted() == journal{"a: closed", "b: closed"});
}

TEST_CASE("a queued write that is cancelled leaves the flow usable", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AA");
  auto& b = s.write("b", "BB");
  s.write("c", "CC");
  b.request_stop();
  CHECK(s.noted() == journal{"b: canceled"});
  s.wire.make_room(100);
  CHECK(s.noted() == journal{"a: ok", "c: ok"});
  CHECK(s.wire.sent == "AACC");
  CHECK_FALSE(s.flow->state().torn());
}

TEST_CASE("the first write that is cancelled before it began gives way to the next", "[flow_block]") {
  for (const bool called : {false, true}) {
    stage s;
    s.wire.room = 0;
    auto& a = s.write("a", "AA");
    s.write("b", "BB");
    if (called) s.wire.make_room(100);
    a.request_stop();
    if (!called) s.wire.make_room(100);
    journal noted = s.noted();
    std::sort(noted.begin(), noted.end());
    CHECK(noted == journal{"a: canceled", "b: ok"});
    CHECK(s.wire.sent == "BB");
  }
}

TEST_CASE("a write that is cancelled half-way tears the write half", "[flow_block]") {
  for (const bool by_destruction : {false, true}) {
    stage s;
    s.wire.room = 1;
    s.read("r");
    auto& a = s.write("a", "AA");
    s.write("b", "BB");
    if (by_destruction)
      a.destroy();
    else
      a.request_stop();
    journal noted = s.noted();
    std::sort(noted.begin(), noted.end());
    if (by_destruction)
      CHECK(noted == journal{"b: torn"});
    else
      CHECK(noted == journal{"a: canceled", "b: torn"});
    CHECK(s.flow->state().torn());
    s.wire.make_room(100);
    s.write("c", "CC");
    s.write("d", "");
    s.shutdown("s", shutdown_mode::write);
    CHECK(s.noted() == journal{"c: torn", "d: torn", "s: done"});
    CHECK(s.wire.ends_signalled == 0);  // law X3
    s.wire.give("reading goes on");
    CHECK(s.noted() == journal{"r: reading goes on"});
    s.close("x");
    CHECK(s.wire.aborted);
    CHECK(s.wire.sent == "A");
  }
}

TEST_CASE("a draining shutdown ends when the write in progress is torn", "[flow_block]") {
  stage s;
  s.wire.room = 1;
  auto& a = s.write("a", "AA");
  s.write("b", "BB");
  s.shutdown("s", shutdown_mode::write);
  a.request_stop();
  journal noted = s.noted();
  std::sort(noted.begin(), noted.end());
  CHECK(noted == journal{"a: canceled", "b: torn", "s: done"});
  CHECK(s.wire.ends_signalled == 0);
  CHECK(s.flow->state().write_half() == half::failed);
}

TEST_CASE("the last queued write that is cancelled lets a draining shutdown signal the end", "[flow_block]") {
  for (const bool by_destruction : {false, true}) {
    stage s;
    s.wire.room = 0;
    auto& a = s.write("a", "AA");
    auto& b = s.write("b", "BB");
    s.shutdown("s", shutdown_mode::write);
    if (by_destruction) {
      a.destroy();
      CHECK(s.wire.ends_signalled == 0);
      b.destroy();
    } else {
      a.request_stop();
      CHECK(s.wire.ends_signalled == 0);
      b.request_stop();
    }
    CHECK(s.wire.ends_signalled == 1);
    journal noted = s.noted();
    std::sort(noted.begin(), noted.end());
    if (by_destruction)
      CHECK(noted == journal{"s: done"});
    else
      CHECK(noted == journal{"a: canceled", "b: canceled", "s: done"});
    CHECK(s.wire.sent.empty());
    s.close("x");
    CHECK_FALSE(s.wire.aborted);
  }
}

TEST_CASE("a stop ends the wait of a shutdown, and the half keeps draining", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AA");
  auto& one = s.shutdown("s", shutdown_mode::write);
  s.shutdown("t", shutdown_mode::write);
  one.request_stop();
  CHECK(s.noted() == journal{"s: done"});
  CHECK(s.flow->state().write_half() == half::draining);
  s.wire.make_room(100);
  journal noted = s.noted();
  std::sort(noted.begin(), noted.end());
  CHECK(noted == journal{"a: ok", "t: done"});
  CHECK(s.wire.ends_signalled == 1);
}

namespace {

// Waits for the gate, and then uses the flow in a task that has been stopped meanwhile.
task<> use_when_stopped(support::gate* at, fake_flow* flow, journal* log) {
  co_await at->pass();
  co_await note_read(flow, log, "read");
  co_await note_write(flow, log, "write", "text");
  co_await note_write(flow, log, "nothing", "");
  co_await note_shutdown(flow, log, "shutdown", shutdown_mode::write);
  co_await note_close(flow, log, "close");
}

}  // namespace

TEST_CASE("in a stopped task reads and writes end at once, but shutdown and close do their work", "[flow_block]") {
  stage s;
  support::gate at;
  s.wire.give("left alone");
  auto& user = s.start(use_when_stopped(&at, &*s.flow, &s.log));
  s.wire.room = 1;
  s.write("w", "WW");  // so that the shutdown would have to wait
  user.request_stop();
  at.open();
  CHECK(s.noted() == journal{"read: canceled", "write: canceled", "nothing: canceled", "shutdown: done", "close: done",
                             "w: closed"});
  CHECK(s.wire.input.size() == 1);
  CHECK(s.wire.released == 1);
  CHECK(s.wire.aborted);  // half of "WW" is out
}

// ---- coroutines that die

TEST_CASE("a reading coroutine that dies takes its wait back", "[flow_block]") {
  for (const bool called : {false, true}) {
    stage s;
    auto& a = s.read("a");
    s.read("b");
    if (called) s.wire.give("1");
    a.destroy();
    if (!called) s.wire.give("1");
    CHECK(s.noted() == journal{"b: 1"});
  }
}

TEST_CASE("a coroutine that dies between its verdict and its turn leaves nothing behind", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  auto& a = s.read("a");
  auto& w = s.write("w", "WW");
  auto& t = s.shutdown("s", shutdown_mode::write);
  s.flow.reset();
  a.destroy();
  w.destroy();
  t.destroy();
  CHECK_FALSE(s.on.has_ready());
  CHECK(s.noted().empty());
}

TEST_CASE("a shutting coroutine that dies leaves the half draining", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.write("a", "AA");
  s.shutdown("s", shutdown_mode::write).destroy();
  s.wire.make_room(100);
  CHECK(s.noted() == journal{"a: ok"});
  CHECK(s.wire.ends_signalled == 1);
}

// ---- close

TEST_CASE("close ends everything that waits with closed, and never inline", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.read("q");
  s.read("r");
  s.write("v", "VV");
  s.write("w", "WW");
  s.shutdown("s", shutdown_mode::write);
  s.wire.block->close();
  CHECK(s.so_far().empty());
  CHECK(s.wire.released == 1);
  CHECK_FALSE(s.wire.aborted);
  CHECK(s.noted() == journal{"q: closed", "r: closed", "v: closed", "w: closed", "s: done"});
  CHECK(s.wire.ends_signalled == 0);
}

TEST_CASE("close ends operations that have been called, too", "[flow_block]") {
  stage s;
  s.wire.room = 0;
  s.read("r");
  s.write("w", "WW");
  s.wire.give("1");
  s.wire.make_room(100);
  s.wire.block->close();
  CHECK(s.noted() == journal{"r: closed", "w: closed"});
  CHECK(s.wire.sent.empty());
}

TEST_CASE("after close everything is closed, and a second close does nothing", "[flow_block]") {
  stage s;
  s.wire.give("dropped");
  s.close("x");
  s.close("y");
  s.read("r");
  s.write("w", "text");
  s.write("n", "");
  s.shutdown("s", shutdown_mode::read_write);
  CHECK(s.noted() == journal{"x: done", "y: done", "r: closed", "w: closed", "n: closed", "s: done"});
  CHECK(s.wire.released == 1);
  CHECK(s.wire.ends_signalled == 0);
  CHECK(s.wire.input_refused == 0);
}

TEST_CASE("close beats every earlier verdict", "[flow_block]") {
  stage s;
  s.wire.break_reads(io_error);
  s.wire.write_error = io_error;
  s.read("r");
  s.write("w", "text");
  s.close("x");
  s.read("q");
  s.write("v", "text");
  CHECK(s.noted() == journal{"r: io error", "w: io error", "x: done", "q: closed", "v: closed"});
}

TEST_CASE("closing in the middle of a write aborts", "[flow_block]") {
  stage s;
  s.wire.room = 1;
  s.write("w", "WW");
  s.close("x");
  CHECK(s.noted() == journal{"x: done", "w: closed"});
  CHECK(s.wire.aborted);
}

TEST_CASE("a write that failed half-way makes the close an abort", "[flow_block]") {
  stage s;
  s.wire.room = 1;
  s.write("w", "WW");
  s.wire.break_writes(io_error);
  CHECK(s.noted() == journal{"w: io error"});
  s.close("x");
  CHECK(s.wire.aborted);
}

// ---- handles

TEST_CASE("destroying a flow with operations pending ends them with closed", "[flow_block]") {
  stage s;
  s.wire.room = 1;
  s.read("r");
  s.write("w", "WW");
  s.shutdown("s", shutdown_mode::write);
  s.flow.reset();
  CHECK(s.so_far().empty());
  CHECK(s.wire.released == 1);
  CHECK(s.noted() == journal{"r: closed", "w: closed", "s: done"});
  CHECK(s.wire.block_gone);
}

TEST_CASE("moving a flow with operations pending leaves them pending", "[flow_block]") {
  stage s;
  s.read("a");
  fake_flow moved = std::move(*s.flow);
  s.flow.reset();
  CHECK(s.wire.released == 0);
  s.wire.give("1");
  CHECK(s.noted() == journal{"a: 1"});
  {
    support::wire other_wire;
    fake_flow other(other_wire);
    s.start(note_read(&moved, &s.log, "b"));
    moved = std::move(other);  // closes what it held
    CHECK(s.noted() == journal{"b: closed"});
    CHECK(s.wire.released == 1);
    CHECK(other_wire.released == 0);
    fake_flow& same = moved;
    moved = std::move(same);
    CHECK(other_wire.released == 0);
    const fake_flow last = std::move(moved);
    static_cast<void>(last);
  }
}

namespace {

task<> read_then_destroy(std::optional<fake_flow>* flow, journal* into, std::string name) {
  const auto given = co_await (*flow)->read();
  into->push_back(name + ": " + support::in_words(given));
  flow->reset();
}
task<> write_then_destroy(std::optional<fake_flow>* flow, journal* into, std::string name, std::string text) {
  const auto given = co_await (*flow)->write(buffer(text));
  into->push_back(name + ": " + support::in_words(given));
  flow->reset();
}

}  // namespace

TEST_CASE("a coroutine that is resumed may destroy the flow", "[flow_block]") {
  SECTION("a reader, by a turn of its own") {
    stage s;
    s.start(read_then_destroy(&s.flow, &s.log, "a"));
    s.read("b");
    s.wire.give("1");
    CHECK(s.noted() == journal{"a: 1", "b: closed"});
  }
  SECTION("a reader, by the transport") {
    stage s;
    s.start(read_then_destroy(&s.flow, &s.log, "a"));
    s.read("b");
    s.wire.input.push_back("1");
    s.wire.block->serve_reader();
    CHECK(s.noted() == journal{"a: 1", "b: closed"});
  }
  SECTION("a reader at eof") {
    stage s;
    s.start(read_then_destroy(&s.flow, &s.log, "a"));
    s.start(read_then_destroy(&s.flow, &s.log, "b"));
    s.wire.end_input();
    CHECK(s.noted() == journal{"a: eof", "b: eof"});
  }
  SECTION("a writer") {
    stage s;
    s.wire.room = 0;
    s.read("r");
    s.start(write_then_destroy(&s.flow, &s.log, "a", "AA"));
    s.write("b", "BB");
    s.wire.make_room(2);
    CHECK(s.noted() == journal{"a: ok", "r: closed", "b: closed"});
  }
  SECTION("a writer that meets an error") {
    stage s;
    s.wire.room = 0;
    s.start(write_then_destroy(&s.flow, &s.log, "a", "AA"));
    s.write("b", "BB");
    s.wire.break_writes(io_error);
    journal noted = s.noted();
    std::sort(noted.begin(), noted.end());
    CHECK(noted == journal{"a: io error", "b: io error"});
  }
}

TEST_CASE("a handle that was moved from may be destroyed and assigned to", "[flow_block]") {
  support::wire first;
  support::wire second;
  {
    fake_flow a(first);
    fake_flow b = std::move(a);
    a = fake_flow(second);
    CHECK(first.released == 0);
    b = std::move(a);
    CHECK(first.released == 1);
    CHECK(second.released == 0);
  }
  CHECK(second.released == 1);
  CHECK(first.block_gone);
  CHECK(second.block_gone);
}

// ---- executors

TEST_CASE("an operation without an executor says so and latches nothing", "[flow_block]") {
  manual_executor on;
  support::wire wire;
  wire.give("data");
  fake_flow flow(wire);
  journal log;
  for (int round = 0; round < 2; ++round) {
    auto reads = support::job<void>::of(note_read(&flow, &log, "r"));
    auto writes = support::job<void>::of(note_write(&flow, &log, "w", "text"));
    auto nothing = support::job<void>::of(note_write(&flow, &log, "n", ""));
    for (auto* one : {&reads, &writes, &nothing}) on.post(one->started());
    if (round == 0)
      on.run_ready();  // with no entry: nothing is current
    else
      on.run_once();
    CHECK(reads.ended());
    CHECK(writes.ended());
    CHECK(nothing.ended());
  }
  CHECK(log == journal{"r: no executor", "w: no executor", "n: ok", "r: data", "w: ok", "n: ok"});
  CHECK(wire.sent == "text");
}

TEST_CASE("an operation on another executor than the flow's is refused and latches nothing", "[flow_block]") {
  manual_executor first;
  manual_executor second;
  support::wire wire;
  fake_flow flow(wire);
  journal log;
  support::drive(first, note_write(&flow, &log, "a", "1"));
  support::drive(second, note_write(&flow, &log, "b", "2"));
  support::drive(second, note_read(&flow, &log, "c"));
  support::drive(first, note_write(&flow, &log, "d", "3"));
  CHECK(log == journal{"a: ok", "b: wrong executor", "c: wrong executor", "d: ok"});
  CHECK(wire.sent == "13");
}

// ---- fairness

namespace {

task<> read_many(fake_flow* flow, int count, int* done) {
  for (int i = 0; i < count; ++i) {
    const auto given = co_await flow->read();
    if (!given) break;
    ++*done;
  }
}
task<> write_many(fake_flow* flow, int count, int* done) {
  for (int i = 0; i < count; ++i) {
    const auto sent = co_await flow->write(buffer("x"));
    if (!sent) break;
    ++*done;
  }
}

// Notes how far the others have come whenever it runs.
struct onlooker final : coflow::node {
  onlooker(manual_executor& on, const int& progress) noexcept : on_(on), progress_(progress) {}
  ~onlooker() = default;
  void run() noexcept override {
    longest = std::max(longest, progress_ - last_);
    last_ = progress_;
    ++runs;
    on_.post(*this);
  }
  int longest = 0;
  int runs = 0;

 private:
  manual_executor& on_;
  const int& progress_;
  int last_ = 0;
};

}  // namespace

TEST_CASE("a million reads that complete at once do not starve others", "[flow_block]") {
  constexpr int count = 1'000'000;
  manual_executor on;
  const coflow::executor::entry inside(on);
  support::wire wire;
  fake_flow flow(wire);
  int done = 0;
  auto reads = support::job<void>::of(read_many(&flow, count, &done));
  onlooker other(on, done);
  reads.start(on);
  on.post(other);
  while (!reads.ended()) {
    while (wire.input.size() < 200) wire.input.push_back("x");
    on.run_ready();
  }
  CHECK(done == count);
  CHECK(other.longest <= 65);
  CHECK(other.runs >= count / 65);
}

TEST_CASE("a million writes that complete at once do not starve others", "[flow_block]") {
  constexpr int count = 1'000'000;
  manual_executor on;
  const coflow::executor::entry inside(on);
  support::wire wire;
  fake_flow flow(wire);
  int done = 0;
  auto writes = support::job<void>::of(write_many(&flow, count, &done));
  onlooker other(on, done);
  writes.start(on);
  on.post(other);
  while (!writes.ended()) {
    wire.sent.clear();
    on.run_ready();
  }
  CHECK(done == count);
  CHECK(other.longest <= 65);
}

TEST_CASE("a read that has used up its turns keeps its place", "[flow_block]") {
  stage s;
  for (int i = 0; i < 200; ++i) s.wire.input.push_back(std::to_string(i));
  int done = 0;
  auto reads = support::job<void>::of(read_many(&*s.flow, 100, &done));
  reads.start(s.on);
  auto late = support::job<void>::of(note_read(&*s.flow, &s.log, "late"));
  late.start(s.on);
  s.on.run_ready();
  CHECK(done == 64);
  CHECK_FALSE(late.ended());  // it found a read before it, though data was there
  s.on.run_ready();
  s.on.run_ready();
  CHECK(s.log == journal{"late: 65"});
  s.on.run_until_idle();
  CHECK(done == 100);
}

TEST_CASE("a write that has used up its turns can be cancelled and has sent nothing", "[flow_block]") {
  stage s;
  int done = 0;
  auto writes = support::job<void>::of(write_many(&*s.flow, 1000, &done));
  writes.start(s.on);
  s.on.run_ready();
  CHECK(done == 64);
  writes.request_stop();
  s.on.run_until_idle();
  CHECK(writes.ended());
  CHECK(done == 64);
  CHECK(s.wire.sent.size() == 64);
  CHECK_FALSE(s.flow->state().torn());
  s.write("w", "usable");
  CHECK(s.noted() == journal{"w: ok"});
}

// ---- all of it together, against what must always hold

namespace {

struct operation_record {
  char kind;  // r, w or s
  std::string text;
  std::string came_to;  // empty while pending
};

task<> recorded_read(fake_flow* flow, std::vector<operation_record>* all, std::size_t id,
                     std::vector<std::size_t>* order) {
  try {
    const auto given = co_await flow->read();
    (*all)[id].came_to = given.has_data() ? "data" : support::in_words(given);
    if (given.has_data()) (*all)[id].text = std::string((*given).text());
  } catch (const std::bad_alloc&) {
    (*all)[id].came_to = "no memory";
  }
  order->push_back(id);
}
task<> recorded_write(fake_flow* flow, std::vector<operation_record>* all, std::size_t id,
                      std::vector<std::size_t>* order) {
  buffer parts[3] = {buffer((*all)[id].text.substr(0, 1)), buffer(), buffer((*all)[id].text.substr(1))};
  const auto sent = co_await flow->writev(parts);
  (*all)[id].came_to = support::in_words(sent);
  order->push_back(id);
}
task<> recorded_shutdown(fake_flow* flow, std::vector<operation_record>* all, std::size_t id, shutdown_mode mode,
                         std::vector<std::size_t>* order) {
  co_await flow->shutdown(mode);
  (*all)[id].came_to = "done";
  order->push_back(id);
}

constexpr int action_count = 20;
const char* const action_names[action_count] = {"read",         "write",       "shutdown(write)", "shutdown(read)",
                                                "close",        "give",        "end input",       "reset input",
                                                "room(1)",      "room(9)",     "EPIPE",           "write reset",
                                                "stop oldest",  "stop newest", "destroy oldest",  "turn",
                                                "queue a read", "serve",       "no memory",       "destroy the flow"};

template <class Live>
std::string who_is_stuck(const support::wire& wire, const coflow::half_state& state,
                         const std::vector<operation_record>& all, const Live& live) {
  if (wire.block->has_reader() && (!state.can_read() || !wire.input.empty() || wire.input_ends || wire.read_error))
    return "a reader waits beside something to read";
  if (wire.block->has_reader() && state.broken()) return "a reader waits on a broken connection";
  if (wire.block->has_writer() && (!state.can_transmit() || wire.room != 0 || wire.write_error))
    return "a writer waits beside room to write";
  if (!wire.block->has_writer() && state.write_half() == half::draining) return "drained, but nobody noticed";
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!live(i)) continue;
    if (all[i].kind == 'r' && !wire.block->has_reader()) return "a reader is in no queue";
    if (all[i].kind == 'w' && !wire.block->has_writer()) return "a writer is in no queue";
    if (all[i].kind == 's' && state.write_half() != half::draining) return "a shutdown waits for nothing";
  }
  return {};
}

// Plays a sequence of actions on a fresh flow and gives what is wrong with the outcome, or nothing.
std::string play(const std::vector<int>& actions) {
  manual_executor on;
  const coflow::executor::entry inside(on);
  support::wire wire;
  wire.room = 0;
  std::vector<operation_record> all;
  std::vector<std::size_t> order;
  std::vector<std::optional<support::job<void>>> jobs;
  all.reserve(actions.size());  // coroutines keep no references, but strings need not move
  std::optional<fake_flow> flow(std::in_place, wire);
  std::string given;
  std::size_t sent_at_end = 0;

  const auto begin = [&](char kind, shutdown_mode mode, bool run = true) {
    if (!flow) return;
    const std::size_t id = all.size();
    const char first = static_cast<char>('A' + 2 * id);
    all.push_back({kind, kind == 'w' ? std::string{first, static_cast<char>(first + 1)} : std::string(), ""});
    if (kind == 'r')
      jobs.emplace_back(support::job<void>::of(recorded_read(&*flow, &all, id, &order)));
    else if (kind == 'w')
      jobs.emplace_back(support::job<void>::of(recorded_write(&*flow, &all, id, &order)));
    else
      jobs.emplace_back(support::job<void>::of(recorded_shutdown(&*flow, &all, id, mode, &order)));
    jobs.back()->start(on);
    if (run) on.run_ready();
  };
  const auto live = [&](std::size_t i) { return jobs[i] && !jobs[i]->ended(); };
  const auto oldest = [&]() -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < jobs.size(); ++i)
      if (live(i)) return i;
    return std::nullopt;
  };
  const auto newest = [&]() -> std::optional<std::size_t> {
    for (std::size_t i = jobs.size(); i-- > 0;)
      if (live(i)) return i;
    return std::nullopt;
  };

  for (const int action : actions) {
    switch (action) {
      case 0:
        begin('r', {});
        break;
      case 1:
        begin('w', {});
        break;
      case 2:
        begin('s', shutdown_mode::write);
        break;
      case 3:
        begin('s', shutdown_mode::read);
        break;
      case 4:
        if (flow) wire.block->close();
        break;
      case 5:
        if (wire.input_ends || wire.read_error) break;  // nothing comes after the end
        given.push_back(static_cast<char>('a' + given.size()));
        wire.give(given.substr(given.size() - 1));
        break;
      case 6:
        wire.end_input();
        break;
      case 7:
        wire.break_reads(reset);
        break;
      case 8:
        wire.make_room(1);
        break;
      case 9:
        wire.make_room(9);
        break;
      case 10:
        wire.break_writes(broken_pipe);
        break;
      case 11:
        wire.break_writes(reset);
        break;
      case 12:
        if (const auto i = oldest()) jobs[*i]->request_stop();
        break;
      case 13:
        if (const auto i = newest()) jobs[*i]->request_stop();
        break;
      case 14:
        if (const auto i = oldest()) jobs[*i].reset();
        break;
      case 15:
        on.run_ready();
        break;
      case 16:
        // A coroutine that begins its read only in a later turn; it must not find the flow destroyed (law O1).
        begin('r', {}, false);
        break;
      case 17:
        if (flow) wire.block->serve_reader();
        break;
      case 18:
        wire.out_of_memory = 1;
        break;
      default:
        on.run_ready();  // what has not begun yet
        flow.reset();
        break;
    }
    if (wire.ends_signalled == 1 && sent_at_end == 0) sent_at_end = wire.sent.size() + 1;
  }
  on.run_until_idle();
  if (wire.ends_signalled == 1 && sent_at_end == 0) sent_at_end = wire.sent.size() + 1;

  // Nobody waits for something that is there: a lost wake-up.
  bool torn = false;
  const bool was_closed = wire.released != 0;
  if (flow) {
    const std::string stuck = who_is_stuck(wire, flow->state(), all, live);
    if (!stuck.empty()) return stuck;
    torn = flow->state().torn();
  }
  flow.reset();
  on.run_until_idle();
  for (std::size_t i = 0; i < jobs.size(); ++i)
    if (live(i)) return "an operation never ends";
  if (wire.released != 1 || !wire.block_gone) return "not released";

  // What was read is what was given, in order, to readers in order.
  std::string got;
  std::size_t last_reader = 0;
  std::string verdict;
  for (const std::size_t id : order) {
    const operation_record& one = all[id];
    if (one.kind != 'r') continue;
    if (one.came_to == "data") {
      if (!verdict.empty()) return "data after " + verdict;
      got += one.text;
      if (id < last_reader) return "a later reader was served first";
      last_reader = id;
    } else if (one.came_to != "canceled" && one.came_to != "no memory") {
      if (!verdict.empty() && one.came_to != verdict && one.came_to != "closed")
        return one.came_to + " after " + verdict;
      verdict = one.came_to;
    }
  }
  if (given.compare(0, got.size(), got) != 0) return "read '" + got + "' of '" + given + "'";
  if (verdict == "eof" && wire.input_refused == 0 && got != given) return "eof before the data";
  if (verdict == "eof" && wire.input_refused == 0 && !wire.input_ends) return "eof out of nothing";

  // What was sent is whole writes in order; a part of one only at the end, and then the stream is torn.
  std::size_t place = 0;
  bool part = false;
  for (const operation_record& one : all) {
    if (one.kind != 'w') continue;
    std::size_t out = 0;
    while (out < one.text.size() && place < wire.sent.size() && wire.sent[place] == one.text[out]) {
      ++out;
      ++place;
    }
    if (one.came_to == "ok" && (out != one.text.size() || part)) return "a write succeeded and is not there";
    if (one.came_to != "ok" && out == one.text.size()) return "a write failed and is there";
    part = part || (out != 0 && out != one.text.size());
  }
  if (place != wire.sent.size()) return "sent '" + wire.sent + "'";
  if (part && !(torn || was_closed || wire.aborted)) return "torn and nobody knows";
  if (wire.aborted != part) return part ? "a torn stream ended cleanly" : "a whole stream was aborted";
  if (wire.ends_signalled > 1) return "the end was signalled twice";
  if (wire.ends_signalled == 1 && (part || sent_at_end != wire.sent.size() + 1)) return "something after the end";
  if (on.has_ready()) return "something is left in the queue";
  return {};
}

std::string in_words(const std::vector<int>& actions) {
  std::string text;
  for (const int one : actions) text += std::string(text.empty() ? "" : ", ") + action_names[one];
  return text;
}

}  // namespace

TEST_CASE("every sequence of four actions keeps the invariants", "[flow_block]") {
  int sequences = 0;
  std::vector<int> actions(4);
  for (int code = 0; code < action_count * action_count * action_count * action_count; ++code) {
    int rest = code;
    for (int& one : actions) {
      one = rest % action_count;
      rest /= action_count;
    }
    const std::string wrong = play(actions);
    ++sequences;
    if (!wrong.empty()) FAIL(in_words(actions) << ": " << wrong);
  }
  CHECK(sequences == 160'000);
}

TEST_CASE("long random sequences of actions keep the invariants", "[flow_block]") {
  for (unsigned seed = 1; seed <= 20'000; ++seed) {
    std::mt19937 random(seed);
    std::vector<int> actions(5 + random() % 8);
    for (int& one : actions) one = static_cast<int>(random() % action_count);
    // Verdicts are what end most things: not in every sequence.
    if (seed % 2 == 0)
      for (int& one : actions)
        if (one == 4 || one == 7 || one == 10 || one == 11) one = static_cast<int>(random() % 2);
    const std::string wrong = play(actions);
    if (!wrong.empty()) FAIL("seed " << seed << ": " << in_words(actions) << ": " << wrong);
  }
  SUCCEED();
}

// ---- reading into the caller's memory

namespace {

// A transport that fills rooms, out of what the test puts in.
class room_block final : public coflow::flow_block<room_block> {
 public:
  explicit room_block(manual_executor& on) noexcept : home_(on) {}

  bool entered() noexcept { return coflow::executor::current() == &home_ && entered_; }
  std::error_code enter() noexcept {
    if (coflow::executor::current() == nullptr) return error::no_executor;
    entered_ = true;
    return {};
  }
  coflow::executor& home() noexcept { return home_; }
  [[nodiscard]] bool may_read() const noexcept { return !dry; }
  coflow::attempt try_read(buffer& data) {
    const coflow::attempt found = look();
    if (found != coflow::attempt::done) return found;
    data = buffer(input);
    input.clear();
    return found;
  }
  coflow::attempt try_read_into(std::span<std::byte> room, std::size_t& count) {
    REQUIRE_FALSE(room.empty());
    const coflow::attempt found = look();
    if (found != coflow::attempt::done) return found;
    count = std::min(room.size(), input.size());
    std::memcpy(room.data(), input.data(), count);
    input.erase(0, count);
    return found;
  }
  coflow::attempt try_write(coflow::writing_operation<room_block>&) noexcept { return coflow::attempt::wait; }
  void input_unwanted() noexcept { input.clear(); }
  void signal_end() noexcept {}
  void release_transport(bool) noexcept {}
  void destroy() noexcept {}

  void give(std::string_view text) {
    input += text;
    call_reader();
  }

  std::string input;
  std::error_code failure;
  bool ends = false;
  bool dry = false;
  int out_of_memory = 0;
  int attempts = 0;

 private:
  coflow::attempt look() {
    ++attempts;
    if (out_of_memory > 0) {
      --out_of_memory;
      throw std::bad_alloc();
    }
    if (!input.empty()) return coflow::attempt::done;
    if (!ends && !failure) return coflow::attempt::wait;
    if (failure)
      state().fail_read(failure);
    else
      state().end_of_input();
    return coflow::attempt::verdict;
  }

  manual_executor& home_;
  bool entered_ = false;
};

std::string in_words(const coflow::read_into_result& got, std::string_view room) {
  if (got.has_count()) return std::to_string(*got) + " " + std::string(room.substr(0, *got));
  return got.eof() ? "eof" : support::in_words(got.error());
}

struct room_stage {
  support::job<void>& start(task<> body) {
    jobs.push_back(std::make_unique<support::job<void>>(support::job<void>::of(std::move(body))));
    jobs.back()->start(on);
    on.run_until_idle();
    return *jobs.back();
  }
  static task<> note_into(room_block* block, journal* into, std::string name, std::size_t size) {
    std::string room(size, '.');
    try {
      const auto got =
          co_await coflow::read_into_operation<room_block>(*block, std::as_writable_bytes(std::span<char>(room)));
      into->push_back(name + ": " + in_words(got, room));
    } catch (const std::bad_alloc&) {
      into->push_back(name + ": no memory");
    }
    if (room.find_first_not_of('.', room.find('.')) != std::string::npos) into->push_back("beyond the count");
  }
  static task<> shut_reading(room_block* block) {
    co_await coflow::shutdown_operation<room_block>(*block, shutdown_mode::read);
  }
  static task<> note_plain(room_block* block, journal* into, std::string name) {
    const auto got = co_await coflow::read_operation<room_block>(*block);
    into->push_back(name + ": " + support::in_words(got));
  }
  static task<> fill_very_often(room_block* block, bool* done) {
    std::byte room[1];
    for (int i = 0; i < 100'000; ++i) {
      const auto got = co_await coflow::read_into_operation<room_block>(*block, std::span(room));
      if (!got) co_return;
    }
    *done = true;
  }
  support::job<void>& into(std::string name, std::size_t size) {
    return start(note_into(&block, &log, std::move(name), size));
  }
  support::job<void>& read(std::string name) { return start(note_plain(&block, &log, std::move(name))); }
  journal noted() {
    on.run_until_idle();
    return std::exchange(log, {});
  }

  manual_executor on;
  coflow::executor::entry inside{on};
  room_block block{on};
  journal log;
  std::vector<std::unique_ptr<support::job<void>>> jobs;
};

}  // namespace

TEST_CASE("a read_into that finds data completes at once with what fits", "[flow_block]") {
  room_stage s;
  s.block.give("data");
  s.into("a", 3);
  CHECK(std::exchange(s.log, {}) == journal{"a: 3 dat"});
  s.into("b", 10);
  CHECK(s.noted() == journal{"b: 1 a"});
}

TEST_CASE("reads of both kinds wait in one queue", "[flow_block]") {
  room_stage s;
  s.into("a", 1);
  s.read("b");
  s.into("c", 100);
  s.read("d");
  s.block.give("1");
  CHECK(s.noted() == journal{"a: 1 1"});
  s.block.give("2");
  CHECK(s.noted() == journal{"b: 2"});
  s.block.give("34");
  CHECK(s.noted() == journal{"c: 2 34"});
  s.block.give("5");
  CHECK(s.noted() == journal{"d: 5"});
}

TEST_CASE("what a small room leaves goes to the next that waits", "[flow_block]") {
  room_stage s;
  s.into("a", 2);
  s.into("b", 2);
  s.read("c");
  s.block.give("12345");
  CHECK(s.noted() == journal{"a: 2 12", "b: 2 34", "c: 5"});
}

TEST_CASE("a first reader of either kind is served on the spot", "[flow_block]") {
  room_stage s;
  s.block.dry = true;
  s.into("a", 2);
  s.read("b");
  s.into("c", 1);
  s.block.input = "1234";
  CHECK(s.block.attempts == 0);
  s.block.serve_reader();
  CHECK(s.log == journal{"a: 2 12"});
  CHECK(s.noted() == journal{"a: 2 12", "b: 34"});
  s.block.input = "56";
  s.block.serve_reader();
  CHECK(s.log == journal{"c: 1 5"});
  s.block.serve_reader();  // nobody is there
  CHECK(s.block.input == "6");
}

TEST_CASE("a verdict goes to reads of both kinds, and stays", "[flow_block]") {
  for (const bool by_error : {false, true}) {
    room_stage s;
    s.into("a", 1);
    s.read("b");
    s.into("c", 1);
    if (by_error)
      s.block.failure = io_error;
    else
      s.block.ends = true;
    s.block.call_reader();
    const std::string end = by_error ? "io error" : "eof";
    CHECK(s.noted() == journal{"a: " + end, "b: " + end, "c: " + end});
    const int attempts = s.block.attempts;
    s.into("d", 1);
    s.into("e", 0);
    CHECK(s.noted() == journal{"d: " + end, "e: " + end});
    CHECK(s.block.attempts == attempts);
  }
}

TEST_CASE("an empty room takes nothing and never waits", "[flow_block]") {
  room_stage s;
  s.into("a", 0);
  CHECK(s.log == journal{"a: 0 "});
  s.read("b");
  s.into("c", 0);
  CHECK(s.noted() == journal{"a: 0 ", "c: 0 "});
  const int attempts = s.block.attempts;
  s.into("d", 0);
  CHECK(s.noted() == journal{"d: 0 "});
  CHECK(s.block.attempts == attempts);
  s.block.close();
  CHECK(s.noted() == journal{"b: closed"});
  s.into("e", 0);
  CHECK(s.noted() == journal{"e: closed"});
}

TEST_CASE("a shutdown gives eof to a read_into that waits", "[flow_block]") {
  room_stage s;
  s.into("a", 4);
  s.start(room_stage::shut_reading(&s.block));
  CHECK(s.noted() == journal{"a: eof"});
}

TEST_CASE("a read_into that is stopped has taken nothing, and a later one is refused at once", "[flow_block]") {
  room_stage s;
  auto& stopped = s.into("a", 4);
  s.block.give("bytes");  // called, and not yet run
  stopped.request_stop();
  CHECK(s.noted() == journal{"a: canceled"});
  CHECK(s.block.input == "bytes");
  s.read("b");
  CHECK(s.noted() == journal{"b: bytes"});
  auto late = support::job<void>::of(room_stage::note_into(&s.block, &s.log, "c", 0));
  late.request_stop();
  late.start(s.on);
  CHECK(s.noted() == journal{"c: canceled"});
}

TEST_CASE("a read_into whose coroutine dies lets the next one have its turn", "[flow_block]") {
  for (const bool called : {false, true}) {
    room_stage s;
    s.into("a", 4);
    s.read("b");
    s.into("c", 4);
    if (called) s.block.give("bytes");
    s.jobs[0]->destroy();
    if (!called) s.block.give("bytes");
    CHECK(s.noted() == journal{"b: bytes"});
    s.block.close();
    s.jobs[2]->destroy();  // settled, and not yet resumed
    CHECK(s.noted().empty());
  }
}

TEST_CASE("a read_into without memory says so and loses nothing", "[flow_block]") {
  room_stage s;
  s.block.out_of_memory = 1;
  s.block.input = "bytes";
  s.into("a", 3);
  CHECK(s.noted() == journal{"a: no memory"});
  s.block.input.clear();
  s.into("b", 3);
  s.block.out_of_memory = 1;
  s.block.give("bytes");
  CHECK(s.noted() == journal{"b: no memory"});
  s.into("c", 9);
  CHECK(s.noted() == journal{"c: 5 bytes"});
}

TEST_CASE("readers into the caller's memory that are always served leave a turn to others", "[flow_block]") {
  room_stage s;
  s.block.input.assign(100'000, 'x');
  bool ended = false;
  s.jobs.push_back(
      std::make_unique<support::job<void>>(support::job<void>::of(room_stage::fill_very_often(&s.block, &ended))));
  s.jobs.back()->start(s.on);
  s.on.run_once();
  CHECK_FALSE(ended);
  s.on.run_until_idle();
  CHECK(ended);
}
