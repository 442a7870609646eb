#include "coflow/async/when_all.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coflow/async/run.hpp"
#include "coflow/async/sleep.hpp"
#include "coflow/memory.hpp"
#include "support/catch.hpp"
#include "support/every_step.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::error;
using coflow::on_failure;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::when_all;
using support::drive;
using support::gate;
using support::job;
using support::manual_executor;

namespace {

using journal = std::vector<std::string>;

std::string in_words(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == error::closed) return "closed";
  return code ? code.message() : "ok";
}

// Children of every kind.
task<int> number(int n) { co_return n; }
task<int&> reference(int* to) { co_return *to; }
task<> note(journal* into, std::string name) {
  into->push_back(std::move(name));
  co_return;
}
task<result<void>> sleep(journal* into, std::string name, std::chrono::milliseconds time) {
  const result<void> slept = co_await coflow::sleep_for(time);
  into->push_back(name + " " + in_words(slept.error()));
  co_return slept;
}
task<result<int>> fail_after(std::chrono::milliseconds time, std::error_code code) {
  const result<void> slept = co_await coflow::sleep_for(time);
  if (!slept) co_return slept.error();
  co_return code;
}
task<read_result> read_badly(std::chrono::milliseconds time) {
  const result<void> slept = co_await coflow::sleep_for(time);
  static_cast<void>(slept);
  co_return std::make_error_code(std::errc::connection_reset);
}
task<> throw_after(std::chrono::milliseconds time, const char* what) {
  const result<void> slept = co_await coflow::sleep_for(time);
  static_cast<void>(slept);
  throw std::runtime_error(what);
}
task<> pass(gate* at, journal* into, std::string name) {
  co_await at->pass();
  into->push_back(std::move(name));
}

// Awaitables that are no tasks.
class at_once {
 public:
  explicit at_once(int n) noexcept : n_(n) {}
  [[nodiscard]] bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  [[nodiscard]] int await_resume() const noexcept { return n_; }

 private:
  int n_;
};
class made_by_member {
 public:
  made_by_member() noexcept {}
  at_once operator co_await() && noexcept { return at_once(3); }
};
// Resumes the coroutine on the spot.
class hasty {
 public:
  hasty() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) const { waiting.resume(); }
  void await_resume() const noexcept {}
};

long frames() { return coflow::detail::live_frames.load(); }

}  // namespace

TEST_CASE("when_all gives what every child gives, in order", "[when_all]") {
  struct local {
    static task<> all(int* target, journal* log) {
      auto [one, two, three, nothing, pointer, owned, text] = co_await when_all(
          number(1), at_once(2), made_by_member(), note(log, "ran"), reference(target), hasty(), own("text"));
      CHECK(one == 1);
      CHECK(two == 2);
      CHECK(three == 3);
      CHECK(pointer == target);
      CHECK(**text == "text");
      STATIC_REQUIRE(std::is_same_v<decltype(nothing), std::monostate>);
      STATIC_REQUIRE(std::is_same_v<decltype(owned), std::monostate>);
    }
    static task<result<std::unique_ptr<std::string>>> own(std::string text) {
      co_return std::make_unique<std::string>(std::move(text));
    }
  };
  int target = 5;
  journal log;
  drive(local::all(&target, &log));
  CHECK(log == journal{"ran"});
}

TEST_CASE("children start in order, in the turn of the awaiting coroutine, and run side by side", "[when_all]") {
  manual_executor on;
  journal log;
  struct local {
    static task<> all(journal* into) {
      auto slept = co_await when_all(sleep(into, "a", 3ms), note(into, "b"), sleep(into, "c", 1ms));
      CHECK(std::get<0>(slept));
      CHECK(std::get<2>(slept));
      into->push_back("all");
    }
  };
  auto waits = job<void>::of(local::all(&log));
  waits.start(on);
  on.run_once();
  CHECK(log == journal{"b"});
  support::finish_job(on, waits);
  CHECK(log == journal{"b", "c ok", "a ok", "all"});
  CHECK(on.now().time_since_epoch() == std::chrono::hours(1000) + 3ms);
}

