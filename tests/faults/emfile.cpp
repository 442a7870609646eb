// Accepting while there are no descriptors, or no memory: the listener stays, does not spin, says so once an episode,
// and serves again as soon as it can.

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "faults/child.hpp"
#include "faults/modes.hpp"
#include "faults/stage.hpp"

namespace faults {
namespace {

using namespace std::chrono_literals;
using coflow::task;

struct episode {
  int expected = 0;  // what on_trouble is told; 0: nothing
  unsigned most_calls = 0;
  int troubles = 0;
  int told = 0;
  unsigned served = 0;
  bool by_a_close = false;  // the shortage ends by a close in the same loop
  bool spins = false;       // a control
};
episode now;

unsigned accepts() { return kernel::counts()[index(call::accept4)]; }

task<> serve(coflow::tcp_listener* listener, std::vector<coflow::tcp_flow>* kept) {
  for (;;) {
    coflow::result<coflow::tcp_flow> flow = co_await listener->accept();
    if (!flow) co_return;
    static_cast<void>(co_await flow->write(coflow::buffer("welcome")));
    ++now.served;
    kept->push_back(std::move(*flow));
  }
}

task<> calls_for_ever(int listener) {
  for (int i = 0; i < 10'000; ++i) {
    static_cast<void>(::accept4(listener, nullptr, nullptr, 0));
    static_cast<void>(co_await coflow::sleep_for(0ms));
  }
}

void expect(stage* on, bool holds, const char* what) {
  if (!holds) on->breaches.emplace_back(what);
}

// One connection waits while nothing can be accepted; then it can be again.
task<> starve(stage* on, const coflow::tcp_listener* listener, std::vector<coflow::tcp_flow>* kept, int* spare) {
  const unsigned served = now.served;
  const int troubles = now.troubles;
  const coflow::executor* clock = coflow::executor::current();
  kernel::relent(false);
  if (*spare >= 0) {  // the shortage is real: the client's socket is the last
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = static_cast<rlim_t>(next) + 1;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  coflow::result<coflow::tcp_flow> client = co_await coflow::tcp_connect(listener->local_endpoint());
  if (!client) {
    on->breaches.push_back("no connection: " + client.error().message());
    co_return;
  }
  coflow::task_scope spinning(coflow::on_failure::isolate);
  if (now.spins) spinning.spawn(calls_for_ever(listener->native_handle())).value();
  const unsigned before = accepts();
  const auto start = clock->now();
  while (clock->now() - start < 300ms) static_cast<void>(co_await coflow::sleep_for(20ms));
  expect(on, accepts() - before >= 2, "it does not look again");
  expect(on, accepts() - before <= now.most_calls, "it spins");
  expect(on, now.served == served, "it has served without being able to");
  expect(on, now.troubles - troubles == (now.expected == 0 ? 0 : 1), "on_trouble is not called once an episode");
  expect(on, now.expected == 0 || now.told == now.expected, "on_trouble is told something else");

  kernel::relent(true);
  const auto relieved = clock->now();
  if (now.by_a_close)
    kept->pop_back();
  else if (*spare >= 0)
    ::close(std::exchange(*spare, -1));
  const coflow::read_result got = co_await client->read();
  expect(on, got && got->text() == "welcome", "it does not serve again");
  if (now.by_a_close) expect(on, clock->now() - relieved < 50ms, "a close in the same loop does not wake it");
  expect(on, clock->now() - relieved < 200ms, "it takes too long to serve again");
  kept->push_back(std::move(*client));
}

task<> shortage(stage* on, bool real) {
  now.troubles = 0;
  now.served = 0;
  kernel::relent(true);
  coflow::listener_options options;
  options.on_trouble([](std::error_code code) {
    ++now.troubles;
    now.told = code.value();
  });
  coflow::result<coflow::tcp_listener> listener = coflow::tcp_listener::bind(coflow::endpoint::loopback_v4(0), options);
  if (!listener) {
    on->breaches.emplace_back("no listener");
    co_return;
  }
  std::vector<coflow::tcp_flow> kept;
  kept.reserve(16);
  coflow::task_scope scope(coflow::on_failure::isolate);
  {  // the first comes through
    coflow::result<coflow::tcp_flow> client = co_await coflow::tcp_connect(listener->local_endpoint());
    scope.spawn(serve(&*listener, &kept)).value();
    const coflow::read_result got = co_await client->read();
    expect(on, got.has_data(), "the first is not served");
    kept.push_back(std::move(*client));
  }
  // Where the limit is real, a spare descriptor stands in front of it, to be given back.
  for (int i = 0; i < 2; ++i) {
    int spare = -1;
    co_await starve(on, &*listener, &kept, real ? &(spare = ::dup(STDERR_FILENO)) : &spare);
    if (spare >= 0) ::close(spare);
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    if (real) ::setrlimit(RLIMIT_NOFILE, &limit);
    static_cast<void>(co_await coflow::sleep_for(150ms));  // the episode ends when a look finds no shortage
  }
  listener->close();
  static_cast<void>(co_await scope.join());
  on->complete = true;
}
task<> injected(stage* on) { co_await shortage(on, false); }
task<> real(stage* on) { co_await shortage(on, true); }

constexpr scenario with_injection{"an injected shortage", injected};
constexpr scenario with_limit{"a real limit", real};

std::vector<std::string> run_episode(const scenario& what, int number) {
  plan of;
  of.scenario = what.name;
  if (number != 0) of.faults.push_back(fault{call::accept4, 1, number, true});
  static_cast<void>(run_once(of, worlds().front(), what));  // what is made once and kept for ever
  return run_once(of, worlds().front(), what).breaches;
}

void check_episode(support::proof& proof, const scenario& what, int number, const std::string& name) {
  for (const std::string& one : run_episode(what, number)) proof.fail(name + ": " + one, "--mode emfile");
  proof.point();
}

}  // namespace

void starved_accepts(support::proof& proof) {
  for (const bool by_a_close : {false, true}) {
    now.by_a_close = by_a_close;
    for (const int number : {EMFILE, ENFILE, ENOMEM, ENOBUFS}) {
      now.expected = number;
      now.most_calls = 6;
      check_episode(proof, with_injection, number, std::to_string(number) + (by_a_close ? ", ended by a close" : ""));
    }
  }
  now.by_a_close = false;
  // Connections that are lost one after the other for ever: no shortage, but no reason to spin either.
  for (const int number : {ECONNABORTED, EPROTO, EPERM, ENETDOWN, ETIMEDOUT}) {
    now.expected = EAGAIN;
    now.most_calls = 64 * 6;
    check_episode(proof, with_injection, number, std::to_string(number));
  }
  now.expected = EMFILE;
  now.most_calls = 6;
  for (const bool by_a_close : {false, true}) {
    now.by_a_close = by_a_close;
    const std::string status = in_a_child([] {
      const std::vector<std::string> breaches = run_episode(with_limit, 0);
      for (const std::string& one : breaches) std::printf("  %s\n", one.c_str());
      return breaches.empty() ? 0 : 1;
    });
    if (!status.empty()) proof.fail("a real limit: " + status, "--mode emfile");
    proof.point();
  }
  now.by_a_close = false;
  now.spins = true;
  bool found = false;
  for (const std::string& one : run_episode(with_injection, EMFILE)) found = found || one == "it spins";
  now.spins = false;
  if (!found) proof.fail("the control that spins was not found", "--mode emfile");
  proof.point();
  proof.part("shortages");
}

}  // namespace faults
