#include "coflow/async/async_generator.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"
#include "support/waiters.hpp"

using namespace std::chrono_literals;
using coflow::async_generator;
using coflow::task;
using support::drive;
using support::job;
using support::manual_executor;

namespace {

using journal = std::vector<std::string>;

// Notes when the frame that it stands in goes.
struct witness {
  explicit witness(journal* into) : log(into) {}
  witness(const witness&) = delete;
  witness& operator=(const witness&) = delete;
  ~witness() { log->push_back("frame gone"); }
  journal* log;
};

async_generator<int> count(int to) {
  for (int i = 0; i < to; ++i) co_yield i;
}
async_generator<int> count_slowly(int to) {
  for (int i = 0; i < to; ++i) {
    const auto slept = co_await coflow::sleep_for(1ms);
    if (!slept) co_return;
    co_yield i;
  }
}
// Waits before each item, and says what came of that.
async_generator<std::string> report(int times, journal* log) {
  const witness here(log);
  for (int i = 0; i < times; ++i) {
    const auto slept = co_await coflow::sleep_for(1ms);
    co_yield std::to_string(i) + ": " + support::what_came(slept);
  }
}
template <class T>
task<> take(async_generator<T>* from, int times, journal* log) {
  for (int i = 0; i < times; ++i) {
    auto* item = co_await from->next();
    if (item == nullptr) {
      log->push_back("end");
      co_return;
    }
    if constexpr (std::is_same_v<T, std::string>)
      log->push_back(*item);
    else
      log->push_back(std::to_string(*item));
  }
}
template <class T>
task<> take_one(async_generator<T>* from, journal* log) {
  co_await take(from, 1, log);
}

struct stage {
  manual_executor on;
  coflow::executor::entry inside{on};
  journal log;
  std::optional<async_generator<std::string>> items;
  std::vector<job<void>> consumers;

  job<void>& consume(int times) {
    consumers.reserve(8);
    consumers.push_back(job<void>::of(take(&*items, times, &log)));
    support::begin(on, consumers.back());
    return consumers.back();
  }
  journal all() {
    do {
      on.run_until_idle();
    } while (on.advance_to_next_deadline());
    return std::exchange(log, {});
  }
};

}  // namespace

TEST_CASE("a generator gives one item after another, and then the end", "[async_generator]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<async_generator<int>>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<coflow::next_operation<int>>);
  for (const bool slowly : {false, true}) {
    journal log;
    auto items = slowly ? count_slowly(3) : count(3);
    drive(take(&items, 5, &log));
    CHECK(log == journal{"0", "1", "2", "end"});
    drive(take(&items, 1, &log));
    CHECK(log.back() == "end");  // for good
  }
}

TEST_CASE("a generator runs inside next alone", "[async_generator]") {
  struct local {
    static async_generator<int> steps(journal* log) {
      const witness here(log);
      log->push_back("begins");
      co_yield 1;
      log->push_back("goes on");
      co_yield 2;
      log->push_back("never");
    }
  };
  journal log;
  {
    auto items = local::steps(&log);
    CHECK(log.empty());
    drive(take_one(&items, &log));
    CHECK(log == journal{"begins", "1"});
    auto moved = std::move(items);
    CHECK_FALSE(items.valid());  // NOLINT: looks at what was moved from
    drive(take_one(&items, &log));
    drive(take_one(&moved, &log));
    CHECK(log == journal{"begins", "1", "end", "goes on", "2"});
    moved = local::steps(&log);
    CHECK(log.back() == "frame gone");
  }
  CHECK(log.size() == 6);  // one that never began has nothing in it
}

