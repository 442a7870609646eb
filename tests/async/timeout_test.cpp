#include "coflow/async/timeout.hpp"

#include <chrono>
#include <coroutine>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/when_all.hpp"
#include "coflow/memory.hpp"
#include "coflow/net.hpp"
#include "support/catch.hpp"
#include "support/every_step.hpp"
#include "support/loop_tasks.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::error;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::with_deadline;
using coflow::with_timeout;
using support::drive;
using support::gate;
using support::job;
using support::manual_executor;

namespace {

std::string in_words(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == error::closed) return "closed";
  if (code == error::timed_out) return "timed out";
  if (code == error::no_executor) return "no executor";
  return code ? code.message() : "ok";
}
std::string in_words(const read_result& got) {
  if (got) return std::string(got->text());
  return got.eof() ? "eof" : in_words(got.error());
}

task<> note_read(coflow::memory_flow* flow, std::chrono::milliseconds limit, std::string* into) {
  const read_result got = co_await with_timeout(flow->read(), limit);
  *into = in_words(got);
}
task<int> number(int n) { co_return n; }
task<int> pass(gate* at, int n) {
  co_await at->pass();
  co_return n;
}
task<int&> pass_reference(gate* at, int* to) {
  co_await at->pass();
  co_return *to;
}
task<> throw_when_cut() {
  const result<void> slept = co_await coflow::sleep_for(1h);
  if (!slept) throw std::runtime_error("cut");
}
task<result<int>> finish_all_the_same() {
  const result<void> slept = co_await coflow::sleep_for(1h);
  if (!slept) co_return 7;
  co_return 8;
}

// A pipe, a clock, and a read of it under a limit that waits.
struct stage {
  explicit stage(std::chrono::milliseconds limit = 10ms) : reads(job<void>::of(note_read(&ends.first, limit, &got))) {
    reads.start(on);
    on.run_until_idle();
  }
  void write(std::string_view text) {
    struct local {
      static task<> say(coflow::memory_flow* to, buffer bytes) {
        const result<void> sent = co_await to->write(std::move(bytes));
        CHECK(sent);
      }
    };
    writes.emplace(job<void>::of(local::say(&ends.second, buffer(text))));
    writes->start(on);
  }
  // What the flow still has.
  std::string rest() {
    std::string more;
    drive(on, note_read(&ends.first, 1ms, &more));
    return more;
  }
  manual_executor on;
  coflow::executor::entry inside{on};
  std::pair<coflow::memory_flow, coflow::memory_flow> ends = coflow::memory_pipe();
  std::string got;
  std::optional<job<void>> writes;
  job<void> reads;
};

// A symmetric transfer wants to know the coroutine, and cannot be waited for in place.
class picky {
 public:
  explicit picky(manual_executor& on) noexcept : on_(on) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    later_.waiting = coroutine;
    on_.post(later_);
    return std::noop_coroutine();
  }
  [[nodiscard]] std::string await_resume() const { return "picked"; }

 private:
  struct resumption final : coflow::node {
    resumption() noexcept {}
    resumption(const resumption&) noexcept {}
    void run() noexcept override { waiting.resume(); }
    std::coroutine_handle<> waiting;
  };
  manual_executor& on_;
  resumption later_;
};
// Resumes the coroutine on the spot.
class hasty {
 public:
  hasty() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) const { waiting.resume(); }
  [[nodiscard]] int await_resume() const noexcept { return 5; }
};

// Waits for a stop request, and for nothing else.
class until_stopped final : public coflow::operation {
 public:
  until_stopped() noexcept {}
  until_stopped(until_stopped&&) noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <coflow::suspended_coroutine Handle>
  void await_suspend(Handle coroutine) noexcept {
    this->bind(coroutine);
    this->begin_wait();
  }
  [[nodiscard]] result<void> await_resume() const noexcept { return coflow::canceled(); }

 private:
  void on_stop() noexcept override { coflow::executor::current()->post(*this); }
  void run() noexcept override { this->resume(); }
};

}  // namespace

// ---- in place

TEST_CASE("a read that gets its bytes in time gives them, and leaves no timer", "[timeout]") {
  stage s;
  s.on.advance(9ms);
  s.write("hello");
  s.on.run_until_idle();
  CHECK(s.got == "hello");
  CHECK_FALSE(s.on.next_deadline());
}

TEST_CASE("a read that gets none times out at the limit, takes none, and the flow stays usable", "[timeout]") {
  stage s;
  s.on.advance(10ms - 1ns);
  s.on.run_until_idle();
  CHECK(s.got.empty());
  s.on.advance(1ns);
  s.on.run_until_idle();
  CHECK(s.got == "timed out");
  s.write("late");
  CHECK(s.rest() == "late");
}

