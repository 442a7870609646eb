#include "coflow/net/stop_switch.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "coflow/net/event_loop.hpp"
#include "support/catch.hpp"

namespace {

using coflow::event_loop;
using coflow::stop_switch;

static_assert(!std::is_copy_constructible_v<stop_switch>);

constinit stop_switch global;

extern "C" void throw_global(int) { global.request(); }

}  // namespace

TEST_CASE("a switch counts its requests and stops the loops that are watched", "[stop_switch]") {
  stop_switch thrown;
  event_loop a;
  event_loop b;
  event_loop other;
  {
    const stop_switch::watcher first(thrown, a);
    const stop_switch::watcher second(thrown, b);
    CHECK_FALSE(thrown.requested());
    thrown.request();
    CHECK(thrown.requested());
    CHECK(thrown.requests() == 1);
    CHECK(a.take_stop_request());
    CHECK(b.take_stop_request());
    CHECK_FALSE(other.take_stop_request());
  }
  thrown.request();
  CHECK(thrown.requests() == 2);
  CHECK_FALSE(a.take_stop_request());
  CHECK_FALSE(b.take_stop_request());
}

TEST_CASE("watchers leave in any order", "[stop_switch]") {
  for (int leaving = 0; leaving < 3; ++leaving) {
    stop_switch thrown;
    event_loop loops[3];
    std::optional<stop_switch::watcher> watchers[3];
    for (int i = 0; i < 3; ++i) watchers[i].emplace(thrown, loops[i]);
    watchers[leaving].reset();
    thrown.request();
    for (int i = 0; i < 3; ++i) CHECK(loops[i].take_stop_request() == (i != leaving));
  }
}

TEST_CASE("a switch may be thrown in a signal handler", "[stop_switch]") {
  event_loop loop;
  const stop_switch::watcher watching(global, loop);
  const auto before = std::signal(SIGUSR1, throw_global);
  errno = 7;
  std::raise(SIGUSR1);
  const int kept = errno;
  std::signal(SIGUSR1, before);
  CHECK(kept == 7);
  CHECK(global.requested());
  loop.run();  // ends at once
}

TEST_CASE("a switch is thrown from several threads while watchers come and go", "[stop_switch][threads]") {
  constexpr int rounds = 200;
  stop_switch thrown;
  std::atomic<int> leaving{2};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (leaving.load() != 0) {
        thrown.request();
        std::this_thread::yield();
      }
    });
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        event_loop loop;
        const stop_switch::watcher watching(thrown, loop);
        loop.run();  // until the next request
      }
      leaving.fetch_sub(1);
    });
  }
  for (std::thread& one : threads) one.join();
  CHECK(thrown.requested());
}
