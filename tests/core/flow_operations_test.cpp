#include "coflow/core/flow_operations.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <coroutine>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/fake_transport.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using support::fake_block;
using support::fake_flow;
using support::journal;
using support::manual_executor;

namespace {

std::string joined(std::span<const buffer> list) {
  std::string text;
  for (const buffer& one : list) text += text.empty() ? std::string(one.text()) : "|" + std::string(one.text());
  return text;
}

task<> note_writev(fake_flow* flow, journal* into, std::span<buffer> list) {
  const auto sent = co_await flow->writev(list);
  into->push_back(support::in_words(sent));
}

struct stage {
  support::job<void>& start(task<> body) {
    jobs.push_back(std::make_unique<support::job<void>>(support::job<void>::of(std::move(body))));
    jobs.back()->start(on);
    on.run_until_idle();
    return *jobs.back();
  }
  manual_executor on;
  coflow::executor::entry inside{on};
  support::wire wire;
  fake_flow flow{wire};
  journal log;
  std::vector<std::unique_ptr<support::job<void>>> jobs;
};

}  // namespace

TEST_CASE("operations are objects with constructors that move before they begin", "[flow_operations]") {
  using reading = coflow::read_operation<fake_block>;
  using reading_into = coflow::read_into_operation<fake_block>;
  using writing = coflow::write_operation<fake_block>;
  using listing = coflow::writev_operation<fake_block>;
  using shutting = coflow::shutdown_operation<fake_block>;
  using closing = coflow::close_operation<fake_block>;
  // An aggregate would be destroyed twice by g++ 12.
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<reading>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<reading_into>);
  STATIC_REQUIRE(std::is_move_constructible_v<reading_into>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<reading_into>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<writing>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<listing>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<shutting>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<closing>);
  STATIC_REQUIRE(std::is_move_constructible_v<reading>);
  STATIC_REQUIRE(std::is_move_constructible_v<writing>);
  STATIC_REQUIRE(std::is_move_constructible_v<listing>);
  STATIC_REQUIRE(std::is_move_constructible_v<shutting>);
  STATIC_REQUIRE(std::is_move_constructible_v<closing>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<reading>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<writing>);
}

TEST_CASE("an operation that is never awaited does nothing", "[flow_operations]") {
  stage s;
  s.wire.give("data");
  {
    buffer parts[2] = {buffer("a"), buffer("b")};
    const auto reading = s.flow.read();
    const auto writing = s.flow.write(buffer("text"));
    const auto listing = s.flow.writev(parts);
    const auto shutting = s.flow.shutdown(shutdown_mode::read_write);
    [[maybe_unused]] const auto closing = s.flow.close();
  }
  CHECK(s.wire.input.size() == 1);
  CHECK(s.wire.sent.empty());
  CHECK(s.wire.ends_signalled == 0);
  CHECK(s.wire.released == 0);
  CHECK(s.flow.state().can_read());
  CHECK(s.flow.state().can_write());
}

namespace {

task<> await_kept_operations(fake_flow* flow, journal* into) {
  auto reading = flow->read();
  auto writing = flow->write(buffer("kept"));
  // Moved, then awaited in another order than they were made in.
  auto moved_writing = std::move(writing);
  auto moved_reading = std::move(reading);
  const auto sent = co_await moved_writing;
  into->push_back(support::in_words(sent));
  const auto given = co_await moved_reading;
  into->push_back(support::in_words(given));
}

task<> await_after_a_move(fake_flow* flow, std::optional<fake_flow>* elsewhere, journal* into) {
  auto reading = flow->read();
  elsewhere->emplace(std::move(*flow));
  const auto given = co_await reading;
  into->push_back(support::in_words(given));
}

}  // namespace

TEST_CASE("an operation begins when it is awaited, not when it is made", "[flow_operations]") {
  stage s;
  s.wire.give("data");
  s.start(await_kept_operations(&s.flow, &s.log));
  CHECK(s.log == journal{"ok", "data"});
  CHECK(s.wire.sent == "kept");
}

TEST_CASE("an operation may be awaited after its flow has been moved", "[flow_operations]") {
  stage s;
  std::optional<fake_flow> elsewhere;
  s.start(await_after_a_move(&s.flow, &elsewhere, &s.log));
  s.wire.give("data");
  s.on.run_until_idle();
  CHECK(s.log == journal{"data"});
}

