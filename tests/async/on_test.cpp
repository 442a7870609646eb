#include "coflow/async/on.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

using namespace std::chrono_literals;
using coflow::error;
using coflow::executor;
using coflow::on;
using coflow::result;
using coflow::task;
using support::job;
using support::manual_executor;

static_assert(std::is_same_v<coflow::await_result_t<coflow::on_operation<void>>, result<void>>);
static_assert(std::is_same_v<coflow::await_result_t<coflow::on_operation<int>>, result<int>>);
static_assert(std::is_same_v<coflow::await_result_t<coflow::on_operation<result<int>>>, result<int>>);
static_assert(std::is_same_v<coflow::await_result_t<coflow::on_operation<coflow::read_result>>, coflow::read_result>);
static_assert(std::is_move_constructible_v<coflow::on_operation<int>>);
static_assert(!std::is_copy_constructible_v<coflow::on_operation<int>>);

namespace {

long frames() { return coflow::detail::live_frames.load(); }

// Both turn until neither has anything to do.
void settle(manual_executor& a, manual_executor& b) {
  while (a.run_once() + b.run_once() != 0) {
  }
}

// Notes where it dies, unless it was moved from.
class mark {
 public:
  explicit mark(std::vector<executor*>* died_on) noexcept : died_on_(died_on) {}
  mark(mark&& other) noexcept : died_on_(std::exchange(other.died_on_, nullptr)) {}
  mark& operator=(mark&&) = delete;
  ~mark() {
    if (died_on_ != nullptr) died_on_->push_back(executor::current());
  }

 private:
  std::vector<executor*>* died_on_;
};

task<executor*> where() { co_return executor::current(); }
task<std::unique_ptr<int>> pointer(int n) { co_return std::make_unique<int>(n); }
task<result<int>> result_of(int n) {
  if (n < 0) co_return error::truncated;
  co_return n;
}
task<coflow::read_result> bytes() { co_return coflow::buffer("bytes"); }
task<> nothing(bool* ran) {
  *ran = true;
  co_return;
}
task<int> throwing() {
  throw std::runtime_error("thrown there");
  co_return 0;
}
task<result<void>> sleeping(executor::duration time) {
  const auto slept = co_await coflow::sleep_for(time);
  co_return slept;
}
task<int> passing(support::gate* at, int gives) {
  co_await at->pass();
  co_return gives;
}
task<mark> giving_mark([[maybe_unused]] mark kept, std::vector<executor*>* died_on) {
  co_await support::yield_turn();
  co_return mark(died_on);
}

template <class T>
job<coflow::fallible<T>> sent(executor& there, task<T> body) {
  struct local {
    static task<coflow::fallible<T>> send(executor* to, task<T> what) { co_return co_await on(*to, std::move(what)); }
  };
  return job<coflow::fallible<T>>::of(local::send(&there, std::move(body)));
}

}  // namespace

TEST_CASE("a task runs on the other executor and what it gives arrives here, each in a turn of its own", "[on]") {
  manual_executor here;
  manual_executor there;
  auto sends = sent(there, where());
  sends.start(here);
  here.run_until_idle();
  CHECK(there.wakes() == 1);
  CHECK_FALSE(sends.ended());
  there.run_until_idle();
  CHECK(here.wakes() == 1);
  CHECK_FALSE(sends.ended());
  CHECK(frames() == 1);  // of the two, the one here
  here.run_until_idle();
  REQUIRE(sends.ended());
  CHECK(sends.take().value() == &there);
}

TEST_CASE("a task may give anything but a reference, and throw", "[on]") {
  manual_executor here;
  manual_executor there;
  const auto given = [&](auto body) {
    auto sends = sent(there, std::move(body));
    sends.start(here);
    settle(here, there);
    REQUIRE(sends.ended());
    return sends.take();
  };
  bool ran = false;
  CHECK(given(nothing(&ran)).has_value());
  CHECK(ran);
  CHECK(*given(pointer(7)).value() == 7);
  CHECK(given(result_of(3)).value() == 3);
  CHECK(given(result_of(-1)).error() == error::truncated);
  CHECK(given(bytes())->text() == "bytes");
  CHECK_THROWS_WITH(given(throwing()), "thrown there");
}

