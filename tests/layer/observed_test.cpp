// What observed promises: any awaitable's result passes through a function, and nothing else changes.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::memory_flow;
using coflow::observed;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::start;
using support::yield_turn;

// ---- results

task<int> give(int value) { co_return value; }
task<std::unique_ptr<int>> give_pointer(int value) { co_return std::make_unique<int>(value); }
task<> give_nothing(int* times) {
  ++*times;
  co_return;
}
task<int> give_later(int value) {
  co_await yield_turn();
  co_return value;
}

task<> results_pass_through() {
  const int doubled = co_await observed(give(21), [](int value) { return 2 * value; });
  expect(doubled == 42, "the function gets the result");
  const std::string text = co_await observed(give_later(7), [](int value) { return std::to_string(value); });
  expect(text == "7", "the function may give another type");
  auto pointer = co_await observed(give_pointer(5), [](std::unique_ptr<int> one) {
    ++*one;
    return one;
  });
  expect(*pointer == 6, "results may be move-only");
  int times = 0;
  const int from_nothing = co_await observed(give_nothing(&times), [] { return 3; });
  expect(from_nothing == 3, "the function may have nothing to look at");
  int seen = 0;
  const auto look = [&seen](int value) { seen = value; };
  co_await observed(give(9), look);
  expect(seen == 9, "the function may give nothing");
  const auto note = [&seen] { seen = 10; };
  co_await observed(give_nothing(&times), note);
  expect(seen == 10, "neither side need give anything");
  expect(times == 2, "the inner task runs once each time");
  static_assert(std::is_void_v<coflow::await_result_t<decltype(observed(give(9), look))>>);
  static_assert(std::is_same_v<coflow::await_result_t<decltype(observed(give(9), [](int) { return 'x'; }))>, char>);
  static_assert(coflow::awaitable_of<decltype(observed(give(9), [](int) { return 'x'; })), char>);
}

task<> observations_nest() {
  std::string order;
  const auto first = [&order](int value) {
    order += "1";
    return value + 1;
  };
  const auto second = [&order](int value) {
    order += "2";
    return value * 10;
  };
  const int got = co_await observed(observed(give(4), first), second);
  expect(got == 50, "the inner function comes first");
  expect(order == "12", "each is called once");
  auto named = observed(give_later(1), first);
  const int later = co_await std::move(named);
  expect(later == 2, "an observed operation may have a name");
}

// ---- every shape of awaitable

struct plain_awaiter {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  int await_resume() const noexcept { return 1; }
};

class void_suspending : public coflow::node {
 public:
  void_suspending() noexcept {}
  void_suspending(void_suspending&&) noexcept {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    waiting_ = waiting;
    coflow::executor::current()->post(*this);
  }
  int await_resume() const noexcept { return 2; }

 private:
  void run() noexcept override { waiting_.resume(); }
  std::coroutine_handle<> waiting_;
};

struct handle_suspending {
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const noexcept { return waiting; }
  int await_resume() const noexcept { return 3; }
};

struct bool_suspending {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() const noexcept { return 4; }
};

struct member_awaitable {
  bool_suspending operator co_await() const noexcept { return {}; }
};

struct free_awaitable {};
void_suspending operator co_await(free_awaitable) noexcept { return void_suspending(); }

task<> every_shape_can_be_observed() {
  const auto same = [](int value) { return value; };
  plain_awaiter ready;
  const int one = co_await observed(ready, same);
  expect(one == 1, "an awaiter that is ready");
  const int two = co_await observed(void_suspending(), same);
  expect(two == 2, "an awaiter that suspends for good");
  handle_suspending transferring;
  const int three = co_await observed(transferring, same);
  expect(three == 3, "an awaiter that names who goes on");
  bool_suspending changing_its_mind;
  const int four = co_await observed(changing_its_mind, same);
  expect(four == 4, "an awaiter that changes its mind");
  member_awaitable with_member;
  const int five = co_await observed(with_member, same);
  expect(five == 4, "an awaitable with a member operator");
  free_awaitable with_free;
  const int six = co_await observed(with_free, same);
  expect(six == 2, "an awaitable with a free operator");
}

// ---- exceptions

task<int> fail() {
  throw std::runtime_error("inner");
  co_return 0;
}

