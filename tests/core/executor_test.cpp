#include "coflow/core/executor.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace std::chrono_literals;
using coflow::executor;
using support::manual_executor;

namespace {

using numbers = std::vector<int>;

class noting_node final : public coflow::node {
 public:
  noting_node(int given, numbers& into) noexcept : number_(given), into_(into) {}
  ~noting_node() = default;
  void run() noexcept override { into_.push_back(number_); }

 private:
  int number_;
  numbers& into_;
};

// Calls a function of no captures and one pointer: what a test wants to happen in a turn.
template <class F>
class calling_node final : public coflow::node {
 public:
  explicit calling_node(F call) noexcept : call_(std::move(call)) {}
  ~calling_node() = default;
  void run() noexcept override { call_(); }

 private:
  F call_;
};

class noting_timer final : public coflow::timer {
 public:
  noting_timer(int given, numbers& into) noexcept : number_(given), into_(into) {}
  ~noting_timer() = default;
  void run() noexcept override {
    into_.push_back(abandoned() ? -number_ : number_);
    ++runs;
  }
  int runs = 0;

 private:
  int number_;
  numbers& into_;
};

class noting_dependent final : public executor::dependent {
 public:
  noting_dependent(int given, numbers& into) noexcept : number_(given), into_(into) {}
  ~noting_dependent() = default;
  void on_executor_gone() noexcept override { into_.push_back(number_); }

 private:
  int number_;
  numbers& into_;
};

}  // namespace

// ---- the ready queue

TEST_CASE("nodes run in the order in which they were posted", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_node one(1, ran), two(2, ran), three(3, ran);
  on.post(two);
  on.post(three);
  on.post(one);
  CHECK(ran.empty());  // never inline
  CHECK(on.has_ready());
  CHECK(on.run_ready() == 3);
  CHECK(ran == numbers{2, 3, 1});
  CHECK_FALSE(on.has_ready());
  CHECK(on.run_ready() == 0);
}

TEST_CASE("a turn runs only what was queued when it began", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_node late(2, ran);
  calling_node early([&] {
    ran.push_back(1);
    on.post(late);
  });
  on.post(early);
  CHECK(on.run_ready() == 1);
  CHECK(ran == numbers{1});
  CHECK(on.run_ready() == 1);
  CHECK(ran == numbers{1, 2});
}

TEST_CASE("a node may post itself again and again without starving a turn", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  int runs = 0;
  struct again final : coflow::node {
    again(manual_executor& e, int& count) : on_(e), runs_(count) {}
    ~again() = default;
    void run() noexcept override {
      ++runs_;
      on_.post(*this);
    }
    manual_executor& on_;
    int& runs_;
  };
  again forever(on, runs);
  on.post(forever);
  for (int i = 0; i < 100; ++i) CHECK(on.run_ready() == 1);
  CHECK(runs == 100);
}

TEST_CASE("a node that dies while it is queued does not run", "[executor]") {
  for (int victim = 0; victim < 3; ++victim) {
    manual_executor on;
    const executor::entry inside(on);
    numbers ran;
    std::vector<std::unique_ptr<noting_node>> nodes;
    for (int i = 0; i < 3; ++i) {
      nodes.push_back(std::make_unique<noting_node>(i, ran));
      on.post(*nodes.back());
    }
    nodes[static_cast<std::size_t>(victim)].reset();
    CHECK(on.run_ready() == 2);
    numbers left{0, 1, 2};
    left.erase(left.begin() + victim);
    CHECK(ran == left);
  }
}

TEST_CASE("a node may end another that is queued behind it in the same turn", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  auto victim = std::make_unique<noting_node>(2, ran);
  noting_node other(3, ran);
  calling_node killer([&] { victim.reset(); });
  on.post(killer);
  on.post(*victim);
  on.post(other);
  CHECK(on.run_ready() == 2);
  CHECK(ran == numbers{3});
}

TEST_CASE("a node that dies after it was posted from outside a turn does not run", "[executor]") {
  // The executor's own thread, but no entry makes the executor current: a program that drives its loop turn by turn and
  // closes a flow, or cancels a scope, between two turns. "A node that dies while it is queued takes itself off."
  manual_executor on;
  numbers ran;
  alignas(noting_node) std::byte place[sizeof(noting_node)];
  auto* node = ::new (static_cast<void*>(place)) noting_node(1, ran);
  on.post(*node);
  node->~noting_node();
  const bool still_queued = on.has_ready();
  // If it is queued still, let the executor find a live node there, so that this test alone fails and nothing crashes.
  node = ::new (static_cast<void*>(place)) noting_node(2, ran);
  on.run_until_idle();
  node->~noting_node();
  CHECK_FALSE(still_queued);
  CHECK(ran.empty());
}

