#include "coflow/async/async_semaphore.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"
#include "support/waiters.hpp"

using coflow::async_permit;
using coflow::async_semaphore;
using coflow::task;
using support::job;
using support::manual_executor;
using support::modelled;

namespace {

using journal = std::vector<std::string>;

// Acquires, and leaves the permit where the test has it.
task<> acquire_into(async_semaphore* from, std::size_t count, async_permit* out, journal* log, std::string name) {
  auto got = co_await from->acquire(count);
  log->push_back(name + ": " + support::what_came(got));
  if (got) *out = std::move(*got);
}

// A semaphore, an executor, and coroutines that want of it.
struct stage {
  explicit stage(std::size_t units, std::size_t coroutines = 6) : semaphore(std::in_place, units), permits(coroutines) {
    waiters.reserve(coroutines);
  }
  manual_executor on;
  coflow::executor::entry inside{on};
  std::optional<async_semaphore> semaphore;
  std::vector<async_permit> permits;
  journal log;
  std::vector<job<void>> waiters;

  void acquire(std::size_t count) {
    const std::size_t number = waiters.size();
    waiters.push_back(job<void>::of(acquire_into(&*semaphore, count, &permits[number], &log, std::to_string(number))));
    support::begin(on, waiters.back());
  }
  journal all() {
    on.run_until_idle();
    return std::exchange(log, {});
  }
};

}  // namespace

TEST_CASE("a semaphore gives units as long as there are any", "[async_semaphore]") {
  stage s(3);
  s.acquire(1);
  s.acquire(2);
  CHECK(s.log == journal{"0: ok", "1: ok"});  // at once
  CHECK(s.semaphore->available() == 0);
  CHECK(s.permits[1].count() == 2);
  s.acquire(1);
  s.acquire(0);  // waits its turn
  CHECK(s.all() == journal{"0: ok", "1: ok"});
  s.permits[1].release();
  CHECK(s.permits[1].count() == 0);
  CHECK(s.log.empty());  // never inline
  CHECK(s.semaphore->available() == 1);
  CHECK(s.all() == journal{"2: ok", "3: ok"});
  s.permits[1].release();  // does nothing
  CHECK(s.semaphore->available() == 1);
}

TEST_CASE("a large request is not starved by small ones", "[async_semaphore]") {
  stage s(2);
  s.acquire(1);
  s.acquire(2);
  s.acquire(1);
  CHECK(s.semaphore->available() == 1);
  CHECK_FALSE(s.semaphore->try_acquire());  // there is one, but somebody waits
  CHECK(s.all() == journal{"0: ok"});
  s.permits[0].release();
  CHECK(s.all() == journal{"1: ok"});
  s.permits[1].release();
  CHECK(s.all() == journal{"2: ok"});
}

TEST_CASE("when a large request is given up, those behind it have their chance", "[async_semaphore]") {
  for (const bool by_destruction : {false, true}) {
    stage s(2);
    s.acquire(1);
    s.acquire(2);
    s.acquire(1);
    s.all();
    if (by_destruction)
      s.waiters[1].destroy();
    else
      s.waiters[1].request_stop();
    CHECK(s.log.empty());
    CHECK(s.all() == (by_destruction ? journal{"2: ok"} : journal{"2: ok", "1: canceled"}));
  }
}

TEST_CASE("units that were given beat a stop, and go back when their coroutine dies", "[async_semaphore]") {
  stage s(1);
  s.acquire(1);
  s.acquire(1);
  s.acquire(1);
  s.all();
  s.permits[0].release();
  s.waiters[1].request_stop();
  CHECK(s.all() == journal{"1: ok"});
  s.permits[1].release();
  s.waiters[2].destroy();
  CHECK(s.all().empty());
  CHECK(s.semaphore->available() == 1);
}

TEST_CASE("release adds units that need not have been acquired", "[async_semaphore]") {
  stage s(0);
  s.acquire(2);
  s.semaphore->release();
  CHECK(s.all().empty());
  s.semaphore->release(3);
  CHECK(s.all() == journal{"0: ok"});
  CHECK(s.semaphore->available() == 2);
  s.permits[0].forget();
  CHECK_FALSE(s.permits[0]);
  CHECK(s.semaphore->available() == 2);
  CHECK(support::is_caught(
      [] {
        async_semaphore full(SIZE_MAX - 1);
        full.release(3);
        return full.available() == SIZE_MAX ? "full" : "";
      },
      "full"));
}

TEST_CASE("a permit moves, and gives up what it held when it is assigned to", "[async_semaphore]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<async_permit>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<async_permit>);
  async_semaphore a(3);
  async_semaphore b(1);
  async_permit first = a.try_acquire(2);
  REQUIRE(first);
  CHECK_FALSE(a.try_acquire(2));
  async_permit second = std::move(first);
  CHECK(second.count() == 2);
  CHECK_FALSE(first);  // NOLINT: looks at what was moved from
  CHECK(a.available() == 1);
  second = b.try_acquire();
  CHECK(a.available() == 3);
  async_permit& itself = second;
  second = std::move(itself);
  CHECK(b.available() == 0);
  async_permit third = a.try_acquire(0);
  CHECK(third);
  CHECK(third.count() == 0);
  {
    const async_permit scoped = std::move(second);
  }
  CHECK(b.available() == 1);
}

