#include "coflow/net/resolver.hpp"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "coflow/async/spawn.hpp"
#include "coflow/core/error.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/run_main.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::endpoint;
using coflow::resolve_error;
using coflow::resolved;
using coflow::task;
using coflow::detail::lookup_desk;
using coflow::detail::lookup_function;
using coflow::detail::resolve_by;
using coflow::detail::socket_address;
using support::job;
using support::manual_executor;

static_assert(coflow::resolver_function<coflow::system_resolver>);

socket_address address(const char* text) { return endpoint::parse(text, 0).value().raw(); }

// ---- look-ups under the test's control

std::counting_semaphore<> entered(0);
std::counting_semaphore<> proceed(0);
std::atomic<int> calls{0};
std::atomic<bool> signals_blocked{false};
std::atomic<std::thread::id> looked_up_on;

int answers(const char* host, std::vector<socket_address>& found, int&) {
  ++calls;
  if (std::string_view(host) != "a.example") return EAI_NONAME;
  found.push_back(address("192.0.2.7"));
  found.push_back(address("2001:db8::7"));
  found.push_back(address("192.0.2.8"));
  return 0;
}
int answers_when_told(const char* host, std::vector<socket_address>& found, int& number) {
  entered.release();
  proceed.acquire();
  return answers(host, found, number);
}
int looks_around(const char* host, std::vector<socket_address>& found, int& number) {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  signals_blocked = sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGUSR1) == 1;
  looked_up_on = std::this_thread::get_id();
  return answers(host, found, number);
}
int finds_nothing(const char*, std::vector<socket_address>&, int&) { return 0; }
int fails_in_the_system(const char*, std::vector<socket_address>&, int& number) {
  number = ENETDOWN;
  return EAI_SYSTEM;
}
int lacks_memory(const char*, std::vector<socket_address>&, int&) { throw std::bad_alloc(); }
int throws(const char*, std::vector<socket_address>&, int&) { throw std::runtime_error("what is this"); }

int no_thread(void* (*)(void*), void*) noexcept { return -EAGAIN; }
int threads_to_be_had = 0;
int few_threads(void* (*body)(void*), void* argument) noexcept {
  if (threads_to_be_had == 0) return -EAGAIN;
  --threads_to_be_had;
  return coflow::detail::sys::start_thread(body, argument);
}

// The threads go by themselves; what they hold is gone when they are.
void until_idle(lookup_desk& desk) {
  while (desk.threads() != 0) std::this_thread::yield();
}

// Turns until `waited` has ended, which another thread brings about.
void finish(manual_executor& on, job<resolved>& waited) {
  while (!waited.ended()) {
    if (on.run_once() == 0) std::this_thread::yield();
  }
}

resolved find(lookup_desk& desk, lookup_function how, std::string host) {
  manual_executor on;
  auto asked = job<resolved>::of(resolve_by(desk, how, std::move(host), 80));
  asked.start(on);
  finish(on, asked);
  resolved given = asked.take();
  until_idle(desk);
  return given;
}

std::vector<std::string> texts(const resolved& found) {
  std::vector<std::string> made;
  for (const endpoint& one : *found) made.push_back(one.to_string());
  return made;
}

// A look-up that has been begun and hangs until `release`.
class stuck {
 public:
  explicit stuck(coflow::executor& on)
      : asked_(std::make_unique<job<resolved>>(
            job<resolved>::of(resolve_by(desk_, &answers_when_told, "a.example", 80)))) {
    asked_->start(on);
  }
  stuck(const stuck&) = delete;
  stuck& operator=(const stuck&) = delete;
  ~stuck() { release(); }
  void release() {
    if (!std::exchange(released_, true)) proceed.release();
    until_idle(desk_);
  }
  [[nodiscard]] job<resolved>& asked() { return *asked_; }
  void destroy() { asked_.reset(); }

 private:
  lookup_desk desk_;
  std::unique_ptr<job<resolved>> asked_;
  bool released_ = false;
};

}  // namespace

TEST_CASE("a name gives its addresses in the order in which they were found, with the port", "[resolver][threads]") {
  lookup_desk desk;
  const resolved found = find(desk, &answers, "a.example");
  REQUIRE(found);
  CHECK(texts(found) == std::vector<std::string>{"192.0.2.7:80", "[2001:db8::7]:80", "192.0.2.8:80"});
}