// ---- writev

TEST_CASE("writev is a write of all the buffers together", "[flow_operations]") {
  stage s;
  std::array<buffer, 4> list{buffer("a"), buffer("bc"), buffer("def"), buffer("ghij")};
  s.start(note_writev(&s.flow, &s.log, list));
  CHECK(s.log == journal{"ok"});
  CHECK(s.wire.sent == "abcdefghij");
  for (const buffer& one : list) CHECK(one.empty());
}

TEST_CASE("empty buffers stand anywhere in a list", "[flow_operations]") {
  // Every pattern of six buffers, each empty or not, accepted in pieces of every size.
  for (unsigned pattern = 0; pattern < 64; ++pattern) {
    for (std::size_t piece = 1; piece <= 4; ++piece) {
      stage s;
      s.wire.room = 0;
      std::array<buffer, 6> list;
      std::string wanted;
      for (std::size_t i = 0; i < 6; ++i) {
        if ((pattern >> i & 1) == 0) continue;
        const std::string text(i % 3 + 1, static_cast<char>('a' + i));
        list[i] = buffer(text);
        wanted += text;
      }
      auto& writes = s.start(note_writev(&s.flow, &s.log, list));
      int rounds = 0;
      while (!writes.ended() && rounds++ < 20) {
        s.wire.make_room(piece);
        s.on.run_until_idle();
      }
      if (s.wire.sent != wanted || s.log != journal{"ok"}) FAIL("pattern " << pattern << ", pieces of " << piece);
    }
  }
  SUCCEED();
}

TEST_CASE("a list of nothing is written at once", "[flow_operations]") {
  stage s;
  s.wire.room = 0;
  std::array<buffer, 3> empties;
  s.start(note_writev(&s.flow, &s.log, {}));
  s.start(note_writev(&s.flow, &s.log, empties));
  CHECK(s.log == journal{"ok", "ok"});
  s.start(support::note_shutdown(&s.flow, &s.log, "s", shutdown_mode::write));
  s.start(note_writev(&s.flow, &s.log, {}));
  s.start(note_writev(&s.flow, &s.log, empties));
  CHECK(s.log == journal{"ok", "ok", "s: done", "closed", "closed"});
}

TEST_CASE("ten thousand buffers are one write", "[flow_operations]") {
  stage s;
  s.wire.room = 0;
  std::vector<buffer> list;
  std::string wanted;
  for (int i = 0; i < 10'000; ++i) {
    list.emplace_back(std::to_string(i));
    wanted += std::to_string(i);
  }
  auto& writes = s.start(note_writev(&s.flow, &s.log, list));
  s.start(support::note_write(&s.flow, &s.log, "other", "X"));
  while (!writes.ended()) {
    s.wire.make_room(7);
    s.on.run_until_idle();
  }
  s.wire.make_room(100);
  s.on.run_until_idle();
  CHECK(s.wire.sent == wanted + "X");
  CHECK(s.log == journal{"ok", "other: ok"});
}

TEST_CASE("buffers are emptied as they are accepted, and the unsent rest stays after a cancellation",
          "[flow_operations]") {
  stage s;
  s.wire.room = 4;
  std::array<buffer, 4> list{buffer("ab"), buffer("cde"), buffer(), buffer("fg")};
  auto& writes = s.start(note_writev(&s.flow, &s.log, list));
  CHECK(joined(list) == "e||fg");  // "ab" and "cd" are out
  CHECK(list[0].empty());
  writes.request_stop();
  s.on.run_until_idle();
  CHECK(s.log == journal{"canceled"});
  CHECK(list[1].text() == "e");
  CHECK(list[3].text() == "fg");
  CHECK(s.flow.state().torn());
}

TEST_CASE("the unsent rest of a list stays after an error", "[flow_operations]") {
  stage s;
  s.wire.room = 3;
  std::array<buffer, 3> list{buffer("ab"), buffer("cd"), buffer("ef")};
  s.start(note_writev(&s.flow, &s.log, list));
  s.wire.break_writes(coflow::from_system(EIO));
  s.on.run_until_idle();
  CHECK(s.log == journal{"io error"});
  CHECK(list[0].empty());
  CHECK(list[1].text() == "d");
  CHECK(list[2].text() == "ef");
}