TEST_CASE("a range of any length gives a vector", "[when_all]") {
  struct local {
    static task<> all() {
      std::vector<task<int>> tasks;
      for (int i = 0; i < 100; ++i) tasks.push_back(number(i));
      const std::vector<int> given = co_await when_all(std::move(tasks));
      CHECK(given.size() == 100);
      for (int i = 0; i < 100; ++i) CHECK(given[static_cast<std::size_t>(i)] == i);
      std::vector<at_once> others(3, at_once(7));
      const std::vector<int> sevens = co_await when_all(on_failure::isolate, std::span(others));
      CHECK(sevens == std::vector<int>{7, 7, 7});
      journal log;
      std::vector<task<>> nothings;
      nothings.push_back(note(&log, "ran"));
      const std::vector<std::monostate> nothing = co_await when_all(std::move(nothings));
      CHECK(nothing.size() == 1);
      CHECK(log == journal{"ran"});
    }
  };
  drive(local::all());
}

TEST_CASE("the results of a range have their room before a child begins", "[when_all]") {
  struct local {
    static task<> all(std::uint64_t* before, std::uint64_t* after) {
      std::vector<task<int>> tasks;
      for (int i = 0; i < 10; ++i) tasks.push_back(number(i));
      auto both = when_all(std::move(tasks));
      *before = support::allocation_count();
      const std::vector<int> given = co_await std::move(both);
      *after = support::allocation_count();
      CHECK(given.size() == 10);
    }
  };
  std::uint64_t before = 0;
  std::uint64_t after = 1;
  drive(local::all(&before, &after));
  CHECK(after == before);
}

TEST_CASE("without children there is nothing to wait for", "[when_all]") {
  manual_executor on;
  struct local {
    static task<> none() {
      const std::tuple<> nothing = co_await when_all();
      static_cast<void>(nothing);
      const std::tuple<> isolated = co_await when_all(on_failure::isolate);
      static_cast<void>(isolated);
      const std::vector<int> empty = co_await when_all(std::vector<task<int>>());
      CHECK(empty.empty());
    }
  };
  auto waits = job<void>::of(local::none());
  waits.start(on);
  CHECK(on.run_once() == 1);
  CHECK(waits.ended());
}

TEST_CASE("what is never awaited never runs", "[when_all]") {
  journal log;
  const long before = frames();
  {
    auto first = when_all(note(&log, "a"), note(&log, "b"));
    CHECK(frames() == before + 2);  // a task is its own child
    auto moved = std::move(first);
    std::vector<task<>> tasks;
    tasks.push_back(note(&log, "c"));
    const auto range = when_all(std::move(tasks));
  }
  CHECK(frames() == before);
  CHECK(log.empty());
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<decltype(when_all(number(1)))>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<decltype(when_all(number(1)))>);
}

// ---- failing

TEST_CASE("a child that fails cancels the others, and all results are given", "[when_all]") {
  journal log;
  struct local {
    static task<> all(journal* into) {
      auto [a, failed, b] =
          co_await when_all(sleep(into, "a", 100ms), fail_after(10ms, error::closed), sleep(into, "b", 5ms));
      CHECK(a.error() == coflow::canceled());
      CHECK(failed.error() == error::closed);
      CHECK(b);
      auto [read, c] = co_await when_all(read_badly(1ms), sleep(into, "c", 100ms));
      CHECK(read.error() == std::errc::connection_reset);
      CHECK_FALSE(c);
      std::vector<task<result<void>>> tasks;
      for (const auto time : {30ms, 20ms}) tasks.push_back(sleep(into, "d", time));
      tasks.push_back(as_nothing(fail_after(1ms, error::closed)));
      const std::vector<result<void>> given = co_await when_all(std::move(tasks));
      CHECK(given[1].error() == coflow::canceled());
    }
    static task<result<void>> as_nothing(task<result<int>> of) {
      const result<int> given = co_await std::move(of);
      co_return given.error();
    }
  };
  drive(local::all(&log));
  CHECK(log == journal{"b ok", "a canceled", "c canceled", "d canceled", "d canceled"});
}

TEST_CASE("a failure while the children are started begins the rest under a stop request", "[when_all]") {
  journal log;
  struct local {
    static task<result<int>> fail() { co_return make_error_code(error::closed); }
    static task<> all(journal* into) {
      auto [a, b, c] = co_await when_all(sleep(into, "a", 10ms), fail(), sleep(into, "c", 10ms));
      CHECK(a.error() == coflow::canceled());
      CHECK(c.error() == coflow::canceled());
      static_cast<void>(b);
    }
  };
  drive(local::all(&log));
  CHECK(log == journal{"c canceled", "a canceled"});
}