TEST_CASE("each node that runs has a full allowance of turns", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers taken;
  const auto count_turns = [&] {
    int turns = 0;
    while (on.take_turn()) ++turns;
    taken.push_back(turns);
  };
  calling_node one(count_turns), two(count_turns);
  on.post(one);
  on.post(two);
  on.run_ready();
  REQUIRE(taken.size() == 2);
  CHECK(taken[0] == 64);
  CHECK(taken[1] == 64);
  CHECK_FALSE(on.take_turn());
  on.renew_turns();
  CHECK(on.take_turn());
}

// ---- which executor is current

TEST_CASE("an executor is current while an entry lives, and entries nest", "[executor]") {
  CHECK(executor::current() == nullptr);
  manual_executor outer;
  manual_executor inner;
  {
    const executor::entry in_outer(outer);
    CHECK(executor::current() == &outer);
    {
      const executor::entry in_inner(inner);
      CHECK(executor::current() == &inner);
      const executor::entry in_outer_again(outer);
      CHECK(executor::current() == &outer);
    }
    CHECK(executor::current() == &outer);
  }
  CHECK(executor::current() == nullptr);
}

TEST_CASE("the current executor is a matter of each thread", "[executor][threads]") {
  manual_executor on;
  const executor::entry inside(on);
  executor* elsewhere = &on;
  std::thread([&elsewhere] { elsewhere = executor::current(); }).join();
  CHECK(elsewhere == nullptr);
}

TEST_CASE("an executor without more to offer has no extension", "[executor]") {
  manual_executor on;
  CHECK(on.extension() == nullptr);
}

// ---- posts from outside

TEST_CASE("a post from outside wakes the executor once until it has looked", "[executor]") {
  manual_executor on;
  numbers ran;
  noting_node one(1, ran), two(2, ran), three(3, ran);
  on.post(one);
  CHECK(on.wakes() == 1);
  on.post(two);
  CHECK(on.wakes() == 1);
  CHECK(on.has_ready());
  CHECK(on.run_once() == 2);
  CHECK(ran == numbers{1, 2});
  on.post(three);
  CHECK(on.wakes() == 2);
  on.run_once();
  CHECK(ran == numbers{1, 2, 3});
}

TEST_CASE("a post from inside wakes nobody", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_node one(1, ran);
  on.post(one);
  CHECK(on.wakes() == 0);
  on.run_ready();
}

TEST_CASE("a post from another executor's turn is a post from outside", "[executor]") {
  manual_executor first;
  manual_executor second;
  numbers ran;
  noting_node one(1, ran);
  const executor::entry inside(first);
  second.post(one);
  CHECK(second.wakes() == 1);
  CHECK_FALSE(first.has_ready());
  CHECK(second.run_once() == 1);
}

TEST_CASE("what came from outside runs behind what was queued already", "[executor]") {
  manual_executor on;
  numbers ran;
  noting_node one(1, ran), two(2, ran), three(3, ran);
  {
    const executor::entry inside(on);
    on.post(one);
  }
  on.post(two);
  on.post(three);
  on.run_once();
  CHECK(ran == numbers{1, 2, 3});
}

