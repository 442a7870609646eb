#include "coflow/async/async_event.hpp"

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"
#include "support/waiters.hpp"

using coflow::async_event;
using coflow::task;
using support::job;
using support::manual_executor;
using support::modelled;

namespace {

using journal = std::vector<std::string>;

// An event, an executor, and waiters that have begun.
struct stage {
  manual_executor on;
  coflow::executor::entry inside{on};
  std::optional<async_event> event{std::in_place};
  journal log;
  std::vector<job<void>> waiters;

  void wait(int count = 1) {
    for (int i = 0; i < count; ++i) {
      waiters.push_back(job<void>::of(support::note(event->wait(), &log, std::to_string(waiters.size()))));
      support::begin(on, waiters.back());
    }
  }
  journal all() {
    on.run_until_idle();
    return std::exchange(log, {});
  }
};

}  // namespace

TEST_CASE("an event lets its waiters go on in order, each in a turn of its own", "[async_event]") {
  stage s;
  s.waiters.reserve(8);
  s.wait(3);
  CHECK(s.all().empty());
  CHECK_FALSE(s.event->is_set());
  s.event->set();
  CHECK(s.event->is_set());
  CHECK(s.log.empty());  // never inline
  CHECK(s.on.run_once() == 3);
  CHECK(s.all() == journal{"0: ok", "1: ok", "2: ok"});
  s.event->set();
  s.wait();
  CHECK(s.log == journal{"3: ok"});  // does not wait
  s.event->reset();
  s.wait();
  CHECK(s.all() == journal{"3: ok"});
  s.event->set();
  CHECK(s.all() == journal{"4: ok"});
}

TEST_CASE("a waiter that was let go on keeps its success", "[async_event]") {
  for (const int what : {0, 1, 2}) {
    stage s;
    s.wait(2);
    s.event->set();
    if (what == 0) s.event->reset();
    if (what == 1) s.waiters[0].request_stop();
    if (what == 2) s.event.reset();
    CHECK(s.all() == journal{"0: ok", "1: ok"});
  }
}

TEST_CASE("an event that dies ends the waits for it", "[async_event]") {
  stage s;
  s.wait(2);
  s.event.reset();
  CHECK(s.log.empty());
  CHECK(s.all() == journal{"0: closed", "1: closed"});
}

TEST_CASE("a waiter may destroy the event and all others in its turn", "[async_event]") {
  struct local {
    static task<> wreck(stage* s) {
      const auto came = co_await s->event->wait();
      s->log.push_back("wrecker: " + support::what_came(came));
      s->event.reset();
      while (s->waiters.size() > 1) s->waiters.pop_back();
    }
  };
  stage s;
  s.waiters.push_back(job<void>::of(local::wreck(&s)));
  support::begin(s.on, s.waiters.back());
  s.wait(3);
  s.event->set();
  CHECK(s.all() == journal{"wrecker: ok"});
}

TEST_CASE("an event ends its waits when the executor goes away, and goes on with the next", "[async_event]") {
  async_event event;
  journal log;
  std::vector<job<void>> waiters;
  const auto wait = [&](manual_executor& on) {
    waiters.push_back(job<void>::of(support::note(event.wait(), &log, std::to_string(waiters.size()))));
    support::begin(on, waiters.back());
  };
  {
    manual_executor on;
    wait(on);
    wait(on);
  }
  CHECK(log == journal{"0: closed", "1: closed"});
  {
    manual_executor first;
    manual_executor second;
    wait(first);
    waiters.back().request_stop();
    first.run_until_idle();
    wait(second);  // nobody waits on the first any more
    const coflow::executor::entry inside(second);
    event.set();
    second.run_until_idle();
  }
  CHECK(log == journal{"0: closed", "1: closed", "2: canceled", "3: ok"});
}