TEST_CASE("isolated children are left alone", "[when_all]") {
  journal log;
  struct local {
    static task<> all(journal* into) {
      auto [a, failed] =
          co_await when_all(on_failure::isolate, sleep(into, "a", 100ms), fail_after(10ms, error::closed));
      CHECK(a);
      CHECK(failed.error() == error::closed);
      try {
        const auto unused =
            co_await when_all(on_failure::isolate, throw_after(10ms, "thrown"), sleep(into, "b", 100ms));
        static_cast<void>(unused);
      } catch (const std::runtime_error& thrown) {
        into->push_back(thrown.what());
      }
    }
  };
  drive(local::all(&log));
  CHECK(log == journal{"a ok", "b ok", "thrown"});
}

TEST_CASE("the first exception is thrown when all children have ended", "[when_all]") {
  journal log;
  struct local {
    static task<> all(journal* into) {
      try {
        const auto unused = co_await when_all(throw_after(20ms, "second"), sleep(into, "a", 100ms),
                                              throw_after(10ms, "first"), number(1));
        static_cast<void>(unused);
      } catch (const std::runtime_error& thrown) {
        into->push_back(thrown.what());
      }
    }
  };
  const long before = frames();
  drive(local::all(&log));
  CHECK(log == journal{"a canceled", "first"});
  CHECK(frames() == before);
}

// ---- stopping and dying

TEST_CASE("a stop of the awaiting task reaches every child, and all of them are awaited", "[when_all]") {
  for (const bool isolated : {false, true}) {
    manual_executor on;
    const coflow::executor::entry inside(on);
    journal log;
    gate deaf;
    struct local {
      static task<> all(journal* into, gate* at, on_failure policy) {
        const auto unused =
            co_await when_all(policy, sleep(into, "a", 1h), pass(at, into, "deaf"), sleep(into, "b", 1h));
        static_cast<void>(unused);
        into->push_back("all");
      }
    };
    auto waits = job<void>::of(local::all(&log, &deaf, isolated ? on_failure::isolate : on_failure::cancel_siblings));
    waits.start(on);
    on.run_until_idle();
    waits.request_stop();
    CHECK(log.empty());  // never inline
    on.run_until_idle();
    CHECK(log == journal{"a canceled", "b canceled"});
    deaf.open();
    on.run_until_idle();
    CHECK(log == journal{"a canceled", "b canceled", "deaf", "all"});
  }
}

TEST_CASE("in a stopped task the children begin stopped", "[when_all]") {
  manual_executor on;
  journal log;
  struct local {
    static task<> all(journal* into) {
      const result<void> slept = co_await coflow::sleep_for(1h);
      CHECK_FALSE(slept);
      const auto unused = co_await when_all(on_failure::isolate, sleep(into, "a", 1h), sleep(into, "b", 1h));
      static_cast<void>(unused);
    }
  };
  auto waits = job<void>::of(local::all(&log));
  waits.start(on);
  on.run_until_idle();
  waits.request_stop();
  on.run_until_idle();
  CHECK(log == journal{"a canceled", "b canceled"});
  CHECK(waits.ended());
}

TEST_CASE("children die with the awaiting coroutine, and take their waits back", "[when_all]") {
  manual_executor on;
  const coflow::executor::entry inside(on);
  journal log;
  gate at;
  const long before = frames();
  struct local {
    static task<> all(journal* into, gate* at) {
      std::vector<task<>> tasks;
      for (const char* name : {"c", "d"}) tasks.push_back(pass(at, into, name));
      const auto unused = co_await when_all(sleep(into, "a", 1h), note(into, "b"), when_all(std::move(tasks)));
      static_cast<void>(unused);
    }
  };
  auto waits = job<void>::of(local::all(&log, &at));
  waits.start(on);
  on.run_until_idle();
  CHECK(at.has_waiters());
  waits.destroy();
  CHECK_FALSE(at.has_waiters());
  CHECK_FALSE(on.next_deadline());
  CHECK(frames() == before);
  CHECK(log == journal{"b"});
}

TEST_CASE("when_all ends when its executor goes away", "[when_all]") {
  journal log;
  std::optional<job<void>> waits;
  {
    manual_executor on;
    struct local {
      static task<> all(journal* into) {
        const auto unused = co_await when_all(on_failure::isolate, sleep(into, "a", 1h), sleep(into, "b", 2h));
        static_cast<void>(unused);
      }
    };
    waits.emplace(job<void>::of(local::all(&log)));
    waits->start(on);
    on.run_until_idle();
  }
  CHECK(waits->ended());
  CHECK(log == journal{"a closed", "b closed"});
}

