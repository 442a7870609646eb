#include "coflow/async/cancellable.hpp"

#include <atomic>
#include <chrono>
#include <coroutine>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/memory.hpp"
#include "coflow/net/event_loop.hpp"
#include "support/catch.hpp"
#include "support/every_step.hpp"
#include "support/loop_tasks.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::cancellable;
using coflow::error;
using coflow::read_result;
using coflow::result;
using coflow::task;
using support::drive;
using support::job;
using support::manual_executor;

namespace {

std::string in_words(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == error::closed) return "closed";
  if (code == error::no_executor) return "no executor";
  return code ? code.message() : "ok";
}
std::string in_words(const read_result& got) {
  if (got) return std::string(got->text());
  return got.eof() ? "eof" : in_words(got.error());
}

// A coroutine of somebody else's: its promise has no stop state. It begins at once, and dies with its handle.
class foreign {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    foreign get_return_object() noexcept { return foreign(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const { throw; }
  };
  foreign(foreign&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  foreign& operator=(foreign&&) = delete;
  ~foreign() {
    if (frame_) frame_.destroy();
  }
  [[nodiscard]] bool ended() const noexcept { return frame_.done(); }

 private:
  explicit foreign(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

foreign read_until_told(coflow::memory_flow* flow, std::stop_token token, std::string* got) {
  const read_result given = co_await cancellable(flow->read(), token);
  *got = in_words(given);
}
task<> note_read(coflow::memory_flow* flow, std::stop_token token, std::string* got) {
  const read_result given = co_await cancellable(flow->read(), token);
  *got = in_words(given);
}
task<> write(coflow::memory_flow* flow, std::string text) {
  const result<void> sent = co_await flow->write(buffer(text));
  static_cast<void>(sent);
}

struct stage {
  std::string rest() {
    std::string more;
    drive(on, note_read(&ends.first, std::stop_token(), &more));
    return more;
  }
  manual_executor on;
  coflow::executor::entry inside{on};
  std::pair<coflow::memory_flow, coflow::memory_flow> ends = coflow::memory_pipe();
  std::stop_source source;
  std::string got;
};

}  // namespace

TEST_CASE("a request ends an operation of a coroutine that knows no stop, in a turn of the executor", "[cancellable]") {
  stage s;
  const foreign reads = read_until_told(&s.ends.first, s.source.get_token(), &s.got);
  CHECK_FALSE(reads.ended());
  s.source.request_stop();
  CHECK(s.got.empty());  // never inline
  s.on.run_until_idle();
  CHECK(s.got == "canceled");
  drive(s.on, write(&s.ends.second, "kept"));
  CHECK(s.rest() == "kept");
}

TEST_CASE("what completes is reported, and a later request does nothing", "[cancellable]") {
  stage s;
  const foreign reads = read_until_told(&s.ends.first, s.source.get_token(), &s.got);
  drive(s.on, write(&s.ends.second, "one"));
  s.on.run_until_idle();
  CHECK(s.got == "one");
  s.source.request_stop();
  CHECK_FALSE(s.on.has_ready());
  s.got.clear();
  const foreign again = read_until_told(&s.ends.first, s.source.get_token(), &s.got);
  CHECK(s.got == "canceled");  // a request stays
}

TEST_CASE("what completes at once does so without listening to the token", "[cancellable]") {
  stage s;
  drive(s.on, write(&s.ends.second, "here"));
  const foreign reads = read_until_told(&s.ends.first, s.source.get_token(), &s.got);
  CHECK(s.got == "here");
  // A token without a source never asks.
  const foreign more = read_until_told(&s.ends.first, std::stop_token(), &s.got);
  drive(s.on, write(&s.ends.second, "more"));
  s.on.run_until_idle();
  CHECK(s.got == "more");
}

TEST_CASE("a request in the turn of the bytes: they are read, or still there", "[cancellable]") {
  for (const bool bytes_first : {false, true}) {
    stage s;
    const foreign reads = read_until_told(&s.ends.first, s.source.get_token(), &s.got);
    auto writes = job<void>::of(write(&s.ends.second, "bytes"));
    if (bytes_first) {
      writes.start(s.on);
      s.on.run_ready();
      s.source.request_stop();
    } else {
      s.source.request_stop();
      writes.start(s.on);
    }
    s.on.run_until_idle();
    CHECK(s.got == (bytes_first ? "bytes" : "canceled"));
    if (!bytes_first) CHECK(s.rest() == "bytes");
    CHECK_FALSE(s.on.has_ready());
  }
}

TEST_CASE("in a task, a stop of the task and a request both reach the operation", "[cancellable]") {
  for (const bool by_task : {false, true}) {
    stage s;
    auto reads = job<void>::of(note_read(&s.ends.first, s.source.get_token(), &s.got));
    reads.start(s.on);
    s.on.run_until_idle();
    if (by_task) reads.request_stop();
    s.source.request_stop();
    s.on.run_until_idle();
    CHECK(s.got == "canceled");
  }
}

TEST_CASE("a request stops a whole task", "[cancellable]") {
  stage s;
  struct local {
    static task<result<int>> sleep_twice() {
      const result<void> first = co_await coflow::sleep_for(1h);
      const result<void> second = co_await coflow::sleep_for(1h);
      CHECK_FALSE(second);
      co_return first.error();
    }
    static foreign wait(std::stop_token token, std::string* got) {
      const result<int> slept = co_await cancellable(sleep_twice(), token);
      *got = in_words(slept.error());
    }
  };
  const foreign waits = local::wait(s.source.get_token(), &s.got);
  s.source.request_stop();
  s.on.run_until_idle();
  CHECK(s.got == "canceled");
}

TEST_CASE("a coroutine that dies takes its wait back, listening or told", "[cancellable]") {
  for (const bool told : {false, true}) {
    stage s;
    {
      const foreign reads = read_until_told(&s.ends.first, s.source.get_token(), &s.got);
      if (told) s.source.request_stop();
    }
    CHECK_FALSE(s.on.has_ready());
    s.source.request_stop();
    CHECK_FALSE(s.on.has_ready());
    drive(s.on, write(&s.ends.second, "kept"));
    CHECK(s.rest() == "kept");
  }
}

TEST_CASE("an executor that goes away is not posted to any more", "[cancellable]") {
  std::stop_source source;
  std::string got;
  // Nothing ends this wait, not even the end of the executor.
  struct local {
    static foreign wait(std::stop_token token) { co_await cancellable(std::suspend_always(), token); }
  };
  auto ends = coflow::memory_pipe();
  std::optional<foreign> reads;
  std::optional<foreign> waits;
  {
    manual_executor on;
    const coflow::executor::entry inside(on);
    reads.emplace(read_until_told(&ends.first, source.get_token(), &got));
    waits.emplace(local::wait(source.get_token()));
  }
  CHECK(got == "closed");
  CHECK_FALSE(waits->ended());
  source.request_stop();
}

TEST_CASE("without an executor only a request that was there before counts", "[cancellable]") {
  auto ends = coflow::memory_pipe();
  std::stop_source source;
  std::string got;
  const foreign reads = read_until_told(&ends.first, source.get_token(), &got);
  CHECK(got == "no executor");
  source.request_stop();
  const foreign again = read_until_told(&ends.first, source.get_token(), &got);
  CHECK(got == "canceled");
}

TEST_CASE("it moves before it begins, and allocates nothing", "[cancellable]") {
  manual_executor on;
  auto ends = coflow::memory_pipe();
  std::stop_source source;
  struct local {
    static task<> often(int times, coflow::memory_flow* a, coflow::memory_flow* b, std::stop_token token) {
      for (int i = 0; i < times; ++i) {
        auto unbegun = cancellable(a->read(), token);
        auto moved = std::move(unbegun);
        const result<void> sent = co_await b->write(buffer("x"));
        const read_result got = co_await moved;
        const result<void> slept = co_await cancellable(coflow::sleep_for(1ms), token);
        if (!sent || !got || !slept) co_return;
      }
    }
  };
  drive(on, local::often(10, &ends.first, &ends.second, source.get_token()));
#ifndef COFLOW_NO_POOL
  auto again = job<void>::of(local::often(1000, &ends.first, &ends.second, source.get_token()));
  again.start(on);
  const auto before = support::allocation_count();
  support::finish_job(on, again);
  const auto after = support::allocation_count();
  CHECK(before == after);
#endif
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<decltype(cancellable(ends.first.read(), std::stop_token()))>);
}

// ---- at every step

namespace {

// A request of the token falls between all the steps of the peer; then the attacked task goes on with a new one.
class often_told {
 public:
  often_told() : ends_(coflow::memory_pipe(3)) {}
  task<> attacked() {
    while (true) {
      const read_result got = co_await cancellable(ends_.first.read(), source_.get_token());
      if (got) heard_.append(got->text());
      if (got.eof()) co_return;
      if (got.failed() && !source_.stop_requested()) co_return;  // it is the task that was stopped
      if (got.failed()) source_ = std::stop_source();
      if (++rounds_ > 100) co_return;
    }
  }
  task<> peer() {
    for (const char* text : {"ab", "c", "def", "g"}) {
      const result<void> sent = co_await ends_.second.write(buffer(text));
      if (!sent) co_return;
      source_.request_stop();
      co_await support::yield_turn();
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
  std::stop_source source_;
  std::string heard_;
  std::string rest_;
  int rounds_ = 0;
};

}  // namespace

TEST_CASE("stopped or destroyed at any step, reads under a token lose nothing", "[cancellable]") {
  CHECK(support::hit_at_every_step<often_told>(support::blow::stop) > 10);
  CHECK(support::hit_at_every_step<often_told>(support::blow::destroy) > 10);
}

// ---- threads

namespace {

// Another thread, which requests one stop after the other: each when it is told to go on, a little later every time, so
// that the request falls before the wait, into its beginning, into the wait, and behind it.
class asker {
 public:
  explicit asker(int count) : sources_(static_cast<std::size_t>(count)), thread_([this] { run(); }) {}
  asker(const asker&) = delete;
  asker& operator=(const asker&) = delete;
  ~asker() {
    told_.store(static_cast<int>(sources_.size()));
    thread_.join();
  }
  // The token of the request that is now on its way; the one before has been made.
  [[nodiscard]] std::stop_token next() {
    while (asked_.load() != given_) std::this_thread::yield();
    std::stop_token token = sources_[static_cast<std::size_t>(given_++)].get_token();
    told_.store(given_);
    return token;
  }