TEST_CASE("a list that was refused is untouched", "[flow_operations]") {
  stage s;
  s.start(support::note_close(&s.flow, &s.log, "x"));
  std::array<buffer, 2> list{buffer("ab"), buffer("cd")};
  s.start(note_writev(&s.flow, &s.log, list));
  CHECK(s.log == journal{"x: done", "closed"});
  CHECK(list[0].text() == "ab");
  CHECK(list[1].text() == "cd");
}

TEST_CASE("a queued list that is cancelled is untouched", "[flow_operations]") {
  stage s;
  s.wire.room = 0;
  s.start(support::note_write(&s.flow, &s.log, "first", "F"));
  std::array<buffer, 2> list{buffer("ab"), buffer("cd")};
  auto& writes = s.start(note_writev(&s.flow, &s.log, list));
  writes.request_stop();
  s.on.run_until_idle();
  CHECK(s.log == journal{"canceled"});
  CHECK(list[0].text() == "ab");
  CHECK(list[1].text() == "cd");
  CHECK_FALSE(s.flow.state().torn());
}

TEST_CASE("a transport may advance over several buffers at once", "[flow_operations]") {
  // As sendmsg does: advance(n) instead of accept.
  class advancing_block;
  struct seen {
    std::string sent;
    std::size_t step = 0;
  };
  class advancing_block final : public coflow::flow_block<advancing_block> {
   public:
    advancing_block(seen& into, coflow::executor& on) noexcept : seen_(into), on_(on) {}
    bool entered() noexcept { return true; }
    std::error_code enter() noexcept { return {}; }
    coflow::executor& home() noexcept { return on_; }
    bool may_read() const noexcept { return true; }
    coflow::attempt try_read(buffer&) { return coflow::attempt::wait; }
    coflow::attempt try_write(coflow::writing_operation<advancing_block>& op) noexcept {
      std::string all;
      for (const buffer& one : op.rest()) all += one.text();
      const std::size_t now = std::min(seen_.step, all.size());
      seen_.sent += all.substr(0, now);
      if (now != 0) op.advance(now);
      return op.rest().empty() ? coflow::attempt::done : coflow::attempt::wait;
    }
    void input_unwanted() noexcept {}
    void signal_end() noexcept {}
    void release_transport(bool) noexcept {}
    void destroy() noexcept { delete this; }

   private:
    seen& seen_;
    coflow::executor& on_;
  };
  struct local {
    static task<> write(advancing_block* block, std::span<buffer> list, journal* into) {
      const auto sent = co_await coflow::writev_operation<advancing_block>(*block, list);
      into->push_back(support::in_words(sent));
    }
  };
  for (std::size_t step = 1; step <= 9; ++step) {
    manual_executor on;
    const coflow::executor::entry inside(on);
    seen into;
    into.step = step;
    auto* block = new advancing_block(into, on);
    {
      const coflow::flow_handle<advancing_block> owner(block);
      std::array<buffer, 6> list{buffer("ab"), buffer(), buffer("c"), buffer(), buffer(), buffer("defgh")};
      journal log;
      auto writes = support::job<void>::of(local::write(block, list, &log));
      writes.start(on);
      on.run_until_idle();
      while (!writes.ended()) {
        block->call_writer();
        REQUIRE(on.run_until_idle() != 0);
      }
      CHECK(into.sent == "abcdefgh");
      CHECK(log == journal{"ok"});
    }
  }
}

// ---- try_send, the optional short way

namespace {

// Offers try_send; the first `sends` calls of it give what the test says.
class sending_block final : public coflow::flow_block<sending_block> {
 public:
  explicit sending_block(coflow::executor& on) noexcept : on_(on) {}
  bool entered() noexcept { return true; }
  std::error_code enter() noexcept { return {}; }
  coflow::executor& home() noexcept { return on_; }
  bool may_read() const noexcept { return true; }
  coflow::attempt try_read(buffer&) { return coflow::attempt::wait; }
  std::ptrdiff_t try_send(const buffer& bytes) noexcept {
    ++sends;
    if (failure != 0) return -failure;
    const std::size_t now = std::min(room, bytes.size());
    sent += bytes.text().substr(0, now);
    room -= now;
    return now == 0 ? -EAGAIN : static_cast<std::ptrdiff_t>(now);
  }
  void keep_failure(std::ptrdiff_t given) noexcept {
    ++kept;
    kept_value = given;
  }
  coflow::attempt try_write(coflow::writing_operation<sending_block>& op) noexcept {
    if (const auto number = static_cast<int>(-std::exchange(kept_value, 0)); number != 0 && number != EAGAIN) {
      state().fail_write(coflow::from_system(number));
      return coflow::attempt::verdict;
    }
    while (!op.rest().empty() && room != 0) {
      const buffer part = op.accept(room);
      room -= part.size();
      sent += part.text();
    }
    return op.rest().empty() ? coflow::attempt::done : coflow::attempt::wait;
  }
  void input_unwanted() noexcept {}
  void signal_end() noexcept { ++ends; }
  void release_transport(bool abort) noexcept { aborted = abort; }
  void destroy() noexcept {}