TEST_CASE("items are objects of the body, of every kind", "[async_generator]") {
  struct local {
    static async_generator<std::unique_ptr<int>> pointers() {
      co_yield std::make_unique<int>(1);
      auto kept = std::make_unique<int>(2);
      co_yield kept;
      co_yield std::make_unique<int>(kept == nullptr ? 3 : -3);
    }
    static task<int> take_pointers() {
      int sum = 0;
      auto all = pointers();
      while (auto* item = co_await all.next()) {
        const std::unique_ptr<int> mine = std::move(*item);
        sum = 10 * sum + *mine;
      }
      co_return sum;
    }
    static async_generator<int&> references(int* a, int* b) {
      co_yield *a;
      co_yield *b;
    }
    static task<> change(int* a, int* b) {
      auto all = references(a, b);
      while (int* item = co_await all.next()) *item += 10;
    }
    static async_generator<const std::string&> views(const std::string* text) {
      co_yield *text;
      co_yield "a temporary that lives until it is asked for the next";
    }
    static async_generator<std::string> texts(const std::string* text) {
      co_yield "converted, and long enough to be somewhere else";
      co_yield *text;  // const: copied
    }
    static task<std::string> join_views(const std::string* text) {
      std::string joined;
      auto all = views(text);
      while (const std::string* item = co_await all.next()) {
        if (joined.empty() && item != text) joined = "copied ";
        joined += *item + "; ";
      }
      co_return joined;
    }
    static task<std::string> join_texts(const std::string* text) {
      std::string joined;
      auto all = texts(text);
      while (std::string* item = co_await all.next()) {
        joined += *item + "; ";
        item->clear();
      }
      co_return joined;
    }
  };
  CHECK(drive(local::take_pointers()) == 123);
  int a = 1;
  int b = 2;
  drive(local::change(&a, &b));
  CHECK(a == 11);
  CHECK(b == 12);
  const std::string text = "a text that has to live elsewhere than in the object";
  CHECK(drive(local::join_views(&text)) == text + "; a temporary that lives until it is asked for the next; ");
  CHECK(drive(local::join_texts(&text)) == "converted, and long enough to be somewhere else; " + text + "; ");
  CHECK(text.size() > 20);
}

TEST_CASE("an exception of the body is thrown by next, once, and ends it", "[async_generator]") {
  struct local {
    static async_generator<int> fail(bool slowly) {
      co_yield 1;
      if (slowly) {
        const auto slept = co_await coflow::sleep_for(1ms);
        if (!slept) co_return;
      }
      throw std::runtime_error("thrown by the body");
    }
    static task<> take_all(async_generator<int>* from, journal* log) {
      for (int i = 0; i < 3; ++i) {
        try {
          const int* item = co_await from->next();
          log->push_back(item != nullptr ? std::to_string(*item) : "end");
        } catch (const std::runtime_error& thrown) {
          log->push_back(thrown.what());
        }
      }
    }
    struct bad_copy {
      bad_copy() {}
      bad_copy(const bad_copy&) { throw std::runtime_error("cannot be copied"); }
    };
    static async_generator<bad_copy> copies() {
      const bad_copy one;
      co_yield one;
    }
    static task<> take_copy() {
      auto all = copies();
      const auto* item = co_await all.next();
      static_cast<void>(item);
    }
  };
  for (const bool slowly : {false, true}) {
    journal log;
    auto items = local::fail(slowly);
    drive(local::take_all(&items, &log));
    CHECK(log == journal{"1", "thrown by the body", "end"});
  }
  CHECK_THROWS_AS(drive(local::take_copy()), std::runtime_error);
}

TEST_CASE("a million items need no stack and no allocation, at once or not", "[async_generator]") {
  struct local {
    static async_generator<int> now_and_then(int to) {
      for (int i = 0; i < to; ++i) {
        if (i % 7 == 0) co_await support::yield_turn();
        co_yield i;
      }
    }
    static async_generator<int> doubled(async_generator<int> from) {
      while (const int* item = co_await from.next()) co_yield 2 * *item;
    }
    static task<long> sum(async_generator<int> all) {
      long total = 0;
      while (const int* item = co_await all.next()) total += *item;
      co_return total;
    }
  };
  manual_executor on;
  constexpr long n = 1'000'000;
  for (const int kind : {0, 1, 2}) {
    const int to = kind == 0 ? n : n / 10;
    auto items = kind == 0 ? count(to) : local::now_and_then(to);
    if (kind == 2) items = local::doubled(std::move(items));
    auto summing = job<long>::of(local::sum(std::move(items)));
    summing.start(on);
    const auto before = support::allocation_count();
    on.run_once();
    const auto after = support::allocation_count();
    support::finish_job(on, summing);
    const long total = long{to} * (to - 1) / 2;
    CHECK(summing.take() == (kind == 2 ? 2 * total : total));
    if (coflow::detail::pooling && kind == 0) CHECK(before + 1 >= after);  // the frame of the sum
  }
}

TEST_CASE("a stop of the consumer reaches what the body waits for", "[async_generator]") {
  stage s;
  s.items.emplace(report(4, &s.log));
  auto& consumer = s.consume(3);
  s.on.run_until_idle();
  consumer.request_stop();
  CHECK(s.log.empty());  // never inline
  CHECK(s.all() == journal{"0: canceled", "1: canceled", "2: canceled"});
  s.consume(1);  // who has not been stopped
  CHECK(s.all() == journal{"3: ok"});
  auto late = job<void>::of(take(&*s.items, 1, &s.log));
  late.request_stop();
  support::begin(s.on, late);
  CHECK(s.all() == journal{"frame gone", "end"});
}

