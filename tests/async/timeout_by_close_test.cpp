#include <chrono>
#include <coroutine>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/async/timeout.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/memory.hpp"
#include "support/catch.hpp"
#include "support/every_step.hpp"
#include "support/manual_executor.hpp"

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::error;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::with_deadline;
using coflow::with_timeout;
using support::drive;
using support::job;
using support::manual_executor;

namespace {

std::string in_words(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == error::closed) return "closed";
  if (code == error::timed_out) return "timed out";
  return code ? code.message() : "ok";
}
std::string in_words(const read_result& got) {
  if (got) return std::string(got->text());
  return got.eof() ? "eof" : in_words(got.error());
}

// An operation that does not see the stop state of who awaits it.
template <class Operation>
class deaf {
 public:
  explicit deaf(Operation operation) noexcept : operation_(std::move(operation)) {}
  [[nodiscard]] bool await_ready() { return operation_.await_ready(); }
  auto await_suspend(std::coroutine_handle<> waiting) {
    return operation_.await_suspend(coflow::awaiting(waiting, nullptr));
  }
  auto await_resume() { return operation_.await_resume(); }

 private:
  Operation operation_;
};

// A flow of somebody else's: it knows nothing of cancellation, and its close may take its time or throw.
class foreign_flow {
 public:
  explicit foreign_flow(coflow::memory_flow below) noexcept : below_(std::move(below)) {}
  [[nodiscard]] auto read() { return deaf(below_.read()); }
  [[nodiscard]] auto write(buffer bytes) { return deaf(below_.write(std::move(bytes))); }
  [[nodiscard]] task<> close() {
    ++closes;
    co_await below_.close();
    if (takes != 0ms) {
      const result<void> slept = co_await coflow::sleep_for(takes);
      static_cast<void>(slept);
    }
    if (throws) throw std::runtime_error("the close throws");
    closed = true;
  }
  int closes = 0;
  bool closed = false;
  std::chrono::milliseconds takes{0};
  bool throws = false;

 private:
  coflow::memory_flow below_;
};

struct stage {
  void read_within(std::chrono::milliseconds limit) {
    struct local {
      static task<> note(stage* on, std::chrono::milliseconds limit) {
        try {
          const read_result given = co_await with_timeout(on->flow, on->flow.read(), limit);
          on->got = in_words(given);
        } catch (const std::exception& thrown) {
          on->got = thrown.what();
        }
      }
    };
    reads.emplace(job<void>::of(local::note(this, limit)));
    reads->start(on);
    on.run_until_idle();
  }
  void write(std::string_view text) {
    struct local {
      static task<> say(coflow::memory_flow* to, buffer bytes) {
        const result<void> sent = co_await to->write(std::move(bytes));
        static_cast<void>(sent);
      }
    };
    writes.emplace(job<void>::of(local::say(&peer, buffer(text))));
    writes->start(on);
  }
  void pass(std::chrono::milliseconds time) {
    on.advance(time);
    on.run_until_idle();
  }
  explicit stage(std::pair<coflow::memory_flow, coflow::memory_flow> ends = coflow::memory_pipe())
      : flow(std::move(ends.first)), peer(std::move(ends.second)) {}
  manual_executor on;
  coflow::executor::entry inside{on};
  foreign_flow flow;
  coflow::memory_flow peer;
  std::string got;
  std::optional<job<void>> writes;
  std::optional<job<void>> reads;
};

}  // namespace

TEST_CASE("an operation that takes no stop is not cut short by a limit that asks it to", "[timeout_by_close]") {
  struct local {
    static task<> read(foreign_flow* flow, std::string* got) {
      const read_result given = co_await with_timeout(flow->read(), 1ms);
      *got = in_words(given);
    }
  };
  stage s;
  auto reads = job<void>::of(local::read(&s.flow, &s.got));
  reads.start(s.on);
  s.on.run_until_idle();
  s.pass(10ms);
  CHECK_FALSE(reads.ended());
  s.write("late, but whole");
  s.on.run_until_idle();
  CHECK(s.got == "late, but whole");
}