TEST_CASE("bytes and the limit in the same turn: they are read, or still there", "[timeout]") {
  {
    stage s;  // the read has been called when the time comes
    s.write("bytes");
    s.on.run_ready();
    s.on.advance(10ms);
    s.on.run_until_idle();
    CHECK(s.got == "bytes");
    CHECK_FALSE(s.on.has_ready());
  }
  {
    stage s;  // the time comes, then the bytes
    s.on.advance(10ms);
    s.on.expire_timers(s.on.now());
    s.write("bytes");
    s.on.run_until_idle();
    CHECK(s.got == "timed out");
    CHECK(s.rest() == "bytes");
  }
  {
    stage s;  // the bytes come when the time has come, but not its turn
    s.write("bytes");
    s.on.advance(10ms);
    s.on.expire_timers(s.on.now());
    s.on.run_until_idle();
    CHECK(s.got == "timed out");
    CHECK(s.rest() == "bytes");
  }
}

TEST_CASE("an outcome that was settled before the limit is preferred to it", "[timeout]") {
  stage s;
  s.on.advance(10ms);
  struct local {
    static task<> close(coflow::memory_flow* flow) { co_await flow->close(); }
  };
  auto closes = job<void>::of(local::close(&s.ends.first));
  closes.start(s.on);
  s.on.run_ready();
  s.on.run_until_idle();
  CHECK(s.got == "closed");
}

TEST_CASE("a limit that is past leaves the operation one try", "[timeout]") {
  manual_executor on;
  auto ends = coflow::memory_pipe();
  struct local {
    static task<> read(coflow::memory_flow* a, coflow::memory_flow* b) {
      for (const auto limit : {0ms, -5ms}) {
        const result<void> sent = co_await with_timeout(a->write(buffer("there")), limit);
        CHECK(sent);
        const read_result at_once = co_await with_timeout(b->read(), limit);
        CHECK(in_words(at_once) == "there");
        const read_result none = co_await with_timeout(b->read(), limit);
        CHECK(in_words(none) == "timed out");
      }
      const auto past = coflow::executor::current()->now() - 1h;
      const result<void> sent = co_await with_deadline(a->write(buffer("there")), past);
      CHECK(sent);
      const read_result at_once = co_await with_deadline(b->read(), past);
      CHECK(in_words(at_once) == "there");
      const read_result none = co_await with_deadline(b->read(), past);
      CHECK(in_words(none) == "timed out");
    }
  };
  const auto start = on.now();
  drive(on, local::read(&ends.first, &ends.second));
  CHECK(on.now() == start);
}

TEST_CASE("a deadline is a point on the executor's clock, and may be shared", "[timeout]") {
  manual_executor on;
  struct local {
    static task<> sleep(std::chrono::milliseconds* slept) {
      const auto start = coflow::executor::current()->now();
      const auto deadline = start + 10ms;
      const result<void> first = co_await with_deadline(coflow::sleep_for(7ms), deadline);
      CHECK(first);
      const result<void> second = co_await with_deadline(coflow::sleep_for(7ms), deadline);
      CHECK(second.error() == error::timed_out);
      *slept = std::chrono::duration_cast<std::chrono::milliseconds>(coflow::executor::current()->now() - start);
    }
  };
  auto slept = 0ms;
  drive(on, local::sleep(&slept));
  CHECK(slept == 10ms);
}

TEST_CASE("a stop of the task beats the limit, whichever comes first", "[timeout]") {
  for (const bool stop_first : {false, true}) {
    stage s;
    s.on.advance(10ms);
    if (stop_first) s.reads.request_stop();
    s.on.expire_timers(s.on.now());
    s.on.run_ready();
    if (!stop_first) s.reads.request_stop();
    s.on.run_until_idle();
    CHECK(s.got == "canceled");
    s.write("kept");
    CHECK(s.rest() == "kept");
  }
}

TEST_CASE("in a stopped task the operation is stopped from the beginning", "[timeout]") {
  struct local {
    static task<> often(std::string* got, coflow::memory_flow* flow) {
      for (int i = 0; i < 2; ++i) {
        const read_result one = co_await with_timeout(flow->read(), 1h);
        *got += in_words(one) + ",";
      }
    }
  };
  manual_executor on;
  const coflow::executor::entry inside(on);
  auto ends = coflow::memory_pipe();
  std::string got;
  auto reads = job<void>::of(local::often(&got, &ends.first));
  reads.start(on);
  on.run_until_idle();
  reads.request_stop();
  on.run_until_idle();
  CHECK(got == "canceled,canceled,");
  CHECK_FALSE(on.next_deadline());
}