TEST_CASE("the body sees the stop state of whoever asks for the item", "[async_generator]") {
  stage s;
  s.items.emplace(report(3, &s.log));
  auto stopped = job<void>::of(take(&*s.items, 1, &s.log));
  stopped.request_stop();
  support::begin(s.on, stopped);
  s.consume(1);
  CHECK(s.all() == journal{"0: canceled", "1: ok"});
}

TEST_CASE("a consumer that dies loses no item", "[async_generator]") {
  // The body goes on without it, and has the item ready for the next.
  for (const int when : {0, 1, 2}) {
    stage s;
    s.items.emplace(report(3, &s.log));
    auto& consumer = s.consume(1);
    s.on.run_until_idle();
    if (when == 2) consumer.request_stop();
    consumer.destroy();
    if (when == 1) {  // it comes while nobody waits
      s.on.advance(1ms);
      s.on.run_until_idle();
      CHECK(s.log.empty());
    }
    s.consume(4);
    CHECK(s.all() == journal{when == 2 ? "0: canceled" : "0: ok", "1: ok", "2: ok", "frame gone", "end"});
  }
}

TEST_CASE("a generator that dies takes its wait back, and whoever waits for it goes on", "[async_generator]") {
  stage s;
  s.items.emplace(report(3, &s.log));
  auto& consumer = s.consume(2);
  s.on.run_until_idle();
  CHECK(s.on.next_deadline());
  s.items.reset();
  CHECK_FALSE(s.on.next_deadline());
  CHECK(s.log == journal{"frame gone"});
  CHECK_FALSE(consumer.ended());  // in a turn of its own
  s.on.run_once();
  CHECK(s.log == journal{"frame gone", "end"});
  // The consumer dies between that and its turn.
  stage t;
  t.items.emplace(report(3, &t.log));
  auto& doomed = t.consume(2);
  t.on.run_until_idle();
  t.items.reset();
  doomed.destroy();
  CHECK(t.all() == journal{"frame gone"});
}

TEST_CASE("a generator may be moved while somebody waits", "[async_generator]") {
  stage s;
  s.items.emplace(report(2, &s.log));
  s.consume(1);
  s.on.run_until_idle();
  auto moved = std::move(*s.items);
  CHECK(s.all() == journal{"0: ok"});
}

TEST_CASE("the end of the executor reaches the body", "[async_generator]") {
  journal log;
  std::optional<job<void>> consumer;
  auto items = report(2, &log);
  {
    manual_executor on;
    consumer.emplace(job<void>::of(take(&items, 3, &log)));
    support::begin(on, *consumer);
  }
  CHECK(log == journal{"0: closed", "1: closed", "frame gone", "end"});
}

TEST_CASE("two who wait for one item are a mistake", "[async_generator]") {
  const auto two = [] {
    stage s;
    s.items.emplace(report(3, &s.log));
    s.consume(1);
    s.consume(1);
    return s.log.empty() ? "" : s.log.front();
  };
  CHECK(support::is_caught(two, "end"));
}

TEST_CASE("an operation that is not awaited, or has been, needs the generator no more", "[async_generator]") {
  struct local {
    static task<> keep(std::optional<async_generator<int>>* items, journal* log) {
      auto unused = (*items)->next();
      auto used = (*items)->next();
      const int* item = co_await used;
      log->push_back(std::to_string(*item));
      items->reset();
    }
  };
  journal log;
  std::optional<async_generator<int>> items(count(3));
  drive(local::keep(&items, &log));
  CHECK(log == journal{"0"});
}

TEST_CASE("a wait for an item is called after what the body waits for", "[async_generator]") {
  struct deaf {
    static async_generator<int> wait(support::gate* at) {
      co_await at->pass();
      co_yield 1;
    }
  };
  journal log;
  support::gate gate;
  auto blocked = deaf::wait(&gate);
  CHECK(support::hang_of(take(&blocked, 1, &log)) == "the next item of an async_generator");
  struct local {
    static async_generator<int> wait(async_generator<int>* inside) {
      const int* item = co_await inside->next();
      if (item != nullptr) co_yield *item;
    }
  };
  support::gate other;
  auto inner = deaf::wait(&other);
  auto outer = local::wait(&inner);
  CHECK(support::hang_of(take(&outer, 1, &log)) == "the next item of an async_generator");
}

