// SIGPIPE never reaches the process (law W10), whatever is done to a connection that is gone. Each way in a process of
// its own, with the default disposition, which would end it.

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/net.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "faults/child.hpp"
#include "faults/layered_scenarios.hpp"
#include "faults/modes.hpp"
#include "faults/worlds.hpp"

namespace faults {
namespace {

enum class leaving { resets, closes };
enum class deed { write, writev, read_and_write, shutdown, close, graceful_close };
constexpr std::string_view deed_names[] = {"write",    "writev", "read, then write",
                                           "shutdown", "close",  "graceful_close"};

leaving how_it_leaves;
deed what_is_done;

template <class W>
task<> leaves(side* at, typename W::flow flow) {
  static_cast<void>(co_await flow.read());
  if (how_it_leaves == leaving::resets) W::reset(flow);
  co_await flow.close();
  at->over = true;
}

template <class F>
task<> does(side* at, F flow) {
  static_cast<void>(co_await flow.write(coflow::buffer("hello")));
  static_cast<void>(co_await coflow::sleep_for(2ms));
  if (what_is_done == deed::read_and_write) {
    const coflow::read_result got = co_await flow.read();
    if (got) at->breach("a read gave data");
  }
  for (int i = 0; i < 5; ++i) {
    if (what_is_done == deed::writev) {
      std::vector<coflow::buffer> list;
      for (int j = 0; j < 3; ++j) list.emplace_back("more and more");
      static_cast<void>(co_await flow.writev(std::span<coflow::buffer>(list)));
    } else if (what_is_done == deed::write || what_is_done == deed::read_and_write || i < 1) {
      static_cast<void>(co_await flow.write(coflow::buffer("more")));
    }
    static_cast<void>(co_await coflow::sleep_for(1ms));
  }
  if (what_is_done == deed::graceful_close) {
    static_cast<void>(co_await coflow::graceful_close(flow, 300ms));
  } else if (what_is_done != deed::close) {
    co_await flow.shutdown(shutdown_mode::write);
    static_cast<void>(co_await coflow::sleep_for(1ms));
  }
  co_await flow.close();
  at->over = true;
  at->on.complete = true;
}

template <class W, class Codec>
task<> does_through(side* at, typename W::flow flow) {
  coflow::result<layered<W, Codec>> made = co_await Codec::make(std::move(flow), true);
  if (!made) {
    at->on.complete = true;  // the handshake has met it
    co_return;
  }
  co_await does(at, std::move(*made));
}
template <class W>
task<> does_deep_down(side* at, typename W::flow flow) {
  coflow::layered_flow<lowest<W>> middle(lowest<W>(coflow::length_prefix_codec(), std::move(flow), brief()));
  co_await does(at, coflow::any_flow(std::move(middle)));
}

template <class W>
task<> plainly(stage* on) {
  co_await meet<W>(on, does<typename W::flow>, leaves<W>);
}
template <class W>
task<> framedly(stage* on) {
  co_await meet<W>(on, does_through<W, framed>, leaves<W>);
}
template <class W>
task<> securely(stage* on) {
  co_await meet<W>(on, does_through<W, secure>, leaves<W>);
}
template <class W>
task<> deeply(stage* on) {
  co_await meet<W>(on, does_deep_down<W>, leaves<W>);
}

template <class W>
constexpr scenario stacks[] = {
    {"plain", plainly<W>}, {"frames", framedly<W>}, {"secure", securely<W>}, {"layers", deeply<W>}};

int run_here(const world& in, const scenario& what, bool meets_it) {
  plan of;
  of.scenario = what.name;
  static_cast<void>(run_once(of, in, what));  // what is made once and kept for ever
  const outcome came_to = run_once(of, in, what);
  for (const std::string& one : came_to.breaches) std::printf("  %s\n", one.c_str());
  if (meets_it && kernel::broken_pipes() == 0) {
    std::printf("  no call has met EPIPE\n");
    return 2;
  }
  return came_to.breaches.empty() ? 0 : 1;
}

// What the library must never do.
int raises_it() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 3;
  ::close(ends[0]);
  return ::write(ends[1], "x", 1) < 0 ? 0 : 1;
}

}  // namespace

void broken_pipes(support::proof& proof) {
  const world& in = worlds().front();
  for (const scenario& what : stacks<tcp_world>) {
    for (const leaving way : {leaving::resets, leaving::closes}) {
      for (std::size_t i = 0; i < std::size(deed_names); ++i) {
        how_it_leaves = way;
        what_is_done = static_cast<deed>(i);
        const bool writes = what_is_done == deed::write || what_is_done == deed::writev;
        const bool meets_it = what.name == "plain" && way == leaving::closes && writes;
        const std::string status = in_a_child([&] { return run_here(in, what, meets_it); });
        if (!status.empty())
          proof.fail(std::string(what.name) + ", the peer " + (way == leaving::resets ? "resets" : "closes") + ", " +
                         std::string(deed_names[i]) + ": " + status,
                     "--mode sigpipe");
        proof.point();
      }
    }
  }
  const std::string expected = "killed by signal " + std::to_string(SIGPIPE);
  if (in_a_child(raises_it) != expected) proof.fail("the control was not killed by SIGPIPE", "--mode sigpipe");
  proof.point();
  proof.part("ways to write to a connection that is gone");
}

}  // namespace faults
