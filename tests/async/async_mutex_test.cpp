#include "coflow/async/async_mutex.hpp"

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"
#include "support/waiters.hpp"

using coflow::async_lock;
using coflow::async_mutex;
using coflow::task;
using support::job;
using support::manual_executor;
using support::modelled;

namespace {

using journal = std::vector<std::string>;

// Locks, and leaves the lock where the test has it.
task<> lock_into(async_mutex* mutex, async_lock* out, journal* log, std::string name) {
  auto got = co_await mutex->lock();
  log->push_back(name + ": " + support::what_came(got));
  if (got) *out = std::move(*got);
}

// A mutex, an executor, and coroutines that want it.
struct stage {
  explicit stage(std::size_t count = 4) : locks(count) { waiters.reserve(count); }
  manual_executor on;
  coflow::executor::entry inside{on};
  std::optional<async_mutex> mutex{std::in_place};
  std::vector<async_lock> locks;
  journal log;
  std::vector<job<void>> waiters;

  void lock(int count = 1) {
    for (int i = 0; i < count; ++i) {
      const std::size_t number = waiters.size();
      waiters.push_back(job<void>::of(lock_into(&*mutex, &locks[number], &log, std::to_string(number))));
      support::begin(on, waiters.back());
    }
  }
  journal all() {
    on.run_until_idle();
    return std::exchange(log, {});
  }
};

}  // namespace

TEST_CASE("a mutex passes to the coroutine that has waited longest", "[async_mutex]") {
  stage s;
  CHECK_FALSE(s.mutex->is_locked());
  s.lock(4);
  CHECK(s.log == journal{"0: ok"});  // at once
  CHECK(s.mutex->is_locked());
  CHECK(s.all() == journal{"0: ok"});
  for (std::size_t i = 0; i < 3; ++i) {
    s.locks[i].unlock();
    CHECK(s.log.empty());  // never inline
    CHECK(s.mutex->is_locked());
    CHECK_FALSE(s.mutex->try_lock());  // nobody gets in between
    CHECK(s.all() == journal{std::to_string(i + 1) + ": ok"});
  }
  s.locks[3].unlock();
  CHECK_FALSE(s.mutex->is_locked());
  s.locks[3].unlock();  // does nothing
}

TEST_CASE("a lock moves, and gives up what it held when it is assigned to", "[async_mutex]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<async_lock>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<async_lock>);
  async_mutex a;
  async_mutex b;
  async_lock first = a.try_lock();
  REQUIRE(first);
  CHECK_FALSE(a.try_lock());
  async_lock second = std::move(first);
  CHECK(second);
  CHECK_FALSE(first);  // NOLINT: looks at what was moved from
  CHECK(a.is_locked());
  second = b.try_lock();
  CHECK_FALSE(a.is_locked());
  CHECK(b.is_locked());
  async_lock& itself = second;
  second = std::move(itself);
  CHECK(b.is_locked());
  {
    const async_lock scoped = std::move(second);
  }
  CHECK_FALSE(b.is_locked());
}

TEST_CASE("a mutex that was passed on beats a stop, and goes on when its coroutine dies", "[async_mutex]") {
  stage s;
  s.lock(4);
  s.all();
  s.waiters[2].request_stop();  // it waits
  s.locks[0].unlock();
  s.waiters[1].request_stop();  // it has the mutex, and has not run
  CHECK(s.all() == journal{"2: canceled", "1: ok"});
  s.locks[1].unlock();
  s.waiters[3].destroy();
  CHECK(s.all().empty());
  CHECK_FALSE(s.mutex->is_locked());

  stage t;
  t.lock(4);
  t.locks[0].unlock();
  t.waiters[1].destroy();  // passed on to 2, which dies too
  t.waiters[2].destroy();
  CHECK(t.all() == journal{"0: ok", "3: ok"});
}

TEST_CASE("a mutex that dies ends the waits for it, and its locks hold nothing", "[async_mutex]") {
  stage s;
  s.lock(3);
  s.mutex.reset();
  CHECK_FALSE(s.locks[0]);
  s.locks[0].unlock();
  CHECK(s.all() == journal{"0: ok", "1: closed", "2: closed"});

  stage t;  // it dies between the hand-over and the turn of the one who got it
  t.lock(3);
  t.locks[0].unlock();
  t.mutex.reset();
  CHECK(t.all() == journal{"0: ok", "1: closed", "2: closed"});
  CHECK_FALSE(t.locks[1]);
}

