#include "coflow/async/sleep.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using namespace std::chrono_literals;
using coflow::task;
using support::job;
using support::manual_executor;

namespace {

using journal = std::vector<std::string>;

std::string in_words(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == coflow::error::closed) return "closed";
  if (code == coflow::error::no_executor) return "no executor";
  return code ? code.message() : "slept";
}

template <class Duration>
task<> note_sleep(Duration time, journal* into, std::string name) {
  const auto slept = co_await coflow::sleep_for(time);
  into->push_back(name + ": " + in_words(slept.error()));
}
task<> note_sleeps(journal* into, int times) {
  for (int i = 0; i < times; ++i) {
    const auto slept = co_await coflow::sleep_for(1ms);
    into->push_back(std::to_string(i) + ": " + in_words(slept.error()));
  }
}

}  // namespace

TEST_CASE("a sleep ends when its time has passed, and not before", "[sleep]") {
  manual_executor on;
  journal log;
  auto sleeps = job<void>::of(note_sleep(10ms, &log, "a"));
  sleeps.start(on);
  on.run_until_idle();
  CHECK(log.empty());
  on.advance(9ms);
  on.run_until_idle();
  CHECK(log.empty());
  on.advance(1ms - 1ns);
  on.run_until_idle();
  CHECK(log.empty());
  on.advance(1ns);
  on.run_until_idle();
  CHECK(log == journal{"a: slept"});
  CHECK_FALSE(on.next_deadline());
}

TEST_CASE("sleepers wake in the order of their times", "[sleep]") {
  manual_executor on;
  journal log;
  std::vector<job<void>> jobs;
  for (const int time : {30, 10, 20, 10, 0}) {
    jobs.push_back(job<void>::of(note_sleep(std::chrono::milliseconds(time), &log, std::to_string(time))));
    jobs.back().start(on);
  }
  do {
    on.run_until_idle();
  } while (on.advance_to_next_deadline());
  CHECK(log == journal{"0: slept", "10: slept", "10: slept", "20: slept", "30: slept"});
}

TEST_CASE("a sleep of no time or less lets the others run once", "[sleep]") {
  manual_executor on;
  journal log;
  std::vector<job<void>> jobs;
  for (const auto time : {0ns, -1ns, std::chrono::nanoseconds(-1h), std::chrono::nanoseconds::min()}) {
    jobs.push_back(job<void>::of(note_sleep(time, &log, "x")));
    jobs.back().start(on);
  }
  CHECK(on.run_once() == 4);
  CHECK(log.empty());
  CHECK(on.run_once() == 4);
  CHECK(log == journal{"x: slept", "x: slept", "x: slept", "x: slept"});
}

TEST_CASE("a time is rounded up to the clock's tick", "[sleep]") {
  manual_executor on;
  journal log;
  const auto start = on.now();
  auto tiny = job<void>::of(note_sleep(std::chrono::duration<long, std::pico>(1), &log, "tiny"));
  tiny.start(on);
  on.run_once();
  CHECK(on.next_deadline() == start + 1ns);
  auto fraction = job<void>::of(note_sleep(std::chrono::duration<double>(0.25), &log, "fraction"));
  on.advance(1ns);
  on.run_until_idle();
  fraction.start(on);
  on.run_once();
  CHECK(on.next_deadline() == start + 1ns + 250ms);
}

TEST_CASE("a time in ticks of any length is counted in full", "[sleep]") {
  using samples = std::chrono::duration<std::int64_t, std::ratio<1, 44100>>;
  using frames = std::chrono::duration<std::int64_t, std::ratio<1001, 30000>>;
  manual_executor on;
  journal log;
  const auto deadline_after = [&](auto time) {
    auto sleeps = job<void>::of(note_sleep(time, &log, "x"));
    sleeps.start(on);
    on.run_once();
    return on.next_deadline().value();
  };
  const auto start = on.now();
  CHECK(deadline_after(samples(44100LL * 3600 * 24 * 1000 + 1)) == start + std::chrono::days(1000) + 22676ns);
  CHECK(deadline_after(frames(30000LL * 3600 * 24 * 50)) == start + std::chrono::days(1001 * 50));
  CHECK(deadline_after(samples::max()) == coflow::executor::time_point::max());
}