TEST_CASE("a name is looked up on a thread of its own, which takes no signals", "[resolver][threads]") {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  lookup_desk desk;
  REQUIRE(find(desk, &looks_around, "a.example"));
  CHECK(looked_up_on.load() != std::this_thread::get_id());
  CHECK(signals_blocked);
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(sigismember(&before, SIGINT) == sigismember(&after, SIGINT));
  CHECK(sigismember(&before, SIGUSR1) == sigismember(&after, SIGUSR1));
}

TEST_CASE("what getaddrinfo says becomes an error that a person can act on", "[resolver]") {
  using coflow::detail::from_lookup;
  CHECK(from_lookup(EAI_NONAME, 0) == resolve_error::no_such_host);
  CHECK(from_lookup(EAI_AGAIN, 0) == resolve_error::try_again);
  CHECK(from_lookup(EAI_FAIL, 0) == resolve_error::server_failed);
  CHECK(from_lookup(EAI_MEMORY, 0) == std::errc::not_enough_memory);
  CHECK(from_lookup(EAI_SYSTEM, ECONNREFUSED) == std::errc::connection_refused);
  CHECK(from_lookup(EAI_NODATA, 0) == resolve_error::no_address);
  CHECK(from_lookup(EAI_ADDRFAMILY, 0) == resolve_error::no_address);
  CHECK(from_lookup(EAI_FAMILY, 0) == resolve_error::unsupported);
  CHECK(from_lookup(EAI_BADFLAGS, 0) == resolve_error::unsupported);
  CHECK(from_lookup(-12345, 0) == resolve_error::unsupported);
}

TEST_CASE("the resolver's errors have a category and messages of their own", "[resolver]") {
  const std::error_code code = resolve_error::no_such_host;
  CHECK(code.category() == coflow::resolver_category());
  CHECK(std::string_view(code.category().name()) == "coflow.resolver");
  CHECK(code.message() == "no such host");
  CHECK(make_error_code(resolve_error::try_again).message() == "temporary failure of name resolution, try again");
  std::vector<std::string> messages;
  for (int value = 1; value <= 6; ++value) messages.push_back(coflow::resolver_category().message(value));
  CHECK(coflow::resolver_category().message(7) == "unknown resolver error");
  messages.push_back(coflow::resolver_category().message(7));
  std::sort(messages.begin(), messages.end());
  CHECK(std::adjacent_find(messages.begin(), messages.end()) == messages.end());
}

TEST_CASE("a look-up that fails says why", "[resolver][threads]") {
  lookup_desk desk;
  CHECK(find(desk, &answers, "b.example").error() == resolve_error::no_such_host);
  CHECK(find(desk, &finds_nothing, "a.example").error() == resolve_error::no_address);
  CHECK(find(desk, &fails_in_the_system, "a.example").error() == std::errc::network_down);
  CHECK(find(desk, &lacks_memory, "a.example").error() == std::errc::not_enough_memory);
  CHECK(find(desk, &throws, "a.example").error() == resolve_error::server_failed);
}

TEST_CASE("what cannot be the name of a host is an error without a look-up", "[resolver]") {
  lookup_desk desk(&no_thread);
  CHECK(find(desk, &answers, "").error() == resolve_error::bad_host);
  CHECK(find(desk, &answers, std::string(254, 'a')).error() == resolve_error::bad_host);
  CHECK(find(desk, &answers, std::string("a\0b", 3)).error() == resolve_error::bad_host);
  CHECK(find(desk, &answers, std::string(253, 'a')).error() != resolve_error::bad_host);
}

TEST_CASE("an address is its own answer without a look-up", "[resolver]") {
  lookup_desk desk(&no_thread);
  CHECK(texts(find(desk, &answers, "127.0.0.1")) == std::vector<std::string>{"127.0.0.1:80"});
  CHECK(texts(find(desk, &answers, "::1")) == std::vector<std::string>{"[::1]:80"});
  CHECK(texts(find(desk, &answers, "[::1]")) == std::vector<std::string>{"[::1]:80"});
  CHECK(texts(find(desk, &answers, "fe80::1%lo")) == std::vector<std::string>{"[fe80::1%lo]:80"});
  CHECK(find(desk, &answers, "[127.0.0.1]").error() == std::errc::resource_unavailable_try_again);
  CHECK(find(desk, &answers, "[]").error() == std::errc::resource_unavailable_try_again);
}

