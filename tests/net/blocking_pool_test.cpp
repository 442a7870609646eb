#include "coflow/net/blocking_pool.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <semaphore>
#include <set>
#include <thread>
#include <type_traits>
#include <utility>

#include "coflow/net/run_blocking.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::blocking_pool;
using coflow::result;
using coflow::task;
using support::job;
using support::manual_executor;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<blocking_pool>);

std::counting_semaphore<> entered(0);
std::counting_semaphore<> proceed(0);
std::thread::id wait_until_told() {
  entered.release();
  proceed.acquire();
  return std::this_thread::get_id();
}

using ids = result<std::thread::id>;
task<ids> call(blocking_pool* pool, std::thread::id (*function)()) {
  co_return co_await coflow::run_blocking(*pool, function);
}
void finish(manual_executor& on, job<ids>& waited) {
  while (!waited.ended()) {
    if (on.run_once() == 0) std::this_thread::yield();
  }
}
// A thread says when it has ended, and holds nothing any more.
std::counting_semaphore<> ended(0);
struct says_its_end {
  ~says_its_end() { ended.release(); }
};
std::thread::id noted_call() {
  static thread_local const says_its_end here;
  static_cast<void>(&here);
  return std::this_thread::get_id();
}

std::thread::id called_on(blocking_pool& pool) {
  manual_executor on;
  auto one = job<ids>::of(call(&pool, &noted_call));
  one.start(on);
  finish(on, one);
  return one.take().value();
}
void until_idle(const blocking_pool& pool) {
  while (pool.threads() != 0) std::this_thread::yield();
}

}  // namespace

TEST_CASE("a pool starts no thread before there is work, and never more than its limit", "[blocking_pool][threads]") {
  for (const unsigned limit : {1U, 3U, 0U}) {
    const unsigned most = limit == 0 ? 1 : limit;
    blocking_pool pool(limit, 0s);
    CHECK(pool.threads() == 0);
    manual_executor on;
    std::deque<job<ids>> calls;
    for (int i = 0; i < 6; ++i) {
      calls.push_back(job<ids>::of(call(&pool, &wait_until_told)));
      calls.back().start(on);
    }
    on.run_until_idle();
    for (unsigned i = 0; i < most; ++i) entered.acquire();
    CHECK(pool.threads() == most);
    CHECK_FALSE(entered.try_acquire());
    for (unsigned i = most; i < 6; ++i) {
      proceed.release();
      entered.acquire();
      CHECK_FALSE(entered.try_acquire());
    }
    proceed.release(static_cast<std::ptrdiff_t>(most));
    for (auto& one : calls) {
      finish(on, one);
      CHECK(one.take());
    }
    until_idle(pool);
  }
}

TEST_CASE("a thread that is idle takes the next work, and ends at once when its pool goes away",
          "[blocking_pool][threads]") {
  std::set<std::thread::id> seen;
  {
    blocking_pool pool(3, 1h);
    // One that has answered may not be back yet: then another one is started, up to the limit.
    for (int i = 0; i < 50; ++i) seen.insert(called_on(pool));
    CHECK(pool.threads() == seen.size());
  }
  CHECK(seen.size() <= 3);
  for (std::size_t i = 0; i < seen.size(); ++i) ended.acquire();
}

TEST_CASE("a thread that finds nothing to do for a time ends", "[blocking_pool][threads]") {
  for (const auto time : {-1ms, 0ms, 1ms, 20ms}) {
    blocking_pool pool(4, time);
    for (int i = 0; i < 2; ++i) {
      called_on(pool);
      until_idle(pool);
      ended.acquire();
    }
  }
}

TEST_CASE("a pool that goes away leaves the work that is being done to its thread", "[blocking_pool][threads]") {
  std::optional<blocking_pool> pool(std::in_place, 2U, 1h);
  coflow::detail::blocking_desk& desk = pool->desk();
  manual_executor on;
  auto running = job<ids>::of(call(&*pool, &wait_until_told));
  running.start(on);
  on.run_once();
  entered.acquire();
  called_on(*pool);
  CHECK(desk.threads() == 2);
  pool.reset();
  ended.acquire();
  CHECK(desk.threads() == 1);  // which holds the desk
  proceed.release();
  finish(on, running);
  CHECK(running.take());
}

TEST_CASE("the pool of the process is one", "[blocking_pool]") {
  CHECK(&coflow::process_blocking_pool() == &coflow::process_blocking_pool());
  STATIC_REQUIRE(noexcept(coflow::process_blocking_pool()));
}
