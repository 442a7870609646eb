#include "coflow/async/task_scope.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace std::chrono_literals;
using coflow::error;
using coflow::on_failure;
using coflow::result;
using coflow::task;
using coflow::task_scope;
using support::drive;
using support::gate;
using support::job;
using support::manual_executor;

namespace {

using journal = std::vector<std::string>;

std::string in_words(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == error::closed) return "closed";
  if (code == error::truncated) return "truncated";
  if (code == error::no_executor) return "no executor";
  return code ? code.message() : "ok";
}
std::string in_words(const result<void>& given) { return in_words(given.error()); }

// Children of every kind.
task<> note(journal* into, std::string name) {
  into->push_back(std::move(name));
  co_return;
}
task<> note_after(journal* into, std::string name, std::chrono::milliseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  into->push_back(name + ": " + in_words(slept.error()));
}
task<result<void>> sleep_result(journal* into, std::string name, std::chrono::milliseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  into->push_back(name + ": " + in_words(slept.error()));
  co_return slept;
}
task<result<int>> fail_after(std::chrono::milliseconds time, std::error_code code) {
  const auto slept = co_await coflow::sleep_for(time);
  if (!slept) co_return slept.error();
  co_return code;
}
task<result<void>> fail_whatever_happens(std::chrono::milliseconds time, std::error_code code) {
  const auto slept = co_await coflow::sleep_for(time);
  static_cast<void>(slept);
  co_return code;
}
task<> throw_after(std::chrono::milliseconds time) {
  const auto slept = co_await coflow::sleep_for(time);
  if (slept) throw std::runtime_error("thrown by a child");
}
task<int> number(int n) { co_return n; }
task<std::unique_ptr<int>> pointer() { co_return std::make_unique<int>(1); }
task<> pass(gate* at, journal* into, std::string name) {
  co_await at->pass();
  into->push_back(std::move(name));
}

// Joins and notes what came.
task<> note_join(task_scope* scope, journal* into) {
  std::string came = "nothing";
  try {
    const auto joined = co_await scope->join();
    came = in_words(joined);
  } catch (const std::runtime_error& thrown) {
    came = thrown.what();
  }
  into->push_back("join: " + came);
}

// A scope, its executor, and what happened.
struct stage {
  explicit stage(on_failure policy = on_failure::cancel_siblings) : scope(std::in_place, policy) {}
  template <class T>
  result<void> spawn(task<T> child) {
    return scope->spawn(std::move(child));
  }
  job<void>& join() {
    joining.emplace(job<void>::of(note_join(&*scope, &log)));
    joining->start(on);
    return *joining;
  }
  /// Until nothing is left to do, advancing the clock.
  journal all() {
    do {
      on.run_until_idle();
    } while (on.advance_to_next_deadline());
    return std::exchange(log, {});
  }
  manual_executor on;
  coflow::executor::entry inside{on};
  journal log;
  std::optional<task_scope> scope;
  std::optional<job<void>> joining;
};

long frames() { return coflow::detail::live_frames.load(); }

}  // namespace

// ---- spawning

TEST_CASE("children run in turns of the executor, side by side, in the order in which they were spawned",
          "[task_scope]") {
  stage s;
  CHECK(s.spawn(note(&s.log, "a")));
  CHECK(s.spawn(note_after(&s.log, "b", 2ms)));
  CHECK(s.spawn(note_after(&s.log, "c", 1ms)));
  CHECK(s.spawn(note(&s.log, "d")));
  CHECK(s.log.empty());  // never inline
  CHECK(s.scope->size() == 4);
  s.on.run_until_idle();
  CHECK(s.scope->size() == 2);
  CHECK(s.all() == journal{"a", "d", "c: ok", "b: ok"});
  CHECK(s.scope->size() == 0);
}

TEST_CASE("children may give anything", "[task_scope]") {
  stage s;
  int target = 1;
  struct local {
    static task<int&> reference(int* of) { co_return *of; }
    static task<result<std::string>> text() { co_return std::string("text"); }
  };
  CHECK(s.spawn(number(1)));
  CHECK(s.spawn(pointer()));
  CHECK(s.spawn(local::reference(&target)));
  CHECK(s.spawn(local::text()));
  CHECK(s.spawn(note(&s.log, "nothing")));
  s.join();
  CHECK(s.all() == journal{"nothing", "join: ok"});
}