TEST_CASE("nodes posted from four threads all run exactly once, in the order of their thread", "[executor][threads]") {
  constexpr int threads = 4;
  constexpr int each = 20'000;
  manual_executor on;
  struct counted_node final : coflow::node {
    counted_node() noexcept {}
    ~counted_node() = default;
    void run() noexcept override {
      ++runs;
      // Nodes of one thread run in the order in which it posted them.
      if (*last >= number) out_of_order->store(true);
      *last = number;
    }
    int number = 0;
    int runs = 0;
    int* last = nullptr;
    std::atomic<bool>* out_of_order = nullptr;
  };
  std::atomic<bool> out_of_order{false};
  std::vector<std::unique_ptr<counted_node[]>> nodes;
  int last[threads];
  for (int t = 0; t < threads; ++t) {
    last[t] = -1;
    nodes.push_back(std::make_unique<counted_node[]>(each));
    for (int i = 0; i < each; ++i) {
      nodes.back()[static_cast<std::size_t>(i)].number = i;
      nodes.back()[static_cast<std::size_t>(i)].last = &last[t];
      nodes.back()[static_cast<std::size_t>(i)].out_of_order = &out_of_order;
    }
  }
  std::vector<std::thread> posting;
  for (int t = 0; t < threads; ++t) {
    posting.emplace_back([&on, mine = nodes[static_cast<std::size_t>(t)].get()] {
      for (int i = 0; i < each; ++i) on.post(mine[i]);
    });
  }
  std::size_t ran = 0;
  while (ran < std::size_t{threads} * each) {
    const std::size_t now = on.run_once();
    ran += now;
    if (now == 0) std::this_thread::yield();
  }
  for (auto& one : posting) one.join();
  CHECK(ran == std::size_t{threads} * each);
  CHECK_FALSE(on.has_ready());
  CHECK_FALSE(out_of_order.load());
  CHECK(on.wakes() >= 1);
  CHECK(static_cast<std::size_t>(on.wakes()) <= ran);
  bool once = true;
  for (const auto& of_thread : nodes)
    for (int i = 0; i < each; ++i) once = once && of_thread[static_cast<std::size_t>(i)].runs == 1;
  CHECK(once);
}

TEST_CASE("an executor that sleeps until it is woken misses no post", "[executor][threads]") {
  // Looks at its queue only after a wake-up, like an event loop; a wake-up that was coalesced away would hang it.
  class sleeping_executor final : public executor {
   public:
    sleeping_executor() noexcept {}
    ~sleeping_executor() { finish(); }
    time_point now() const noexcept override { return {}; }
    std::size_t sleep_and_run() noexcept {
      wakes_.wait(seen_);
      seen_ = wakes_.load();
      const entry current(*this);
      return run_ready();
    }

   private:
    void wake() noexcept override {
      wakes_.fetch_add(1);
      wakes_.notify_one();
    }
    std::atomic<int> wakes_{0};
    int seen_ = 0;
  };
  sleeping_executor on;
  numbers ran;
  constexpr std::size_t count = 20'000;
  ran.reserve(count);
  std::vector<std::unique_ptr<noting_node>> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.push_back(std::make_unique<noting_node>(static_cast<int>(i), ran));
  std::thread posting([&] {
    for (const auto& one : nodes) on.post(*one);
  });
  std::size_t done = 0;
  while (done < count) done += on.sleep_and_run();
  posting.join();
  CHECK(ran.size() == count);
}

// ---- timers

TEST_CASE("timers run in the order of their deadlines, equal ones in the order in which they were set", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_timer one(1, ran), two(2, ran), three(3, ran), four(4, ran);
  const auto start = on.now();
  on.arm(one, start + 20ms);
  on.arm(two, start + 10ms);
  on.arm(three, start + 20ms);
  on.arm(four, start + 10ms);
  CHECK(on.next_deadline() == start + 10ms);
  CHECK(on.run_until_idle() == 0);
  on.advance(9ms);
  CHECK(on.run_until_idle() == 0);
  on.advance(1ms);
  CHECK(on.run_until_idle() == 2);
  CHECK(ran == numbers{2, 4});
  CHECK_FALSE(two.armed());
  CHECK(one.armed());
  CHECK(on.next_deadline() == start + 20ms);
  on.advance(1h);
  on.run_until_idle();
  CHECK(ran == numbers{2, 4, 1, 3});
  CHECK_FALSE(on.next_deadline());
}

TEST_CASE("a deadline that has passed already runs in the next turn", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_timer past(1, ran), present(2, ran);
  on.arm(present, on.now());
  on.arm(past, on.now() - 1h);
  CHECK(ran.empty());
  on.run_once();
  CHECK(ran == numbers{1, 2});
}

TEST_CASE("a timer that is disarmed does not run", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_timer one(1, ran), two(2, ran);
  on.arm(one, on.now() + 1ms);
  on.arm(two, on.now() + 1ms);
  one.disarm();
  CHECK_FALSE(one.armed());
  one.disarm();
  on.advance(1ms);
  on.run_until_idle();
  CHECK(ran == numbers{2});
}

TEST_CASE("a timer that has expired and is queued can still be disarmed", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_timer one(1, ran), two(2, ran);
  on.arm(one, on.now());
  on.arm(two, on.now());
  on.expire_timers(on.now());
  CHECK_FALSE(one.armed());
  CHECK(on.has_ready());
  one.disarm();
  on.run_ready();
  CHECK(ran == numbers{2});
}