TEST_CASE("a waiter that dies takes its wait and its timer back", "[timeout]") {
  {
    stage s;
    s.reads.destroy();
    CHECK_FALSE(s.on.next_deadline());
    s.write("kept");
    CHECK(s.rest() == "kept");
  }
  {
    stage s;  // told to give up, and not resumed yet
    s.on.advance(10ms);
    s.on.expire_timers(s.on.now());
    s.on.run_ready();
    s.reads.destroy();
    CHECK_FALSE(s.on.has_ready());
    s.write("kept");
    CHECK(s.rest() == "kept");
  }
}

TEST_CASE("what has no room for an error comes in a result", "[timeout]") {
  manual_executor on;
  const coflow::executor::entry inside(on);
  gate at;
  int target = 1;
  struct local {
    static task<> await(gate* at, int* target, std::string* log) {
      const result<int> at_once = co_await with_timeout(number(3), 0ms);
      CHECK(*at_once == 3);
      const result<int*> reference = co_await with_timeout(pass_reference(at, target), 1h);
      CHECK(*reference == target);
      const result<void> nothing = co_await with_timeout(support::loop_turns(1), 1h);
      CHECK(nothing);
      gate never;
      const result<int> late = co_await with_timeout(pass(&never, 1), 1ms);
      *log = in_words(late.error());
    }
  };
  // A gate that knows of no stop is not cut short; what comes through it after the limit is dropped.
  struct late {
    static task<> await(gate* at, std::string* log) {
      const result<int> given = co_await with_timeout(pass(at, 1), 1ms);
      *log = in_words(given.error());
    }
  };
  STATIC_REQUIRE(std::is_same_v<coflow::await_result_t<decltype(with_timeout(number(3), 0ms))>, result<int>>);
  STATIC_REQUIRE(
      std::is_same_v<coflow::await_result_t<decltype(with_timeout(finish_all_the_same(), 0ms))>, result<int>>);
  std::string log;
  auto waits = job<void>::of(late::await(&at, &log));
  waits.start(on);
  on.run_until_idle();
  on.advance(1ms);
  on.run_until_idle();
  CHECK(log.empty());
  at.open();
  on.run_until_idle();
  CHECK(log == "timed out");
  auto others = job<void>::of(local::await(&at, &target, &log));
  others.start(on);
  on.run_until_idle();
  on.advance(1ms);
  on.run_until_idle();
  CHECK_FALSE(others.ended());  // waits at the gate that is never opened, and dies there
}

TEST_CASE("a task that finishes, or throws, after it was told gives that", "[timeout]") {
  struct local {
    static task<> await(std::string* thrown) {
      const result<int> finished = co_await with_timeout(finish_all_the_same(), 1ms);
      CHECK(*finished == 7);
      try {
        const auto unused = co_await with_timeout(throw_when_cut(), 1ms);
        static_cast<void>(unused);
      } catch (const std::runtime_error& error) {
        *thrown = error.what();
      }
    }
  };
  std::string thrown;
  drive(local::await(&thrown));
  CHECK(thrown == "cut");
}

TEST_CASE("limits nest, and go around anything that can be awaited", "[timeout]") {
  manual_executor on;
  auto ends = coflow::memory_pipe();
  struct local {
    static task<> await(manual_executor* on, coflow::memory_flow* flow) {
      const read_result inner = co_await with_timeout(with_timeout(flow->read(), 1ms), 1h);
      CHECK(in_words(inner) == "timed out");
      const read_result outer = co_await with_timeout(with_timeout(flow->read(), 1h), 1ms);
      CHECK(in_words(outer) == "timed out");
      const auto both = co_await with_timeout(coflow::when_all(flow->read(), number(1)), 1ms);
      CHECK(both.error() == error::timed_out);
      const result<std::string> picked = co_await with_timeout(picky(*on), 1ms);
      CHECK(*picked == "picked");
      const result<int> hurried = co_await with_timeout(hasty(), 1ms);
      CHECK(*hurried == 5);
      CHECK_FALSE(on->next_deadline());
    }
  };
  drive(on, local::await(&on, &ends.first));
}

TEST_CASE("without an executor the operation gives what it gives", "[timeout]") {
  manual_executor on;
  auto ends = coflow::memory_pipe();
  std::string got;
  auto reads = job<void>::of(note_read(&ends.first, 1ms, &got));
  on.post(reads.started());
  on.run_ready();  // without an entry, so that none is current
  CHECK(got == "no executor");
}

TEST_CASE("when the executor goes away, so does the wait", "[timeout]") {
  std::string got;
  std::string slept;
  std::optional<job<void>> reads;
  std::optional<job<void>> sleeps;
  auto ends = coflow::memory_pipe();
  {
    struct local {
      // A stop is all that can end this one.
      static task<> wait(std::string* into) {
        const result<void> waited = co_await with_timeout(until_stopped(), 1h);
        *into = in_words(waited.error());
      }
    };
    manual_executor on;
    reads.emplace(job<void>::of(note_read(&ends.first, 1h, &got)));
    sleeps.emplace(job<void>::of(local::wait(&slept)));
    reads->start(on);
    sleeps->start(on);
    on.run_until_idle();
  }
  CHECK(got == "closed");
  CHECK(slept == "closed");
}

