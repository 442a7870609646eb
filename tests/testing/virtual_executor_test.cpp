#include "coflow/testing/virtual_executor.hpp"

#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coflow/async/run.hpp"
#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using coflow::choices;
using coflow::memory_flow;
using coflow::task;
using coflow::task_scope;
using coflow::virtual_executor;

namespace {

using journal = std::string;

class step final : public coflow::node {
 public:
  step(journal& into, char name) noexcept : into_(into), name_(name) {}
  void run() noexcept override {
    into_ += name_;
    if (posts_ != nullptr) coflow::executor::current()->post(*std::exchange(posts_, nullptr));
  }
  void posts(step& next) noexcept { posts_ = &next; }

 private:
  journal& into_;
  step* posts_ = nullptr;
  char name_;
};

void post(virtual_executor& on, std::initializer_list<step*> steps) {
  const coflow::executor::entry current(on);
  for (step* one : steps) on.post(*one);
}

/// Waits for nothing that will ever come, and takes no stop.
class for_ever {
 public:
  for_ever() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

task<> wait_for_ever() { co_await for_ever(); }
task<> sleep_hours(int hours) { static_cast<void>(co_await coflow::sleep_for(std::chrono::hours(hours))); }
task<> read_once(memory_flow* from) { static_cast<void>(co_await from->read()); }
task<> write_once(memory_flow* to) { static_cast<void>(co_await to->write(coflow::buffer("more than fits"))); }
task<> shut_down(memory_flow* flow) { co_await flow->shutdown(coflow::shutdown_mode::write); }
task<> nothing() { co_return; }

task<> join_children(memory_flow* flow) {
  task_scope scope;
  scope.spawn(nothing()).value();
  scope.spawn(read_once(flow)).value();
  scope.spawn(sleep_hours(1)).value();
  scope.spawn(write_once(flow)).value();
  scope.spawn(shut_down(flow)).value();
  static_cast<void>(co_await scope.join());
}
task<> join_stubborn_child() {
  task_scope scope;
  scope.spawn(wait_for_ever()).value();
  static_cast<void>(co_await scope.join());
}

task<> ask_for_stop(virtual_executor* on) {
  on->request_stop();
  co_return;
}
task<> stop_while_joining(virtual_executor* on) {
  task_scope scope;
  scope.spawn(wait_for_ever()).value();
  scope.spawn(ask_for_stop(on)).value();
  static_cast<void>(co_await scope.join());
}

template <class T>
std::string hang_of(virtual_executor& on, task<T> body) {
  try {
    coflow::run(on, std::move(body));
  } catch (const coflow::hang& found) {
    return found.what();
  }
  return "no hang";
}

task<std::error_code> sleep_stopped(virtual_executor* on) {
  task_scope scope;
  scope.spawn(ask_for_stop(on)).value();
  const auto slept = co_await coflow::sleep_for(1h);
  static_cast<void>(co_await scope.join());
  co_return slept.error();
}

task<> note(std::string* into, char name, int times) {
  for (int i = 0; i < times; ++i) {
    *into += name;
    static_cast<void>(co_await coflow::sleep_for(0s));
  }
}

// Never waits: the pipe always has room, and something to read.
task<> exchange_often(memory_flow* ends, int times, int* done) {
  for (; *done < times; ++*done) {
    static_cast<void>(co_await ends[0].write(coflow::buffer("x")));
    static_cast<void>(co_await ends[1].read());
  }
}

}  // namespace

TEST_CASE("a virtual executor begins at a fixed time, which moves only when told to", "[virtual_executor]") {
  virtual_executor on;
  virtual_executor another;
  CHECK(on.now() == another.now());
  CHECK(on.now() > coflow::executor::time_point());
  on.advance(3s);
  CHECK(on.now() == another.now() + 3s);
  on.advance(coflow::executor::duration::max());
  CHECK(on.now() == coflow::executor::time_point::max());
}

TEST_CASE("a virtual executor runs what is ready in the order in which it was posted", "[virtual_executor]") {
  virtual_executor on;
  journal ran;
  step a(ran, 'a');
  step b(ran, 'b');
  step c(ran, 'c');
  a.posts(c);
  post(on, {&a, &b});
  CHECK(on.run_once() == 2);
  CHECK(ran == "ab");
  CHECK(on.run_until_idle() == 1);
  CHECK(ran == "abc");
  CHECK(on.run_once() == 0);
}

TEST_CASE("a virtual executor runs ready nodes in every order that choices can pick", "[virtual_executor]") {
  std::set<std::string> orders;
  auto order = choices::exhaustive();
  int runs = 0;
  do {
    virtual_executor on(order);
    journal ran;
    step a(ran, 'a');
    step b(ran, 'b');
    step c(ran, 'c');
    a.posts(c);
    post(on, {&a, &b});
    while (on.run_once() == 1) {
    }
    if (runs == 0) CHECK(ran == "abc");  // the natural order comes first: a and b, then what a posted
    orders.insert(ran);
    ++runs;
  } while (order.next());
  CHECK(orders == std::set<std::string>{"abc", "acb", "bac"});
  CHECK(runs == 3);
}

TEST_CASE("an order of choice can be repeated", "[virtual_executor]") {
  const auto run_by = [](choices& order) {
    virtual_executor on(order);
    journal ran;
    coflow::spawn(on, note(&ran, 'a', 3));
    coflow::spawn(on, note(&ran, 'b', 3));
    coflow::spawn(on, note(&ran, 'c', 3));
    on.run_until_idle();
    return ran;
  };
  auto random = choices::by_seed(7);
  const std::string first = run_by(random);
  CHECK(first.size() == 9);
  auto again = choices::replay(random.repro());
  CHECK(run_by(again) == first);
  auto natural = choices::replay("");
  CHECK(run_by(natural) == "abcabcabc");
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto by_seed = choices::by_seed(seed);
    seen.insert(run_by(by_seed));
  }
  CHECK(seen.size() > 10);
}