TEST_CASE("a limit by close ends any operation, and the flow", "[timeout_by_close]") {
  stage s;
  s.read_within(10ms);
  s.pass(9ms);
  CHECK(s.got.empty());
  s.pass(1ms);
  CHECK(s.got == "timed out");
  CHECK(s.flow.closed);
  s.read_within(10ms);
  CHECK(s.got == "closed");  // not by the limit
  CHECK(s.flow.closes == 1);
}

TEST_CASE("within a limit by close the flow stays open", "[timeout_by_close]") {
  stage s;
  s.write("here");
  s.read_within(10ms);
  CHECK(s.got == "here");
  s.read_within(10ms);
  s.on.advance(5ms);
  s.write("in time");
  s.on.run_until_idle();
  CHECK(s.got == "in time");
  CHECK_FALSE(s.on.next_deadline());
  CHECK(s.flow.closes == 0);
}

TEST_CASE("what was there in the turn of the limit is preferred", "[timeout_by_close]") {
  stage s;
  s.read_within(10ms);
  s.write("just");
  s.on.run_ready();
  s.pass(10ms);
  CHECK(s.got == "just");
  CHECK(s.flow.closes == 0);
}

TEST_CASE("a limit by close that is past leaves the operation one try", "[timeout_by_close]") {
  stage s;
  s.write("there");
  s.on.run_until_idle();
  s.read_within(0ms);
  CHECK(s.got == "there");
  s.read_within(-1ms);
  CHECK(s.got == "timed out");
}

TEST_CASE("a close that takes its time is waited for, whatever comes first", "[timeout_by_close]") {
  stage s;
  s.flow.takes = 5ms;
  s.read_within(10ms);
  s.pass(10ms);
  CHECK(s.flow.closes == 1);
  CHECK(s.got.empty());
  s.reads->request_stop();
  s.on.run_until_idle();
  CHECK(s.got.empty());
  s.pass(5ms);
  CHECK(s.got == "timed out");
  CHECK(s.flow.closed);
}

TEST_CASE("a stop does not lift the limit", "[timeout_by_close]") {
  stage s;
  s.read_within(10ms);
  s.reads->request_stop();
  s.on.run_until_idle();
  CHECK(s.got.empty());  // it takes no stop
  s.pass(10ms);
  CHECK(s.got == "timed out");
}

TEST_CASE("a stop ends what takes one, and the flow stays open", "[timeout_by_close]") {
  struct local {
    static task<> read(coflow::memory_flow* flow, std::string* got) {
      const read_result given = co_await with_timeout(*flow, flow->read(), 1h);
      *got = in_words(given);
      const read_result again = co_await with_deadline(*flow, flow->read(), coflow::executor::time_point());
      *got += ", " + in_words(again);
    }
  };
  stage s;
  auto reads = job<void>::of(local::read(&s.peer, &s.got));
  reads.start(s.on);
  s.on.run_until_idle();
  reads.request_stop();
  s.on.run_until_idle();
  CHECK(s.got == "canceled, canceled");
  CHECK_FALSE(s.on.next_deadline());
  s.read_within(1ms);
  s.pass(1ms);
  CHECK(s.got == "timed out");
}

