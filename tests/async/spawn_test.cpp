#include "coflow/async/spawn.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/core/error.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace std::chrono_literals;
using coflow::executor;
using coflow::spawn;
using coflow::task;
using coflow::task_outcome;
using support::manual_executor;

namespace {

long frames() { return coflow::detail::live_frames.load(); }

task<int> number(int n) { co_return n; }
task<int> slept_number(int n) {
  const auto slept = co_await coflow::sleep_for(1ms);
  co_return slept ? n : -n;
}
task<> set(bool* ran) {
  *ran = true;
  co_return;
}
task<> throwing() {
  throw std::runtime_error("left the task");
  co_return;
}
task<std::unique_ptr<int>> pointer(int n) { co_return std::make_unique<int>(n); }
task<coflow::result<int>> result_of(int n) {
  co_await support::yield_turn();
  if (n < 0) co_return coflow::error::closed;
  co_return n;
}
task<> pass(support::gate* at, bool* passed) {
  co_await at->pass();
  *passed = true;
}

}  // namespace

TEST_CASE("spawn runs the task in a turn of the executor and hands on what it gives", "[spawn]") {
  manual_executor on;
  int seen = 0;
  bool was_current = false;
  spawn(on, number(7), [&](task_outcome<int> outcome) {
    seen = *outcome;
    was_current = executor::current() == &on;
  });
  CHECK(seen == 0);  // never inline
  on.run_until_idle();
  CHECK(seen == 7);
  CHECK(was_current);
}

TEST_CASE("spawn within a turn does not run the task inline", "[spawn]") {
  manual_executor on;
  const executor::entry inside(on);
  bool ran = false;
  spawn(on, set(&ran));
  CHECK_FALSE(ran);
  on.run_until_idle();
  CHECK(ran);
}

TEST_CASE("spawned tasks of several types give nothing, move-only objects and exceptions", "[spawn]") {
  manual_executor on;
  int seen = 0;
  bool ran = false;
  std::string thrown;
  spawn(on, pointer(3), [&](task_outcome<std::unique_ptr<int>> outcome) { seen = **outcome; });
  spawn(on, set(&ran), [&](const task_outcome<void>& outcome) { ran = ran && outcome.has_value(); });
  spawn(on, throwing(), [&](const task_outcome<void>& outcome) {
    try {
      if (!outcome) std::rethrow_exception(outcome.error());
    } catch (const std::runtime_error& error) {
      thrown = error.what();
    }
  });
  on.run_until_idle();
  CHECK(seen == 3);
  CHECK(ran);
  CHECK(thrown == "left the task");
}

namespace {

// Written so that it compiles also while a task of a result cannot be spawned, and fails then.
template <class T>
int spawn_result(manual_executor& on, task<T> body) {
  int seen = -1;
  if constexpr (std::is_convertible_v<T, task_outcome<T>>) {
    spawn(on, std::move(body), [&seen](task_outcome<T> outcome) { seen = **outcome; });
    on.run_until_idle();
  } else {
    static_cast<void>(on);
    static_cast<void>(body);
  }
  return seen;
}

}  // namespace

TEST_CASE("a task that gives a result can be spawned", "[spawn]") {
  manual_executor on;
  CHECK(spawn_result(on, result_of(5)) == 5);
}

TEST_CASE("what a spawned task gives may be handed to a function object that only moves", "[spawn]") {
  manual_executor on;
  int seen = 0;
  spawn(on, number(4),
        [&seen, owned = std::make_unique<int>(3)](const task_outcome<int>& outcome) { seen = *outcome + *owned; });
  on.run_until_idle();
  CHECK(seen == 7);
}

TEST_CASE("the task's frame is gone when on_done is called", "[spawn]") {
  const long before = frames();
  manual_executor on;
  long inside = -1;
  spawn(on, number(1), [&](const task_outcome<int>&) { inside = frames(); });
  on.run_until_idle();
  CHECK(inside == before);
}

TEST_CASE("on_done may spawn the next task", "[spawn]") {
  manual_executor on;
  struct chain {
    manual_executor* on;
    int* left;
    void operator()(const task_outcome<int>&) const {
      if (--*left > 0) spawn(*on, number(*left), *this);
    }
  };
  int left = 1000;
  spawn(on, number(1), chain{&on, &left});
  on.run_until_idle();
  CHECK(left == 0);
}