TEST_CASE("a child cannot be spawned without an executor, and is destroyed", "[task_scope]") {
  const long before = frames();
  task_scope scope;
  journal log;
  const auto spawned = scope.spawn(note(&log, "a"));
  CHECK(spawned.error() == error::no_executor);
  CHECK(scope.size() == 0);
  CHECK(frames() == before);
  // The scope is usable where there is one.
  manual_executor on;
  {
    const coflow::executor::entry inside(on);
    CHECK(scope.spawn(note(&log, "b")));
  }
  on.run_until_idle();
  CHECK(log == journal{"b"});
}

TEST_CASE("a scope that outlives its executor spawns nothing", "[task_scope]") {
  // In a process of its own, which must end in good order.
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : {SIGABRT, SIGSEGV, SIGILL}) std::signal(number, SIG_DFL);
    task_scope scope;
    journal log;
    {
      auto on = std::make_unique<manual_executor>();
      const coflow::executor::entry inside(*on);
      static_cast<void>(scope.spawn(note(&log, "a")));
      on->run_until_idle();
    }
    const auto late = scope.spawn(note(&log, "b"));
    _exit(late.has_value() ? 1 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a child may spawn its siblings", "[task_scope]") {
  stage s;
  struct local {
    static task<> tree(task_scope* scope, journal* into, int depth) {
      into->push_back(std::to_string(depth));
      if (depth == 0) co_return;
      for (int i = 0; i < 2; ++i) {
        const auto spawned = scope->spawn(tree(scope, into, depth - 1));
        if (!spawned) into->push_back("not spawned");
      }
      co_await support::yield_turn();
    }
  };
  CHECK(s.spawn(local::tree(&*s.scope, &s.log, 4)));
  s.join();
  const journal log = s.all();
  CHECK(log.size() == 32);
  CHECK(log.back() == "join: ok");
}