// ---- against a model

namespace {

// A body that waits for a turn before every other item, and consumers. Moves: ask for an item, stop or destroy a
// consumer, let one turn pass, destroy the generator. The model: items come in order, each to whoever asks when it is
// there; one who dies leaves it to the next.
class generator_game {
 public:
  explicit generator_game(coflow::choices& from) : game_(from) {}

  std::string play(int moves) {
    for (int move = 0; move < moves && items_; ++move) {
      game_.may(!asks_, "ask", [this] { ask(); });
      game_.may(asks_ && !stopped_, "stop", [this] {
        consumer_->request_stop();
        stopped_ = true;
      });
      game_.may(asks_, "destroy", [this] {
        consumer_->destroy();
        asks_ = false;
      });
      game_.may(true, "turn", [this] { turn(); });
      game_.may(move > 1, "the generator dies", [this] { die(); });
      game_.turn();
      compare();
    }
    for (int i = 0; i < 3; ++i) turn();
    compare();
    return game_.wrong();
  }

 private:
  static async_generator<int> body() {
    for (int i = 0; i < 6; ++i) {
      if (i % 2 != 0) co_await support::yield_turn();
      co_yield i;
    }
  }
  void ask() {
    consumer_.emplace(job<void>::of(take(&*items_, 1, &said_)));
    support::begin(on_, *consumer_);
    asks_ = true;
    stopped_ = false;
    if (!ready_ && !posted_) advance();
    give();
  }
  // The body goes on from its last item.
  void advance() {
    if (next_ < 6 && next_ % 2 != 0)
      posted_ = true;
    else
      ready_ = true;
  }
  void give() {
    if (!asks_ || !ready_) return;
    modelled_.push_back(next_ < 6 ? std::to_string(next_++) : "end");
    asks_ = ready_ = false;
  }
  void turn() {
    on_.run_once();
    if (dead_ && asks_) {
      modelled_.push_back("end");
      asks_ = false;
    }
    if (std::exchange(posted_, false)) ready_ = true;
    give();
  }
  void die() {
    items_.reset();
    dead_ = true;
    posted_ = ready_ = false;
  }
  void compare() {
    game_.expect("what was heard", said_.empty() ? "" : said_.back(), modelled_.empty() ? "" : modelled_.back());
    game_.expect("how much was heard", said_.size(), modelled_.size());
  }

  support::game game_;
  manual_executor on_;
  coflow::executor::entry inside_{on_};
  std::optional<async_generator<int>> items_{body()};
  std::optional<job<void>> consumer_;
  journal said_;
  journal modelled_;
  int next_ = 0;
  bool asks_ = false;
  bool stopped_ = false;
  bool posted_ = false;  // the body waits for its turn
  bool ready_ = false;   // there is an item, or the end
  bool dead_ = false;
};

// Two pipelines of generators; one is attacked, and its frames go with it.
struct generator_scene {
  static constexpr std::size_t size = 2;
  journal log;
  std::size_t heard[size] = {};
  std::vector<job<void>> actors;

  generator_scene() {
    for (std::size_t& one : heard) actors.push_back(job<void>::of(listen(&log, &one)));
  }
  static async_generator<std::string> pass_on(journal* log) {
    auto from = report(4, log);
    while (std::string* item = co_await from.next()) co_yield std::move(*item);
  }
  static task<> listen(journal* log, std::size_t* heard) {
    auto items = pass_on(log);
    while (const std::string* item = co_await items.next()) *heard += item->ends_with(": ok") ? 1 : 10;
  }
  void check(std::string& wrong, std::size_t victim, bool destroys) {
    if (heard[1 - victim] != 4) wrong += " the other misses an item;";
    if (!destroys && heard[victim] % 10 + heard[victim] / 10 != 4) wrong += " the one who is stopped misses an item;";
    if (log.size() > 2) wrong += " a frame goes twice;";
    actors.clear();
    if (log.size() == 0) wrong += " no frame goes;";
  }
};

}  // namespace

TEST_CASE("a generator does what its model does", "[async_generator]") {
  const auto play = [](coflow::choices& from, int moves) { return generator_game(from).play(moves); };
  CHECK(support::play_games(play, 11, 2000) > 10'000);
}

TEST_CASE("a consumer that is stopped or destroyed at any step takes its generators with it", "[async_generator]") {
  CHECK(support::sweep<generator_scene>() > 30);
}
