#include "coflow/net/run_blocking.hpp"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coflow/async/spawn.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/run_main.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::blocking_pool;
using coflow::error;
using coflow::result;
using coflow::run_blocking;
using coflow::task;
using support::job;
using support::manual_executor;
using namespace std::chrono_literals;

// What runs on another thread under the test's control: says that it has begun, goes on when it is told, and says when
// the thread has ended, which holds nothing any more then.
struct stage {
  std::counting_semaphore<> entered{0};
  std::counting_semaphore<> proceed{0};
  std::counting_semaphore<> thread_ended{0};
  std::atomic<int> alive{0};
  std::atomic<int> calls{0};
};
class tracked {
 public:
  explicit tracked(stage* on) noexcept : on_(on) { ++on_->alive; }
  tracked(tracked&& other) noexcept : on_(std::exchange(other.on_, nullptr)) {}
  tracked& operator=(tracked&&) = delete;
  ~tracked() {
    if (on_ != nullptr) --on_->alive;
  }

 private:
  stage* on_;
};
struct says_its_end {
  explicit says_its_end(stage* on) noexcept : to(on) {}
  says_its_end(const says_its_end&) = delete;
  says_its_end& operator=(const says_its_end&) = delete;
  ~says_its_end() { to->thread_ended.release(); }
  stage* to;
};
struct held_call {
  explicit held_call(stage* on) noexcept : at(on), owned(on) {}
  tracked operator()() const {
    static thread_local const says_its_end thread(at);
    ++at->calls;
    at->entered.release();
    at->proceed.acquire();
    return tracked(at);
  }
  stage* at;
  tracked owned;
};

// Pools whose threads do not outlast their work, so that nothing of a test outlives it.
blocking_pool short_lived(unsigned most = 16) { return blocking_pool(most, 0s); }
void until_idle(const blocking_pool& pool) {
  while (pool.threads() != 0) std::this_thread::yield();
}
template <class T>
void finish(manual_executor& on, job<T>& waited) {
  while (!waited.ended()) {
    if (on.run_once() == 0) std::this_thread::yield();
  }
}
template <class F, class... Args>
auto call_on(blocking_pool* pool, F function, Args... args)
    -> task<coflow::fallible<std::remove_cv_t<std::invoke_result_t<F, Args...>>>> {
  co_return co_await run_blocking(*pool, std::move(function), std::move(args)...);
}
template <class F, class... Args>
auto given(F function, Args... args) {
  blocking_pool pool = short_lived();
  manual_executor on;
  using gives = coflow::fallible<std::remove_cv_t<std::invoke_result_t<F, Args...>>>;
  auto called = job<gives>::of(call_on(&pool, std::move(function), std::move(args)...));
  called.start(on);
  finish(on, called);
  until_idle(pool);
  return called.take();
}

std::size_t length_of(const std::string& text) { return text.size(); }
result<int> result_of(int n) {
  if (n < 0) return error::truncated;
  return n;
}

}  // namespace

TEST_CASE("what a function gives on another thread comes back, whatever it is", "[run_blocking][threads]") {
  CHECK(given(&length_of, std::string(1000, 'x')).value() == 1000);
  CHECK(given([n = std::make_unique<int>(7)]() mutable { return std::move(n); }).value() != nullptr);
  CHECK(given([] {}).has_value());
  CHECK(given(&result_of, 3).value() == 3);
  CHECK(given(&result_of, -1).error() == error::truncated);
  CHECK(*given([](std::unique_ptr<int> a, int b) { return *a + b; }, std::make_unique<int>(1), 2) == 3);
  CHECK_THROWS_WITH(given([]() -> int { throw std::runtime_error("thrown there"); }), "thrown there");
  struct once {
    int operator()() && { return 5; }
  };
  CHECK(given(once()).value() == 5);
  STATIC_REQUIRE(std::is_same_v<decltype(given(&result_of, 1)), result<int>>);
  STATIC_REQUIRE(std::is_same_v<decltype(given([] {})), result<void>>);
}

TEST_CASE("it runs on another thread, which takes no signals and has no executor", "[run_blocking][threads]") {
  struct found {
    std::thread::id thread;
    bool blocked = false;
    coflow::executor* current = nullptr;
  };
  const result<found> there = given([] {
    found what;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    what.thread = std::this_thread::get_id();
    what.blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGCHLD);
    what.current = coflow::executor::current();
    return what;
  });
  CHECK(there->thread != std::this_thread::get_id());
  CHECK(there->blocked);
  CHECK(there->current == nullptr);
}