TEST_CASE("ten thousand children come and go", "[task_scope]") {
  stage s;
  int sum = 0;
  struct local {
    static task<> add(int* to) {
      co_await support::yield_turn();
      ++*to;
    }
  };
  for (int i = 0; i < 10'000; ++i) static_cast<void>(s.spawn(local::add(&sum)));
  s.join();
  CHECK(s.all() == journal{"join: ok"});
  CHECK(sum == 10'000);
}

// ---- joining

TEST_CASE("join waits until no child is left", "[task_scope]") {
  stage s;
  gate at;
  static_cast<void>(s.spawn(pass(&at, &s.log, "a")));
  static_cast<void>(s.spawn(note_after(&s.log, "b", 5ms)));
  s.join();
  CHECK(s.all() == journal{"b: ok"});
  at.open();
  CHECK(s.all() == journal{"a", "join: ok"});
}

TEST_CASE("join of a scope without children does not wait", "[task_scope]") {
  stage s;
  s.join();
  CHECK(s.on.run_once() == 1);
  CHECK(s.joining->ended());
  CHECK(s.log == journal{"join: ok"});
}

TEST_CASE("a scope can be joined again and again", "[task_scope]") {
  stage s;
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(s.spawn(note_after(&s.log, std::to_string(i), 1ms)));
    s.join();
    CHECK(s.all() == journal{std::to_string(i) + ": ok", "join: ok"});
  }
}

namespace {

// Spawns a child of the scope from outside it, in the turn in which the gate opens.
task<> spawn_at(gate* at, task_scope* scope, journal* into) {
  co_await at->pass();
  into->push_back("spawns");
  const auto spawned = scope->spawn(note_after(into, "late child", 1ms));
  if (!spawned) into->push_back("not spawned");
}

}  // namespace

TEST_CASE("a child that is spawned between the last child's end and the joiner's turn is waited for", "[task_scope]") {
  // "Waits until no child is left."
  stage s;
  gate first;
  gate second;
  static_cast<void>(s.spawn(pass(&first, &s.log, "early child")));
  s.join();
  auto outsider = job<void>::of(spawn_at(&second, &*s.scope, &s.log));
  outsider.start(s.on);
  s.on.run_until_idle();
  first.open();
  s.on.run_once();  // the child's body ends
  CHECK(s.log == journal{"early child"});
  CHECK(s.scope->size() == 1);
  s.on.run_once();  // its end is noticed, and the joiner is posted
  REQUIRE(s.scope->size() == 0);
  CHECK_FALSE(s.joining->ended());
  // Before the joiner's turn comes, somebody else spawns: here by hand, in the same turn.
  second.open();
  static_cast<void>(s.spawn(note_after(&s.log, "late child", 1ms)));
  CHECK(s.all() == journal{"early child", "spawns", "late child: ok", "late child: ok", "join: ok"});
}

TEST_CASE("a stop that comes while the joiner is posted reaches a child that came late", "[task_scope]") {
  // The joiner has been told of the last child's end, is then told to stop, and finds another child in its turn: stop
  // is a level (law X0), so that child is cancelled.
  stage s;
  gate at;
  static_cast<void>(s.spawn(pass(&at, &s.log, "early child")));
  auto& joining = s.join();
  s.on.run_until_idle();
  at.open();
  s.on.run_once();
  s.on.run_once();
  REQUIRE(s.scope->size() == 0);
  CHECK_FALSE(joining.ended());
  joining.request_stop();
  static_cast<void>(s.spawn(sleep_result(&s.log, "late child", 1000ms)));
  s.on.run_until_idle();
  CHECK(s.log == journal{"early child", "late child: canceled", "join: canceled"});
}

TEST_CASE("a joiner that waits again can be stopped, and destroyed", "[task_scope]") {
  for (const bool by_destruction : {false, true}) {
    stage s;
    gate at;
    static_cast<void>(s.spawn(pass(&at, &s.log, "early child")));
    auto& joining = s.join();
    s.on.run_until_idle();
    at.open();
    s.on.run_once();
    s.on.run_once();
    static_cast<void>(s.spawn(sleep_result(&s.log, "late child", 1000ms)));
    s.on.run_until_idle();  // the joiner has looked and waits again
    CHECK_FALSE(joining.ended());
    if (by_destruction) {
      joining.destroy();
      CHECK(s.all() == journal{"early child", "late child: ok"});
    } else {
      joining.request_stop();
      CHECK(s.all() == journal{"early child", "late child: canceled", "join: canceled"});
    }
  }
}

TEST_CASE("a joiner that dies leaves the children alone", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(note_after(&s.log, "a", 1ms)));
  auto& joining = s.join();
  s.on.run_until_idle();
  joining.destroy();
  CHECK(s.all() == journal{"a: ok"});
  s.join();
  CHECK(s.all() == journal{"join: ok"});
}

TEST_CASE("a joiner that dies between the last child's end and its own turn leaves nothing behind", "[task_scope]") {
  stage s;
  gate at;
  static_cast<void>(s.spawn(pass(&at, &s.log, "a")));
  auto& joining = s.join();
  s.on.run_until_idle();
  at.open();
  s.on.run_once();
  s.on.run_once();
  CHECK_FALSE(joining.ended());
  joining.destroy();
  CHECK_FALSE(s.on.has_ready());
}

// ---- failing together

TEST_CASE("a child that fails cancels its siblings, and join gives the first failure", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(sleep_result(&s.log, "a", 100ms)));
  static_cast<void>(s.spawn(fail_after(10ms, error::truncated)));
  static_cast<void>(s.spawn(fail_after(20ms, error::closed)));
  static_cast<void>(s.spawn(note_after(&s.log, "b", 5ms)));
  s.join();
  CHECK(s.all() == journal{"b: ok", "a: canceled", "join: truncated"});
}

TEST_CASE("a child fails by any result that holds an error, a read's too", "[task_scope]") {
  struct local {
    static task<coflow::read_result> read_badly() { co_return make_error_code(error::truncated); }
    static task<coflow::read_result> read_to_the_end() { co_return coflow::end_of_stream; }
    static task<result<int, std::string>> fail_in_words() { co_return std::string("in words"); }
  };
  stage s;
  static_cast<void>(s.spawn(local::read_to_the_end()));
  s.join();
  CHECK(s.all() == journal{"join: ok"});
  static_cast<void>(s.spawn(local::read_badly()));
  s.join();
  CHECK(s.all() == journal{"join: truncated"});
  stage other;
  static_cast<void>(other.spawn(local::fail_in_words()));
  other.join();
  CHECK(other.all() == journal{"join: " + std::make_error_code(std::errc::io_error).message()});
}