TEST_CASE("a semaphore that dies ends the waits for it, and its permits hold nothing", "[async_semaphore]") {
  stage s(2);
  s.acquire(1);
  s.acquire(1);
  s.acquire(1);
  s.acquire(1);
  s.permits[0].release();  // given to 2, who has not run
  s.semaphore.reset();
  CHECK_FALSE(s.permits[1]);
  s.permits[1].release();
  CHECK(s.all() == journal{"0: ok", "1: ok", "2: closed", "3: closed"});
}

TEST_CASE("a semaphore ends its waits when the executor goes away, and goes on with the next", "[async_semaphore]") {
  async_semaphore semaphore(0);
  async_permit permits[3];
  journal log;
  std::vector<job<void>> waiters;
  waiters.reserve(2);
  {
    manual_executor on;
    for (std::size_t i = 0; i < 2; ++i) {
      waiters.push_back(job<void>::of(acquire_into(&semaphore, 1, &permits[i], &log, std::to_string(i))));
      support::begin(on, waiters.back());
    }
  }
  CHECK(log == journal{"0: closed", "1: closed"});
  manual_executor on;
  auto waiter = job<void>::of(acquire_into(&semaphore, 1, &permits[2], &log, "2"));
  support::begin(on, waiter);
  const coflow::executor::entry inside(on);
  semaphore.release();
  on.run_until_idle();
  CHECK(log.back() == "2: ok");
}

TEST_CASE("an acquire that cannot wait says why", "[async_semaphore]") {
  manual_executor on;
  async_semaphore semaphore(1);
  async_permit held[3];
  journal log;
  auto free = job<void>::of(acquire_into(&semaphore, 1, &held[0], &log, "a"));
  free.started().run();  // no executor is current, and none is needed
  auto nowhere = job<void>::of(acquire_into(&semaphore, 1, &held[1], &log, "b"));
  nowhere.started().run();
  held[0].release();
  auto stopped = job<void>::of(acquire_into(&semaphore, 1, &held[2], &log, "c"));
  stopped.request_stop();
  support::begin(on, stopped);
  CHECK(log == journal{"a: ok", "b: no executor", "c: canceled"});
  CHECK(semaphore.available() == 1);
  const auto two_executors = [] {
    stage first(0);
    first.acquire(1);
    stage second(0);
    journal said;
    auto other = job<void>::of(acquire_into(&*first.semaphore, 1, &first.permits[1], &said, "other"));
    support::begin(second.on, other);
    return said.empty() ? "" : said.front();
  };
  CHECK(support::is_caught(two_executors, "other: wrong executor"));
}

TEST_CASE("a coroutine that always gets a permit lets others run now and then", "[async_semaphore]") {
  struct local {
    static task<> spin(async_semaphore* semaphore, bool* ends) {
      while (!*ends) {
        const auto got = co_await semaphore->acquire();
        if (!got) break;
      }
    }
    static task<> end(bool* ends) {
      *ends = true;
      co_return;
    }
  };
  manual_executor on;
  async_semaphore semaphore(1);
  bool ends = false;
  auto spins = job<void>::of(local::spin(&semaphore, &ends));
  auto other = job<void>::of(local::end(&ends));
  spins.start(on);
  other.start(on);
  on.run_until_idle();
  CHECK(spins.ended());
  CHECK(semaphore.available() == 1);
}

TEST_CASE("many who wait for units come and go in any order, and nothing is allocated for them", "[async_semaphore]") {
  constexpr std::size_t many = 50'000;
  stage s(1, many);
  for (std::size_t i = 0; i < many; ++i)
    s.waiters.push_back(job<void>::of(acquire_into(&*s.semaphore, 1, &s.permits[i], &s.log, "x")));
  s.log.reserve(many);
  const auto before = support::allocation_count();
  for (auto& one : s.waiters) support::begin(s.on, one);
  for (std::size_t i = many / 2; i < many; ++i) s.waiters[i].destroy();  // from the middle
  for (std::size_t i = 0; i < many / 2 - 1; ++i) {
    s.permits[i].release();
    s.on.run_until_idle();
  }
  CHECK(support::allocation_count() == before);
  CHECK(s.log.size() == many / 2);
}

TEST_CASE("a wait for a semaphore has a name", "[async_semaphore]") {
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<async_semaphore::acquire_operation>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<async_semaphore>);
  async_semaphore semaphore(0);
  async_permit never;
  journal log;
  {
    const auto unused = semaphore.acquire();
  }
  CHECK(support::hang_of(acquire_into(&semaphore, 1, &never, &log, "x")) == "an async_semaphore");
}

// ---- against a model