TEST_CASE("without a thread to be had, a look-up is an error and leaves nothing", "[resolver]") {
  lookup_desk desk(&no_thread);
  CHECK(find(desk, &answers, "a.example").error() == std::errc::resource_unavailable_try_again);
  CHECK(desk.threads() == 0);
}

TEST_CASE("without a further thread to be had, a look-up waits for one that there is", "[resolver][threads]") {
  threads_to_be_had = 1;
  lookup_desk desk(&few_threads);
  manual_executor on;
  auto first = job<resolved>::of(resolve_by(desk, &answers_when_told, "a.example", 1));
  auto second = job<resolved>::of(resolve_by(desk, &answers, "a.example", 2));
  first.start(on);
  second.start(on);
  on.run_until_idle();
  entered.acquire();
  CHECK(desk.threads() == 1);
  CHECK_FALSE(second.ended());
  proceed.release();
  finish(on, first);
  finish(on, second);
  CHECK(first.take()->front().port() == 1);
  CHECK(second.take()->front().port() == 2);
  until_idle(desk);
}

TEST_CASE("sixteen look-ups run at a time and further ones wait their turn", "[resolver][threads]") {
  lookup_desk desk;
  manual_executor on;
  std::deque<job<resolved>> asked;
  for (int i = 0; i < 20; ++i) {
    asked.push_back(job<resolved>::of(resolve_by(desk, &answers_when_told, "a.example", 80)));
    asked.back().start(on);
  }
  on.run_until_idle();
  for (int i = 0; i < 16; ++i) entered.acquire();
  CHECK(desk.threads() == 16);
  CHECK_FALSE(entered.try_acquire());
  proceed.release();
  entered.acquire();
  CHECK_FALSE(entered.try_acquire());
  asked.pop_back();  // has not been begun, and never will be
  proceed.release(18);
  for (int i = 0; i < 2; ++i) entered.acquire();
  for (job<resolved>& one : asked) {
    finish(on, one);
    CHECK(one.take());
  }
  until_idle(desk);
  CHECK_FALSE(entered.try_acquire());
}

TEST_CASE("a look-up that is cancelled ends at once, and its answer is dropped", "[resolver][threads]") {
  manual_executor on;
  stuck one(on);
  on.run_until_idle();
  entered.acquire();
  one.asked().request_stop();
  CHECK_FALSE(one.asked().ended());
  on.run_until_idle();
  REQUIRE(one.asked().ended());
  CHECK(one.asked().take().error() == std::errc::operation_canceled);
  const int wakes = on.wakes();
  one.release();
  CHECK(on.wakes() == wakes);
  CHECK(on.run_once() == 0);
}

TEST_CASE("a look-up that waits for a thread is taken back when it is cancelled", "[resolver][threads]") {
  threads_to_be_had = 1;
  lookup_desk desk(&few_threads);
  manual_executor on;
  auto first = job<resolved>::of(resolve_by(desk, &answers_when_told, "a.example", 1));
  auto second = job<resolved>::of(resolve_by(desk, &answers, "a.example", 2));
  first.start(on);
  second.start(on);
  on.run_until_idle();
  entered.acquire();
  const int before = calls;
  second.request_stop();
  on.run_until_idle();
  REQUIRE(second.ended());
  CHECK(second.take().error() == std::errc::operation_canceled);
  proceed.release();
  finish(on, first);
  CHECK(first.take());
  until_idle(desk);
  CHECK(calls == before + 1);
}

TEST_CASE("an answer that has come beats a cancellation", "[resolver][threads]") {
  manual_executor on;
  stuck one(on);
  on.run_until_idle();
  entered.acquire();
  one.release();
  one.asked().request_stop();
  on.run_until_idle();
  REQUIRE(one.asked().ended());
  CHECK(one.asked().take());
}

TEST_CASE("a look-up whose coroutine dies is dropped, before its answer and after", "[resolver][threads]") {
  for (const bool answered : {false, true}) {
    CAPTURE(answered);
    manual_executor on;
    stuck one(on);
    on.run_until_idle();
    entered.acquire();
    if (answered) one.release();
    one.destroy();
    one.release();
    CHECK(on.run_once() == 0);
  }
}