TEST_CASE("what a function owns is gone when its answer is there", "[run_blocking][threads]") {
  stage at;
  blocking_pool pool = short_lived();
  manual_executor on;
  at.proceed.release();
  {
    auto called = job<result<tracked>>::of(call_on(&pool, held_call(&at)));
    called.start(on);
    finish(on, called);
    at.thread_ended.acquire();
    CHECK(at.alive == 1);  // what was given
  }
  CHECK(at.alive == 0);
}

TEST_CASE("what a function owns dies on the thread where it was called", "[run_blocking][threads]") {
  struct notes_its_end {
    explicit notes_its_end(std::thread::id* to) noexcept : died_on(to) {}
    notes_its_end(const notes_its_end&) = delete;
    notes_its_end& operator=(const notes_its_end&) = delete;
    ~notes_its_end() { *died_on = std::this_thread::get_id(); }
    std::thread::id* died_on;
  };
  std::thread::id died_on;
  std::thread::id given_died_on;
  const auto called_on = given([](const std::unique_ptr<notes_its_end>&) { return std::this_thread::get_id(); },
                               std::make_unique<notes_its_end>(&died_on));
  CHECK(called_on.value() == died_on);
  // What it gives dies where it was awaited.
  CHECK(given([&] { return std::make_unique<notes_its_end>(&given_died_on); }).has_value());
  CHECK(given_died_on == std::this_thread::get_id());
}

// ---- every way in which a wait may end, at every step of a call

namespace {

enum class step : int { queued, running, answered, count };
enum class end : int { stop, destroy, executor_gone, pool_gone, both_gone, count };

void play(step when, end how) {
  CAPTURE(static_cast<int>(when), static_cast<int>(how));
  stage blocker;
  stage at;
  std::optional<blocking_pool> pool(std::in_place, 1U, 0s);
  std::optional<manual_executor> on(std::in_place);
  std::optional<manual_executor> other(std::in_place);
  auto first = job<result<tracked>>::of(call_on(&*pool, held_call(&blocker)));
  if (when == step::queued) {
    first.start(*other);
    other->run_once();
    blocker.entered.acquire();
  }
  std::optional<job<result<tracked>>> called(job<result<tracked>>::of(call_on(&*pool, held_call(&at))));
  called->start(*on);
  on->run_once();
  if (when != step::queued) at.entered.acquire();
  if (when == step::answered) {
    at.proceed.release();
    while (on->wakes() == 0) std::this_thread::yield();
  }

  if (how == end::stop) called->request_stop();
  if (how == end::destroy) called.reset();
  if (how == end::pool_gone || how == end::both_gone) pool.reset();
  if (how == end::executor_gone || how == end::both_gone) on.reset();

  // It ends at once, unless it is running and only the pool has gone.
  if (when == step::running) {
    if (how == end::pool_gone) {
      CHECK(on->run_once() == 0);
      at.proceed.release();
      finish(*on, *called);
    } else {
      if (on) on->run_until_idle();
      CHECK((!called || called->ended()));
      at.proceed.release();
    }
  }
  if (on) {
    on->run_until_idle();
    CHECK((!called || called->ended()));
  }
  if (called) {
    REQUIRE(called->ended());
    const result<tracked> came = called->take();
    const bool has_come = when == step::answered || (when == step::running && how == end::pool_gone);
    CHECK(came.has_value() == has_come);
    if (!came && how == end::stop) CHECK(came.error() == std::errc::operation_canceled);
    if (!came && how != end::stop) CHECK(came.error() == error::closed);
    called.reset();
  }
  if (when == step::queued) {
    blocker.proceed.release();
    finish(*other, first);
    CHECK(first.take().has_value());
  }
  first.destroy();
  (when == step::queued ? blocker : at).thread_ended.acquire();
  CHECK(at.alive == 0);
  CHECK(blocker.alive == 0);
  CHECK(at.calls == (when == step::queued ? 0 : 1));
}

}  // namespace

TEST_CASE("a wait may end at any step of a call, in any way, and nothing is lost, left or called in vain",
          "[run_blocking][threads]") {
  for (int when = 0; when < static_cast<int>(step::count); ++when) {
    for (int how = 0; how < static_cast<int>(end::count); ++how) play(static_cast<step>(when), static_cast<end>(how));
  }
}