namespace {

template <class T>
task<T> pass_and_give(support::gate* at, T gives) {
  co_await at->pass();
  co_return gives;
}
// What is said of a task that did not begin, or did not end.
template <class T>
std::error_code verdict_on(T gives, bool begins) {
  manual_executor here;
  manual_executor there;
  support::gate shut;
  auto sends = sent(there, pass_and_give(&shut, std::move(gives)));
  if (!begins) sends.request_stop();
  sends.start(here);
  settle(here, there);
  there.finish();
  here.run_until_idle();
  const result<T> came = sends.take();
  if (came) return std::error_code();
  return came.error();
}

}  // namespace

TEST_CASE("that a task did not end is no value, even where an error could be one", "[on]") {
  using either = std::variant<int, std::error_code>;
  CHECK(verdict_on(error::truncated, false) == std::errc::operation_canceled);
  CHECK(verdict_on(error::truncated, true) == error::closed);
  CHECK(verdict_on(either(1), false) == std::errc::operation_canceled);
  CHECK(verdict_on(either(1), true) == error::closed);
}

TEST_CASE("a task may be sent to the executor that waits for it", "[on]") {
  manual_executor here;
  auto sends = sent(here, sleeping(1ms));
  sends.start(here);
  support::finish_job(here, sends);
  CHECK(sends.take().has_value());
  CHECK(here.wakes() == 0);
}

TEST_CASE("what a task was given dies where it ran, and what it gave where it was awaited", "[on]") {
  std::vector<executor*> kept;
  std::vector<executor*> given;
  manual_executor here;
  manual_executor there;
  {
    auto sends = sent(there, giving_mark(mark(&kept), &given));
    sends.start(here);
    settle(here, there);
    CHECK(kept == std::vector<executor*>{&there});
    CHECK(given.empty());
  }
  CHECK(given.size() == 1);
}

TEST_CASE("a task does not begin in a stopped task, on an executor that goes away, or without one", "[on]") {
  bool ran = false;
  manual_executor here;
  manual_executor there;
  auto stopped = sent(there, nothing(&ran));
  stopped.request_stop();
  stopped.start(here);
  here.run_until_idle();
  CHECK(stopped.take().error() == std::errc::operation_canceled);

  auto homeless = sent(there, nothing(&ran));
  static_cast<coflow::basic_node&>(homeless.started()).run();
  CHECK(homeless.take().error() == error::no_executor);

  class late_comer final : public executor::dependent {
   public:
    explicit late_comer(manual_executor& at) noexcept : at_(at) {}
    ~late_comer() = default;
    void on_executor_gone() noexcept override { late->start(at_); }
    std::optional<job<result<void>>> late;

   private:
    manual_executor& at_;
  };
  late_comer comer(here);
  comer.late.emplace(sent(there, nothing(&ran)));
  here.add_dependent(comer);
  here.finish();
  REQUIRE(comer.late->ended());
  CHECK(comer.late->take().error() == error::closed);
  CHECK(there.run_once() == 0);
  CHECK_FALSE(ran);
}

TEST_CASE("a stop reaches the task, and what it then gives is awaited", "[on]") {
  manual_executor here;
  manual_executor there;
  auto sends = sent(there, sleeping(1h));
  sends.start(here);
  settle(here, there);
  {
    const executor::entry inside(here);
    sends.request_stop();
    sends.request_stop();
  }
  here.run_until_idle();
  CHECK_FALSE(sends.ended());
  settle(here, there);
  REQUIRE(sends.ended());
  CHECK(sends.take().error() == std::errc::operation_canceled);

  // One that takes no notice gives what it gives.
  support::gate at;
  auto deaf = sent(there, passing(&at, 5));
  deaf.start(here);
  settle(here, there);
  deaf.request_stop();
  settle(here, there);
  CHECK_FALSE(deaf.ended());
  at.open();
  settle(here, there);
  REQUIRE(deaf.ended());
  CHECK(deaf.take().value() == 5);
}

TEST_CASE("a task that has not begun runs stopped, or never if nobody waits any longer", "[on]") {
  manual_executor here;
  manual_executor there;
  auto stopped = sent(there, sleeping(1h));
  stopped.start(here);
  here.run_until_idle();
  stopped.request_stop();
  settle(here, there);
  REQUIRE(stopped.ended());
  CHECK(stopped.take().error() == std::errc::operation_canceled);

  const long before = frames();
  bool ran = false;
  auto dropped = sent(there, nothing(&ran));
  dropped.start(here);
  here.run_until_idle();
  dropped.destroy();
  there.run_until_idle();
  CHECK_FALSE(ran);
  CHECK(frames() == before);
}