 private:
  void run() {
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      while (told_.load() == static_cast<int>(i)) std::this_thread::yield();
      for (std::size_t spin = 37 * (i % 64); spin > 0; --spin) std::atomic_signal_fence(std::memory_order_seq_cst);
      sources_[i].request_stop();
      asked_.store(static_cast<int>(i) + 1);
    }
  }
  std::vector<std::stop_source> sources_;
  int given_ = 0;
  std::atomic<int> told_{0};
  std::atomic<int> asked_{0};
  std::thread thread_;
};

constexpr int rounds = 2000;

}  // namespace

TEST_CASE("each request from another thread arrives, whenever it is made", "[cancellable][threads]") {
  struct local {
    static task<> read(coflow::memory_flow* flow, int* cut) {
      asker other(rounds);
      for (int i = 0; i < rounds; ++i) {
        const std::stop_token token = other.next();
        const read_result got = co_await cancellable(flow->read(), token);
        if (got.failed() && got.error() == coflow::canceled()) ++*cut;
      }
    }
  };
  auto ends = coflow::memory_pipe();
  int cut = 0;
  CHECK(support::finishes(local::read(&ends.first, &cut)));
  CHECK(cut == rounds);
}

TEST_CASE("requests from another thread that race with bytes lose none", "[cancellable][threads]") {
  struct local {
    static task<> speak(coflow::memory_flow* flow) {
      for (int i = 0; i < rounds; ++i) {
        const result<void> sent = co_await flow->write(buffer("x"));
        CHECK(sent);
        const result<void> slept = co_await coflow::sleep_for(std::chrono::microseconds(4 * (i % 16)));
        CHECK(slept);
      }
      co_await flow->shutdown(coflow::shutdown_mode::write);
    }
    static task<> listen(coflow::memory_flow* flow, std::string* heard) {
      asker other(rounds);
      for (int i = 0;; ++i) {
        std::stop_token token;
        if (i < rounds) token = other.next();
        const read_result got = co_await cancellable(flow->read(), token);
        if (got.eof()) break;
        if (got) heard->append(got->text());
      }
    }
    static task<> both(std::string* heard) {
      auto ends = coflow::memory_pipe();
      coflow::task_scope scope;
      const result<void> spawned = scope.spawn(speak(&ends.second));
      CHECK(spawned);
      co_await listen(&ends.first, heard);
      const result<void> joined = co_await scope.join();
      CHECK(joined);
    }
  };
  std::string heard;
  CHECK(support::finishes(local::both(&heard)));
  CHECK(heard == std::string(rounds, 'x'));
}

TEST_CASE("a coroutine may die while another thread requests its stop", "[cancellable][threads]") {
  struct local {
    static task<> die_often() {
      auto ends = coflow::memory_pipe();
      asker other(rounds);
      for (int i = 0; i < rounds; ++i) {
        std::string got;
        const std::stop_token token = other.next();
        const foreign dies = read_until_told(&ends.first, token, &got);
        if (i % 2 == 0) co_await support::loop_turns(i % 3);
      }
      const result<void> sent = co_await ends.second.write(buffer("kept"));
      CHECK(sent);
      const read_result got = co_await ends.first.read();
      CHECK(in_words(got) == "kept");
    }
  };
  CHECK(support::finishes(local::die_often()));
}

TEST_CASE("a loop may die while another thread requests a stop", "[cancellable][threads]") {
  asker other(200);
  for (int i = 0; i < 200; ++i) {
    auto ends = coflow::memory_pipe();
    std::string got;
    std::optional<foreign> reads;
    {
      coflow::event_loop loop;
      const coflow::executor::entry inside(loop);
      reads.emplace(read_until_told(&ends.first, other.next(), &got));
    }
    CHECK((got == "closed" || got == "canceled"));
  }
}
