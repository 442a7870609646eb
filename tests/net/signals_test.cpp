#include "coflow/net/signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/law.hpp>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/survival.hpp"

namespace {

using coflow::error;
using coflow::event_loop;
using coflow::result;
using coflow::signal_watch;
using coflow::task;
using coflow::task_scope;
using coflow::laws::turns;
using coflow::laws::until;
using support::expect;

static_assert(!std::is_copy_constructible_v<signal_watch>);
static_assert(std::is_nothrow_move_constructible_v<signal_watch>);
static_assert(!std::is_aggregate_v<signal_watch>);
static_assert(!std::is_aggregate_v<coflow::next_signal_operation>);

using outcome = std::optional<result<int>>;

task<> wait_once(signal_watch* watch, outcome* out) {
  const result<int> got = co_await watch->next();
  out->emplace(got);
}
void expect_number(const outcome& got, int number, support::place at = support::place::current()) {
  const bool holds = got.has_value() && got->has_value() && **got == number;
  expect(holds, "a watch gives signal " + std::to_string(number), at);
}
void expect_failure(const outcome& got, std::error_code why, support::place at = support::place::current()) {
  const bool holds = got.has_value() && !got->has_value() && got->error() == why;
  expect(holds, "a watch gives " + coflow::laws::in_words(why), at);
}
// The operation's outcome, where it must come at once.
task<outcome> next_of(signal_watch* watch) {
  const result<int> got = co_await watch->next();
  co_return outcome(got);
}

struct sigaction disposition(int number) {
  struct sigaction present{};
  ::sigaction(number, nullptr, &present);
  return present;
}
bool is_default(int number) { return disposition(number).sa_handler == SIG_DFL; }
void raise_here(int number) { ::kill(::getpid(), number); }

// ---- single cases

task<> a_signal_wakes_the_waiter() {
  signal_watch watch{SIGUSR1, SIGUSR2};
  outcome got;
  task_scope scope;
  scope.spawn(wait_once(&watch, &got)).value();
  co_await turns(3);
  expect(!got.has_value(), "nothing has come yet");
  raise_here(SIGUSR2);
  expect(!got.has_value(), "nobody is resumed in a signal handler");
  const bool there = co_await until([&got] { return got.has_value(); });
  expect(there, "the signal comes");
  expect_number(got, SIGUSR2);
}

task<> signals_before_the_await_are_kept() {
  signal_watch watch{SIGUSR2, SIGUSR1, SIGUSR1};
  for (int i = 0; i < 3; ++i) raise_here(SIGUSR2);
  raise_here(SIGUSR1);
  outcome got = co_await next_of(&watch);
  expect_number(got, SIGUSR1);
  raise_here(SIGUSR1);  // between two awaits
  got = co_await next_of(&watch);
  expect_number(got, SIGUSR1);
  got = co_await next_of(&watch);
  expect_number(got, SIGUSR2);
  outcome none;
  task_scope scope;
  scope.spawn(wait_once(&watch, &none)).value();
  co_await turns(5);
  expect(!none.has_value(), "what was raised several times before it was asked for is one signal");
}

task<> every_watch_gets_it() {
  signal_watch first{SIGUSR1};
  signal_watch second{SIGUSR1, SIGUSR2};
  auto third = std::make_unique<signal_watch>(signal_watch{SIGUSR2});
  signal_watch unconcerned{SIGHUP};
  outcome got[4];
  task_scope scope;
  scope.spawn(wait_once(&first, &got[0])).value();
  scope.spawn(wait_once(&second, &got[1])).value();
  scope.spawn(wait_once(third.get(), &got[2])).value();
  scope.spawn(wait_once(&unconcerned, &got[3])).value();
  co_await turns(2);
  raise_here(SIGUSR1);
  const bool both = co_await until([&got] { return got[0].has_value() && got[1].has_value(); });
  expect(both, "each watch gets the signal");
  expect_number(got[0], SIGUSR1);
  expect_number(got[1], SIGUSR1);
  co_await turns(3);
  expect(!got[2].has_value() && !got[3].has_value(), "others do not");
  // One from the middle of the list goes.
  third.reset();
  co_await turns();
  expect_failure(got[2], error::closed);
  raise_here(SIGUSR2);
  const outcome more = co_await next_of(&second);
  expect_number(more, SIGUSR2);
}

task<> waits_of_one_watch_are_served_in_order() {
  signal_watch watch{SIGUSR1, SIGUSR2};
  outcome got[3];
  task_scope scope;
  for (outcome& one : got) scope.spawn(wait_once(&watch, &one)).value();
  co_await turns(2);
  raise_here(SIGUSR2);
  const bool first = co_await until([&got] { return got[0].has_value(); });
  expect(first && !got[1].has_value(), "one signal is for one wait");
  expect_number(got[0], SIGUSR2);
  raise_here(SIGUSR1);
  raise_here(SIGUSR2);
  const bool all = co_await until([&got] { return got[1].has_value() && got[2].has_value(); });
  expect(all, "two signals are for two waits");
  expect_number(got[1], SIGUSR1);
  expect_number(got[2], SIGUSR2);
}

task<> cancellation_loses_nothing() {
  signal_watch watch{SIGUSR1};
  outcome got;
  {
    task_scope scope;
    scope.spawn(wait_once(&watch, &got)).value();
    co_await turns(2);
    scope.cancel();
    expect(!got.has_value(), "nobody is resumed inline");
    co_await turns(2);
    expect_failure(got, coflow::canceled());
    // In a task that was stopped already it ends at once.
    got.reset();
    scope.spawn(wait_once(&watch, &got)).value();
    raise_here(SIGUSR1);
    co_await turns(2);
    expect_failure(got, coflow::canceled());
  }
  outcome kept = co_await next_of(&watch);
  expect_number(kept, SIGUSR1);
  // The wait is given up when it has been called already.
  for (const bool destroyed : {true, false}) {
    auto scope = std::make_unique<task_scope>();
    outcome lost;
    outcome next;
    task_scope other;
    scope->spawn(wait_once(&watch, &lost)).value();
    co_await turns(2);
    other.spawn(wait_once(&watch, &next)).value();
    co_await turns(2);
    raise_here(SIGUSR1);
    co_await support::yield_turn();  // the loop has heard of it and called the wait, which stands behind this
    if (destroyed)
      scope.reset();
    else
      scope->cancel();
    const bool there = co_await until([&next] { return next.has_value(); });
    expect(there, "the next wait gets it");
    expect_number(next, SIGUSR1);
    if (!destroyed) expect_failure(lost, coflow::canceled());
  }
}

task<> the_end_of_a_watch_ends_its_waits() {
  auto watch = std::make_unique<signal_watch>(signal_watch{SIGUSR1});
  outcome got[2];
  task_scope scope;
  for (outcome& one : got) scope.spawn(wait_once(watch.get(), &one)).value();
  co_await turns(2);
  signal_watch moved = std::move(*watch);
  watch.reset();
  co_await turns(2);
  expect(!got[0].has_value(), "a watch may be moved under its waits");
  moved.close();
  expect(!got[0].has_value(), "nobody is resumed inline");
  co_await turns();
  for (const outcome& one : got) expect_failure(one, error::closed);
  moved.close();
  const outcome late = co_await next_of(&moved);
  expect_failure(late, error::closed);
  expect(!moved.error(), "it was watching");
  expect(is_default(SIGUSR1), "a closed watch lets the signal go");
}

task<> what_cannot_be_watched_is_an_error() {
  const std::error_code invalid = coflow::from_system(EINVAL);
  for (const int number : {0, -1, 65, 1000000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32, 33}) {
    signal_watch watch{SIGUSR1, number, SIGUSR2};
    expect(watch.error() == invalid, "signal " + std::to_string(number) + " cannot be watched");
    const outcome got = co_await next_of(&watch);
    expect_failure(got, invalid);
    watch.close();
    expect(is_default(SIGUSR1) && is_default(SIGUSR2), "nothing is watched then");
  }
  signal_watch good{SIGUSR1};
  expect(!good.error(), "a good one can");
}

}  // namespace