TEST_CASE("a task that nobody waits for any longer is told to stop, and what it gives or throws is dropped there",
          "[on]") {
  struct local {
    static task<mark> sleeps(std::vector<executor*>* died_on, bool throws) {
      const auto slept = co_await coflow::sleep_for(1h);
      if (throws) throw std::runtime_error("nobody hears it");
      if (slept) died_on->push_back(nullptr);
      co_return mark(died_on);
    }
  };
  for (const bool throws : {false, true}) {
    std::vector<executor*> died_on;
    manual_executor here;
    manual_executor there;
    auto sends = sent(there, local::sleeps(&died_on, throws));
    sends.start(here);
    settle(here, there);
    sends.destroy();
    CHECK(here.run_once() == 0);
    there.run_until_idle();
    CHECK(frames() == 0);
    CHECK(died_on == (throws ? std::vector<executor*>{} : std::vector<executor*>{&there}));
    CHECK(here.run_once() == 0);
  }
}

TEST_CASE("a task whose executor goes away gives what it then gives, or closed if it does not end", "[on]") {
  support::gate never;
  manual_executor here;
  auto there = std::make_unique<manual_executor>();
  auto ends = sent(*there, sleeping(1h));
  auto stays = sent(*there, passing(&never, 1));
  ends.start(here);
  stays.start(here);
  settle(here, *there);
  auto unbegun = sent(*there, where());
  unbegun.start(here);
  here.run_until_idle();
  there.reset();
  here.run_until_idle();
  CHECK(ends.take().error() == error::closed);
  CHECK(stays.take().error() == error::closed);
  CHECK(unbegun.take().error() == error::closed);
  CHECK_FALSE(never.has_waiters());
  CHECK(frames() == 0);
}

TEST_CASE("an answer that has come is given although both executors go away", "[on]") {
  auto here = std::make_unique<manual_executor>();
  auto there = std::make_unique<manual_executor>();
  auto sends = sent(*there, where());
  sends.start(*here);
  here->run_until_idle();
  there->run_until_idle();
  there.reset();
  here.reset();
  REQUIRE(sends.ended());
  CHECK(sends.take().has_value());
}

TEST_CASE("a task that ends at last while its executor goes away gives what it gives", "[on]") {
  // An executor that goes away has patience for a thousand turns or so: around that the end is not heard of in one.
  struct local {
    static task<int> busy(int turns, bool* ended) {
      for (int i = 0; i < turns; ++i) co_await support::yield_turn();
      *ended = true;
      co_return turns;
    }
  };
  int given = 0;
  for (int turns = 990; turns < 1010; ++turns) {
    manual_executor here;
    auto there = std::make_unique<manual_executor>();
    bool ended = false;
    auto sends = sent(*there, local::busy(turns, &ended));
    sends.start(here);
    here.run_until_idle();
    there->run_once();
    there.reset();
    here.run_until_idle();
    REQUIRE(sends.ended());
    const result<int> came = sends.take();
    CHECK(came.has_value() == ended);
    given += came.has_value();
  }
  CHECK(given > 0);
  CHECK(given < 20);
}

TEST_CASE("a stop that meets the end of the task leaves nothing on its executor", "[on]") {
  support::gate at;
  manual_executor here;
  manual_executor there;
  auto sends = sent(there, passing(&at, 5));
  sends.start(here);
  settle(here, there);
  at.open();
  there.run_once();  // it has ended, and that is still to be heard of
  sends.request_stop();
  CHECK(there.run_once() == 1);
  CHECK_FALSE(there.has_ready());
  here.run_until_idle();
  CHECK(sends.take().value() == 5);
}