task<> exceptions_pass() {
  int calls = 0;
  std::string what;
  const auto count = [&calls](int value) {
    ++calls;
    return value;
  };
  try {
    const int never = co_await observed(fail(), count);
    static_cast<void>(never);
  } catch (const std::runtime_error& thrown) {
    what = thrown.what();
  }
  expect(what == "inner", "an exception from below passes");
  expect(calls == 0, "the function is not called");
  const auto refuse = [](int value) -> int {
    if (value == 1) throw std::logic_error("function");
    return value;
  };
  try {
    const int never = co_await observed(give(1), refuse);
    static_cast<void>(never);
  } catch (const std::logic_error& thrown) {
    what = thrown.what();
  }
  expect(what == "function", "an exception from the function passes");
}

// ---- operations of flows: cancellation, withdrawal, ends

struct sightings {
  int calls = 0;
  bool canceled = false;
  bool done = false;
};

auto noting(std::shared_ptr<sightings> to) {
  return [to = std::move(to)](coflow::read_result got) {
    ++to->calls;
    to->canceled = got.failed() && got.error() == coflow::canceled();
    return got;
  };
}

task<> read_noting(memory_flow* flow, std::shared_ptr<sightings> to) {
  auto note = noting(to);
  const coflow::read_result got = co_await observed(flow->read(), std::move(note));
  static_cast<void>(got.has_data());
  to->done = true;
}

task<> cancellation_reaches_the_inner_operation() {
  auto [a, b] = coflow::memory_pipe();
  auto seen = std::make_shared<sightings>();
  task_scope scope;
  start(scope, read_noting(&a, seen));
  co_await yield_turn();
  expect(seen->calls == 0, "the function waits for the result");
  scope.cancel();
  expect(seen->calls == 0, "nothing happens inline");
  co_await yield_turn();
  expect(seen->done, "the cancelled operation ends");
  expect(seen->calls == 1, "a cancelled operation has completed");
  expect(seen->canceled, "the function sees the cancellation");
  const coflow::result<void> sent = co_await b.write(buffer("kept"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
}

task<> a_withdrawn_operation_is_not_observed() {
  auto [a, b] = coflow::memory_pipe();
  auto seen = std::make_shared<sightings>();
  {
    task_scope scope;
    start(scope, read_noting(&a, seen));
    co_await yield_turn();
    const coflow::result<void> sent = co_await b.write(buffer("kept"));
    support::expect_success(sent);
  }
  expect(seen->calls == 0, "the function was not called");
  expect(seen.use_count() == 1, "and is gone");
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
}

// The function owns what it touches, and lives as long as the operation: the flow may be gone by then.
task<> the_function_outlives_the_flow() {
  auto made = coflow::memory_pipe();
  std::optional<memory_flow> a(std::move(made.first));
  auto seen = std::make_shared<sightings>();
  task_scope scope;
  start(scope, read_noting(&*a, seen));
  co_await yield_turn();
  expect(seen.use_count() == 3, "the coroutine and the function share it");
  a.reset();
  expect(seen->calls == 0, "nothing happens inline");
  co_await yield_turn();
  expect(seen->calls == 1, "the function is called once");
  const coflow::result<void> joined = co_await scope.join();
  support::expect_success(joined);
  expect(seen.use_count() == 1, "and is gone");
}

task<> an_operation_that_never_begins_is_not_observed() {
  auto [a, b] = coflow::memory_pipe();
  auto seen = std::make_shared<sightings>();
  {
    auto read = observed(a.read(), noting(seen));
    auto moved = std::move(read);
    expect(seen.use_count() >= 2, "the function waits");
  }
  expect(seen.use_count() == 1, "the function is gone");
  expect(seen->calls == 0, "and was not called");
  const coflow::result<void> sent = co_await b.write(buffer("x"));
  support::expect_success(sent);
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "x");
}

task<> every_operation_of_a_flow_can_be_observed() {
  auto [a, b] = coflow::memory_pipe();
  int calls = 0;
  const auto count = [&calls](coflow::result<void> sent) {
    ++calls;
    return sent;
  };
  const auto count_end = [&calls] { ++calls; };
  coflow::result<void> sent = co_await observed(a.write(buffer("one")), count);
  support::expect_success(sent);
  buffer list[2] = {buffer("two"), buffer("three")};
  sent = co_await observed(a.writev(list), count);
  support::expect_success(sent);
  co_await observed(a.shutdown(coflow::shutdown_mode::write), count_end);
  co_await observed(a.close(), count_end);
  expect(calls == 4, "each is observed once");
  const coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::closed);
}

// ---- no cost

