#include "coflow/async/run.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/error.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace std::chrono_literals;
using coflow::task;
using support::manual_executor;

namespace {

task<int> number(int n) {
  co_await support::yield_turn();
  co_return n;
}
task<int> at_once(int n) { co_return n; }
task<> set(bool* ran) {
  co_await support::yield_turn();
  *ran = true;
}
task<int&> reference(int* of) {
  co_await support::yield_turn();
  co_return *of;
}
task<std::unique_ptr<int>> pointer(int n) { co_return std::make_unique<int>(n); }
task<> throwing() {
  co_await support::yield_turn();
  throw std::runtime_error("left the task");
}
task<std::error_code> sleeping(std::chrono::hours time) {
  const auto slept = co_await coflow::sleep_for(time);
  co_return slept.error();
}
task<coflow::executor*> current() {
  co_await support::yield_turn();
  co_return coflow::executor::current();
}
task<int> sleeping_often(int times) {
  int canceled = 0;
  for (int i = 0; i < times; ++i) {
    const auto slept = co_await coflow::sleep_for(1h);
    if (slept.error() == std::errc::operation_canceled) ++canceled;
  }
  co_return canceled;
}

class without_stop final : public coflow::executor {
 public:
  void turn() {}
  time_point now() const noexcept override { return {}; }

 private:
  void wake() noexcept override {}
};

}  // namespace

TEST_CASE("run gives what the task gives", "[run]") {
  manual_executor on;
  CHECK(coflow::run(on, number(7)) == 7);
  CHECK(coflow::run(on, at_once(8)) == 8);
  bool ran = false;
  coflow::run(on, set(&ran));
  CHECK(ran);
  int target = 1;
  CHECK(&coflow::run(on, reference(&target)) == &target);
  CHECK(*coflow::run(on, pointer(3)) == 3);
}

TEST_CASE("run throws what the task throws", "[run]") {
  manual_executor on;
  CHECK_THROWS_AS(coflow::run(on, throwing()), std::runtime_error);
  CHECK(coflow::run(on, number(1)) == 1);
}

TEST_CASE("run runs the task on the executor that it is given", "[run]") {
  manual_executor on;
  CHECK(coflow::run(on, current()) == &on);
  CHECK(coflow::executor::current() == nullptr);
}

TEST_CASE("run drives timers", "[run]") {
  manual_executor on;
  const auto start = on.now();
  CHECK_FALSE(coflow::run(on, sleeping(10h)));
  CHECK(on.now() == start + 10h);
}

TEST_CASE("run hands a stop of the executor on to the task and waits for its end", "[run]") {
  manual_executor on;
  on.stop_after(1);
  CHECK(coflow::run(on, sleeping(10h)) == std::errc::operation_canceled);
  CHECK(on.stops_taken == 1);
}

TEST_CASE("a stop stays with the task that was running", "[run]") {
  manual_executor on;
  on.stop_after(1);
  CHECK(coflow::run(on, sleeping_often(5)) == 5);  // a level, so later awaits end too
  CHECK(coflow::run(on, sleeping_often(5)) == 0);  // but another run is another task
}

TEST_CASE("run may be called within a turn of another executor", "[run]") {
  manual_executor outer;
  manual_executor inner;
  struct local {
    static task<int> nested(manual_executor* on) {
      const int given = coflow::run(*on, number(5));
      coflow::executor* back = coflow::executor::current();
      co_await support::yield_turn();
      co_return back == coflow::executor::current() ? given : -1;
    }
  };
  CHECK(coflow::run(outer, local::nested(&inner)) == 5);
}

TEST_CASE("an executor is drivable if it turns and can be told to stop", "[run]") {
  STATIC_REQUIRE(coflow::drivable_executor<manual_executor>);
  STATIC_REQUIRE_FALSE(coflow::drivable_executor<without_stop>);
  STATIC_REQUIRE_FALSE(coflow::drivable_executor<coflow::executor>);
  STATIC_REQUIRE_FALSE(coflow::drivable_executor<int>);
}