  std::string sent;
  std::size_t room = SIZE_MAX / 2;
  int failure = 0;
  int sends = 0;
  int kept = 0;
  std::ptrdiff_t kept_value = 0;
  int ends = 0;
  bool aborted = false;

 private:
  coflow::executor& on_;
};

task<> send(sending_block* block, std::string text, journal* into) {
  const auto given = co_await coflow::write_operation<sending_block>(*block, buffer(text));
  into->push_back(support::in_words(given));
}
task<> send_list(sending_block* block, std::span<buffer> list, journal* into) {
  const auto given = co_await coflow::writev_operation<sending_block>(*block, list);
  into->push_back(support::in_words(given));
}
task<> end_sending(sending_block* block, journal* into) {
  co_await coflow::shutdown_operation<sending_block>(*block, shutdown_mode::write);
  into->push_back("shut");
}

struct sending_stage {
  ~sending_stage() { block.close(); }
  support::job<void>& start(task<> body) {
    jobs.push_back(std::make_unique<support::job<void>>(support::job<void>::of(std::move(body))));
    jobs.back()->start(on);
    on.run_until_idle();
    return *jobs.back();
  }
  manual_executor on;
  coflow::executor::entry inside{on};
  sending_block block{on};
  journal log;
  std::vector<std::unique_ptr<support::job<void>>> jobs;
};

}  // namespace

TEST_CASE("a write that goes out at once takes the short way", "[flow_operations]") {
  sending_stage s;
  s.start(send(&s.block, "hello", &s.log));
  CHECK(s.log == journal{"ok"});
  CHECK(s.block.sent == "hello");
  CHECK(s.block.sends == 1);
  CHECK(s.block.kept == 0);
}

TEST_CASE("a write that goes out in part at once sends the rest later and nothing twice", "[flow_operations]") {
  sending_stage s;
  s.block.room = 2;
  s.start(send(&s.block, "hello", &s.log));
  CHECK(s.block.sent == "he");
  CHECK(s.log.empty());
  s.start(send(&s.block, "XX", &s.log));  // behind it, not on the short way
  CHECK(s.block.sends == 1);
  s.block.room = 100;
  s.block.call_writer();
  s.on.run_until_idle();
  CHECK(s.log == journal{"ok", "ok"});
  CHECK(s.block.sent == "helloXX");
}

TEST_CASE("a write that the short way has begun is torn when it is cancelled", "[flow_operations]") {
  sending_stage s;
  s.block.room = 2;
  auto& one = s.start(send(&s.block, "hello", &s.log));
  one.request_stop();
  s.on.run_until_idle();
  CHECK(s.log == journal{"canceled"});
  CHECK(s.block.state().torn());
  s.start(end_sending(&s.block, &s.log));
  CHECK(s.block.ends == 0);
}

TEST_CASE("a write that the short way cannot begin waits and has sent nothing", "[flow_operations]") {
  sending_stage s;
  s.block.room = 0;
  auto& one = s.start(send(&s.block, "hello", &s.log));
  CHECK(s.block.kept == 1);
  one.request_stop();
  s.on.run_until_idle();
  CHECK(s.log == journal{"canceled"});
  CHECK_FALSE(s.block.state().torn());
  s.block.room = 100;
  s.start(send(&s.block, "usable", &s.log));
  CHECK(s.block.sent == "usable");
}

TEST_CASE("an error on the short way is the write's verdict", "[flow_operations]") {
  sending_stage s;
  s.block.failure = EIO;
  s.start(send(&s.block, "hello", &s.log));
  s.block.failure = 0;
  s.start(send(&s.block, "later", &s.log));
  CHECK(s.log == journal{"io error", "io error"});
  CHECK(s.block.sends == 1);
}

