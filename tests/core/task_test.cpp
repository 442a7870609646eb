#include "coflow/core/task.hpp"

#include <coroutine>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using coflow::task;
using support::drive;
using support::gate;
using support::job;
using support::manual_executor;
using support::yield_turn;

namespace {

long frames() { return coflow::detail::live_frames.load(); }

task<> nothing() { co_return; }
task<int> number(int n) { co_return n; }
task<std::string> text() { co_return "a text that is longer than a small string"; }

task<int> yielded(int n) {
  co_await yield_turn();
  co_return n;
}

}  // namespace

// ---- the shape

TEST_CASE("a task moves and cannot be copied", "[task]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<task<int>>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<task<int>>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<task<int>>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<task<int>>);
  STATIC_REQUIRE(std::is_same_v<task<>, task<void>>);
  STATIC_REQUIRE(std::is_same_v<task<int&>::value_type, int&>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<task<int>>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<task<int>::awaiter>);
}

TEST_CASE("a task gives what its body returns", "[task]") {
  drive(nothing());
  CHECK(drive(number(7)) == 7);
  CHECK(drive(text()) == "a text that is longer than a small string");
}

// ---- lazy

namespace {

task<> set(bool* ran) {
  *ran = true;
  co_return;
}

struct tracked {
  explicit tracked(int* alive) noexcept : alive_(alive) { ++*alive_; }
  tracked(const tracked&) = delete;
  tracked& operator=(const tracked&) = delete;
  tracked(tracked&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  tracked& operator=(tracked&&) = delete;
  ~tracked() { --*alive_; }

 private:
  int* alive_;
};

// Not inlined, or clang leaves out the frame.
[[gnu::noinline]] task<> hold(tracked held, bool* ran) {
  *ran = true;
  static_cast<void>(held);
  co_return;
}

}  // namespace

TEST_CASE("a task runs when it is awaited, not before", "[task]") {
  bool ran = false;
  auto lazy = set(&ran);
  CHECK_FALSE(ran);
  drive(std::move(lazy));
  CHECK(ran);
}

TEST_CASE("a task that is never awaited ends its parameters and never runs", "[task]") {
  const long before = frames();
  int alive = 0;
  bool ran = false;
  {
    auto never = hold(tracked(&alive), &ran);
    CHECK(alive == 1);
    CHECK(frames() == before + 1);
  }
  CHECK(alive == 0);
  CHECK_FALSE(ran);
  CHECK(frames() == before);
}

TEST_CASE("a task that was moved from holds nothing", "[task]") {
  auto first = number(7);
  CHECK(first.valid());
  auto second = std::move(first);
  CHECK_FALSE(first.valid());
  CHECK(second.valid());
  CHECK(drive(std::move(second)) == 7);
}

TEST_CASE("a task that is assigned to ends what it held", "[task]") {
  int alive = 0;
  bool ran = false;
  auto one = hold(tracked(&alive), &ran);
  one = hold(tracked(&alive), &ran);
  CHECK(alive == 1);
  auto& same = one;
  one = std::move(same);
  CHECK(one.valid());
  CHECK(alive == 1);
  drive(std::move(one));
  CHECK(alive == 0);
  CHECK(ran);
}

TEST_CASE("a task that is kept is awaited as an rvalue", "[task]") {
  const auto run = [](task<int> kept) -> task<int> {
    const int given = co_await std::move(kept);
    co_return given;
  };
  CHECK(drive(run(number(3))) == 3);
}

TEST_CASE("a frame that was released belongs to who released it", "[task]") {
  const long before = frames();
  auto one = number(1);
  const auto frame = one.release();
  CHECK_FALSE(one.valid());
  CHECK(frames() == before + 1);
  frame.resume();
  CHECK(frame.promise().ended());
  CHECK(frame.promise().take() == 1);
  frame.destroy();
  CHECK(frames() == before);
}

// ---- what a task can give

namespace {

task<std::unique_ptr<int>> pointer(int n) { co_return std::make_unique<int>(n); }
task<int&> reference(int* of) { co_return *of; }
task<const std::string&> const_reference(const std::string* of) { co_return *of; }
task<std::pair<int, std::string>> pair() { co_return {1, "one"}; }
struct no_default {
  explicit no_default(int given) : n(given) {}
  no_default(no_default&&) = default;
  no_default& operator=(no_default&&) = delete;
  int n;
};
task<no_default> made() { co_return no_default(5); }
task<task<int>> nested() { co_return number(11); }
task<std::string> converted() { co_return "from a literal"; }
task<std::exception_ptr> exception_as_a_value() {
  co_return std::make_exception_ptr(std::runtime_error("only a value"));
}

task<int> unwrap_nested() {
  auto inner = co_await nested();
  const int given = co_await std::move(inner);
  co_return given;
}
task<> change(int* of) {
  int& same = co_await reference(of);
  same = 9;
}

}  // namespace

TEST_CASE("a task gives move-only objects, references, pairs and tasks", "[task]") {
  CHECK(*drive(pointer(3)) == 3);
  int target = 1;
  CHECK(&drive(reference(&target)) == &target);
  drive(change(&target));
  CHECK(target == 9);
  const std::string constant = "constant";
  CHECK(&drive(const_reference(&constant)) == &constant);
  CHECK(drive(pair()).second == "one");
  CHECK(drive(made()).n == 5);
  CHECK(drive(unwrap_nested()) == 11);
  CHECK(drive(converted()) == "from a literal");
  CHECK(drive(exception_as_a_value()) != nullptr);
}

TEST_CASE("a value that nobody takes is destroyed with its task", "[task]") {
  int alive = 0;
  const auto give = [](int* count) -> task<tracked> { co_return tracked(count); };
  {
    auto one = give(&alive);
    const auto frame = one.release();
    frame.resume();
    CHECK(alive == 1);
    frame.destroy();
  }
  CHECK(alive == 0);
}

// ---- awaiting

namespace {

task<int> sum_of(int a, int b) {
  const int first = co_await number(a);
  const int second = co_await number(b);
  co_return first + second;
}
task<int> sum_of_yielded(int a, int b) {
  const int first = co_await yielded(a);
  const int second = co_await number(b);
  const int third = co_await yielded(b);
  co_return first + second + third;
}
task<int> nest(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await nest(depth - 1);
  co_return below + 1;
}
task<int> nest_and_yield(int depth) {
  if (depth == 0) {
    co_await yield_turn();
    co_return 0;
  }
  const int below = co_await nest_and_yield(depth - 1);
  co_return below + 1;
}
task<long> loop_of(int rounds) {
  long sum = 0;
  for (int i = 0; i < rounds; ++i) sum += co_await number(i & 1);
  co_return sum;
}
task<long> loop_of_pairs(int rounds) {
  long sum = 0;
  for (int i = 0; i < rounds; ++i) sum += co_await sum_of(i & 1, 1);
  co_return sum;
}
task<long> loop_of_both(int rounds) {
  long sum = 0;
  for (int i = 0; i < rounds; ++i) {
    if (i % 100 == 0)
      sum += co_await yielded(1);
    else
      sum += co_await number(1);
  }
  co_return sum;
}
task<int> in_conditions() {
  int count = 0;
  while (const int left = co_await number(3 - count)) count += left > 0;
  if (const int n = co_await yielded(5); n == 5) ++count;
  switch (co_await number(2)) {
    case 2:
      ++count;
      break;
    default:
      break;
  }
  for (int i = co_await number(0); i < 3; ++i) ++count;
  co_return count;
}

}  // namespace

TEST_CASE("a task awaits children that end at once and children that wait", "[task]") {
  CHECK(drive(sum_of(1, 2)) == 3);
  CHECK(drive(sum_of_yielded(1, 2)) == 5);
  CHECK(drive(in_conditions()) == 8);
}

TEST_CASE("a million awaits that complete at once need no stack", "[task]") {
  CHECK(drive(loop_of(1'000'000)) == 500'000);
}

TEST_CASE("a million awaits two levels deep need no stack", "[task]") {
  CHECK(drive(loop_of_pairs(300'000)) == 450'000);
}

TEST_CASE("awaits that complete at once and awaits that wait mix", "[task]") {
  CHECK(drive(loop_of_both(100'000)) == 100'000);
}

TEST_CASE("tasks nest a thousand deep, at once and waiting", "[task]") {
  CHECK(drive(nest(1000)) == 1000);
  CHECK(drive(nest_and_yield(1000)) == 1000);
}

TEST_CASE("a child that waits gives control back to whoever runs the parent", "[task]") {
  manual_executor on;
  auto parent = job<int>::of(sum_of_yielded(1, 2));
  parent.start(on);
  CHECK(on.run_once() == 1);
  CHECK_FALSE(parent.ended());
  CHECK(on.run_once() == 1);
  CHECK_FALSE(parent.ended());
  CHECK(on.run_once() == 1);
  CHECK(parent.ended());
  CHECK_FALSE(on.has_ready());
}

TEST_CASE("ten thousand awaits take their frames from the pool", "[task]") {
  manual_executor on;
  CHECK(drive(on, loop_of(10)) == 5);  // fills the pool
  auto once = job<long>::of(loop_of(10));
  auto often = job<long>::of(loop_of(10'000));
  once.start(on);
  on.run_until_idle();
  const auto before = support::allocation_count();
  often.start(on);
  on.run_until_idle();
  const auto after = support::allocation_count();
  CHECK(once.take() == 5);
  CHECK(often.take() == 5000);
  if (coflow::detail::pooling) CHECK(after == before);
}

// ---- exceptions

namespace {

task<int> throwing(bool late) {
  if (late) co_await yield_turn();
  throw std::runtime_error("thrown by a task");
}
task<int&> throwing_reference() {
  throw std::runtime_error("thrown by a task");
  co_return *static_cast<int*>(nullptr);
}
task<std::string> catching(bool late) {
  std::string caught = "nothing";
  try {
    const int never = co_await throwing(late);
    caught = std::to_string(never);
  } catch (const std::runtime_error& thrown) {
    caught = thrown.what();
  }
  co_return caught;
}
task<> passing(bool late, int depth) {
  if (depth == 0)
    static_cast<void>(co_await throwing(late));
  else
    co_await passing(late, depth - 1);
}
task<> throwing_foreign() {
  throw 42;
  co_return;
}

// Its making fails, inside return_value.
struct cannot_be_made {
  explicit cannot_be_made(int) { throw std::runtime_error("cannot be made"); }
};
task<cannot_be_made> return_throws() { co_return 1; }

// Leaving the body after co_return throws.
struct throws_at_the_end {
  explicit throws_at_the_end(int* alive) noexcept : alive_(alive) { ++*alive_; }
  throws_at_the_end(const throws_at_the_end&) = delete;
  throws_at_the_end& operator=(const throws_at_the_end&) = delete;
  ~throws_at_the_end() noexcept(false) {
    --*alive_;
    throw std::runtime_error("thrown on the way out");
  }

 private:
  int* alive_;
};
task<tracked> throw_after_return(int* alive) {
  const throws_at_the_end guard(alive);
  co_return tracked(alive);
}

}  // namespace

TEST_CASE("an exception is thrown where the task is awaited", "[task]") {
  for (const bool late : {false, true}) {
    CHECK(drive(catching(late)) == "thrown by a task");
    CHECK_THROWS_AS(drive(throwing(late)), std::runtime_error);
    CHECK_THROWS_AS(drive(passing(late, 100)), std::runtime_error);
  }
  CHECK_THROWS_AS(static_cast<void>(drive(throwing_reference())), std::runtime_error);
  CHECK_THROWS_AS(drive(throwing_foreign()), int);
}

TEST_CASE("a value that cannot be made becomes an exception of the task", "[task]") {
  CHECK_THROWS_AS(static_cast<void>(drive(return_throws())), std::runtime_error);
}

TEST_CASE("an exception after co_return replaces the value and ends it", "[task]") {
  int alive = 0;
  CHECK_THROWS_AS(static_cast<void>(drive(throw_after_return(&alive))), std::runtime_error);
  CHECK(alive == 0);
}

// ---- destruction

namespace {

task<> wait_at(gate* first, gate* second, tracked held, int* alive, int* steps) {
  const tracked local(alive);
  ++*steps;
  co_await first->pass();
  ++*steps;
  {
    const tracked inner(alive);
    co_await second->pass();
    ++*steps;
  }
  co_await yield_turn();
  ++*steps;
  static_cast<void>(held);
}
task<> wait_below(gate* first, gate* second, int* alive, int* steps, int depth) {
  const tracked local(alive);
  if (depth == 0)
    co_await wait_at(first, second, tracked(alive), alive, steps);
  else
    co_await wait_below(first, second, alive, steps, depth - 1);
  ++*steps;
}

}  // namespace

TEST_CASE("a task can be destroyed at every point where it waits", "[task]") {
  const long before = frames();
  int whole = 0;
  for (int turns = 0;; ++turns) {
    manual_executor on;
    const coflow::executor::entry inside(on);
    int alive = 0;
    int steps = 0;
    gate gates[2];
    bool ended = false;
    {
      auto waits = job<void>::of(wait_below(&gates[0], &gates[1], &alive, &steps, 3));
      waits.start(on);
      for (int i = 0; i < turns; ++i) {
        on.run_once();
        if (i == 1) gates[0].open();
        if (i == 3) gates[1].open();
      }
      ended = waits.ended();
      if (!ended) waits.destroy();
      CHECK((ended || alive == 0));
    }
    CHECK(alive == 0);
    CHECK(frames() == before);
    CHECK_FALSE(gates[0].has_waiters());
    CHECK_FALSE(gates[1].has_waiters());
    CHECK_FALSE(on.has_ready());
    if (ended) {
      whole = steps;
      break;
    }
    REQUIRE(turns < 20);
  }
  CHECK(whole == 8);
}

namespace {

task<int> pass_holding(gate* at, [[maybe_unused]] tracked held) {
  co_await at->pass();
  co_return 1;
}
task<> wait_for(task<int>* kept, int* given) { *given = co_await std::move(*kept); }

}  // namespace

TEST_CASE("a task that is kept elsewhere dies with the coroutine that awaits it", "[task]") {
  const long before = frames();
  manual_executor on;
  gate at;
  int alive = 0;
  int given = 0;
  task<int> kept = pass_holding(&at, tracked(&alive));
  auto waits = job<void>::of(wait_for(&kept, &given));
  waits.start(on);
  on.run_until_idle();
  CHECK(at.has_waiters());
  CHECK_FALSE(kept.valid());
  waits.destroy();
  CHECK_FALSE(at.has_waiters());
  CHECK(alive == 0);
  CHECK(frames() == before);
  at.open();
  on.run_until_idle();
  CHECK(given == 0);
}

TEST_CASE("an awaited task needs the object no more that it was kept in", "[task]") {
  manual_executor on;
  gate at;
  int alive = 0;
  int given = 0;
  auto kept = std::make_unique<task<int>>(pass_holding(&at, tracked(&alive)));
  auto waits = job<void>::of(wait_for(kept.get(), &given));
  waits.start(on);
  on.run_until_idle();
  kept.reset();
  at.open();
  on.run_until_idle();
  CHECK(waits.ended());
  CHECK(given == 1);
  CHECK(alive == 0);
}

// ---- stopping

namespace {

// What the promise hands to what it awaits.
class ask_stop {
 public:
  ask_stop() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    seen_ = coflow::detail::stop_of(awaiting.promise());
    return false;
  }
  [[nodiscard]] coflow::stop_node* await_resume() const noexcept { return seen_; }

 private:
  coflow::stop_node* seen_ = nullptr;
};

task<coflow::stop_node*> stop_seen_below(int depth) {
  if (depth == 0) {
    coflow::stop_node* seen = co_await ask_stop();
    co_return seen;
  }
  coflow::stop_node* seen = co_await stop_seen_below(depth - 1);
  co_return seen;
}
task<bool> level_seen_twice(gate* at) {
  const coflow::stop_node* first = co_await ask_stop();
  const bool before = first->stop_requested();
  co_await at->pass();
  const coflow::stop_node* again = co_await stop_seen_below(3);
  const bool same = first == again;
  const bool after = again->stop_requested();
  co_return !before && after && same;
}

// A coroutine type without a stop state.
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
foreign await_in_foreign(coflow::stop_node** seen) { *seen = co_await stop_seen_below(2); }

}  // namespace

TEST_CASE("a task inherits the stop state of the task that awaits it", "[task]") {
  manual_executor on;
  gate at;
  auto asks = job<bool>::of(level_seen_twice(&at));
  asks.start(on);
  on.run_until_idle();
  asks.request_stop();
  at.open();
  on.run_until_idle();
  REQUIRE(asks.ended());
  CHECK(asks.take());
}

TEST_CASE("a task in a foreign coroutine has no stop state", "[task]") {
  coflow::stop_node something;
  coflow::stop_node* seen = &something;
  const foreign outer = await_in_foreign(&seen);
  CHECK(outer.frame.done());
  CHECK(seen == nullptr);
  outer.frame.destroy();
}

// ---- frames

namespace {

template <std::size_t Size>
task<int> with_locals() {
  volatile char bytes[Size];
  bytes[0] = 1;
  bytes[Size - 1] = 2;
  co_await yield_turn();
  co_return bytes[0] + bytes[Size - 1];
}

}  // namespace

TEST_CASE("frames of every size live and go", "[task]") {
  const long before = frames();
  CHECK(drive(with_locals<2>()) == 3);
  CHECK(drive(with_locals<1000>()) == 3);
  CHECK(drive(with_locals<2000>()) == 3);
  CHECK(drive(with_locals<100'000>()) == 3);
  CHECK(drive(with_locals<300'000>()) == 3);  // larger than what the pool keeps
  CHECK(frames() == before);
}

TEST_CASE("a lambda without captures is a task as good as any", "[task]") {
  const auto twice = [](int n) -> task<int> {
    const int one = co_await number(n);
    co_return 2 * one;
  };
  CHECK(drive(twice(4)) == 8);
}