TEST_CASE("the holder may destroy the mutex and all who wait", "[async_mutex]") {
  struct local {
    static task<> wreck(stage* s) {
      const auto got = co_await s->mutex->lock();
      s->log.push_back("wrecker: " + support::what_came(got));
      s->mutex.reset();
      while (s->waiters.size() > 2) s->waiters.pop_back();
    }
  };
  stage s;
  s.lock();
  s.waiters.push_back(job<void>::of(local::wreck(&s)));
  support::begin(s.on, s.waiters.back());
  s.lock(2);
  s.locks[0].unlock();
  CHECK(s.all() == journal{"0: ok", "wrecker: ok"});
}

TEST_CASE("a mutex ends its waits when the executor goes away, and goes on with the next", "[async_mutex]") {
  async_mutex mutex;
  async_lock locks[4];
  journal log;
  {
    std::vector<job<void>> waiters;
    waiters.reserve(3);
    {
      manual_executor on;
      for (std::size_t i = 0; i < 3; ++i) {
        waiters.push_back(job<void>::of(lock_into(&mutex, &locks[i], &log, std::to_string(i))));
        support::begin(on, waiters.back());
      }
    }
    CHECK(log == journal{"0: ok", "1: closed", "2: closed"});
  }
  CHECK(mutex.is_locked());
  manual_executor on;
  auto waiter = job<void>::of(lock_into(&mutex, &locks[3], &log, "3"));
  support::begin(on, waiter);
  {
    const coflow::executor::entry inside(on);
    locks[0].unlock();
  }
  on.run_until_idle();
  CHECK(log.back() == "3: ok");
}

TEST_CASE("a lock that cannot wait says why", "[async_mutex]") {
  manual_executor on;
  async_mutex mutex;
  async_lock held[3];
  journal log;
  auto free = job<void>::of(lock_into(&mutex, &held[0], &log, "a"));
  free.started().run();  // no executor is current, and none is needed
  auto nowhere = job<void>::of(lock_into(&mutex, &held[1], &log, "b"));
  nowhere.started().run();
  held[0].unlock();
  auto stopped = job<void>::of(lock_into(&mutex, &held[2], &log, "c"));
  stopped.request_stop();
  support::begin(on, stopped);
  CHECK(log == journal{"a: ok", "b: no executor", "c: canceled"});
  CHECK_FALSE(mutex.is_locked());
  const auto two_executors = [] {
    stage first(3);
    first.lock(2);
    stage second(0);
    journal said;
    auto other = job<void>::of(lock_into(&*first.mutex, &first.locks[2], &said, "other"));
    support::begin(second.on, other);
    return said.empty() ? "" : said.front();
  };
  CHECK(support::is_caught(two_executors, "other: wrong executor"));
}

TEST_CASE("a coroutine that always gets the mutex lets others run now and then", "[async_mutex]") {
  struct local {
    static task<> spin(async_mutex* mutex, bool* ends) {
      while (!*ends) {
        const auto got = co_await mutex->lock();
        if (!got) break;
      }
    }
    static task<> end(bool* ends) {
      *ends = true;
      co_return;
    }
  };
  manual_executor on;
  async_mutex mutex;
  bool ends = false;
  auto spins = job<void>::of(local::spin(&mutex, &ends));
  auto other = job<void>::of(local::end(&ends));
  spins.start(on);
  other.start(on);
  on.run_until_idle();
  CHECK(spins.ended());
  CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("many who wait come and go in any order, and nothing is allocated for them", "[async_mutex]") {
  constexpr std::size_t many = 50'000;
  stage s(many);
  for (std::size_t i = 0; i < many; ++i)
    s.waiters.push_back(job<void>::of(lock_into(&*s.mutex, &s.locks[i], &s.log, "x")));
  s.log.reserve(many);
  const auto before = support::allocation_count();
  for (auto& one : s.waiters) support::begin(s.on, one);
  for (std::size_t i = many / 2; i < many; ++i) s.waiters[i].destroy();  // from the middle
  for (std::size_t i = 0; i < many / 2 - 1; ++i) {
    s.locks[i].unlock();
    s.on.run_until_idle();
  }
  CHECK(support::allocation_count() == before);
  CHECK(s.log.size() == many / 2);
}

TEST_CASE("a wait for a mutex has a name", "[async_mutex]") {
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<async_mutex::lock_operation>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<async_mutex>);
  async_mutex mutex;
  const async_lock held = mutex.try_lock();
  async_lock never;
  journal log;
  {
    const auto unused = mutex.lock();
  }
  CHECK(support::hang_of(lock_into(&mutex, &never, &log, "x")) == "an async_mutex");
}

// ---- against a model