TEST_CASE("it has names for the report of a hang", "[on]") {
  class words final : public coflow::wait_list {
   public:
    void add(std::string_view who, const coflow::stop_node& chain) override {
      text.append(who).append(" waits for ").append(chain.target() != nullptr ? chain.target()->waits_for() : "?");
    }
    std::string text;
  };
  class listed final : public executor {
   public:
    ~listed() { finish(); }
    time_point now() const noexcept override { return {}; }
    void wake() noexcept override {}
    std::string run() {
      {
        const entry inside(*this);
        run_ready();
      }
      words found;
      list_waits(found);
      return found.text;
    }
  };
  listed here;
  listed there;
  coflow::spawn(here, [](executor* to) -> task<> {
    const auto slept = co_await on(*to, sleeping(1h));
    static_cast<void>(slept);
  }(&there));
  CHECK(here.run() == "a spawned task waits for a task on another executor");
  CHECK(there.run() == "a task from another executor waits for sleep_for");
}

TEST_CASE("what is sent between two executors of a thread allocates nothing", "[on]") {
  struct local {
    static task<int> number(int n) { co_return n; }
    static task<> often(executor* to, int times, int* sum) {
      for (int i = 0; i < times; ++i) {
        const auto got = co_await on(*to, number(1));
        if (got) *sum += *got;
      }
    }
  };
  manual_executor here;
  manual_executor there;
  int sum = 0;
  auto warm = job<void>::of(local::often(&there, 10, &sum));
  auto sends = job<void>::of(local::often(&there, 1000, &sum));
  warm.start(here);
  settle(here, there);
  sends.start(here);
  const auto before = support::allocation_count();
  settle(here, there);
  const auto after = support::allocation_count();
  CHECK(sum == 1010);
#ifndef COFLOW_NO_POOL
  CHECK(before == after);
#else
  CHECK(before <= after);
#endif
}

// ---- every order of what may happen

namespace {

struct tally {
  int begun = 0;
  int ended = 0;
  int frames_gone = 0;
  int values = 0;  // alive
  bool strayed = false;
};

class counted {
 public:
  counted(tally* of, int n) noexcept : number(n), of_(of) { ++of_->values; }
  counted(counted&& other) noexcept : number(other.number), of_(other.of_) { ++of_->values; }
  counted& operator=(counted&&) = delete;
  ~counted() { --of_->values; }
  int number;