TEST_CASE("a wait that cannot begin says why", "[async_event]") {
  manual_executor on;
  async_event event;
  journal log;
  auto nowhere = job<void>::of(support::note(event.wait(), &log, "a"));
  nowhere.started().run();  // where no executor is current
  CHECK(log == journal{"a: no executor"});
  event.set();
  auto at_once = job<void>::of(support::note(event.wait(), &log, "b"));
  at_once.started().run();
  CHECK(log.back() == "b: ok");
  auto stopped = job<void>::of(support::note(event.wait(), &log, "c"));
  stopped.request_stop();
  support::begin(on, stopped);
  CHECK(log.back() == "c: canceled");  // stop is a level (law X0), also where there would be no wait
  const auto two_executors = [] {
    manual_executor first;
    manual_executor second;
    async_event shared;
    journal said;
    auto one = job<void>::of(support::note(shared.wait(), &said, "one"));
    auto other = job<void>::of(support::note(shared.wait(), &said, "other"));
    support::begin(first, one);
    support::begin(second, other);
    return said.empty() ? "" : said.front();
  };
  CHECK(support::is_caught(two_executors, "other: wrong executor"));
}

TEST_CASE("a wait that begins while the executor ends is closed", "[async_event]") {
  async_event event;
  journal log;
  struct local {
    static task<> insist(async_event* on, journal* into) {
      for (int i = 0; i < 3; ++i) {
        const auto came = co_await on->wait();
        into->push_back(support::what_came(came));
      }
    }
  };
  std::optional<job<void>> waiter;
  {
    manual_executor on;
    waiter.emplace(job<void>::of(local::insist(&event, &log)));
    support::begin(on, *waiter);
  }
  CHECK(log == journal{"closed", "closed", "closed"});
}

TEST_CASE("a coroutine that need not wait lets others run now and then", "[async_event]") {
  struct local {
    static task<> spin(async_event* on, bool* ends) {
      while (!*ends) {
        const auto came = co_await on->wait();
        if (!came) break;
      }
    }
    static task<> end(bool* ends) {
      *ends = true;
      co_return;
    }
  };
  manual_executor on;
  async_event event(true);
  bool ends = false;
  auto spins = job<void>::of(local::spin(&event, &ends));
  auto other = job<void>::of(local::end(&ends));
  spins.start(on);
  other.start(on);
  on.run_until_idle();
  CHECK(spins.ended());
}

TEST_CASE("a hundred thousand waiters come and go in any order, and nothing is allocated for them", "[async_event]") {
  stage s;
  constexpr int many = 100'000;
  s.waiters.reserve(many);
  for (int i = 0; i < many; ++i) {
    s.waiters.push_back(job<void>::of(support::note(s.event->wait(), &s.log, "x")));
  }
  const auto before = support::allocation_count();
  for (auto& one : s.waiters) support::begin(s.on, one);
  for (std::size_t i = many / 2; i < many - 1; ++i) s.waiters[i].destroy();  // from the middle
  for (std::size_t i = 0; i < many / 2 - 1; i += 2) s.waiters[i].destroy();
  CHECK(support::allocation_count() == before);
  s.event->set();
  CHECK(s.on.run_once() == many / 4 + 1);
}

TEST_CASE("a wait is an object that moves before it begins, and has a name", "[async_event]") {
  STATIC_REQUIRE(std::is_move_constructible_v<async_event::wait_operation>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<async_event::wait_operation>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<async_event>);
  async_event event;
  {
    const auto unused = event.wait();
  }
  struct local {
    static task<> wait(async_event* on) {
      auto first = on->wait();
      auto second = std::move(first);
      const auto came = co_await second;
      static_cast<void>(came);
    }
  };
  CHECK(support::hang_of(local::wait(&event)) == "an async_event");
}

// ---- against a model