TEST_CASE("a signal wakes the coroutine that waits for it", "[signals]") { coflow::run(a_signal_wakes_the_waiter()); }
TEST_CASE("signals that come before the await are kept, once each, the lowest first", "[signals]") {
  coflow::run(signals_before_the_await_are_kept());
}
TEST_CASE("every watch of a signal gets it", "[signals]") { coflow::run(every_watch_gets_it()); }
TEST_CASE("the waits of one signal watch are served in order", "[signals]") {
  coflow::run(waits_of_one_watch_are_served_in_order());
}
TEST_CASE("a cancelled wait for a signal loses none", "[signals]") { coflow::run(cancellation_loses_nothing()); }
TEST_CASE("the end of a signal watch ends its waits with closed", "[signals]") {
  coflow::run(the_end_of_a_watch_ends_its_waits());
}
TEST_CASE("what cannot be watched is an error of the watch and changes nothing", "[signals]") {
  coflow::run(what_cannot_be_watched_is_an_error());
}

// ---- what was done about the signal before

namespace {

std::atomic<int> handled{0};
extern "C" void count_signal(int) { handled.fetch_add(1); }
extern "C" void count_signal_twice(int) { handled.fetch_add(2); }

}  // namespace

TEST_CASE("what was done about a signal is done again when the last watch is gone", "[signals]") {
  struct sigaction own{};
  own.sa_handler = count_signal;
  own.sa_flags = SA_NODEFER;
  sigemptyset(&own.sa_mask);
  sigaddset(&own.sa_mask, SIGHUP);
  struct sigaction former{};
  REQUIRE(::sigaction(SIGUSR1, &own, &former) == 0);
  handled = 0;
  {
    signal_watch first{SIGUSR1};
    {
      const signal_watch second{SIGUSR1, SIGUSR2};
      CHECK(!is_default(SIGUSR2));
    }
    CHECK(is_default(SIGUSR2));
    CHECK(disposition(SIGUSR1).sa_handler != count_signal);
    raise_here(SIGUSR1);
    CHECK(handled == 0);
  }
  const struct sigaction present = disposition(SIGUSR1);
  CHECK(present.sa_handler == count_signal);
  CHECK((present.sa_flags & SA_NODEFER) != 0);
  CHECK(sigismember(&present.sa_mask, SIGHUP) == 1);
  raise_here(SIGUSR1);
  CHECK(handled == 1);
  // Somebody who has put himself in its place meanwhile stays there.
  {
    const signal_watch watch{SIGUSR1};
    own.sa_handler = count_signal_twice;
    ::sigaction(SIGUSR1, &own, nullptr);
  }
  CHECK(disposition(SIGUSR1).sa_handler == count_signal_twice);
  ::sigaction(SIGUSR1, &former, nullptr);
}