TEST_CASE("a clock may show a time before its zero", "[sleep]") {
  manual_executor on;
  journal log;
  on.set_now(coflow::executor::time_point(-1h));
  auto sleeps = job<void>::of(note_sleep(10ms, &log, "x"));
  sleeps.start(on);
  on.run_once();
  CHECK(on.next_deadline() == on.now() + 10ms);
}

TEST_CASE("a sleep for ever does not end by itself", "[sleep]") {
  manual_executor on;
  journal log;
  std::vector<job<void>> jobs;
  jobs.push_back(job<void>::of(note_sleep(coflow::executor::duration::max(), &log, "a")));
  jobs.push_back(job<void>::of(note_sleep(std::chrono::hours::max(), &log, "b")));
  jobs.push_back(job<void>::of(note_sleep(std::chrono::duration<double>(1e300), &log, "c")));
  jobs.push_back(job<void>::of(note_sleep(std::chrono::years(300), &log, "d")));
  for (auto& one : jobs) one.start(on);
  on.run_until_idle();
  on.advance(std::chrono::years(100));
  on.run_until_idle();
  CHECK(log.empty());
  for (auto& one : jobs) one.request_stop();
  on.run_until_idle();
  CHECK(log == journal{"a: canceled", "b: canceled", "c: canceled", "d: canceled"});
}

TEST_CASE("a stop ends a sleep, in a turn of its own", "[sleep]") {
  manual_executor on;
  const coflow::executor::entry inside(on);
  journal log;
  auto sleeps = job<void>::of(note_sleep(1h, &log, "a"));
  sleeps.start(on);
  on.run_until_idle();
  sleeps.request_stop();
  CHECK(log.empty());
  CHECK_FALSE(on.next_deadline());
  on.run_until_idle();
  CHECK(log == journal{"a: canceled"});
}

TEST_CASE("a stop that comes when the time has passed, but before its turn, resumes the sleeper once", "[sleep]") {
  manual_executor on;
  const coflow::executor::entry inside(on);
  journal log;
  auto sleeps = job<void>::of(note_sleep(1ms, &log, "a"));
  sleeps.start(on);
  on.run_until_idle();
  on.advance(1ms);
  on.expire_timers(on.now());
  sleeps.request_stop();
  on.run_until_idle();
  CHECK(log.size() == 1);
}

TEST_CASE("a sleep in a stopped task ends at once", "[sleep]") {
  manual_executor on;
  journal log;
  auto sleeps = job<void>::of(note_sleeps(&log, 3));
  sleeps.start(on);
  on.run_until_idle();
  sleeps.request_stop();
  on.run_until_idle();
  CHECK(log == journal{"0: canceled", "1: canceled", "2: canceled"});
  CHECK(sleeps.ended());
}

TEST_CASE("a sleeper that dies takes its timer back, asleep or called", "[sleep]") {
  manual_executor on;
  const coflow::executor::entry inside(on);
  journal log;
  {
    auto sleeps = job<void>::of(note_sleep(1h, &log, "a"));
    sleeps.start(on);
    on.run_until_idle();
    CHECK(on.next_deadline());
  }
  CHECK_FALSE(on.next_deadline());
  {
    auto sleeps = job<void>::of(note_sleep(1ms, &log, "b"));
    sleeps.start(on);
    on.run_until_idle();
    on.advance(1ms);
    on.expire_timers(on.now());
  }
  CHECK_FALSE(on.has_ready());
  {
    auto sleeps = job<void>::of(note_sleep(1h, &log, "c"));
    sleeps.start(on);
    on.run_until_idle();
    sleeps.request_stop();
  }
  CHECK_FALSE(on.has_ready());
  CHECK(log.empty());
}

TEST_CASE("a sleep ends as closed when its executor goes away", "[sleep]") {
  journal log;
  std::optional<job<void>> sleeps;
  std::optional<job<void>> again;
  {
    manual_executor on;
    sleeps.emplace(job<void>::of(note_sleep(1h, &log, "a")));
    again.emplace(job<void>::of(note_sleeps(&log, 3)));
    sleeps->start(on);
    again->start(on);
    on.run_until_idle();
  }
  CHECK(sleeps->ended());
  CHECK(again->ended());
  CHECK(log == journal{"0: closed", "a: closed", "1: closed", "2: closed"});
}