TEST_CASE("a limit by close goes around a task of several operations, whatever that gives", "[timeout_by_close]") {
  struct local {
    // Gives how much it has read.
    static task<int> count(foreign_flow* flow) {
      int count = 0;
      while (true) {
        const read_result got = co_await flow->read();
        if (!got) co_return count;
        count += static_cast<int>(got->size());
      }
    }
    static task<result<int>> count_well(foreign_flow* flow) {
      const int counted = co_await count(flow);
      co_return counted;
    }
    static task<> fail(foreign_flow* flow, bool throws) {
      const read_result got = co_await flow->read();
      if (!got && throws) throw std::runtime_error("the operation throws");
    }
    static task<> both(stage* s) {
      // Dropped where there is no room for an error, kept where there is.
      const result<int> dropped = co_await with_timeout(s->flow, count(&s->flow), 5ms);
      CHECK(dropped.error() == error::timed_out);
      const result<int> kept = co_await with_timeout(s->flow, count_well(&s->flow), 5ms);
      CHECK(*kept == 0);
    }
    static task<> thrown(stage* s, bool throws) {
      try {
        const result<void> none = co_await with_timeout(s->flow, fail(&s->flow, throws), 5ms);
        static_cast<void>(none);
      } catch (const std::runtime_error& thrown) {
        s->got = thrown.what();
      }
    }
  };
  {
    stage s;
    s.write("123");
    drive(s.on, local::both(&s));
  }
  for (const bool close_throws : {false, true}) {
    for (const bool operation_throws : {false, true}) {
      stage s;
      s.flow.takes = 1ms;
      s.flow.throws = close_throws;
      drive(s.on, local::thrown(&s, operation_throws));
      CHECK(s.got == (operation_throws ? "the operation throws" : close_throws ? "the close throws" : ""));
      CHECK(s.flow.closes == 1);
    }
  }
}

TEST_CASE("a waiter that dies takes everything back", "[timeout_by_close]") {
  const long before = coflow::detail::live_frames.load();
  for (const auto time : {0ms, 10ms}) {
    stage s;
    s.flow.takes = 5ms;
    s.read_within(10ms);
    s.pass(time);
    s.reads->destroy();
    CHECK_FALSE(s.on.next_deadline());
    CHECK_FALSE(s.on.has_ready());
  }
  CHECK(coflow::detail::live_frames.load() == before);
}

TEST_CASE("when the executor goes away the flow is closed", "[timeout_by_close]") {
  auto ends = coflow::memory_pipe();
  foreign_flow flow(std::move(ends.first));
  std::string got;
  std::optional<job<void>> reads;
  {
    struct local {
      static task<> read(foreign_flow* flow, std::string* got) {
        const read_result given = co_await with_timeout(*flow, flow->read(), 1h);
        *got = in_words(given);
      }
    };
    manual_executor on;
    reads.emplace(job<void>::of(local::read(&flow, &got)));
    reads->start(on);
    on.run_until_idle();
  }
  CHECK(got == "closed");
}

namespace {

class impatient {
 public:
  impatient() : impatient(coflow::memory_pipe(3)) {}
  task<> attacked() {
    while (true) {
      const read_result got = co_await with_timeout(flow_, flow_.read(), 10ms);
      if (got) heard_.append(got->text());
      if (!got) break;
    }
    done_ = true;
  }
  task<> peer() {
    for (const char* text : {"ab", "c", "def", "g"}) {
      const result<void> sent = co_await peer_.write(buffer(text));
      if (!sent) co_return;
      const result<void> slept = co_await coflow::sleep_for(text[0] == 'd' ? 15ms : 3ms);
      static_cast<void>(slept);
    }
  }
  task<> heir() {
    co_await flow_.close();
    const read_result got = co_await peer_.read();
    ended_ = got.eof();
  }
  [[nodiscard]] std::string judge(support::blow) const {
    if (!std::string("abcdef").starts_with(heard_)) return "heard " + heard_;
    if (done_ && heard_ != "abcdef") return "the limit came too early";
    return ended_ ? "" : "the flow is open";
  }

 private:
  explicit impatient(std::pair<coflow::memory_flow, coflow::memory_flow> ends)
      : flow_(std::move(ends.first)), peer_(std::move(ends.second)) {
    flow_.takes = 2ms;
  }
  foreign_flow flow_;
  coflow::memory_flow peer_;
  std::string heard_;
  bool done_ = false;
  bool ended_ = false;
};

}  // namespace

TEST_CASE("stopped or destroyed at any step, a limit by close leaves nothing behind", "[timeout_by_close]") {
  CHECK(support::hit_at_every_step<impatient>(support::blow::stop) > 10);
  CHECK(support::hit_at_every_step<impatient>(support::blow::destroy) > 10);
}