 private:
  tally* of_;
};

// Notes when its frame goes, and whether that is on the wrong executor.
class resident {
 public:
  resident(tally* of, executor* home) noexcept : of_(of), home_(home) {}
  resident(resident&& other) noexcept : of_(std::exchange(other.of_, nullptr)), home_(other.home_) {}
  resident& operator=(resident&&) = delete;
  ~resident() {
    if (of_ == nullptr) return;
    ++of_->frames_gone;
    if (executor::current() != home_) of_->strayed = true;
  }
  tally* of_;
  executor* home_;
};

// Two steps there; the second waits, and ends when it is stopped. A stop makes a difference to what it gives.
task<counted> two_steps(resident here, support::gate* at, bool deaf, bool throws) {
  tally* const of = here.of_;
  ++of->begun;
  if (executor::current() != here.home_) of->strayed = true;
  int number = 1;
  if (deaf) {
    co_await at->pass();
  } else {
    const auto slept = co_await coflow::sleep_for(1h);
    if (slept.error() == std::errc::operation_canceled) number = 2;
  }
  if (executor::current() != here.home_) of->strayed = true;
  ++of->ended;
  if (throws) throw std::runtime_error("thrown there");
  co_return counted(of, number);
}
task<> waiting(executor* there, task<counted> body, std::string* came_to) {
  try {
    const auto got = co_await on(*there, std::move(body));
    if (got)
      *came_to = "value " + std::to_string(got->number);
    else
      *came_to = got.error() == error::closed ? "closed" : "canceled";
  } catch (const std::runtime_error&) {
    *came_to = "thrown";
  }
}

enum class act : int { turn_here, turn_there, proceed, stop, destroy, here_goes, there_goes, count };

// Gives false, with a word, if something is wrong.
std::string play(const std::vector<int>& acts, bool deaf, bool throws) {
  tally seen;
  std::string came_to;
  bool stopped = false;
  bool destroyed = false;
  bool home_gone = false;
  bool there_gone = false;
  {
    support::gate at;
    std::optional<manual_executor> here(std::in_place);
    std::optional<manual_executor> there(std::in_place);
    std::optional<job<void>> waits(
        job<void>::of(waiting(&*there, two_steps(resident(&seen, &*there), &at, deaf, throws), &came_to)));
    waits->start(*here);
    here->run_once();  // it is sent
    const auto turn = [](std::optional<manual_executor>& one) {
      if (one) one->run_once();
    };
    for (const int one : acts) {
      switch (static_cast<act>(one)) {
        case act::turn_here:
          turn(here);
          break;
        case act::turn_there:
          turn(there);
          break;
        case act::proceed:
          if (deaf && at.has_waiters()) at.open();
          if (!deaf && there) there->advance(2h);
          break;
        case act::stop:
          stopped = true;
          if (waits) waits->request_stop();
          break;
        case act::destroy:
          destroyed = destroyed || came_to.empty();
          waits.reset();
          break;
        case act::here_goes:
          home_gone = true;
          here.reset();
          break;
        case act::there_goes:
          there_gone = true;
          there.reset();
          break;
        case act::count:
          break;
      }
    }
    // It all comes to an end.
    for (int round = 0; round < 6; ++round) {
      turn(here);
      turn(there);
      if (deaf && at.has_waiters()) at.open();
      if (!deaf && there) there->advance(2h);
    }
    if (!destroyed && came_to.empty()) return "nothing came";
    if (here && here->has_ready()) return "something is left here";
    if (there && there->has_ready()) return "something is left there";
    if (there && there->next_deadline()) return "a timer is left there";
    if (seen.frames_gone != 1) return "the frame has gone " + std::to_string(seen.frames_gone) + " times";
  }
  if (seen.strayed) return "it was not where it belongs";
  if (seen.values != 0) return "a value is left";
  if (seen.begun > 1 || seen.ended > seen.begun) return "it has run too often";
  if (destroyed && !came_to.empty()) return "a coroutine that was destroyed went on";
  const bool given = came_to == "thrown" || came_to.rfind("value", 0) == 0;
  if (given && (seen.ended != 1 || throws != (came_to == "thrown"))) return "what came was not what was given";
  if (came_to == "value 2" && !stopped && !home_gone) return "it was stopped by nobody";
  if (came_to == "closed" && !home_gone && !there_gone) return "it was closed by nobody";
  if (came_to == "canceled") return "a stop has ended the wait";
  if (!destroyed && !home_gone && !there_gone && !given) return "it got lost";
  if (came_to == "closed" && !home_gone && seen.ended != 0) return "what it gave got lost";
  return {};
}

}  // namespace

TEST_CASE("in every order of turns, stops and ends, nothing is lost, left or run twice", "[on]") {
  constexpr int length = 5;
  constexpr int symbols = static_cast<int>(act::count);
  int played = 0;
  for (const bool deaf : {false, true}) {
    for (const bool throws : {false, true}) {
      std::vector<int> acts(length, 0);
      for (bool more = true; more;) {
        const std::string wrong = play(acts, deaf, throws);
        ++played;
        if (!wrong.empty()) {
          std::string which;
          for (const int one : acts) which += std::to_string(one);
          FAIL(wrong << " in " << which << (deaf ? " deaf" : "") << (throws ? " throws" : ""));
        }
        int place = 0;
        while (place < length && ++acts[static_cast<std::size_t>(place)] == symbols)
          acts[static_cast<std::size_t>(place++)] = 0;
        more = place < length;
      }
    }
  }
  CHECK(played == 4 * 16807);
  CHECK(frames() == 0);
}

// ---- threads

