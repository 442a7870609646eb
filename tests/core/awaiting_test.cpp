// What awaiting promises: a coroutine's handle and its stop state, without the type of its promise.
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::awaiting;
using coflow::stop_node;
using coflow::task;
using namespace std::chrono_literals;

/// A coroutine that never runs.
template <class Promise>
class asleep final {
 public:
  class promise_type final : public Promise {
   public:
    promise_type() noexcept {}
    asleep get_return_object() noexcept { return asleep(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {}
  };
  asleep(asleep&&) = delete;
  ~asleep() { frame_.destroy(); }
  [[nodiscard]] std::coroutine_handle<promise_type> handle() const noexcept { return frame_; }

 private:
  explicit asleep(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};
struct with_stop {
  stop_node* node = nullptr;
  [[nodiscard]] stop_node* stop() const noexcept { return node; }
};
struct without_stop {};
template <class Promise>
asleep<Promise> sleeper() {
  co_return;
}

static_assert(coflow::suspended_coroutine<awaiting>);
static_assert(coflow::suspended_coroutine<std::coroutine_handle<with_stop>>);
static_assert(coflow::suspended_coroutine<std::coroutine_handle<without_stop>>);
static_assert(!coflow::suspended_coroutine<std::coroutine_handle<>>);
static_assert(!coflow::suspended_coroutine<int>);
static_assert(std::convertible_to<awaiting, std::coroutine_handle<>>);
static_assert(std::is_trivially_copyable_v<awaiting>);

// Hands an operation to its coroutine without telling it the promise.
template <class Operation>
class erased final {
 public:
  explicit erased(Operation inner) : inner_(std::move(inner)) {}
  [[nodiscard]] bool await_ready() { return inner_.await_ready(); }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> coroutine) {
    return inner_.await_suspend(awaiting(coroutine));
  }
  auto await_resume() { return inner_.await_resume(); }

 private:
  Operation inner_;
};

class erased_task final {
 public:
  explicit erased_task(task<int> inner) : inner_(std::move(inner)), awaiter_(std::move(inner_).operator co_await()) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> coroutine) {
    return awaiter_.await_suspend(awaiting(coroutine));
  }
  int await_resume() { return awaiter_.await_resume(); }

 private:
  task<int> inner_;
  task<int>::awaiter awaiter_;
};

task<coflow::result<void>> sleep_erased() {
  const auto slept = co_await erased(coflow::sleep_for(1h));
  co_return slept;
}

task<int> child_that_sleeps() {
  const auto slept = co_await coflow::sleep_for(1h);
  co_return slept.error() == coflow::canceled() ? 1 : 0;
}
task<int> task_erased() {
  const int given = co_await erased_task(child_that_sleeps());
  co_return given;
}

task<coflow::read_result> read_erased(coflow::memory_flow* flow) {
  auto got = co_await erased(flow->read());
  co_return std::move(got);
}

TEST_CASE("an awaiting knows the stop state of the coroutine that it was made from", "[awaiting]") {
  stop_node node;
  const auto coroutine = sleeper<with_stop>();
  const auto handle = coroutine.handle();
  handle.promise().node = &node;
  const awaiting made(handle);
  CHECK(made.stop() == &node);
  CHECK(made.promise().stop() == &node);
  CHECK(coflow::detail::stop_of(made.promise()) == &node);
  CHECK(static_cast<std::coroutine_handle<>>(made) == handle);
}

TEST_CASE("an awaiting of a promise without stop state has none", "[awaiting]") {
  const auto coroutine = sleeper<without_stop>();
  const awaiting made(coroutine.handle());
  CHECK(made.stop() == nullptr);
  const std::coroutine_handle<> of_nobody = std::noop_coroutine();
  const awaiting unknown(of_nobody);
  CHECK(unknown.stop() == nullptr);
}

TEST_CASE("an awaiting takes a stop state of the caller's choice", "[awaiting]") {
  stop_node node;
  const awaiting made(std::noop_coroutine(), &node);
  CHECK(made.stop() == &node);
}

TEST_CASE("an operation that was given an awaiting is cancelled like any other", "[awaiting]") {
  support::manual_executor on;
  auto sleeper = support::job<coflow::result<void>>::of(sleep_erased());
  sleeper.start(on);
  on.run_until_idle();
  REQUIRE(!sleeper.ended());
  sleeper.request_stop();
  on.run_until_idle();
  REQUIRE(sleeper.ended());
  CHECK(sleeper.take().error() == coflow::canceled());
}

TEST_CASE("a stop gets through a task that was given an awaiting", "[awaiting]") {
  support::manual_executor on;
  auto sleeper = support::job<int>::of(task_erased());
  sleeper.start(on);
  on.run_until_idle();
  REQUIRE(!sleeper.ended());
  sleeper.request_stop();
  on.run_until_idle();
  REQUIRE(sleeper.ended());
  CHECK(sleeper.take() == 1);
}

TEST_CASE("a flow's operation that was given an awaiting completes and is taken back", "[awaiting]") {
  support::manual_executor on;
  auto [a, b] = coflow::memory_pipe();
  {
    auto reader = support::job<coflow::read_result>::of(read_erased(&a));
    reader.start(on);
    on.run_until_idle();
    CHECK(!reader.ended());
  }
  auto reader = support::job<coflow::read_result>::of(read_erased(&a));
  reader.start(on);
  on.run_until_idle();
  REQUIRE(!reader.ended());
  reader.request_stop();
  on.run_until_idle();
  REQUIRE(reader.ended());
  CHECK(reader.take().error() == coflow::canceled());
}

}  // namespace