TEST_CASE("a timer that dies is disarmed, in the heap and in the queue", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  {
    noting_timer in_heap(1, ran);
    on.arm(in_heap, on.now() + 1h);
  }
  CHECK_FALSE(on.next_deadline());
  {
    noting_timer queued(2, ran);
    on.arm(queued, on.now());
    on.expire_timers(on.now());
  }
  CHECK_FALSE(on.has_ready());
  on.run_until_idle();
  CHECK(ran.empty());
}

TEST_CASE("arming a timer again moves its deadline", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_timer one(1, ran);
  on.arm(one, on.now() + 1h);
  on.arm(one, on.now() + 1ms);
  on.advance(1ms);
  on.run_until_idle();
  CHECK(one.runs == 1);
  on.arm(one, on.now());
  on.expire_timers(on.now());  // queued
  on.arm(one, on.now() + 1h);  // and taken back
  on.run_until_idle();
  CHECK(one.runs == 1);
  on.advance(1h);
  on.run_until_idle();
  CHECK(one.runs == 2);
}

TEST_CASE("a timer moves from one executor to another", "[executor]") {
  manual_executor first;
  manual_executor second;
  numbers ran;
  noting_timer one(1, ran);
  first.arm(one, first.now() + 1ms);
  second.arm(one, second.now() + 1ms);
  CHECK_FALSE(first.next_deadline());
  first.advance(1ms);
  CHECK(first.run_until_idle() == 0);
  second.advance(1ms);
  CHECK(second.run_until_idle() == 1);
}

TEST_CASE("a timer that arms itself again when it runs is periodic", "[executor]") {
  class periodic final : public coflow::timer {
   public:
    explicit periodic(manual_executor& on) noexcept : on_(on) {}
    ~periodic() = default;
    void run() noexcept override {
      if (++runs < 10) on_.arm(*this, on_.now() + 1ms);
    }
    int runs = 0;

   private:
    manual_executor& on_;
  };
  manual_executor on;
  const executor::entry inside(on);
  periodic one(on);
  on.arm(one, on.now());
  int turns = 0;
  do {
    on.run_until_idle();
    ++turns;
  } while (on.advance_to_next_deadline());
  CHECK(one.runs == 10);
  CHECK(turns == 10);
}

TEST_CASE("deadlines at the ends of time keep their order", "[executor]") {
  manual_executor on;
  const executor::entry inside(on);
  numbers ran;
  noting_timer never(1, ran), now(2, ran), always(3, ran);
  on.arm(never, executor::time_point::max());
  on.arm(now, on.now());
  on.arm(always, executor::time_point::min());
  on.run_until_idle();
  CHECK(ran == numbers{3, 2});
  CHECK(on.next_deadline() == executor::time_point::max());
}

TEST_CASE("ten thousand random timers agree with a multimap", "[executor]") {
  struct model_timer final : coflow::timer {
    model_timer() noexcept {}
    ~model_timer() = default;
    void run() noexcept override { into->push_back(number); }
    int number = 0;
    numbers* into = nullptr;
  };
  constexpr std::size_t count = 500;
  for (const unsigned seed : {1U, 2U, 3U, 4U, 5U}) {
    std::mt19937 random(seed);
    manual_executor on;
    const executor::entry inside(on);
    numbers ran;
    numbers wanted;
    const auto timers = std::make_unique<model_timer[]>(count);
    for (std::size_t i = 0; i < count; ++i) {
      timers[i].number = static_cast<int>(i);
      timers[i].into = &ran;
    }
    // By deadline; a multimap keeps equal keys in the order of their insertion.
    std::multimap<std::int64_t, int> model;
    std::vector<std::multimap<std::int64_t, int>::iterator> places(count, model.end());
    std::int64_t time = 0;
    const auto start = on.now();
    for (int step = 0; step < 10'000; ++step) {
      const auto i = static_cast<std::size_t>(random() % count);
      switch (random() % 8) {
        case 0:
          timers[i].disarm();
          if (places[i] != model.end()) model.erase(places[i]);
          places[i] = model.end();
          break;
        case 1: {
          time += static_cast<std::int64_t>(random() % 50);
          on.set_now(start + std::chrono::nanoseconds(time));
          while (!model.empty() && model.begin()->first <= time) {
            const int number = model.begin()->second;
            wanted.push_back(number);
            places[static_cast<std::size_t>(number)] = model.end();
            model.erase(model.begin());
          }
          on.run_until_idle();
          break;
        }
        default: {
          const auto deadline = time + 1 + static_cast<std::int64_t>(random() % 100);
          on.arm(timers[i], start + std::chrono::nanoseconds(deadline));
          if (places[i] != model.end()) model.erase(places[i]);
          places[i] = model.emplace(deadline, static_cast<int>(i));
          break;
        }
      }
      const auto next = on.next_deadline();
      const bool right = next.has_value() == !model.empty() &&
                         (model.empty() || *next == start + std::chrono::nanoseconds(model.begin()->first)) &&
                         timers[i].armed() == (places[i] != model.end()) && ran == wanted;
      if (!right) FAIL("seed " << seed << ", step " << step);
      if (ran.size() > 1000) {
        ran.clear();
        wanted.clear();
      }
    }
  }
  SUCCEED();
}

