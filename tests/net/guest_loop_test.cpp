// An event loop as a guest in another one: `native_handle`, `next_deadline`, `poll`. The host is a hand-written loop
// around poll(2), or around an epoll of its own.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/net.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/loop_tasks.hpp"

#if COFLOW_LINUX
#include <sys/epoll.h>

namespace {

using coflow::event_loop;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::tcp_flow;
using support::unique_fd;
using namespace std::chrono_literals;

constexpr int patience = 20000;  // ms, which only a lost wake-up exceeds

enum class waits_by { poll, epoll, edges };

bool readable(int fd, int timeout = 0) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, timeout) == 1;
}

bool due(const event_loop& loop) {
  const auto deadline = loop.next_deadline();
  return deadline && *deadline <= loop.now();
}

// What embeds the loop. Edges are what a host sees that has registered the handle once and for all, edge-triggered, and
// arms it anew for each wait.
class host {
 public:
  explicit host(event_loop& guest, waits_by how = waits_by::poll) : guest_(guest), how_(how) {
    if (how_ == waits_by::poll) return;
    outer_ = unique_fd(::epoll_create1(EPOLL_CLOEXEC));
    arm(EPOLL_CTL_ADD);
  }

  // Waits as the guest says, then gives it a turn; false if the wait was in vain.
  [[nodiscard]] bool turn() {
    const bool woken = wait();
    more = guest_.poll();
    ++turns;
    return woken;
  }
  template <class Condition>
  [[nodiscard]] bool run_until(Condition over) {
    while (!over()) {
      if (!turn()) return false;
    }
    return true;
  }
  int turns = 0;
  bool more = false;

 private:
  void arm(int operation) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (how_ == waits_by::edges) event.events |= EPOLLET;
    support::checked(::epoll_ctl(outer_.get(), operation, guest_.native_handle(), &event), "epoll_ctl");
  }
  bool wait() {
    int timeout = patience;
    const auto deadline = guest_.next_deadline();
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - guest_.now()).count();
      timeout = left < 0 ? 0 : left > patience ? patience : static_cast<int>(left);
    }
    bool found = false;
    if (how_ == waits_by::poll) {
      found = readable(guest_.native_handle(), timeout);
    } else {
      if (how_ == waits_by::edges) arm(EPOLL_CTL_MOD);
      epoll_event event{};
      found = ::epoll_wait(outer_.get(), &event, 1, timeout) == 1;
    }
    return found || timeout < patience;
  }

  event_loop& guest_;
  waits_by how_;
  unique_fd outer_;
};

class noting_node final : public coflow::node {
 public:
  explicit noting_node(int posts_itself = 0) noexcept : left_(posts_itself) {}
  ~noting_node() = default;
  std::atomic<int> runs{0};

 private:
  void run() noexcept override {
    if (left_-- > 0) coflow::executor::current()->post(*this);
    ++runs;
  }
  int left_;
};