TEST_CASE("no call is made in a stopped task, on an executor that goes away, or without one", "[run_blocking]") {
  class late_comer final : public coflow::executor::dependent {
   public:
    explicit late_comer(manual_executor& at) noexcept : at_(at) { at_.add_dependent(*this); }
    late_comer(const late_comer&) = delete;
    late_comer& operator=(const late_comer&) = delete;
    ~late_comer() = default;
    void on_executor_gone() noexcept override { late->start(at_); }
    std::optional<job<result<void>>> late;

   private:
    manual_executor& at_;
  };
  blocking_pool pool = short_lived();
  std::atomic<int> calls{0};
  const auto call = [&calls] { ++calls; };
  manual_executor on;
  auto stopped = job<result<void>>::of(call_on(&pool, call));
  stopped.request_stop();
  stopped.start(on);
  on.run_until_idle();
  CHECK(stopped.take().error() == std::errc::operation_canceled);
  auto homeless = job<result<void>>::of(call_on(&pool, call));
  static_cast<coflow::basic_node&>(homeless.started()).run();
  CHECK(homeless.take().error() == error::no_executor);
  late_comer comer(on);
  comer.late.emplace(job<result<void>>::of(call_on(&pool, call)));
  on.finish();
  CHECK(comer.late->take().error() == error::closed);
  CHECK(calls == 0);
  CHECK(pool.threads() == 0);
}

TEST_CASE("that no call was made is no value, even where an error could be one", "[run_blocking]") {
  using either = std::variant<int, std::error_code>;
  blocking_pool pool = short_lived();
  manual_executor on;
  auto stopped = job<result<either>>::of(call_on(&pool, [] { return either(1); }));
  stopped.request_stop();
  stopped.start(on);
  on.run_until_idle();
  const result<either> came = stopped.take();
  REQUIRE_FALSE(came);
  CHECK(came.error() == std::errc::operation_canceled);
}

TEST_CASE("without a thread to be had it is an error of the system", "[run_blocking]") {
  struct local {
    static int no_thread(void* (*)(void*), void*) noexcept { return -EAGAIN; }
    static task<result<int>> call(coflow::detail::blocking_desk* desk) {
      using function = int (*)();
      co_return co_await coflow::blocking_operation<function>(*desk, [] { return 1; });
    }
  };
  coflow::detail::blocking_desk desk(&local::no_thread);
  CHECK(support::drive(local::call(&desk)).error() == std::errc::resource_unavailable_try_again);
}

TEST_CASE("a function that throws while nobody waits any longer concerns nobody", "[run_blocking][threads]") {
  stage at;
  blocking_pool pool = short_lived();
  manual_executor on;
  auto called = job<result<void>>::of(call_on(&pool, [&at] {
    at.entered.release();
    at.proceed.acquire();
    throw std::runtime_error("nobody hears it");
  }));
  called.start(on);
  on.run_once();
  at.entered.acquire();
  called.destroy();
  at.proceed.release();
  until_idle(pool);
  CHECK(on.run_once() == 0);
}

TEST_CASE("calls in number, in loops that come and go, with stops, are each made once at most",
          "[run_blocking][threads]") {
  blocking_pool pool(4, 50ms);
  std::atomic<int> calls{0};
  std::atomic<int> answered{0};
  std::atomic<int> closed{0};
  const auto work = [&](unsigned seed) {
    for (unsigned round = 0; round < 25; ++round) {
      coflow::event_loop loop;
      for (int i = 0; i < 6; ++i) {
        coflow::spawn(
            loop, call_on(&pool, [&calls] { ++calls; }),
            [&](const coflow::task_outcome<result<void>>& outcome) { ++(outcome->has_value() ? answered : closed); });
      }
      for (unsigned turns = (seed + round) % 4; turns > 0; --turns) loop.turn();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& one : threads) one.join();
  until_idle(pool);
  CHECK(answered + closed == 4 * 25 * 6);
  CHECK(calls >= answered);
  CHECK(calls <= 4 * 25 * 6);
}

TEST_CASE("the process has a pool of its own, on which a loop's calls run", "[run_blocking][threads]") {
  struct local {
    static task<std::size_t> both() {
      const std::string text(10, 'x');
      const auto size = co_await run_blocking(&length_of, text);
      const auto again = co_await run_blocking(&length_of, text + text);
      co_return *size + *again;
    }
  };
  CHECK(coflow::run(local::both()) == 30);
  until_idle(coflow::process_blocking_pool());
}

TEST_CASE("a call allocates nothing once the pools are warm", "[run_blocking][threads]") {
  struct local {
    static task<> often(blocking_pool* pool, int times, int* sum) {
      for (int i = 0; i < times; ++i) {
        const auto one = co_await run_blocking(*pool, [] { return 1; });
        *sum += *one;
      }
    }
  };
  blocking_pool pool(1, 200ms);
  manual_executor on;
  int sum = 0;
  auto warm = job<void>::of(local::often(&pool, 10, &sum));
  auto calls = job<void>::of(local::often(&pool, 500, &sum));
  warm.start(on);
  finish(on, warm);
  calls.start(on);
  const auto before = support::allocation_count();
  finish(on, calls);
  const auto after = support::allocation_count();
  CHECK(sum == 510);
  until_idle(pool);
#ifndef COFLOW_NO_POOL
  CHECK(before == after);
#else
  CHECK(before <= after);
#endif
}