TEST_CASE("a hundred thousand timers in order and in reverse need no stack", "[executor]") {
  constexpr int count = 100'000;
  for (const bool reversed : {false, true}) {
    manual_executor on;
    const executor::entry inside(on);
    numbers ran;
    ran.reserve(count);
    std::vector<std::unique_ptr<noting_timer>> timers;
    for (int i = 0; i < count; ++i) {
      timers.push_back(std::make_unique<noting_timer>(i, ran));
      on.arm(*timers.back(), on.now() + std::chrono::nanoseconds(reversed ? count - i : i));
    }
    on.advance(1s);
    on.run_until_idle();
    REQUIRE(ran.size() == count);
    bool ordered = true;
    for (int i = 0; i < count; ++i)
      ordered = ordered && ran[static_cast<std::size_t>(i)] == (reversed ? count - 1 - i : i);
    CHECK(ordered);
  }
}

// ---- the end of an executor

TEST_CASE("an executor that ends tells its dependents, then its timers, then its spawned tasks", "[executor]") {
  numbers told;
  noting_dependent one(1, told), two(2, told), root(9, told);
  noting_timer late(5, told), early(4, told);
  noting_node queued(3, told);
  {
    manual_executor on;
    const executor::entry inside(on);
    on.add_dependent(one);
    on.add_dependent(two);
    on.add_root(root);
    on.arm(late, on.now() + 2h);
    on.arm(early, on.now() + 1h);
    on.post(queued);
  }
  CHECK(told == numbers{1, 2, 3, -4, -5, 9});  // a negative number: the timer was abandoned
}

TEST_CASE("a timer that has expired before the end is not abandoned", "[executor]") {
  numbers told;
  noting_timer expired(1, told);
  {
    manual_executor on;
    on.arm(expired, on.now());
    on.expire_timers(on.now());
  }
  CHECK(told == numbers{1});
}

TEST_CASE("a timer that is armed while the executor ends runs as abandoned", "[executor]") {
  numbers told;
  manual_executor on;
  noting_timer late(1, told);
  calling_node arms([&] { on.arm(late, on.now() + 1h); });
  on.post(arms);
  on.finish();
  CHECK(told == numbers{-1});
  CHECK_FALSE(late.armed());
}

TEST_CASE("a timer says afresh each time whether it was abandoned", "[executor]") {
  numbers told;
  noting_timer one(1, told);
  {
    manual_executor on;
    on.arm(one, on.now() + 1h);
  }
  manual_executor another;
  another.arm(one, another.now());
  another.run_until_idle();
  CHECK(told == numbers{-1, 1});
}

TEST_CASE("an executor that ends is current and says that it ends", "[executor]") {
  class asking final : public executor::dependent {
   public:
    explicit asking(manual_executor& on) noexcept : on_(on) {}
    ~asking() = default;
    void on_executor_gone() noexcept override {
      was_current = executor::current() == &on_;
      was_finishing = on_.finishing();
      was_linked = linked();
    }
    bool was_current = false;
    bool was_finishing = false;
    bool was_linked = true;

   private:
    manual_executor& on_;
  };
  manual_executor on;
  asking one(on);
  on.add_dependent(one);
  CHECK_FALSE(on.finishing());
  on.finish();
  CHECK(one.was_current);
  CHECK(one.was_finishing);
  CHECK_FALSE(one.was_linked);
  CHECK(executor::current() == nullptr);
}

TEST_CASE("a dependent that leaves or dies is not told", "[executor]") {
  numbers told;
  noting_dependent leaves(1, told);
  {
    manual_executor on;
    on.add_dependent(leaves);
    leaves.unlink();
    noting_dependent dies(2, told);
    on.add_dependent(dies);
  }
  CHECK(told.empty());
}