namespace {

// Some waiters, one event. Moves: begin a wait, stop or destroy one, set, reset, let everybody run.
std::string play_event(coflow::choices& from, int moves) {
  constexpr std::size_t waiters = 3;
  manual_executor on;
  const coflow::executor::entry inside(on);
  std::optional<async_event> event(std::in_place);
  bool set = false;
  modelled model[waiters];
  std::vector<std::size_t> queue;  // those who wait, first come first
  std::optional<job<void>> jobs[waiters];
  std::vector<std::string> said[waiters];
  std::vector<std::string> order;
  std::vector<std::string> order_modelled;
  support::game game(from);

  const auto settle_all = [&](const char* verdict) {
    for (const std::size_t i : std::exchange(queue, {})) model[i].decide(verdict);
  };
  const auto run = [&] {
    on.run_until_idle();
    for (modelled& one : model) one.run();
  };
  for (int move = 0; move < moves && event; ++move) {
    for (std::size_t i = 0; i < waiters; ++i) {
      const std::string name = std::to_string(i);
      modelled& one = model[i];
      const auto begin = [&, i](bool stopped) {
        said[i].clear();
        jobs[i].emplace(job<void>::of(support::note(event->wait(), &said[i], "")));
        if (stopped) jobs[i]->request_stop();
        support::begin(on, *jobs[i]);
        model[i] = modelled();
        if (stopped || set) {
          model[i].decide(stopped ? "canceled" : "ok");
          model[i].run();
        } else {
          model[i].at = modelled::stage::waits;
          queue.push_back(i);
        }
      };
      game.may(!one.lives(), "begin " + name, [begin] { begin(false); });
      game.may(!one.lives() && i == 0, "begin stopped " + name, [begin] { begin(true); });
      game.may(one.lives(), "stop " + name, [&, i] {
        jobs[i]->request_stop();
        if (!model[i].waits()) return;
        std::erase(queue, i);
        model[i].decide("canceled");
      });
      game.may(one.lives(), "destroy " + name, [&, i] {
        jobs[i]->destroy();
        std::erase(queue, i);
        model[i].at = modelled::stage::gone;
      });
    }
    game.may(true, "set", [&] {
      event->set();
      set = true;
      settle_all("ok");
    });
    game.may(set, "reset", [&] {
      event->reset();
      set = false;
    });
    game.may(true, "run", run);
    game.may(move + 1 == moves, "event dies", [&] {
      event.reset();
      settle_all("closed");
    });
    game.turn();
    for (std::size_t i = 0; i < waiters; ++i)
      game.expect("waiter " + std::to_string(i), said[i].empty() ? "" : said[i][0].substr(2), model[i].seen());
  }
  run();
  for (std::size_t i = 0; i < waiters; ++i)
    game.expect("waiter " + std::to_string(i), said[i].empty() ? "" : said[i][0].substr(2), model[i].seen());
  return game.wrong();
}

// Two who wait for what the third does, again and again.
struct event_scene {
  static constexpr std::size_t size = 3;
  async_event event;
  std::size_t heard[2] = {};
  std::vector<job<void>> actors;

  event_scene() {
    actors.push_back(job<void>::of(listen(&event, &heard[0])));
    actors.push_back(job<void>::of(listen(&event, &heard[1])));
    actors.push_back(job<void>::of(ring(bell(&event))));
  }
  static task<> listen(async_event* event, std::size_t* heard) {
    for (;;) {
      const auto came = co_await event->wait();
      if (!came) co_return;
      if (++*heard == 4) co_return;
      co_await support::yield_turn();
    }
  }
  // The last ring is for good, so that nobody has to keep up.
  struct bell {
    explicit bell(async_event* of) : event(of) {}
    bell(bell&& other) noexcept : event(std::exchange(other.event, nullptr)) {}
    ~bell() {
      if (event != nullptr) event->set();
    }
    async_event* event;
  };
  static task<> ring(bell given) {
    const bell with = std::move(given);
    for (int i = 0; i < 3; ++i) {
      with.event->set();
      with.event->reset();
      co_await support::yield_turn();
      co_await support::yield_turn();
    }
  }
  void check(std::string& wrong, std::size_t victim, bool) const {
    for (std::size_t i = 0; i < 2; ++i) {
      if (i != victim && heard[i] != 4) wrong += " waiter " + std::to_string(i) + " misses a ring;";
    }
  }
};

}  // namespace

TEST_CASE("an event does what its model does", "[async_event]") {
  CHECK(support::play_games(play_event, 5, 2000) > 10'000);
}

TEST_CASE("a waiter that is stopped or destroyed at any step takes nobody with it", "[async_event]") {
  CHECK(support::sweep<event_scene>() > 30);
}