TEST_CASE("a limit allocates nothing, arms no timer for what is there, and moves before it begins", "[timeout]") {
  manual_executor on;
  auto ends = coflow::memory_pipe();
  struct local {
    static task<> often(int times, coflow::memory_flow* a, coflow::memory_flow* b) {
      for (int i = 0; i < times; ++i) {
        const result<void> sent = co_await with_timeout(a->write(buffer("x")), 1ms);
        auto unbegun = with_timeout(b->read(), 1ms);
        auto moved = std::move(unbegun);
        const read_result got = co_await moved;
        if (!sent || !got || coflow::executor::current() == nullptr) co_return;
      }
    }
    static task<> waiting(int times, coflow::memory_flow* b) {
      for (int i = 0; i < times; ++i) {
        const read_result none = co_await with_timeout(b->read(), 1ms);
        if (none.error() != error::timed_out) co_return;
      }
    }
  };
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<decltype(with_timeout(number(1), 1ms))>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<decltype(with_timeout(number(1), 1ms))>);
  const auto start = on.now();
  drive(on, local::often(100'000, &ends.first, &ends.second));
  CHECK(on.now() == start);
  drive(on, local::waiting(10, &ends.second));
#ifndef COFLOW_NO_POOL
  auto at_once = job<void>::of(local::often(1000, &ends.first, &ends.second));
  auto waiting = job<void>::of(local::waiting(1000, &ends.second));
  at_once.start(on);
  const auto before = support::allocation_count();
  support::finish_job(on, at_once);
  waiting.start(on);
  support::finish_job(on, waiting);
  const auto after = support::allocation_count();
  CHECK(before == after);
  CHECK(on.now() == start + 1010ms);
#endif
}

// ---- at every step

namespace {

// Reads under a limit that is sometimes too short for the peer.
class impatient {
 public:
  impatient() : ends_(coflow::memory_pipe(3)) {}
  task<> attacked() {
    while (true) {
      const read_result got = co_await with_timeout(ends_.first.read(), 2ms);
      if (got) heard_.append(got->text());
      if (got.eof()) co_return;
      if (!got && got.error() != error::timed_out) co_return;
    }
  }
  // Goes on with what a limit has left unsent, which is all of it.
  task<> peer() {
    for (const char* text : {"ab", "c", "def", "g"}) {
      for (bool done = false; !done;) {
        const result<void> sent = co_await with_timeout(ends_.second.write(buffer(text)), 1ms);
        done = sent.has_value();
        if (!done && sent.error() != error::timed_out) co_return;
      }
      const result<void> slept = co_await coflow::sleep_for(3ms);
      static_cast<void>(slept);
    }
    co_await ends_.second.shutdown(coflow::shutdown_mode::write);
  }
  task<> heir() {
    while (true) {
      const read_result got = co_await ends_.first.read();
      if (!got) co_return;
      rest_.append(got->text());
    }
  }
  [[nodiscard]] std::string judge(support::blow) const {
    return heard_ + rest_ == "abcdefg" ? "" : "heard " + heard_ + " and then " + rest_;
  }

 private:
  std::pair<coflow::memory_flow, coflow::memory_flow> ends_;
  std::string heard_;
  std::string rest_;
};

}  // namespace

TEST_CASE("stopped or destroyed at any step, reads and writes under limits lose nothing", "[timeout]") {
  CHECK(support::hit_at_every_step<impatient>(support::blow::stop) > 20);
  CHECK(support::hit_at_every_step<impatient>(support::blow::destroy) > 20);
}

// ---- over a socket

TEST_CASE("limits over TCP: nothing comes, it comes with the limit, it was there", "[timeout]") {
  struct local {
    static task<> talk() {
      auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
      auto client = co_await coflow::tcp_connect(listener->local_endpoint());
      auto server = co_await listener->accept();
      std::string heard;
      const read_result none = co_await with_timeout(client->read(), 1ms);
      CHECK(in_words(none) == "timed out");
      for (int i = 0; i < 200; ++i) {  // the limit is somewhere around the arrival
        const result<void> sent = co_await server->write(buffer("x"));
        CHECK(sent);
        const read_result got = co_await with_timeout(client->read(), std::chrono::microseconds(i % 5));
        if (got)
          heard.append(got->text());
        else
          CHECK(in_words(got) == "timed out");
      }
      co_await server->shutdown(coflow::shutdown_mode::write);
      while (true) {
        const read_result got = co_await with_timeout(client->read(), 10s);
        if (!got) break;
        heard.append(got->text());
      }
      CHECK(heard == std::string(200, 'x'));
    }
  };
  CHECK(support::finishes(local::talk()));
}