TEST_CASE("a sibling that fails after the first failure does not replace it", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(fail_whatever_happens(100ms, error::closed)));
  static_cast<void>(s.spawn(fail_after(10ms, error::truncated)));
  s.join();
  CHECK(s.all() == journal{"join: truncated"});
}

TEST_CASE("an exception of a child is thrown by join and cancels the siblings", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(sleep_result(&s.log, "a", 100ms)));
  static_cast<void>(s.spawn(throw_after(10ms)));
  s.join();
  CHECK(s.all() == journal{"a: canceled", "join: thrown by a child"});
}

TEST_CASE("a failure is given by one join only", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(fail_after(1ms, error::truncated)));
  s.join();
  CHECK(s.all() == journal{"join: truncated"});
  s.join();
  CHECK(s.all() == journal{"join: ok"});
}

TEST_CASE("a failure before the join waits for it", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(fail_after(1ms, error::truncated)));
  CHECK(s.all().empty());
  s.join();
  CHECK(s.all() == journal{"join: truncated"});
}

TEST_CASE("a child that gives operation_canceled by itself is a failure like any other", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(fail_after(1ms, coflow::canceled())));
  static_cast<void>(s.spawn(sleep_result(&s.log, "a", 100ms)));
  s.join();
  CHECK(s.all() == journal{"a: canceled", "join: canceled"});
}

// ---- failing alone

TEST_CASE("an isolated child fails alone, by error or exception", "[task_scope]") {
  stage s(on_failure::isolate);
  static_cast<void>(s.spawn(fail_after(1ms, error::truncated)));
  static_cast<void>(s.spawn(throw_after(2ms)));
  static_cast<void>(s.spawn(sleep_result(&s.log, "a", 10ms)));
  s.join();
  CHECK(s.all() == journal{"a: ok", "join: ok"});
}

// ---- cancelling

TEST_CASE("cancel tells every child to stop", "[task_scope]") {
  stage s;
  for (const char* name : {"a", "b", "c"}) static_cast<void>(s.spawn(sleep_result(&s.log, name, 1000ms)));
  s.join();
  s.on.run_until_idle();
  s.scope->cancel();
  CHECK(s.log.empty());  // never inline
  s.on.run_until_idle();
  CHECK(s.log == journal{"a: canceled", "b: canceled", "c: canceled", "join: ok"});
}

TEST_CASE("a child that has not begun, or comes later, begins with a stop request", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(sleep_result(&s.log, "not begun", 1000ms)));
  s.scope->cancel();
  static_cast<void>(s.spawn(sleep_result(&s.log, "later", 1000ms)));
  s.join();
  s.on.run_until_idle();
  CHECK(s.log == journal{"not begun: canceled", "later: canceled", "join: ok"});
}

TEST_CASE("a real failure after a cancel is still a failure", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(fail_whatever_happens(100ms, error::truncated)));
  s.on.run_until_idle();
  s.scope->cancel();
  s.join();
  CHECK(s.all() == journal{"join: truncated"});
}

TEST_CASE("cancelling twice, or without children, is harmless", "[task_scope]") {
  stage s;
  s.scope->cancel();
  s.scope->cancel();
  static_cast<void>(s.spawn(note(&s.log, "runs all the same")));
  s.scope->cancel();
  s.join();
  CHECK(s.all() == journal{"runs all the same", "join: ok"});
}

TEST_CASE("a stop of the joining task cancels the children, and join waits for them", "[task_scope]") {
  stage s;
  gate at;
  static_cast<void>(s.spawn(sleep_result(&s.log, "a", 1000ms)));
  static_cast<void>(s.spawn(pass(&at, &s.log, "stubborn")));
  auto& joining = s.join();
  s.on.run_until_idle();
  joining.request_stop();
  s.on.run_until_idle();
  CHECK(s.log == journal{"a: canceled"});
  CHECK_FALSE(joining.ended());
  at.open();
  s.on.run_until_idle();
  CHECK(s.log == journal{"a: canceled", "stubborn", "join: canceled"});
}