TEST_CASE("the report of a hang says what a child waits for", "[when_all]") {
  struct local {
    static task<> all(coflow::memory_flow* flow) {
      const auto unused = co_await when_all(number(1), flow->read());
      static_cast<void>(unused);
    }
    static task<> deaf(gate* at, journal* into) { co_await when_all(pass(at, into, "a")); }
  };
  std::string said;
  auto ends = coflow::memory_pipe();
  coflow::virtual_executor on;
  try {
    coflow::run(on, local::all(&ends.first));
  } catch (const coflow::hang& found) {
    said = found.what();
  }
  CHECK(said == "hang: nothing is ready and no timer is armed; the task that was run waits for a read");
  gate at;
  journal log;
  try {
    coflow::run(on, local::deaf(&at, &log));
  } catch (const coflow::hang& found) {
    said = found.what();
  }
  CHECK(said == "hang: nothing is ready and no timer is armed; the task that was run waits for several tasks");
}

// ---- cost

TEST_CASE("a million times over, the stack does not grow and nothing is allocated", "[when_all]") {
  struct local {
    static task<> often(int times, int* sum) {
      for (int i = 0; i < times; ++i) {
        auto [a, b] = co_await when_all(number(1), at_once(1));
        *sum += a + b;
      }
    }
    static task<> waiting(int times, int* sum) {
      for (int i = 0; i < times; ++i) co_await when_all(add_later(sum), add_later(sum));
    }
    static task<> add_later(int* to) {
      co_await support::yield_turn();
      ++*to;
    }
  };
  int sum = 0;
  manual_executor on;
  drive(on, local::often(1'000'000, &sum));
  CHECK(sum == 2'000'000);
  drive(on, local::waiting(100'000, &sum));
  CHECK(sum == 2'200'000);
#ifndef COFLOW_NO_POOL
  auto again = job<void>::of(local::waiting(1000, &sum));
  again.start(on);
  const auto before = support::allocation_count();
  support::finish_job(on, again);
  const auto after = support::allocation_count();
  CHECK(before == after);
#endif
}

// ---- at every step

namespace {

// The attacked task reads what the peer says and talks back, both at once.
class both_ways {
 public:
  both_ways() : ends_(coflow::memory_pipe(4)) {}

  task<> attacked() {
    while (true) {
      auto [got, sent] = co_await when_all(ends_.first.read(), talk());
      if (got) heard_.append(got->text());
      if (sent) ++spoken_;
      if (!got || !sent) co_return;
    }
  }
  task<> peer() { co_await when_all(on_failure::isolate, speak(), listen()); }
  task<> heir() {
    while (true) {
      const read_result got = co_await ends_.first.read();
      if (!got) break;
      rest_.append(got->text());
    }
    co_await ends_.first.close();
  }
  [[nodiscard]] std::string judge(support::blow what) const {
    const std::string all = "abcdefgh";
    if (what == support::blow::stop && heard_ + rest_ != all) return "heard " + heard_ + " and then " + rest_;
    if (!all.starts_with(heard_) || !all.ends_with(rest_)) return "bytes came in another order";
    if (echo_.size() < 6 * spoken_) return "bytes were lost that were reported as sent";
    return {};
  }

 private:
  task<result<void>> talk() {
    const result<void> sent = co_await ends_.first.write(buffer("answer"));
    co_return sent;
  }
  task<> speak() {
    for (const char* text : {"ab", "c", "def", "gh"}) {
      const result<void> sent = co_await ends_.second.write(buffer(text));
      if (!sent) co_return;
      co_await support::yield_turn();
    }
    co_await ends_.second.shutdown(coflow::shutdown_mode::write);
  }
  task<> listen() {
    while (true) {
      const read_result got = co_await ends_.second.read();
      if (!got) co_return;
      echo_.append(got->text());
    }
  }

  std::pair<coflow::memory_flow, coflow::memory_flow> ends_;
  std::string heard_;
  std::string rest_;
  std::string echo_;
  std::size_t spoken_ = 0;
};

}  // namespace

TEST_CASE("stopped or destroyed at any step, reads and writes side by side lose nothing", "[when_all]") {
  CHECK(support::hit_at_every_step<both_ways>(support::blow::stop) > 20);
  CHECK(support::hit_at_every_step<both_ways>(support::blow::destroy) > 20);
}