namespace {

// Some coroutines that want one, two and three units of two or three. Moves: begin to acquire, stop or destroy the
// coroutine, release, add a unit, let everybody run.
std::string play_semaphore(coflow::choices& from, int moves) {
  constexpr std::size_t many = 3;
  manual_executor on;
  const coflow::executor::entry inside(on);
  std::size_t available = 2;
  std::optional<async_semaphore> semaphore(std::in_place, available);
  async_permit permits[many];
  std::optional<job<void>> jobs[many];
  journal said[many];
  modelled model[many];
  std::vector<std::size_t> queue;
  bool added = false;
  support::game game(from);

  const auto wants = [](std::size_t i) { return i + 1; };
  const auto serve = [&] {
    while (!queue.empty() && wants(queue[0]) <= available) {
      available -= wants(queue[0]);
      model[queue[0]].decide("ok");
      queue.erase(queue.begin());
    }
  };
  const auto run = [&] {
    on.run_until_idle();
    for (modelled& one : model) one.run();
  };
  const auto compare = [&] {
    for (std::size_t i = 0; i < many; ++i)
      game.expect("waiter " + std::to_string(i), said[i].empty() ? "" : said[i][0].substr(2), model[i].seen());
    if (semaphore) game.expect("what is there", semaphore->available(), available);
  };
  for (int move = 0; move < moves; ++move) {
    for (std::size_t i = 0; i < many; ++i) {
      const std::string name = std::to_string(i);
      modelled& one = model[i];
      const bool holds = one.at == modelled::stage::told && one.verdict == "ok";
      game.may(!one.lives() && !holds, "begin " + name, [&, i] {
        said[i].clear();
        jobs[i].emplace(job<void>::of(acquire_into(&*semaphore, wants(i), &permits[i], &said[i], "")));
        support::begin(on, *jobs[i]);
        model[i] = modelled();
        model[i].at = modelled::stage::waits;
        queue.push_back(i);
        serve();
        model[i].run();
      });
      game.may(one.lives() && !one.stopped, "stop " + name, [&, i] {
        jobs[i]->request_stop();
        model[i].stopped = true;
        if (!model[i].waits()) return;
        std::erase(queue, i);
        model[i].decide("canceled");
        serve();
      });
      game.may(one.lives(), "destroy " + name, [&, i] {
        jobs[i]->destroy();
        if (model[i].at == modelled::stage::decided && model[i].verdict == "ok") available += wants(i);
        std::erase(queue, i);
        model[i].at = modelled::stage::gone;
        serve();
      });
      game.may(holds, "release " + name, [&, i] {
        permits[i].release();
        model[i].at = modelled::stage::gone;
        said[i].clear();
        available += wants(i);
        serve();
      });
    }
    game.may(!added, "add", [&] {
      semaphore->release();
      added = true;
      ++available;
      serve();
    });
    game.may(true, "run", run);
    game.turn();
    compare();
  }
  if (from.pick(2) == 1) {
    semaphore.reset();
    for (modelled& one : model) {
      if (one.waits() || (one.at == modelled::stage::decided && one.verdict == "ok")) one.decide("closed");
    }
  }
  run();
  compare();
  return game.wrong();
}

// Never more at work than there are units for, and all units are back at the end.
struct semaphore_scene {
  static constexpr std::size_t size = 4;
  async_semaphore semaphore{3};
  std::size_t in_use = 0;
  bool too_many = false;
  std::size_t done[size] = {};
  std::vector<job<void>> actors;

  semaphore_scene() {
    for (std::size_t i = 0; i < size; ++i) actors.push_back(job<void>::of(work(this, i)));
  }
  struct use {
    use(semaphore_scene* of, std::size_t units) : scene(of), count(units) {
      scene->too_many |= (scene->in_use += count) > 3;
    }
    ~use() { scene->in_use -= count; }
    semaphore_scene* scene;
    std::size_t count;
  };
  static task<> work(semaphore_scene* scene, std::size_t i) {
    for (std::size_t round = 0; round < 3; ++round) {
      const std::size_t count = 1 + (i + round) % 3;
      auto got = co_await scene->semaphore.acquire(count);
      if (!got) co_return;
      const use here(scene, count);
      co_await support::yield_turn();
      ++scene->done[i];
    }
  }
  void check(std::string& wrong, std::size_t victim, bool) const {
    if (too_many) wrong += " more are at work than there are units for;";
    if (semaphore.available() != 3) wrong += " units are missing;";
    for (std::size_t i = 0; i < size; ++i) {
      if (i != victim && done[i] != 3) wrong += " actor " + std::to_string(i) + " has not done its work;";
    }
  }
};

}  // namespace

TEST_CASE("a semaphore does what its model does", "[async_semaphore]") {
  CHECK(support::play_games(play_semaphore, 6, 2000) > 10'000);
}

TEST_CASE("a coroutine that is stopped or destroyed at any step keeps no units", "[async_semaphore]") {
  CHECK(support::sweep<semaphore_scene>() > 100);
}