struct flow_pair {
  std::optional<tcp_flow> near;
  unique_fd far;
  flow_pair() {
    auto listener = coflow::tcp_listener::bind("127.0.0.1", 0).value();
    sockaddr_in at{};
    socklen_t size = sizeof at;
    support::checked(::getsockname(listener.native_handle(), reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
    far = unique_fd(support::checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    support::checked(::connect(far.get(), reinterpret_cast<sockaddr*>(&at), size), "connect");
    near.emplace(
        tcp_flow::adopt(support::checked(::accept(listener.native_handle(), nullptr, nullptr), "accept")).value());
  }
};

task<result<void>> echo(tcp_flow* flow, int* echoes) {
  for (;;) {
    read_result got = co_await flow->read();
    if (got.eof()) co_return coflow::success;
    if (!got) co_return got.error();
    const result<void> sent = co_await flow->write(std::move(*got));
    if (!sent) co_return sent;
    ++*echoes;
  }
}
task<> sleep_often(int times, int* slept) {
  for (int i = 0; i < times; ++i) {
    const auto one = co_await coflow::sleep_for(5ms);
    if (!one) co_return;
    ++*slept;
  }
}

}  // namespace

TEST_CASE("a guest serves sockets and timers while its host waits for handle and deadline alone", "[guest_loop]") {
  for (const auto how : {waits_by::poll, waits_by::epoll, waits_by::edges}) {
    CAPTURE(static_cast<int>(how));
    event_loop loop;
    host outer(loop, how);
    flow_pair pair;
    int echoes = 0;
    int slept = 0;
    std::optional<std::error_code> over;
    coflow::spawn(loop, echo(&*pair.near, &echoes),
                  [&](const coflow::task_outcome<result<void>>& outcome) { over = outcome->error(); });
    coflow::spawn(loop, sleep_often(5, &slept));
    for (int i = 1; i <= 20; ++i) {
      support::say(pair.far, "hello");
      REQUIRE(outer.run_until([&] { return echoes == i; }));
      char answer[5];
      CHECK(::recv(pair.far.get(), answer, sizeof answer, MSG_WAITALL) == 5);
    }
    REQUIRE(outer.run_until([&] { return slept == 5; }));
    pair.far.reset();
    REQUIRE(outer.run_until([&] { return over.has_value(); }));
    CHECK_FALSE(*over);
    // Two turns for what comes in, two for a timer: no host that spins gets by with so few.
    CHECK(outer.turns < 100);
    CHECK_FALSE(loop.poll());
    CHECK_FALSE(readable(loop.native_handle()));
    CHECK_FALSE(loop.next_deadline());
  }
}

TEST_CASE("a host that waits for a guest's timer does not spin", "[guest_loop]") {
  event_loop loop;
  host outer(loop);
  result<void> slept = coflow::error::truncated;
  struct local {
    static task<> sleep(result<void>* outcome) { *outcome = co_await coflow::sleep_for(100ms); }
  };
  CHECK_FALSE(loop.next_deadline());
  const auto start = loop.now();
  coflow::spawn(loop, local::sleep(&slept));
  CHECK(due(loop));
  REQUIRE(outer.run_until([&] { return slept.has_value(); }));
  CHECK(loop.now() - start >= 100ms);
  CHECK(outer.turns <= 4);
}

TEST_CASE("what comes between two turns makes the handle readable until the next", "[guest_loop]") {
  event_loop loop;
  const auto drained = [&] {
    while (loop.poll()) {
    }
    return !readable(loop.native_handle()) && !loop.next_deadline();
  };
  REQUIRE(drained());
  noting_node node;

  loop.post(node);  // from the host, outside a turn
  CHECK(readable(loop.native_handle()));
  CHECK(due(loop));
  CHECK_FALSE(loop.poll());
  CHECK(node.runs == 1);
  REQUIRE(drained());

  std::thread([&] { loop.post(node); }).join();
  CHECK(readable(loop.native_handle()));
  REQUIRE(drained());
  CHECK(node.runs == 2);

  bool ran = false;
  coflow::spawn(loop, [](bool* to) -> task<> {
    *to = true;
    co_return;
  }(&ran));
  CHECK(readable(loop.native_handle()));
  REQUIRE(drained());
  CHECK(ran);

  loop.stop();
  CHECK(readable(loop.native_handle()));
  REQUIRE(drained());  // a stop that the host does not ask for does not make it spin
  CHECK(loop.take_stop_request());
  CHECK_FALSE(loop.take_stop_request());

  // A node that is taken back outside a turn takes along what was posted with it, but not the word of it.
  {
    noting_node taken;
    loop.post(taken);
    loop.post(node);
  }
  CHECK(readable(loop.native_handle()));
  CHECK(loop.next_deadline());
  REQUIRE(drained());
  CHECK(node.runs == 3);

  // Under an entry of the host's own only the deadline tells.
  {
    const coflow::executor::entry inside(loop);
    loop.post(node);
  }
  CHECK(due(loop));
  REQUIRE(drained());
  CHECK(node.runs == 4);
}

TEST_CASE("work that a turn makes ready is said by poll and by the deadline", "[guest_loop]") {
  event_loop loop;
  noting_node node(3);
  loop.post(node);
  for (int i = 1; i <= 3; ++i) {
    CHECK(loop.poll());
    CHECK(node.runs == i);
    CHECK(due(loop));
    CHECK_FALSE(readable(loop.native_handle()));
  }
  CHECK_FALSE(loop.poll());
  CHECK_FALSE(loop.next_deadline());
}

TEST_CASE("what finds no room in a turn leaves the handle readable", "[guest_loop]") {
  class probe final : public coflow::detail::descriptor {
   public:
    probe() : descriptor(support::checked(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")) {}
    probe(const probe&) = delete;
    probe& operator=(const probe&) = delete;
    ~probe() { ::close(fd_); }
    void on_ready(unsigned) noexcept override { ++reports; }
    void on_loop_gone() noexcept override {}
    int reports = 0;
  };
  event_loop loop;
  std::array<probe, 300> probes;
  for (probe& one : probes) REQUIRE_FALSE(loop.attach(one));
  const auto reported = [&] {
    int count = 0;
    for (const probe& one : probes) count += one.reports;
    return count;
  };
  CHECK(loop.poll());
  CHECK(reported() == 256);
  CHECK(readable(loop.native_handle()));
  CHECK_FALSE(loop.poll());
  CHECK(reported() == 300);
  CHECK_FALSE(readable(loop.native_handle()));
  for (probe& one : probes) loop.forget(one);
}

TEST_CASE("a host may close a guest's flow, and destroy a guest's tasks, between two turns", "[guest_loop]") {
  event_loop loop;
  host outer(loop);
  flow_pair pair;
  int echoes = 0;
  std::optional<std::error_code> over;
  coflow::spawn(loop, echo(&*pair.near, &echoes),
                [&](const coflow::task_outcome<result<void>>& outcome) { over = outcome->error(); });
  std::optional<coflow::task_scope> scope(std::in_place);
  int slept = 0;
  coflow::spawn(loop, [](coflow::task_scope* in, int* to) -> task<> {
    in->spawn(sleep_often(1 << 20, to)).value();
    co_return;
  }(&*scope, &slept));
  REQUIRE(outer.run_until([&] { return slept == 2; }));
  pair.near.reset();
  scope.reset();
  CHECK(readable(loop.native_handle()));
  REQUIRE(outer.run_until([&] { return over.has_value(); }));
  CHECK(*over == coflow::error::closed);
  CHECK_FALSE(loop.next_deadline());
  const int before = slept;
  CHECK_FALSE(loop.poll());
  CHECK(slept == before);
}

TEST_CASE("no post from another thread is lost on a host that waits", "[guest_loop][threads]") {
  for (const auto how : {waits_by::poll, waits_by::epoll, waits_by::edges}) {
    constexpr int times = 2000;
    event_loop loop;
    host outer(loop, how);
    noting_node node;
    std::thread posting([&] {
      for (int i = 0; i < times; ++i) {
        loop.post(node);
        while (node.runs == i) std::this_thread::yield();
      }
      loop.stop();
    });
    const bool all = outer.run_until([&] { return loop.take_stop_request(); });
    posting.join();
    CHECK(all);
    CHECK(node.runs == times);
  }
}

#else

namespace {
using coflow::event_loop;
using coflow::result;
using coflow::task;
using namespace std::chrono_literals;
}  // namespace

#endif

TEST_CASE("a guest that has no handle is polled from time to time", "[guest_loop]") {
  event_loop loop(coflow::reactor::poll);
  CHECK(loop.native_handle() == -1);
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0).value();
  struct local {
    static task<> accept(coflow::tcp_listener* from, int* done) {
      const auto client = co_await from->accept();
      *done += client.has_value();
    }
    static task<> connect(coflow::endpoint to, int* done) {
      const auto flow = co_await coflow::tcp_connect(to);
      *done += flow.has_value();
    }
  };
  int done = 0;
  coflow::spawn(loop, local::accept(&listener, &done));
  coflow::spawn(loop, local::connect(listener.local_endpoint(), &done));
  const auto end = loop.now() + 20s;
  while (done < 2 && loop.now() < end) loop.poll();
  CHECK(done == 2);
}