TEST_CASE("a sleeper that heeds nothing can be told to stop when its executor has gone", "[sleep]") {
  struct local {
    static task<> tick(int* ticks) {
      while (true) {
        static_cast<void>(co_await coflow::sleep_for(1h));
        ++*ticks;
      }
    }
  };
  int ticks = 0;
  auto sleeps = job<void>::of(local::tick(&ticks));
  auto on = std::make_unique<manual_executor>();
  sleeps.start(*on);
  on->run_until_idle();
  on.reset();
  const int heard = ticks;
  CHECK(heard > 0);
  sleeps.request_stop();
  CHECK(ticks == heard);
}

TEST_CASE("a sleep without an executor says so", "[sleep]") {
  manual_executor on;
  journal log;
  auto sleeps = job<void>::of(note_sleep(1h, &log, "a"));
  on.post(sleeps.started());
  on.run_ready();  // without an entry, so that none is current
  CHECK(log == journal{"a: no executor"});
}

TEST_CASE("a sleep is an object that moves before it begins", "[sleep]") {
  STATIC_REQUIRE(std::is_move_constructible_v<coflow::sleep_operation>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<coflow::sleep_operation>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<coflow::sleep_operation>);
  struct local {
    static task<> kept(journal* into) {
      auto first = coflow::sleep_for(1ms);
      auto second = std::move(first);
      const auto slept = co_await second;
      into->push_back(in_words(slept.error()));
    }
  };
  journal log;
  support::drive(local::kept(&log));
  CHECK(log == journal{"slept"});
  {
    const auto unused = coflow::sleep_for(1ms);
  }
}

TEST_CASE("a sleep allocates nothing", "[sleep]") {
  manual_executor on;
  struct local {
    static task<> often(int times) {
      for (int i = 0; i < times; ++i) {
        const auto slept = co_await coflow::sleep_for(1ms);
        if (!slept) break;
      }
    }
  };
  auto sleeps = job<void>::of(local::often(1000));
  sleeps.start(on);
  const auto before = support::allocation_count();
  support::finish_job(on, sleeps);
  const auto after = support::allocation_count();
  CHECK(before == after);
}

// ---- until

TEST_CASE("a sleep until a point on the clock ends there", "[sleep]") {
  manual_executor on;
  struct local {
    static task<> note(coflow::executor::time_point until, journal* into, std::string name) {
      const auto slept = co_await coflow::sleep_until(until);
      into->push_back(name + ": " + in_words(slept.error()));
    }
  };
  const auto start = on.now();
  journal log;
  std::vector<job<void>> jobs;
  jobs.push_back(job<void>::of(local::note(start + 2ms, &log, "a")));
  jobs.push_back(job<void>::of(local::note(start + 1ms, &log, "b")));
  jobs.push_back(job<void>::of(local::note(coflow::executor::time_point::max(), &log, "c")));
  for (auto& one : jobs) one.start(on);
  on.run_once();
  CHECK(on.next_deadline() == start + 1ms);
  on.advance(2ms - 1ns);
  on.run_until_idle();
  CHECK(log == journal{"b: slept"});
  on.advance(1ns);
  on.run_until_idle();
  CHECK(log == journal{"b: slept", "a: slept"});
  jobs[2].request_stop();
  on.run_until_idle();
  CHECK(log.back() == "c: canceled");
}

TEST_CASE("a sleep until a time that is past lets others run once", "[sleep]") {
  manual_executor on;
  const auto start = on.now();
  struct local {
    static task<> past(coflow::executor::time_point until, journal* into) {
      const auto slept = co_await coflow::sleep_until(until);
      into->push_back("past: " + in_words(slept.error()));
    }
    static task<> other(journal* into) {
      into->push_back("other");
      co_return;
    }
  };
  for (const auto until : {start, start - 1h, coflow::executor::time_point::min()}) {
    journal log;
    auto sleeps = job<void>::of(local::past(until, &log));
    auto other = job<void>::of(local::other(&log));
    sleeps.start(on);
    other.start(on);
    on.run_until_idle();
    CHECK(log == journal{"other", "past: slept"});
  }
  CHECK(on.now() == start);
}