TEST_CASE("a join in a task that is stopped already cancels the children, too", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(sleep_result(&s.log, "a", 1000ms)));
  auto& joining = s.join();
  joining.request_stop();  // before it has begun
  s.on.run_until_idle();
  CHECK(s.log == journal{"a: canceled", "join: canceled"});
}

TEST_CASE("a stop that comes when all children have ended does not change what join gives", "[task_scope]") {
  stage s;
  gate at;
  static_cast<void>(s.spawn(pass(&at, &s.log, "a")));
  auto& joining = s.join();
  s.on.run_until_idle();
  at.open();
  s.on.run_once();
  s.on.run_once();
  CHECK_FALSE(joining.ended());
  joining.request_stop();
  s.on.run_until_idle();
  CHECK(s.log == journal{"a", "join: ok"});
}

namespace {

task<result<void>> inner_scope(journal* into, std::string name, int depth) {
  task_scope scope;
  const auto first = scope.spawn(sleep_result(into, name, 1000ms));
  if (!first) co_return first.error();
  if (depth > 0) {
    const auto second = scope.spawn(inner_scope(into, name + "'", depth - 1));
    if (!second) co_return second.error();
  }
  const auto joined = co_await scope.join();
  co_return joined;
}

}  // namespace

TEST_CASE("a stop goes down through scopes within scopes", "[task_scope]") {
  stage s;
  static_cast<void>(s.spawn(inner_scope(&s.log, "a", 3)));
  auto& joining = s.join();
  s.on.run_until_idle();
  joining.request_stop();
  s.on.run_until_idle();
  const journal log = s.log;
  CHECK(log.size() == 5);
  CHECK(log.back() == "join: canceled");
  CHECK(std::count(log.begin(), log.end(), "a''': canceled") == 1);
}

TEST_CASE("a failure deep down surfaces through scopes within scopes", "[task_scope]") {
  stage s;
  struct local {
    static task<result<void>> nest(int depth) {
      task_scope scope;
      const auto spawned = depth == 0 ? scope.spawn(fail_after(1ms, error::truncated)) : scope.spawn(nest(depth - 1));
      if (!spawned) co_return spawned.error();
      const auto joined = co_await scope.join();
      co_return joined;
    }
  };
  static_cast<void>(s.spawn(local::nest(5)));
  s.join();
  CHECK(s.all() == journal{"join: truncated"});
}

// ---- destroying

TEST_CASE("destroying a scope destroys its children in every state", "[task_scope]") {
  const long before = frames();
  for (int turns = 0; turns < 4; ++turns) {
    stage s;
    gate at;
    static_cast<void>(s.spawn(pass(&at, &s.log, "waiting")));
    static_cast<void>(s.spawn(note_after(&s.log, "asleep", 1000ms)));
    static_cast<void>(s.spawn(number(1)));
    static_cast<void>(s.spawn(inner_scope(&s.log, "nested", 2)));
    for (int i = 0; i < turns; ++i) s.on.run_once();
    if (turns == 3) s.scope->cancel();
    s.scope.reset();
    CHECK(frames() == before);
    CHECK_FALSE(at.has_waiters());
    CHECK_FALSE(s.on.has_ready());
    CHECK_FALSE(s.on.next_deadline());
    CHECK(s.all().empty());
  }
}

namespace {

struct spawns_when_it_dies {
  spawns_when_it_dies(task_scope* given, journal* log, int count) noexcept : scope(given), into(log), left(count) {}
  spawns_when_it_dies(const spawns_when_it_dies&) = delete;
  spawns_when_it_dies& operator=(const spawns_when_it_dies&) = delete;
  inline ~spawns_when_it_dies();
  task_scope* scope;
  journal* into;
  int left;
};
task<> hold(task_scope* scope, gate* at, journal* into, int left) {
  const spawns_when_it_dies cleanup(scope, into, left);
  co_await at->pass();
}
inline spawns_when_it_dies::~spawns_when_it_dies() {
  into->push_back("dies");
  if (left > 0) static_cast<void>(scope->spawn(note(into, "never runs")));
}

}  // namespace

TEST_CASE("children that spawn others as they are destroyed leave nothing behind", "[task_scope]") {
  const long before = frames();
  stage s;
  gate at;
  static_cast<void>(s.spawn(hold(&*s.scope, &at, &s.log, 1)));
  static_cast<void>(s.spawn(hold(&*s.scope, &at, &s.log, 0)));
  s.on.run_until_idle();
  s.scope.reset();
  CHECK(frames() == before);
  CHECK(s.all() == journal{"dies", "dies"});
}