namespace {

// An executor on a thread of its own, which begins when it is made and ends with `end`.
class runner {
 public:
  runner() : thread_([this] { work(); }) {
    while (executor_.load() == nullptr) std::this_thread::yield();
  }
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;
  ~runner() { end(); }
  [[nodiscard]] executor& at() noexcept { return *executor_.load(); }
  void ask_to_end() noexcept { ends_ = true; }
  void end() {
    ask_to_end();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void work() {
    manual_executor turned;
    executor_ = &turned;
    while (!ends_) {
      if (turned.run_once() == 0) std::this_thread::yield();
    }
  }
  std::atomic<executor*> executor_{nullptr};
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

task<std::string> text_from_there(int n) {
  if (n % 7 == 0) throw std::runtime_error(std::to_string(n));
  if (n % 3 == 0) co_await support::yield_turn();
  co_return std::string(100, static_cast<char>('a' + n % 26));
}
task<int> converse(executor* to, int times) {
  int right = 0;
  for (int i = 0; i < times; ++i) {
    try {
      const auto got = co_await on(*to, text_from_there(i));
      if (got && *got == std::string(100, static_cast<char>('a' + i % 26))) ++right;
    } catch (const std::runtime_error& thrown) {
      if (thrown.what() == std::to_string(i)) ++right;
    }
  }
  co_return right;
}
task<> ask_for_ever(executor* to, std::atomic<int>* given) {
  for (;;) {
    const auto got = co_await on(*to, text_from_there(1));
    if (!got) co_return;
    ++*given;
  }
}

}  // namespace

TEST_CASE("tasks are sent between threads, both ways at once", "[on][threads]") {
  constexpr int times = 500;
  runner a;
  runner b;
  std::atomic<int> right{0};
  std::atomic<int> ended{0};
  for (int i = 0; i < 3; ++i) {
    for (runner* from : {&a, &b}) {
      runner* to = from == &a ? &b : &a;
      coflow::spawn(from->at(), converse(&to->at(), times), [&](const coflow::task_outcome<int>& outcome) {
        right += *outcome;
        ++ended;
      });
    }
  }
  while (ended != 6) std::this_thread::yield();
  CHECK(right == 6 * times);
}

TEST_CASE("the executor that waits may go away while tasks are sent to and fro", "[on][threads]") {
  for (int round = 0; round < 40; ++round) {
    runner there;
    runner home;
    std::atomic<int> given{0};
    std::atomic<int> ended{0};
    for (int i = 0; i < 4; ++i)
      coflow::spawn(home.at(), ask_for_ever(&there.at(), &given), [&](const coflow::task_outcome<void>&) { ++ended; });
    while (given < round) std::this_thread::yield();
    home.end();
    CHECK(ended == 4);
  }
}

TEST_CASE("the executor that runs tasks may go away while they begin, run, and are stopped and dropped",
          "[on][threads]") {
  struct local {
    static task<int> for_ever(std::atomic<int>* begun) {
      ++*begun;
      for (;;) {
        const auto slept = co_await coflow::sleep_for(0ns);
        if (slept.error() == error::closed) co_return 1;
        if (slept.error() == std::errc::operation_canceled) co_return 2;
      }
    }
  };
  constexpr int count = 12;
  for (int round = 0; round < 60; ++round) {
    std::atomic<int> begun{0};
    runner there;
    manual_executor here;
    std::vector<job<result<int>>> sends;
    for (int i = 0; i < count; ++i) {
      sends.push_back(sent(there.at(), local::for_ever(&begun)));
      sends.back().start(here);
    }
    here.run_once();
    if (round % 2 == 0) {
      while (begun < round % count) std::this_thread::yield();
    }
    there.ask_to_end();
    for (int i = 0; i < count; i += 3) sends[static_cast<std::size_t>(i)].request_stop();
    for (int i = 1; i < count; i += 3) sends[static_cast<std::size_t>(i)].destroy();
    there.end();
    here.run_until_idle();
    for (int i = 0; i < count; ++i) {
      if (i % 3 == 1) continue;
      job<result<int>>& one = sends[static_cast<std::size_t>(i)];
      REQUIRE(one.ended());
      const result<int> came = one.take();
      CHECK((came ? *came == 1 || *came == 2 : came.error() == error::closed));
    }
  }
}

TEST_CASE("tasks are stopped and dropped from afar while they run", "[on][threads]") {
  runner there;
  manual_executor here;
  struct local {
    static task<int> rounds() {
      int done = 0;
      for (; done < 50; ++done) {
        const auto slept = co_await coflow::sleep_for(0ns);
        if (!slept) break;
      }
      co_return done;
    }
  };
  for (int round = 0; round < 300; ++round) {
    auto sends = sent(there.at(), local::rounds());
    sends.start(here);
    here.run_once();
    for (int i = 0; i < round % 20; ++i) std::this_thread::yield();
    sends.request_stop();
    if (round % 3 == 0) continue;
    while (!sends.ended()) {
      if (here.run_once() == 0) std::this_thread::yield();
    }
    CHECK(sends.take().value() <= 50);
  }
  here.run_until_idle();
}