task<> observing_costs_no_frame_and_no_allocation() {
  auto [a, b] = coflow::memory_pipe();
  const buffer payload("payload");
  std::size_t total = 0;
  const auto count = [&total](coflow::read_result got) {
    if (got) total += got->size();
    return got;
  };
  std::uint64_t before = 0;
  bool right = true;
#ifdef COFLOW_COUNT_FRAMES
  const long frames = coflow::detail::live_frames.load();
  long most = frames;
#endif
  for (int i = 0; i < 100; ++i) {
    if (i == 10) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(payload.share());
    if (!sent) right = false;
    const coflow::read_result got = co_await observed(b.read(), count);
    if (!got.has_data()) right = false;
#ifdef COFLOW_COUNT_FRAMES
    if (coflow::detail::live_frames.load() > most) most = coflow::detail::live_frames.load();
#endif
  }
  const std::uint64_t after = support::allocation_count();
  expect(right, "every operation succeeds");
  expect(total == 100 * payload.size(), "every read is observed");
  expect(after == before, "observing allocates nothing");
#ifdef COFLOW_COUNT_FRAMES
  expect(most == frames, "observing makes no frame");
#endif
}

TEST_CASE("the result of an observed operation passes through the function", "[observed]") {
  support::drive(results_pass_through());
}

TEST_CASE("observations nest", "[observed]") { support::drive(observations_nest()); }

TEST_CASE("awaitables of every shape can be observed", "[observed]") { support::drive(every_shape_can_be_observed()); }

TEST_CASE("exceptions pass an observed operation", "[observed]") { support::drive(exceptions_pass()); }

TEST_CASE("cancellation reaches an observed operation", "[observed]") {
  support::drive(cancellation_reaches_the_inner_operation());
}

TEST_CASE("an observed operation whose coroutine dies is not observed", "[observed]") {
  support::drive(a_withdrawn_operation_is_not_observed());
}

TEST_CASE("the function of an observed operation outlives the flow", "[observed]") {
  support::drive(the_function_outlives_the_flow());
}

TEST_CASE("an observed operation that never begins is not observed", "[observed]") {
  support::drive(an_operation_that_never_begins_is_not_observed());
}

TEST_CASE("every operation of a flow can be observed", "[observed]") {
  support::drive(every_operation_of_a_flow_can_be_observed());
}

TEST_CASE("observing costs no frame and no allocation", "[observed]") {
  support::drive(observing_costs_no_frame_and_no_allocation());
}

class counted_rooms : public coflow::layered_flow<memory_flow> {
 public:
  counted_rooms(memory_flow inner, std::shared_ptr<std::size_t> count)
      : layered_flow(std::move(inner)), count_(std::move(count)) {}
  auto read() {
    auto add = [count = count_](coflow::read_result got) {
      *count += got->size();
      return got;
    };
    return observed(layered_flow::read(), std::move(add));
  }
  auto read_into(std::span<std::byte> room) {
    auto add = [count = count_](coflow::read_into_result got) {
      *count += *got;
      return got;
    };
    return observed(layered_flow::read_into(room), std::move(add));
  }

 private:
  std::shared_ptr<std::size_t> count_;
};
static_assert(coflow::check_flow_shape<counted_rooms>());
static_assert(coflow::ReadIntoFlow<counted_rooms>);

task<> read_into_room(counted_rooms* flow, std::span<std::byte> room, coflow::read_into_result* out) {
  coflow::read_into_result got = co_await flow->read_into(room);
  *out = std::move(got);
}
task<> reads_into_rooms_are_observed() {
  auto [a, b] = coflow::memory_pipe();
  const auto count = std::make_shared<std::size_t>(0);
  counted_rooms flow(std::move(b), count);
  std::byte room[3];
  coflow::read_into_result waited;
  coflow::read_into_result stopped;
  {
    task_scope scope;
    start(scope, read_into_room(&flow, room, &stopped));
    co_await yield_turn();
    scope.cancel();
    co_await yield_turn();
  }
  expect(stopped.failed(), "a stop reaches the operation");
  expect(*count == 0, "nothing was read");
  task_scope scope;
  start(scope, read_into_room(&flow, room, &waited));
  co_await yield_turn();
  const coflow::result<void> sent = co_await a.write(buffer("12345"));
  support::expect_success(sent);
  co_await yield_turn();
  expect(waited.has_count() && *count == 3, "what went into the room is counted");
  const coflow::read_result rest = co_await flow.read();
  support::expect_data(rest, "45");
  expect(*count == 5, "so is the rest");
}

TEST_CASE("a read into the caller's memory can be observed like a read", "[observed]") {
  support::drive(reads_into_rooms_are_observed());
}

}  // namespace
