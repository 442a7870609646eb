#include "coflow/core/operation.hpp"

#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "coflow/core/error.hpp"
#include "coflow/core/task.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

// What an operation looks like that somebody writes on top of the base: it waits for a bell.
class bell {
 public:
  class ring_operation final : public coflow::operation {
   public:
    explicit ring_operation(bell& of) noexcept : bell_(of) {}
    ring_operation(ring_operation&& unbegun) noexcept : bell_(unbegun.bell_) {}
    ~ring_operation() {
      if (bell_.waiting_ == this) bell_.waiting_ = nullptr;
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      this->bind(awaiting);
      ++bell_.begun;
      if (this->stop_requested()) {
        stopped_ = true;
        return false;
      }
      home_ = coflow::executor::current();
      bell_.waiting_ = this;
      this->begin_wait();
      return true;
    }
    [[nodiscard]] bool await_resume() const noexcept { return !stopped_; }

   private:
    friend bell;
    void on_stop() noexcept override {
      ++bell_.stops;
      stopped_ = true;
      bell_.waiting_ = nullptr;
      home_->post(*this);
    }
    void run() noexcept override { this->resume(); }

    bell& bell_;
    coflow::executor* home_ = nullptr;
    bool stopped_ = false;
  };

  [[nodiscard]] ring_operation rung() noexcept { return ring_operation(*this); }
  void ring() {
    if (ring_operation* op = std::exchange(waiting_, nullptr)) op->home_->post(*op);
  }
  [[nodiscard]] bool has_waiter() const { return waiting_ != nullptr; }

  int begun = 0;
  int stops = 0;

 private:
  ring_operation* waiting_ = nullptr;
};

coflow::task<std::string> wait_for(bell* one) {
  const bool rang = co_await one->rung();
  if (rang) co_return "rang";
  co_return "stopped";
}

coflow::task<std::string> wait_for_deeply(bell* one, int depth) {
  if (depth == 0) co_return co_await wait_for(one);
  co_return co_await wait_for_deeply(one, depth - 1);
}

coflow::task<std::string> wait_twice(bell* one) {
  std::string first = co_await wait_for(one);
  const std::string second = co_await wait_for(one);
  co_return first + " " + second;
}

// A coroutine of another library, whose promise knows nothing of stopping.
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

foreign wait_in_foreign(bell* one, std::optional<bool>* rang) { rang->emplace(co_await one->rung()); }

}  // namespace

TEST_CASE("an operation cannot be copied", "[operation]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<bell::ring_operation>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<bell::ring_operation>);
}

TEST_CASE("an operation of the base class that is never awaited does nothing", "[operation]") {
  bell one;
  {
    const auto unused = one.rung();
  }
  CHECK(one.begun == 0);
}

TEST_CASE("an operation resumes its coroutine from a turn of the executor", "[operation]") {
  support::manual_executor on;
  const coflow::executor::entry inside(on);
  bell one;
  auto waits = support::job<std::string>::of(wait_for(&one));
  waits.start(on);
  on.run_until_idle();
  CHECK(one.has_waiter());
  one.ring();
  CHECK_FALSE(waits.ended());  // law O3: not inline
  on.run_until_idle();
  REQUIRE(waits.ended());
  CHECK(waits.take() == "rang");
}

TEST_CASE("a stop request reaches the operation at the bottom of a chain of tasks", "[operation]") {
  support::manual_executor on;
  const coflow::executor::entry inside(on);
  bell one;
  auto waits = support::job<std::string>::of(wait_for_deeply(&one, 20));
  waits.start(on);
  on.run_until_idle();
  waits.request_stop();
  CHECK(one.stops == 1);
  CHECK_FALSE(waits.ended());
  on.run_until_idle();
  REQUIRE(waits.ended());
  CHECK(waits.take() == "stopped");
}

TEST_CASE("an operation that begins in a stopped task sees the request at once", "[operation]") {
  support::manual_executor on;
  const coflow::executor::entry inside(on);
  bell one;
  auto waits = support::job<std::string>::of(wait_twice(&one));
  waits.start(on);
  on.run_until_idle();
  waits.request_stop();
  on.run_until_idle();
  REQUIRE(waits.ended());
  CHECK(waits.take() == "stopped stopped");
  CHECK(one.stops == 1);  // the second was never attached
}

TEST_CASE("a stop request passes an operation by that has already been told otherwise", "[operation]") {
  support::manual_executor on;
  const coflow::executor::entry inside(on);
  bell one;
  auto waits = support::job<std::string>::of(wait_twice(&one));
  waits.start(on);
  on.run_until_idle();
  one.ring();
  on.run_until_idle();  // the first wait is over, the second has begun
  waits.request_stop();
  on.run_until_idle();
  REQUIRE(waits.ended());
  CHECK(waits.take() == "rang stopped");
  CHECK(one.stops == 1);
}

TEST_CASE("an operation that dies while it waits takes its wait back", "[operation]") {
  support::manual_executor on;
  const coflow::executor::entry inside(on);
  bell one;
  auto waits = support::job<std::string>::of(wait_for(&one));
  waits.start(on);
  on.run_until_idle();
  waits.destroy();
  CHECK_FALSE(one.has_waiter());
  CHECK(on.run_until_idle() == 0);
}

TEST_CASE("an operation that dies after it was posted is off the queue", "[operation]") {
  support::manual_executor on;
  const coflow::executor::entry inside(on);
  bell one;
  auto waits = support::job<std::string>::of(wait_for(&one));
  waits.start(on);
  on.run_until_idle();
  one.ring();
  CHECK(on.has_ready());
  waits.destroy();
  CHECK_FALSE(on.has_ready());
}

TEST_CASE("an operation serves a foreign coroutine, which cannot be told to stop", "[operation]") {
  support::manual_executor on;
  bell one;
  std::optional<bool> rang;
  {
    const coflow::executor::entry inside(on);
    const foreign waits = wait_in_foreign(&one, &rang);
    one.ring();
    on.run_until_idle();
    waits.frame.destroy();
  }
  CHECK(rang == true);
}