TEST_CASE("a look-up whose executor goes away ends as closed, and its answer is dropped", "[resolver][threads]") {
  auto on = std::make_unique<manual_executor>();
  stuck one(*on);
  on->run_until_idle();
  entered.acquire();
  on.reset();
  REQUIRE(one.asked().ended());
  CHECK(one.asked().take().error() == coflow::error::closed);
  one.release();
}

TEST_CASE("a look-up whose loop goes away ends as closed, and its answer is dropped", "[resolver][threads]") {
  auto on = std::make_unique<coflow::event_loop>();
  stuck one(*on);
  on->turn();
  entered.acquire();
  on.reset();
  REQUIRE(one.asked().ended());
  CHECK(one.asked().take().error() == coflow::error::closed);
  one.release();
}

TEST_CASE("an answer that has come is given although the executor goes away", "[resolver][threads]") {
  auto on = std::make_unique<manual_executor>();
  stuck one(*on);
  on->run_until_idle();
  entered.acquire();
  one.release();
  on.reset();
  REQUIRE(one.asked().ended());
  CHECK(one.asked().take());
}

namespace {

// Looks a name up when it is told that the executor goes away.
class late_comer final : public coflow::executor::dependent {
 public:
  late_comer(coflow::executor& on, job<resolved>& asked) : on_(on), asked_(asked) { on.add_dependent(*this); }
  late_comer(const late_comer&) = delete;
  late_comer& operator=(const late_comer&) = delete;
  ~late_comer() = default;
  void on_executor_gone() noexcept override { asked_.start(on_); }

 private:
  coflow::executor& on_;
  job<resolved>& asked_;
};

}  // namespace

TEST_CASE("no look-up begins in a stopped task, on an executor that goes away, or without one", "[resolver]") {
  lookup_desk desk(&no_thread);
  manual_executor on;
  auto stopped = job<resolved>::of(resolve_by(desk, &answers, "a.example", 80));
  stopped.request_stop();
  stopped.start(on);
  on.run_until_idle();
  CHECK(stopped.take().error() == std::errc::operation_canceled);

  auto homeless = job<resolved>::of(resolve_by(desk, &answers, "a.example", 80));
  static_cast<coflow::basic_node&>(homeless.started()).run();
  REQUIRE(homeless.ended());
  CHECK(homeless.take().error() == coflow::error::no_executor);

  auto late = job<resolved>::of(resolve_by(desk, &answers, "a.example", 80));
  const late_comer comer(on, late);
  on.finish();
  REQUIRE(late.ended());
  CHECK(late.take().error() == coflow::error::closed);
}

TEST_CASE("loops that come and go look names up side by side", "[resolver][threads]") {
  lookup_desk desk;
  std::atomic<int> answered{0};
  std::atomic<int> closed{0};
  const auto work = [&](unsigned seed) {
    for (int round = 0; round < 25; ++round) {
      coflow::event_loop loop;
      for (int i = 0; i < 6; ++i) {
        coflow::spawn(loop, resolve_by(desk, &answers, "a.example", 80),
                      [&](const coflow::task_outcome<resolved>& outcome) {
                        if (outcome->has_value())
                          ++answered;
                        else
                          ++closed;
                      });
      }
      for (unsigned turns = (seed + static_cast<unsigned>(round)) % 4; turns > 0; --turns) loop.turn();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& one : threads) one.join();
  until_idle(desk);
  CHECK(answered + closed == 4 * 25 * 6);
}

TEST_CASE("the system knows localhost", "[resolver][threads]") {
  for (const bool by_type : {false, true}) {
    const resolved found =
        coflow::run(by_type ? coflow::system_resolver()("localhost", 7) : coflow::resolve("localhost", 7));
    until_idle(coflow::detail::lookups());
    REQUIRE(found);
    REQUIRE_FALSE(found->empty());
    for (const endpoint& one : *found) {
      CHECK((one == endpoint::loopback_v4(7) || one == endpoint::loopback_v6(7)));
    }
  }
}

TEST_CASE("the system knows no host under invalid, or no way to ask", "[resolver][threads]") {
  const resolved found = coflow::run(coflow::resolve("does-not-exist.invalid", 7));
  until_idle(coflow::detail::lookups());
  REQUIRE_FALSE(found);
  CHECK((found.error() == resolve_error::no_such_host || found.error() == resolve_error::try_again ||
         found.error() == resolve_error::no_address));
}