TEST_CASE("virtual time passes when nothing else is left to do", "[virtual_executor]") {
  virtual_executor on;
  const auto start = on.now();
  coflow::run(on, sleep_hours(10));
  CHECK(on.now() == start + 10h);
}

TEST_CASE("running until idle does not move the clock", "[virtual_executor]") {
  virtual_executor on;
  const auto start = on.now();
  coflow::spawn(on, sleep_hours(2));
  CHECK(on.run_until_idle() == 1);
  CHECK(on.now() == start);
  CHECK(on.advance_to_next_deadline());
  CHECK(on.now() == start + 2h);
  CHECK(on.run_until_idle() == 2);
  CHECK_FALSE(on.advance_to_next_deadline());
}

TEST_CASE("a deadline that has passed already does not turn the clock back", "[virtual_executor]") {
  virtual_executor on;
  coflow::spawn(on, sleep_hours(1));
  on.run_until_idle();
  on.advance(5h);
  const auto late = on.now();
  CHECK(on.advance_to_next_deadline());
  CHECK(on.now() == late);
}

TEST_CASE("a stop that is asked for reaches the task that is run", "[virtual_executor]") {
  virtual_executor on;
  const auto start = on.now();
  CHECK(coflow::run(on, sleep_stopped(&on)) == std::errc::operation_canceled);
  CHECK(on.now() == start);
  CHECK_FALSE(on.take_stop_request());
}

TEST_CASE("a hang names the task that was run and what it waits for", "[virtual_executor]") {
  auto [a, b] = coflow::memory_pipe(4);
  virtual_executor on;
  const std::string start = "hang: nothing is ready and no timer is armed; the task that was run waits for ";
  CHECK(hang_of(on, read_once(&a)) == start + "a read");
  CHECK(hang_of(on, wait_for_ever()) == start + "something");
  CHECK(hang_of(on, nothing()) == "no hang");
}

TEST_CASE("a hang names the children of a scope by their number", "[virtual_executor]") {
  auto [a, b] = coflow::memory_pipe(4);
  virtual_executor on;
  CHECK(hang_of(on, join_children(&a)) ==
        "hang: nothing is ready and no timer is armed; the task that was run waits for a task_scope to end"
        "; child 1 of a task_scope waits for a read; child 3 of a task_scope waits for a write"
        "; child 4 of a task_scope waits for a shutdown");
}

TEST_CASE("a hang names spawned tasks", "[virtual_executor]") {
  auto [a, b] = coflow::memory_pipe(4);
  virtual_executor on;
  coflow::spawn(on, read_once(&b));
  CHECK(hang_of(on, read_once(&a)) ==
        "hang: nothing is ready and no timer is armed; the task that was run waits for a read"
        "; a spawned task waits for a read");
}

