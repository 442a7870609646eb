#include "coflow/async/when_any.hpp"

#include <chrono>
#include <coroutine>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/memory.hpp"
#include "support/catch.hpp"
#include "support/every_step.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::error;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::when_any;
using support::drive;
using support::gate;
using support::job;
using support::manual_executor;

namespace {

using journal = std::vector<std::string>;

task<int> number(int n) { co_return n; }
task<int> number_after(std::chrono::milliseconds time, int n) {
  const result<void> slept = co_await coflow::sleep_for(time);
  co_return slept ? n : -1;
}
task<> note_after(journal* into, std::string name, std::chrono::milliseconds time) {
  const result<void> slept = co_await coflow::sleep_for(time);
  into->push_back(name + (slept ? "" : " cut"));
}
task<> throw_after(std::chrono::milliseconds time, const char* what) {
  const result<void> slept = co_await coflow::sleep_for(time);
  static_cast<void>(slept);
  throw std::runtime_error(what);
}
task<int> pass(gate* at, int n) {
  co_await at->pass();
  co_return n;
}

}  // namespace

TEST_CASE("the child that ends first wins, and all results are given", "[when_any]") {
  manual_executor on;
  struct local {
    static task<> race() {
      const auto [first, results] =
          co_await when_any(number_after(20ms, 1), coflow::sleep_for(10ms), number_after(30ms, 3));
      CHECK(first == 1);
      CHECK(std::get<0>(results) == -1);
      CHECK(std::get<1>(results));
      CHECK(std::get<2>(results) == -1);
    }
  };
  const auto start = on.now();
  drive(on, local::race());
  CHECK(on.now() == start + 10ms);
}

TEST_CASE("an error wins like anything else, and so does one child alone", "[when_any]") {
  struct local {
    static task<result<int>> fail() {
      co_await support::yield_turn();
      co_return make_error_code(error::closed);
    }
    static task<> race(journal* log) {
      const auto [first, results] = co_await when_any(note_after(log, "a", 1000ms), fail());
      CHECK(first == 1);
      CHECK(std::get<1>(results).error() == error::closed);
      STATIC_REQUIRE(std::is_same_v<decltype(std::get<0>(results)), const std::monostate&>);
      const auto [winner, alone] = co_await when_any(number(7));
      CHECK(winner == 0);
      CHECK(std::get<0>(alone) == 7);
    }
  };
  journal log;
  drive(local::race(&log));
  CHECK(log == journal{"a cut"});
}

TEST_CASE("a range gives a vector, and an empty one has no winner", "[when_any]") {
  struct local {
    static task<> race() {
      std::vector<task<int>> tasks;
      for (int i = 0; i < 10; ++i) tasks.push_back(number_after(i == 6 ? 1ms : 10ms, i));
      const auto [first, results] = co_await when_any(std::move(tasks));
      CHECK(first == 6);
      CHECK(results == std::vector<int>{-1, -1, -1, -1, -1, -1, 6, -1, -1, -1});
      const auto nobody = co_await when_any(std::vector<task<int>>());
      CHECK(nobody.index == nobody.npos);
      CHECK(nobody.results.empty());
    }
  };
  drive(local::race());
}

TEST_CASE("children behind one that ends at once are begun under a stop request", "[when_any]") {
  auto ends = coflow::memory_pipe();
  struct local {
    static task<> race(coflow::memory_flow* reads, coflow::memory_flow* writes) {
      const result<void> sent = co_await writes->write(buffer("kept"));
      CHECK(sent);
      const auto [first, results] = co_await when_any(coflow::sleep_for(1h), number(1), reads->read(), number(2));
      CHECK(first == 1);
      CHECK(std::get<0>(results).error() == coflow::canceled());
      CHECK(std::get<2>(results).error() == coflow::canceled());
      CHECK(std::get<3>(results) == 2);  // what never waits completes all the same
      const read_result got = co_await reads->read();
      CHECK(got);
      CHECK(got->text() == "kept");
    }
  };
  drive(local::race(&ends.first, &ends.second));
}

TEST_CASE("a loser that completed in the same turn reports what it has", "[when_any]") {
  // Both reads are called in one turn; the second has its data before it hears of the stop, or leaves it in the flow.
  struct local {
    static task<> write(coflow::memory_flow* a, coflow::memory_flow* b) {
      const result<void> one = co_await a->write(buffer("one"));
      const result<void> two = co_await b->write(buffer("two"));
      CHECK(one);
      CHECK(two);
    }
    static task<> race(coflow::memory_flow* a, coflow::memory_flow* b) {
      const auto [first, results] = co_await when_any(a->read(), b->read());
      CHECK(first == 0);
      const auto& [one, two] = results;
      CHECK(one->text() == "one");
      std::string second;
      if (two) second = two->text();
      if (!two) {
        CHECK(two.error() == coflow::canceled());
        const read_result later = co_await b->read();
        second = later->text();
      }
      CHECK(second == "two");
    }
  };
  manual_executor on;
  const coflow::executor::entry inside(on);
  auto a = coflow::memory_pipe();
  auto b = coflow::memory_pipe();
  auto race = job<void>::of(local::race(&a.first, &b.first));
  race.start(on);
  on.run_until_idle();
  auto writer = job<void>::of(local::write(&a.second, &b.second));
  writer.start(on);
  on.run_until_idle();
  CHECK(race.ended());
}