TEST_CASE("a dependent that comes while the executor ends is told too", "[executor]") {
  numbers told;
  noting_dependent late(2, told);
  {
    manual_executor on;
    noting_dependent first(1, told);
    calling_node adds([&] { on.add_dependent(late); });
    on.add_dependent(first);
    on.post(adds);
    on.finish();
  }
  CHECK(told == numbers{1, 2});
}

TEST_CASE("a dependent may end another while the executor ends", "[executor]") {
  numbers told;
  auto victim = std::make_unique<noting_dependent>(2, told);
  class killing final : public executor::dependent {
   public:
    explicit killing(std::unique_ptr<noting_dependent>& of) noexcept : victim_(of) {}
    ~killing() = default;
    void on_executor_gone() noexcept override { victim_.reset(); }

   private:
    std::unique_ptr<noting_dependent>& victim_;
  };
  killing killer(victim);
  {
    manual_executor on;
    on.add_dependent(killer);
    on.add_dependent(*victim);
  }
  CHECK(told.empty());
}

TEST_CASE("an executor that ends runs what came from outside", "[executor]") {
  numbers ran;
  noting_node one(1, ran);
  {
    manual_executor on;
    on.post(one);
  }
  CHECK(ran == numbers{1});
}

TEST_CASE("work that never ends does not keep an executor from ending", "[executor]") {
  struct again final : coflow::node {
    explicit again(manual_executor& e) noexcept : on(e) {}
    ~again() = default;
    void run() noexcept override {
      ++runs;
      on.post(*this);
    }
    manual_executor& on;
    int runs = 0;
  };
  int runs = 0;
  {
    manual_executor on;
    again forever(on);
    on.post(forever);
    on.finish();
    runs = forever.runs;
    CHECK_FALSE(forever.linked());
  }
  CHECK(runs >= 1);
  CHECK(runs <= 100'000);
}

TEST_CASE("a node that an executor can never run is discarded once, and one that ran is not", "[executor]") {
  struct owned_by_nobody final : coflow::node {
    owned_by_nobody(manual_executor& e, numbers& into, int given) noexcept : on(e), noted(into), left(given) {}
    ~owned_by_nobody() = default;
    void run() noexcept override {
      if (left == 0) {
        noted.push_back(1);
        delete this;
      } else {
        if (left > 0) --left;
        on.post(*this);
      }
    }
    void discard() noexcept override {
      noted.push_back(2);
      delete this;
    }
    manual_executor& on;
    numbers& noted;
    int left;
  };
  numbers noted;
  {
    manual_executor on;
    const executor::entry inside(on);
    on.post(*new owned_by_nobody(on, noted, 0));
    on.post(*new owned_by_nobody(on, noted, 10));
    on.post(*new owned_by_nobody(on, noted, -1));  // posts itself for ever
  }
  CHECK(noted == numbers{1, 1, 2});
}

TEST_CASE("nodes posted from outside may die there while other threads post", "[executor][threads]") {
  constexpr int each = 5'000;
  manual_executor on;
  struct counting final : coflow::node {
    counting() noexcept {}
    ~counting() = default;
    void run() noexcept override { ++runs; }
    int runs = 0;
  };
  std::vector<std::unique_ptr<counting[]>> nodes;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) nodes.push_back(std::make_unique<counting[]>(each));
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&on, mine = nodes[static_cast<std::size_t>(t)].get()] {
      for (int i = 0; i < each; ++i) on.post(mine[i]);
    });
  }
  numbers ran;
  std::size_t done = 0;
  for (int round = 0; round < each; ++round) {
    noting_node dies(1, ran);
    noting_node lives(2, ran);
    on.post(dies);  // on the executor's thread, but outside its turn
    on.post(lives);
    dies.unlink();
    done += on.run_once() - 1;
  }
  for (auto& one : threads) one.join();
  done += on.run_until_idle();
  CHECK(done == std::size_t{2} * each);
  CHECK(ran == numbers(each, 2));
  bool once = true;
  for (const auto& of_thread : nodes)
    for (int i = 0; i < each; ++i) once = once && of_thread[static_cast<std::size_t>(i)].runs == 1;
  CHECK(once);
}

TEST_CASE("finishing twice is the same as once", "[executor]") {
  numbers told;
  noting_dependent one(1, told);
  manual_executor on;
  on.add_dependent(one);
  on.finish();
  on.finish();
  CHECK(told == numbers{1});
}