TEST_CASE("a scope whose children ignore a stop is still named", "[virtual_executor]") {
  virtual_executor on;
  const std::string named =
      "hang: nothing is ready and no timer is armed; the task that was run waits for a task_scope to end"
      "; child 0 of a task_scope waits for something";
  on.request_stop();
  CHECK(hang_of(on, join_stubborn_child()) == named);
  CHECK(hang_of(on, stop_while_joining(&on)) == named);
  on.request_stop();
  auto [a, b] = coflow::memory_pipe(4);
  CHECK(hang_of(on, join_children(&a)) == "no hang");
}

TEST_CASE("a stop that was asked for but not yet taken is no hang", "[virtual_executor]") {
  virtual_executor on;
  on.request_stop();
  CHECK_NOTHROW(on.turn());
  CHECK(on.take_stop_request());
  CHECK_THROWS_AS(on.turn(), coflow::hang);
}

TEST_CASE("a turn without anything to wait for is a hang that names nobody", "[virtual_executor]") {
  virtual_executor on;
  CHECK_THROWS_WITH(on.turn(), "hang: nothing is ready and no timer is armed");
}

TEST_CASE("after a hang the executor can be used, and the task that hung is gone", "[virtual_executor]") {
  auto [a, b] = coflow::memory_pipe(4);
  virtual_executor on;
  CHECK(hang_of(on, read_once(&a)) != "no hang");
  CHECK(hang_of(on, write_once(&b)) != "no hang");  // torn
  CHECK(hang_of(on, read_once(&a)) == "no hang");   // the part that went out
  CHECK(hang_of(on, sleep_hours(1)) == "no hang");
}

TEST_CASE("a hang within a task that runs another executor passes through it", "[virtual_executor]") {
  struct local {
    static task<> outer(virtual_executor* inner) {
      coflow::run(*inner, wait_for_ever());
      co_return;
    }
  };
  virtual_executor on;
  virtual_executor inner;
  CHECK(hang_of(on, local::outer(&inner)) ==
        "hang: nothing is ready and no timer is armed; the task that was run waits for something");
}

TEST_CASE("destroying a virtual executor completes what waits on it", "[virtual_executor]") {
  struct local {
    static task<std::error_code> read(memory_flow* from) {
      const auto got = co_await from->read();
      co_return got.error();
    }
    static task<std::error_code> sleep() {
      const auto slept = co_await coflow::sleep_for(1h);
      co_return slept.error();
    }
  };
  auto [a, b] = coflow::memory_pipe(4);
  std::vector<std::error_code> ends;
  const auto on_done = [&ends](coflow::task_outcome<std::error_code> came) { ends.push_back(*came); };
  for (const bool chosen : {false, true}) {
    auto order = choices::by_seed(3);
    auto on = chosen ? std::make_unique<virtual_executor>(order) : std::make_unique<virtual_executor>();
    auto pipe = coflow::memory_pipe(4);
    coflow::spawn(*on, local::read(&pipe.first), on_done);
    coflow::spawn(*on, local::sleep(), on_done);
    coflow::spawn(*on, wait_for_ever());
    on->run_until_idle();
    CHECK(ends.empty());
    on.reset();
    REQUIRE(ends.size() == 2);
    CHECK(ends[0] == coflow::error::closed);
    CHECK(ends[1] == coflow::error::closed);
    ends.clear();
  }
}

TEST_CASE("a coroutine that never waits lets the others run", "[virtual_executor]") {
  for (const bool chosen : {false, true}) {
    auto order = choices::replay("");
    auto on = chosen ? std::make_unique<virtual_executor>(order) : std::make_unique<virtual_executor>();
    auto made = coflow::memory_pipe(4);
    memory_flow ends[] = {std::move(made.first), std::move(made.second)};
    int done = 0;
    std::string noted;
    coflow::spawn(*on, exchange_often(ends, 1000, &done));
    coflow::spawn(*on, note(&noted, 'n', 1));
    while (noted.empty()) REQUIRE(on->run_once() != 0);
    CHECK(done < 100);
    CHECK(on->run_until_idle() < 200);  // each turn has its full allowance again
    CHECK(done == 1000);
  }
}

TEST_CASE("what another thread posts runs on the virtual executor", "[virtual_executor][threads]") {
  virtual_executor on;
  journal ran;
  step a(ran, 'a');
  step b(ran, 'b');
  std::thread([&] {
    on.post(a);
    on.post(b);
  }).join();
  CHECK(on.run_until_idle() == 2);
  CHECK(ran == "ab");
}

TEST_CASE("a virtual executor can drive run", "[virtual_executor]") {
  STATIC_REQUIRE(coflow::drivable_executor<virtual_executor>);
  STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, coflow::hang>);
}