namespace {

// Some coroutines that want one mutex. Moves: begin to lock, stop or destroy the coroutine, unlock, let everybody run.
std::string play_mutex(coflow::choices& from, int moves) {
  constexpr std::size_t many = 4;
  manual_executor on;
  const coflow::executor::entry inside(on);
  std::optional<async_mutex> mutex(std::in_place);
  async_lock locks[many];
  std::optional<job<void>> jobs[many];
  journal said[many];
  modelled model[many];
  std::vector<std::size_t> queue;  // the holder, then those who wait
  support::game game(from);

  // Somebody has left the queue.
  const auto pass_on = [&] {
    if (!queue.empty() && model[queue[0]].waits()) model[queue[0]].decide("ok");
  };
  const auto run = [&] {
    on.run_until_idle();
    for (modelled& one : model) one.run();
  };
  const auto compare = [&] {
    for (std::size_t i = 0; i < many; ++i)
      game.expect("waiter " + std::to_string(i), said[i].empty() ? "" : said[i][0].substr(2), model[i].seen());
    if (mutex) game.expect("the mutex", mutex->is_locked() ? 1 : 0, queue.empty() ? 0 : 1);
  };
  for (int move = 0; move < moves; ++move) {
    for (std::size_t i = 0; i < many; ++i) {
      const std::string name = std::to_string(i);
      modelled& one = model[i];
      const bool holds = one.at == modelled::stage::told && !queue.empty() && queue[0] == i;
      // The first who is idle will do for all who are.
      const bool may_begin = !one.lives() && !holds && (i == 0 || model[i - 1].lives() || queue.size() > i - 1);
      game.may(may_begin, "begin " + name, [&, i] {
        said[i].clear();
        jobs[i].emplace(job<void>::of(lock_into(&*mutex, &locks[i], &said[i], "")));
        support::begin(on, *jobs[i]);
        model[i] = modelled();
        queue.push_back(i);
        model[i].at = modelled::stage::waits;
        pass_on();
        if (queue.size() == 1) model[i].run();
      });
      game.may(one.lives() && !one.stopped, "stop " + name, [&, i] {
        jobs[i]->request_stop();
        model[i].stopped = true;
        if (!model[i].waits()) return;
        std::erase(queue, i);
        model[i].decide("canceled");
      });
      game.may(one.lives(), "destroy " + name, [&, i] {
        jobs[i]->destroy();
        std::erase(queue, i);
        model[i].at = modelled::stage::gone;
        pass_on();
      });
      game.may(holds, "unlock " + name, [&, i] {
        locks[i].unlock();
        queue.erase(queue.begin());
        pass_on();
      });
    }
    game.may(true, "run", run);
    game.turn();
    compare();
  }
  if (from.pick(2) == 1) {
    mutex.reset();
    for (modelled& one : model) {
      if (one.waits() || (one.at == modelled::stage::decided && one.verdict == "ok")) one.decide("closed");
    }
  }
  run();
  compare();
  return game.wrong();
}

// Everybody does his work alone, however long it takes.
struct mutex_scene {
  static constexpr std::size_t size = 4;
  async_mutex mutex;
  int inside = 0;
  bool overlap = false;
  std::size_t done[size] = {};
  std::vector<job<void>> actors;

  mutex_scene() {
    for (std::size_t i = 0; i < size; ++i) actors.push_back(job<void>::of(work(this, i)));
  }
  struct presence {
    explicit presence(mutex_scene* of) : scene(of) { scene->overlap |= scene->inside++ != 0; }
    ~presence() { --scene->inside; }
    mutex_scene* scene;
  };
  static task<> work(mutex_scene* scene, std::size_t i) {
    for (int round = 0; round < 3; ++round) {
      auto got = co_await scene->mutex.lock();
      if (!got) co_return;
      const presence here(scene);
      co_await support::yield_turn();
      ++scene->done[i];
    }
  }
  void check(std::string& wrong, std::size_t victim, bool) const {
    if (overlap) wrong += " two are inside at a time;";
    if (mutex.is_locked()) wrong += " the mutex stays locked;";
    for (std::size_t i = 0; i < size; ++i) {
      if (i != victim && done[i] != 3) wrong += " actor " + std::to_string(i) + " has not done its work;";
    }
  }
};

}  // namespace

TEST_CASE("a mutex does what its model does", "[async_mutex]") {
  CHECK(support::play_games(play_mutex, 7, 2000) > 10'000);
}

TEST_CASE("a coroutine that is stopped or destroyed at any step keeps no mutex", "[async_mutex]") {
  CHECK(support::sweep<mutex_scene>() > 100);
}