TEST_CASE("tasks are spawned from several threads", "[spawn][threads]") {
  manual_executor on;
  constexpr int each = 2000;
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < each; ++i) spawn(on, number(1), [&sum](const task_outcome<int>& one) { sum += *one; });
    });
  }
  while (sum.load() < 4 * each) {
    if (on.run_once() == 0) std::this_thread::yield();
  }
  for (auto& one : threads) one.join();
  CHECK(sum.load() == 4 * each);
}

TEST_CASE("an exception that nobody takes ends the program", "[spawn]") {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    std::set_terminate([] { _exit(77); });
    manual_executor on;
    spawn(on, throwing());
    on.run_until_idle();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 77);
}

// ---- the end of the executor

TEST_CASE("a spawned task that waits when its executor goes away is told closed and reports", "[spawn]") {
  const long before = frames();
  int seen = 0;
  {
    manual_executor on;
    spawn(on, slept_number(5), [&](const task_outcome<int>& outcome) { seen = *outcome; });
    on.run_until_idle();
  }
  CHECK(seen == -5);
  CHECK(frames() == before);
}

TEST_CASE("a spawned task that has not begun when its executor goes away still runs", "[spawn]") {
  const long before = frames();
  int seen = 0;
  {
    manual_executor on;
    spawn(on, number(6), [&](const task_outcome<int>& outcome) { seen = *outcome; });
  }
  CHECK(seen == 6);
  CHECK(frames() == before);
}

TEST_CASE("a spawned task that does not end with its executor is destroyed without a call", "[spawn]") {
  const long before = frames();
  support::gate never;
  bool passed = false;
  bool called = false;
  {
    manual_executor on;
    spawn(on, pass(&never, &passed), [&](const task_outcome<void>&) { called = true; });
    on.run_until_idle();
    CHECK(never.has_waiters());
  }
  CHECK_FALSE(never.has_waiters());
  CHECK_FALSE(passed);
  CHECK_FALSE(called);
  CHECK(frames() == before);
}

TEST_CASE("tasks that spawn others for ever do not outlive their executor", "[spawn]") {
  // "Destroying an executor ... destroys the spawned tasks that do not end even then", begun or not.
  struct for_ever {
    manual_executor* on;
    void operator()(const task_outcome<int>&) const { spawn(*on, number(1), *this); }
  };
  for (int turns = 0; turns < 3; ++turns) {
    const long before = frames();
    {
      manual_executor on;
      spawn(on, number(1), for_ever{&on});
      for (int i = 0; i < turns; ++i) on.run_once();
    }
    CHECK(frames() == before);
  }
}

namespace {

struct spawns_when_it_dies {
  explicit spawns_when_it_dies(manual_executor* given) noexcept : on(given) {}
  spawns_when_it_dies(const spawns_when_it_dies&) = delete;
  spawns_when_it_dies& operator=(const spawns_when_it_dies&) = delete;
  ~spawns_when_it_dies() {
    spawn(*on, number(1), [](const task_outcome<int>&) {});
  }
  manual_executor* on;
};
task<> pass_and_clean_up(manual_executor* on, support::gate* at) {
  const spawns_when_it_dies cleanup(on);
  co_await at->pass();
}

}  // namespace

TEST_CASE("a task that spawns another while the executor destroys it leaves nothing behind", "[spawn]") {
  const long before = frames();
  support::gate never;
  {
    manual_executor on;
    spawn(on, pass_and_clean_up(&on, &never));
    on.run_until_idle();
  }
  CHECK(frames() == before);
}

TEST_CASE("what is called at the end lies where its type may lie", "[spawn]") {
  class alignas(128) wide {
   public:
    explicit wide(int* count) noexcept : misplaced_(count) {}
    void operator()(const task_outcome<int>&) const noexcept {}
    wide(const wide& other) noexcept : misplaced_(other.misplaced_) { look(); }
    wide& operator=(const wide&) = delete;
    ~wide() = default;

   private:
    void look() const noexcept { *misplaced_ += reinterpret_cast<std::uintptr_t>(this) % alignof(wide) == 0 ? 0 : 1; }
    int* misplaced_;
  };
  int misplaced = 0;
  manual_executor on;
  for (int i = 0; i < 20; ++i) spawn(on, number(i), wide(&misplaced));
  on.run_until_idle();
  CHECK(misplaced == 0);
}