TEST_CASE("losers that ignore the stop are waited for", "[when_any]") {
  manual_executor on;
  const coflow::executor::entry inside(on);
  gate at;
  bool ended = false;
  struct local {
    static task<> race(gate* at, bool* ended) {
      const auto [first, results] = co_await when_any(number(1), pass(at, 2));
      CHECK(first == 0);
      CHECK(std::get<1>(results) == 2);
      *ended = true;
    }
  };
  auto race = job<void>::of(local::race(&at, &ended));
  race.start(on);
  on.run_until_idle();
  CHECK_FALSE(ended);
  at.open();
  on.run_until_idle();
  CHECK(ended);
}

TEST_CASE("an exception of a winner or of a loser is thrown when all have ended", "[when_any]") {
  journal log;
  struct local {
    static task<> race(journal* into) {
      for (const auto time : {1ms, 50ms}) {
        try {
          co_await when_any(throw_after(time, "thrown"), note_after(into, "a", 10ms));
        } catch (const std::runtime_error& thrown) {
          into->push_back(thrown.what());
        }
      }
    }
  };
  drive(local::race(&log));
  CHECK(log == journal{"a cut", "thrown", "a", "thrown"});
}

TEST_CASE("a stop of the awaiting task stops all, and destroying it destroys all", "[when_any]") {
  for (const bool by_destruction : {false, true}) {
    manual_executor on;
    const coflow::executor::entry inside(on);
    journal log;
    struct local {
      static task<> race(journal* into) {
        const auto unused = co_await when_any(note_after(into, "a", 1000ms), when_any(note_after(into, "b", 2000ms)));
        static_cast<void>(unused);
        into->push_back("over");
      }
    };
    auto race = job<void>::of(local::race(&log));
    race.start(on);
    on.run_until_idle();
    if (by_destruction)
      race.destroy();
    else
      race.request_stop();
    on.run_until_idle();
    CHECK_FALSE(on.next_deadline());
    CHECK(log == (by_destruction ? journal{} : journal{"a cut", "b cut", "over"}));
  }
}

TEST_CASE("a million races use no stack and allocate nothing", "[when_any]") {
  struct local {
    static task<> often(int times, int* sum) {
      for (int i = 0; i < times; ++i) {
        const auto [first, results] = co_await when_any(number(1), number(2));
        *sum += std::get<1>(results) + static_cast<int>(first);
      }
    }
  };
  int sum = 0;
  manual_executor on;
  drive(on, local::often(1'000'000, &sum));
  CHECK(sum == 2'000'000);
#ifndef COFLOW_NO_POOL
  auto again = job<void>::of(local::often(1000, &sum));
  again.start(on);
  const auto before = support::allocation_count();
  support::finish_job(on, again);
  const auto after = support::allocation_count();
  CHECK(before == after);
#endif
}

// ---- at every step

namespace {

// Two streams are read by whoever is first, again and again; a timer runs with them.
class two_streams {
 public:
  two_streams() {}

  task<> attacked() {
    bool ended[2] = {};
    while (!ended[0] || !ended[1]) {
      auto race = co_await when_any(read(0, ended[0]), read(1, ended[1]), coflow::sleep_for(3ms));
      const read_result& a = std::get<0>(race.results);
      const read_result& b = std::get<1>(race.results);
      if (a) heard_[0].append(a->text());
      if (b) heard_[1].append(b->text());
      if (a.eof()) ended[0] = true;
      if (b.eof()) ended[1] = true;
      const bool timed = std::get<2>(race.results).has_value();
      if (!timed && !a && !b && !a.eof() && !b.eof()) co_return;  // stopped
    }
  }
  task<> peer() {
    for (int i = 0; i < 4; ++i) {
      for (auto& one : streams_) {
        const result<void> sent = co_await one.second.write(buffer(std::string(1, static_cast<char>('a' + i))));
        if (!sent) co_return;
        if (i % 2 == 0) co_await support::yield_turn();
      }
      const result<void> slept = co_await coflow::sleep_for(2ms);
      static_cast<void>(slept);
    }
    for (auto& one : streams_) co_await one.second.shutdown(coflow::shutdown_mode::write);
  }
  task<> heir() {
    for (int i = 0; i < 2; ++i) {
      while (true) {
        const read_result got = co_await streams_[i].first.read();
        if (!got) break;
        rest_[i].append(got->text());
      }
    }
  }
  [[nodiscard]] std::string judge(support::blow what) const {
    const std::string all = "abcd";
    for (int i = 0; i < 2; ++i) {
      if (what == support::blow::stop && heard_[i] + rest_[i] != all) return "heard " + heard_[i] + " then " + rest_[i];
      if (!all.starts_with(heard_[i]) || !all.ends_with(rest_[i])) return "bytes came in another order";
    }
    return {};
  }

 private:
  // A stream that has ended is out of the race.
  task<read_result> read(int which, bool ended) {
    if (ended) {
      const result<void> slept = co_await coflow::sleep_for(1h);
      co_return slept.error();
    }
    read_result got = co_await streams_[which].first.read();
    co_return got;
  }

  std::pair<coflow::memory_flow, coflow::memory_flow> streams_[2] = {coflow::memory_pipe(), coflow::memory_pipe()};
  std::string heard_[2];
  std::string rest_[2];
};

}  // namespace

TEST_CASE("stopped or destroyed at any step, a losing read eats no byte", "[when_any]") {
  CHECK(support::hit_at_every_step<two_streams>(support::blow::stop) > 20);
  CHECK(support::hit_at_every_step<two_streams>(support::blow::destroy) > 20);
}