TEST_CASE("the short way is for open, idle flows and for bytes", "[flow_operations]") {
  sending_stage s;
  s.start(send(&s.block, "", &s.log));
  CHECK(s.block.sends == 0);
  std::array<buffer, 1> list{buffer("list")};
  s.start(send_list(&s.block, list, &s.log));
  CHECK(s.block.sends == 0);
  s.start(end_sending(&s.block, &s.log));
  s.start(send(&s.block, "late", &s.log));
  s.start(send(&s.block, "", &s.log));
  CHECK(s.block.sends == 0);
  CHECK(s.log == journal{"ok", "ok", "shut", "closed", "closed"});
  CHECK(s.block.sent == "list");
}

TEST_CASE("the short way counts as a turn", "[flow_operations]") {
  sending_stage s;
  struct local {
    static task<> many(sending_block* block, int count, int* done) {
      for (int i = 0; i < count; ++i) {
        const auto given = co_await coflow::write_operation<sending_block>(*block, buffer("x"));
        if (given) ++*done;
      }
    }
  };
  int done = 0;
  auto writes = support::job<void>::of(local::many(&s.block, 1000, &done));
  writes.start(s.on);
  s.on.run_ready();
  CHECK(done == 64);
  s.on.run_until_idle();
  CHECK(done == 1000);
  CHECK(s.block.sent.size() == 1000);
}

// ---- cost

TEST_CASE("operations that wait allocate nothing", "[flow_operations]") {
  stage s;
  s.wire.room = 0;
  std::array<buffer, 2> list{buffer("ab"), buffer("cd")};
  s.log.reserve(100);
  for (int i = 0; i < 2; ++i) {
    // Made before the count begins: the coroutines' own frames.
    auto reads = support::job<void>::of(support::note_read(&s.flow, &s.log, "r"));
    auto writes = support::job<void>::of(note_writev(&s.flow, &s.log, list));
    auto shuts = support::job<void>::of(support::note_shutdown(&s.flow, &s.log, "s", shutdown_mode::write));
    const auto before = support::allocation_count();
    reads.start(s.on);
    writes.start(s.on);
    if (i == 1) shuts.start(s.on);
    s.on.run_until_idle();
    reads.request_stop();
    writes.request_stop();
    shuts.request_stop();
    const auto after = support::allocation_count();
    CHECK(after == before);
    s.on.run_until_idle();
  }
}

TEST_CASE("close and shutdown allocate nothing, whatever waits", "[flow_operations]") {
  stage s;
  s.wire.room = 0;
  s.log.reserve(100);
  s.start(support::note_read(&s.flow, &s.log, "r"));
  s.start(support::note_write(&s.flow, &s.log, "w", "WW"));
  auto shuts = support::job<void>::of(support::note_shutdown(&s.flow, &s.log, "s", shutdown_mode::read_write));
  auto closes = support::job<void>::of(support::note_close(&s.flow, &s.log, "x"));
  const auto before = support::allocation_count();
  shuts.start(s.on);
  closes.start(s.on);
  s.on.run_until_idle();
  const auto after = support::allocation_count();
  CHECK(after == before);
  CHECK(s.log.size() == 4);
}

// ---- other coroutines

namespace {

struct foreign {
  struct promise_type {
    promise_type() noexcept {}
    foreign get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};

foreign echo_once(fake_flow* flow, journal* into) {
  auto given = co_await flow->read();
  into->push_back(support::in_words(given));
  const auto sent = co_await flow->write(std::move(*given));
  into->push_back(support::in_words(sent));
}

}  // namespace

TEST_CASE("operations serve a coroutine of another library", "[flow_operations]") {
  stage s;
  const foreign echo = echo_once(&s.flow, &s.log);
  s.wire.give("data");
  s.on.run_until_idle();
  CHECK(echo.frame.done());
  CHECK(s.log == journal{"data", "ok"});
  CHECK(s.wire.sent == "data");
  echo.frame.destroy();
  const foreign waits = echo_once(&s.flow, &s.log);
  waits.frame.destroy();  // in its wait
  s.wire.give("left");
  s.on.run_until_idle();
  CHECK(s.wire.input.size() == 1);
}