TEST_CASE("a scope in a task that is destroyed takes its children with it", "[task_scope]") {
  const long before = frames();
  manual_executor on;
  const coflow::executor::entry inside(on);
  journal log;
  auto outer = job<result<void>>::of(inner_scope(&log, "a", 3));
  outer.start(on);
  on.run_until_idle();
  CHECK(frames() > before + 4);
  outer.destroy();
  CHECK(frames() == before);
  CHECK_FALSE(on.next_deadline());
}

TEST_CASE("a scope that is cancelled and destroyed between two turns leaves nothing in the queue", "[task_scope]") {
  // On the executor's own thread, with no entry: as a program that drives its loop by hand may do. In a process of its
  // own, since what is left in the queue is a node that no longer exists.
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : {SIGABRT, SIGSEGV, SIGILL}) std::signal(number, SIG_DFL);
    manual_executor on;
    journal log;
    {
      task_scope scope;
      {
        const coflow::executor::entry inside(on);
        static_cast<void>(scope.spawn(sleep_result(&log, "a", 1000ms)));
        on.run_until_idle();
      }
      scope.cancel();
    }
    _exit(on.has_ready() ? 1 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

// ---- the end of the executor

TEST_CASE("children that wait when the executor goes away are told closed", "[task_scope]") {
  const long before = frames();
  journal log;
  {
    task_scope scope;
    std::optional<job<void>> joining;
    {
      manual_executor on;
      const coflow::executor::entry inside(on);
      static_cast<void>(scope.spawn(sleep_result(&log, "a", 1000ms)));
      static_cast<void>(scope.spawn(note_after(&log, "b", 1000ms)));
      joining.emplace(job<void>::of(note_join(&scope, &log)));
      joining->start(on);
      on.run_until_idle();
    }
    CHECK(joining->ended());
    CHECK(scope.size() == 0);
  }
  CHECK(log == journal{"a: closed", "b: closed", "join: closed"});
  CHECK(frames() == before);
}

TEST_CASE("children that outlive the executor die with their scope", "[task_scope]") {
  const long before = frames();
  journal log;
  gate never;
  {
    task_scope scope;
    {
      manual_executor on;
      const coflow::executor::entry inside(on);
      static_cast<void>(scope.spawn(pass(&never, &log, "a")));
      on.run_until_idle();
    }
    CHECK(scope.size() == 1);
    CHECK(never.has_waiters());
  }
  CHECK_FALSE(never.has_waiters());
  CHECK(frames() == before);
  CHECK(log.empty());
}

namespace {

struct opens_a_scope_when_it_dies {
  explicit opens_a_scope_when_it_dies(std::unique_ptr<task_scope>* given) noexcept : scope(given) {}
  opens_a_scope_when_it_dies(const opens_a_scope_when_it_dies&) = delete;
  opens_a_scope_when_it_dies& operator=(const opens_a_scope_when_it_dies&) = delete;
  ~opens_a_scope_when_it_dies() {
    *scope = std::make_unique<task_scope>();
    static_cast<void>((*scope)->spawn(number(1)));
  }
  std::unique_ptr<task_scope>* scope;
};
task<> hold_until(gate* at, std::unique_ptr<task_scope>* scope) {
  const opens_a_scope_when_it_dies cleanup(scope);
  co_await at->pass();
}

}  // namespace

TEST_CASE("a scope that begins while its executor ends may outlive it", "[task_scope]") {
  // In a process of its own: the executor's destructor asserts that nobody depends on it any more.
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : {SIGABRT, SIGSEGV, SIGILL}) std::signal(number, SIG_DFL);
    std::unique_ptr<task_scope> scope;
    gate never;
    {
      manual_executor on;
      coflow::spawn(on, hold_until(&never, &scope));
      on.run_until_idle();
    }
    const bool empty = scope != nullptr && scope->size() == 0;
    scope.reset();
    _exit(empty ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a scope cannot be copied or moved, since its children point at it", "[task_scope]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<task_scope>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<task_scope>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<on_failure, task_scope>);
}