// ---- loops

TEST_CASE("a wait for a signal hears that the loop has gone, and the signal is let go", "[signals]") {
  signal_watch watch{SIGUSR1};
  outcome got;
  auto loop = std::make_unique<event_loop>();
  coflow::spawn(*loop, wait_once(&watch, &got));
  loop->turn();
  raise_here(SIGUSR1);
  loop.reset();
  REQUIRE(got.has_value());
  // It may have been served in the loop's last turns.
  CHECK((got->has_value() || got->error() == error::closed));
  CHECK(is_default(SIGUSR1));
  outcome late;
  event_loop other;
  coflow::spawn(other, wait_once(&watch, &late));
  other.turn();
  REQUIRE(late.has_value());
  CHECK(late->error() == error::closed);
}

namespace {

task<> ask_without_an_executor(signal_watch* watch, outcome* out) {
  const result<int> got = co_await watch->next();
  out->emplace(got);
}

}  // namespace

TEST_CASE("a wait for a signal needs an event loop", "[signals]") {
  signal_watch watch{SIGUSR1};
  support::manual_executor plain;
  outcome got;
  support::drive(plain, ask_without_an_executor(&watch, &got));
  REQUIRE(got.has_value());
  CHECK(got->error() == error::no_executor);
}

TEST_CASE("a signal that is raised on a foreign thread arrives", "[signals][threads]") {
  event_loop loop;
  signal_watch watch{SIGUSR1};
  for (int round = 0; round < 20; ++round) {
    std::thread foreign([] { ::pthread_kill(::pthread_self(), SIGUSR1); });
    const outcome got = coflow::run(loop, next_of(&watch));
    expect_number(got, SIGUSR1);
    foreign.join();
  }
}

namespace {

task<> echo_signals(signal_watch* watch, int count, std::atomic<int>* seen) {
  for (int i = 0; i < count; ++i) {
    const result<int> got = co_await watch->next();
    if (!got) co_return;
    seen->fetch_add(1);
  }
}

}  // namespace

TEST_CASE("several event loops in several threads get the same signals", "[signals][threads]") {
  constexpr int rounds = 50;
  constexpr int loops = 3;
  std::atomic<int> ready{0};
  std::atomic<int> seen[loops] = {};
  std::vector<std::thread> threads;
  for (std::atomic<int>& mine : seen) {
    threads.emplace_back([&ready, &mine] {
      event_loop loop;
      signal_watch watch{SIGUSR1};
      ready.fetch_add(1);
      coflow::run(loop, echo_signals(&watch, rounds, &mine));
    });
  }
  while (ready < loops) std::this_thread::yield();
  for (int round = 1; round <= rounds; ++round) {
    raise_here(SIGUSR1);
    for (const std::atomic<int>& one : seen)
      while (one < round) std::this_thread::yield();
  }
  for (std::thread& one : threads) one.join();
  for (const std::atomic<int>& one : seen) CHECK(one == rounds);
  CHECK(is_default(SIGUSR1));
}

TEST_CASE("watches come and go while signals rain on other threads", "[signals][threads]") {
  const signal_watch always{SIGUSR1};  // without one the signal would end the program
  std::atomic<bool> over{false};
  std::vector<std::thread> rain;
  for (int i = 0; i < 2; ++i)
    rain.emplace_back([&over] {
      while (!over) ::pthread_kill(::pthread_self(), SIGUSR1);
    });
  for (int i = 0; i < 60; ++i) {
    event_loop loop;
    signal_watch one{SIGUSR1};
    const signal_watch two{SIGUSR1, SIGUSR2};
    const outcome got = coflow::run(loop, next_of(&one));
    expect_number(got, SIGUSR1);
  }
  over = true;
  for (std::thread& one : rain) one.join();
}
