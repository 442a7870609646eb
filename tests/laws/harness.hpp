#pragma once

// What the law tests share. A law is a coroutine template over a kind of flow, written once:
//
//     template <class Kind>
//     coflow::task<> eof_is_final() {
//       auto ends = co_await Kind::connect();
//       ...
//     }
//     TEST_CASE("after eof every read is eof", "[read_laws]") {
//       laws::on_every_flow([]<class Kind>(Kind) { return eof_is_final<Kind>(); });
//     }

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <concepts>
#include <coroutine>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "laws/coroutine_flow.hpp"
#include "laws/expect.hpp"

namespace laws {

using namespace std::chrono_literals;

// ---- letting others run, without sleeping

/// Lets everything that is ready run once, `count` times over.
inline coflow::task<> turns(int count = 1) {
  for (int i = 0; i < count; ++i) {
    const coflow::result<void> slept = co_await coflow::sleep_for(0ns);
    if (!slept) co_return;
  }
}

/// Lets others run until `holds()`; false if that takes ten seconds, or the task is stopped. For what the kernel does.
template <class Condition>
coflow::task<bool> until(Condition holds) {
  const auto limit = std::chrono::steady_clock::now() + 10s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > limit) co_return false;
    const coflow::result<void> slept = co_await coflow::sleep_for(0ns);
    if (!slept) co_return false;
  }
  co_return true;
}

/// Tells whether a turn of the executor has passed since it was set.
class turn_mark final : public coflow::node {
 public:
  turn_mark() noexcept { coflow::executor::current()->post(*this); }
  [[nodiscard]] bool passed() const noexcept { return passed_; }

 private:
  void run() noexcept override { passed_ = true; }
  bool passed_ = false;
};

// ---- the kinds of flow

/// Two connected flows.
template <class Flow>
struct ends {
  ends(Flow first, Flow second) : a(std::move(first)), b(std::move(second)) {}
  Flow a;
  Flow b;
};

inline coflow::task<ends<coflow::tcp_flow>> connect_tcp() {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  if (!listener) throw std::system_error(listener.error());
  auto client = co_await coflow::tcp_connect(listener->local_endpoint());
  if (!client) throw std::system_error(client.error());
  auto server = co_await listener->accept();
  if (!server) throw std::system_error(server.error());
  // Small, but more than one segment of the loopback device, which would stall on less.
  for (coflow::tcp_flow* end : {&*client, &*server}) {
    end->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
    end->set_option(SOL_SOCKET, SO_RCVBUF, 65536).value();
  }
  co_return ends<coflow::tcp_flow>(std::move(*client), std::move(*server));
}

struct over_memory {
  using flow = coflow::memory_flow;
  static constexpr const char* name = "memory_pipe";
  static constexpr bool has_descriptor = false;
  static constexpr std::size_t capacity = 4096;             // what its two ends hold at most
  static constexpr std::size_t more_than_fits = 64 * 1024;  // a write of that many bytes waits for a reader
  static constexpr int many = 1'000'000;                    // operations, in laws about very many

  static coflow::task<ends<flow>> connect() {
    auto made = coflow::memory_pipe(capacity);
    co_return ends<flow>(std::move(made.first), std::move(made.second));
  }
};

struct over_tcp {
  using flow = coflow::tcp_flow;
  static constexpr const char* name = "tcp";
  static constexpr bool has_descriptor = true;
  static constexpr std::size_t capacity = 1024 * 1024;
  static constexpr std::size_t more_than_fits = 2 * 1024 * 1024;
  static constexpr int many = 100'000;

  static coflow::task<ends<flow>> connect() { return connect_tcp(); }
};

struct layer_over_memory : over_memory {
  using flow = coflow::layered_flow<coflow::memory_flow>;
  static constexpr const char* name = "layered_flow over memory_pipe";
  static constexpr int many = 100'000;

  static coflow::task<ends<flow>> connect() {
    auto below = co_await over_memory::connect();
    co_return ends<flow>(flow(std::move(below.a)), flow(std::move(below.b)));
  }
};

struct two_layers_over_tcp : over_tcp {
  using layer = coflow::layered_flow<coflow::tcp_flow>;
  using flow = coflow::layered_flow<layer>;
  static constexpr const char* name = "layered_flow over layered_flow over tcp";

  static coflow::task<ends<flow>> connect() {
    auto below = co_await over_tcp::connect();
    flow first(layer(std::move(below.a)));
    flow second(layer(std::move(below.b)));
    co_return ends<flow>(std::move(first), std::move(second));
  }
};

struct coroutines_over_memory : over_memory {
  using flow = coroutine_flow;
  static constexpr const char* name = "a flow whose operations are coroutines";

  static coflow::task<ends<flow>> connect() {
    auto below = co_await over_memory::connect();
    co_return ends<flow>(flow(std::move(below.a)), flow(std::move(below.b)));
  }
};

static_assert(coflow::check_flow_shape<coroutine_flow>());

/// The flow at the bottom of the stack.
template <class Flow>
auto& lowest(Flow& flow) noexcept {
  if constexpr (requires { flow.lowest_layer(); })
    return flow.lowest_layer();
  else
    return flow;
}

/// Breaks the connection from this end.
template <class Flow>
void reset(Flow& flow) noexcept {
  lowest(flow).reset();
}

/// How many unread bytes the kernel holds for `flow`; none where there is no kernel.
template <class Kind>
std::size_t held_by_kernel(typename Kind::flow& flow) {
  int unread = 0;
  if constexpr (Kind::has_descriptor) {
    if (::ioctl(lowest(flow).native_handle(), FIONREAD, &unread) != 0) unread = -1;
  } else {
    static_cast<void>(flow);
  }
  return static_cast<std::size_t>(unread);
}

/// Waits until `count` unread bytes have arrived at `flow`, for flows that the kernel carries.
template <class Kind>
coflow::task<> arrived(typename Kind::flow* flow, std::size_t count) {
  if constexpr (Kind::has_descriptor) {
    const bool there = co_await until([flow, count] { return held_by_kernel<Kind>(*flow) >= count; });
    expect(there, "the bytes arrive");
  } else {
    static_cast<void>(flow);
    static_cast<void>(count);
    co_return;
  }
}

/// Waits until the peer's end or reset has arrived at `flow`, without reading anything.
template <class Kind>
coflow::task<> end_arrived(typename Kind::flow* flow) {
  if constexpr (Kind::has_descriptor) {
    const int fd = lowest(*flow).native_handle();
    const bool there = co_await until([fd] {
      pollfd asked{fd, POLLRDHUP, 0};
      return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    });
    expect(there, "the end arrives");
  } else {
    static_cast<void>(flow);
    co_return;
  }
}

// ---- running a law

/// Tells a law that does not end to stop, so that its expectations fail, and ends the program if even that is in vain.
class patience final : public coflow::timer {
 public:
  explicit patience(coflow::event_loop& loop) noexcept : loop_(loop) { loop_.arm(*this, loop_.now() + 30s); }
  [[nodiscard]] bool lost() const noexcept { return lost_; }

 private:
  void run() noexcept override {
    if (std::exchange(lost_, true)) std::abort();
    loop_.stop();
    loop_.arm(*this, loop_.now() + 15s);
  }

  coflow::event_loop& loop_;
  bool lost_ = false;
};

/// Runs a law on an event loop of its own.
inline void run(coflow::task<> law) {
  coflow::event_loop loop;
  patience limit(loop);
  coflow::run(loop, std::move(law));
  expect(!limit.lost(), "nothing stays suspended");
}

/// Turns `loop` until `holds()`, for tests that are not coroutines.
template <class Condition>
bool turn_until(coflow::event_loop& loop, Condition holds) {
  patience limit(loop);
  while (!holds() && !limit.lost()) loop.turn();
  return holds();
}

template <class Kind, class Law>
void on(Law law) {
  DYNAMIC_SECTION(Kind::name) { run(law(Kind())); }
}

template <class Law>
void on_every_flow(Law law) {
  on<over_memory>(law);
  on<over_tcp>(law);
  on<layer_over_memory>(law);
  on<two_layers_over_tcp>(law);
  on<coroutines_over_memory>(law);
}

/// Runs `scenario` in a process of its own. False if it crashes, hangs, or gives false: for scenarios that, where they
/// go wrong, would take the other tests with them.
inline bool survives(bool (*scenario)()) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::system_category());
  if (child == 0) {
    for (const int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM}) std::signal(number, SIG_DFL);
    ::alarm(10);
    ::_exit(scenario() ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// ---- operations as children, with what came of them

struct reading {
  bool started = false;
  bool done = false;
  coflow::read_result got;
};
struct writing {
  bool started = false;
  bool done = false;
  coflow::result<void> sent;
};
struct shutting {
  bool started = false;
  bool done = false;
};

template <class Flow>
coflow::task<> read_once(Flow* flow, reading* out) {
  out->started = true;
  out->got = co_await flow->read();
  out->done = true;
}
template <class Flow>
coflow::task<> write_once(Flow* flow, coflow::buffer bytes, writing* out) {
  out->started = true;
  out->sent = co_await flow->write(std::move(bytes));
  out->done = true;
}
template <class Flow>
coflow::task<> writev_once(Flow* flow, std::span<coflow::buffer> list, writing* out) {
  out->started = true;
  out->sent = co_await flow->writev(list);
  out->done = true;
}
template <class Flow>
coflow::task<> shutdown_once(Flow* flow, coflow::shutdown_mode mode, shutting* out) {
  out->started = true;
  co_await flow->shutdown(mode);
  out->done = true;
}

/// Starts a child; it runs when the caller next lets others run.
template <class T>
void start(coflow::task_scope& scope, coflow::task<T> child, place at = place::current()) {
  const coflow::result<void> started = scope.spawn(std::move(child));
  expect(started.has_value(), "a child can be started", at);
}

/// Reads to the end; gives how it ended and appends the bytes to `all`.
template <class Flow>
coflow::task<coflow::read_result> drain(Flow* flow, std::string* all) {
  for (;;) {
    coflow::read_result got = co_await flow->read();
    if (!got) co_return std::move(got);
    all->append(got->text());
  }
}

/// Reads until `all` has `size` bytes or the stream ends.
template <class Flow>
coflow::task<> read_up_to(Flow* flow, std::size_t size, std::string* all) {
  while (all->size() < size) {
    coflow::read_result got = co_await flow->read();
    if (!got) co_return;
    all->append(got->text());
  }
}

/// Drains in the background.
template <class Flow>
coflow::task<> drain_once(Flow* flow, std::string* all, reading* out) {
  out->started = true;
  out->got = co_await drain(flow, all);
  out->done = true;
}

/// Writes until an error comes, a byte at a time; gives that error, or success if none comes. The kernel tells a writer
/// that the peer is gone only after it has tried.
template <class Flow>
coflow::task<coflow::result<void>> write_until_error(Flow* flow) {
  const auto limit = std::chrono::steady_clock::now() + 10s;
  for (;;) {
    coflow::result<void> sent = co_await flow->write(coflow::buffer("x"));
    if (!sent) co_return sent;
    if (std::chrono::steady_clock::now() > limit) co_return sent;
    co_await turns();
  }
}

// ---- bytes

/// `size` bytes that differ from place to place and from seed to seed.
inline std::string pattern(std::size_t size, std::uint32_t seed = 1) {
  std::string made(size, '\0');
  std::uint32_t state = seed * 2654435761U + 12345U;
  for (char& byte : made) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>('!' + (state >> 24) % 90);
  }
  return made;
}

inline std::string joined(std::span<const coflow::buffer> list) {
  std::string all;
  for (const coflow::buffer& one : list) all.append(one.text());
  return all;
}

// ---- coroutines of foreign types

/// Somebody else's coroutine: starts at once, knows nothing of executors or stop states, is nobody's child. Its frame
/// lives as long as this handle, which may destroy it while it waits.
class foreign {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    foreign get_return_object() noexcept { return foreign(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };

  foreign(foreign&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  foreign& operator=(foreign&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~foreign() { destroy(); }

  void destroy() noexcept {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }

 private:
  explicit foreign(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

template <class Flow>
foreign read_abroad(Flow* flow, reading* out) {
  out->started = true;
  out->got = co_await flow->read();
  out->done = true;
}
template <class Flow>
foreign write_abroad(Flow* flow, coflow::buffer bytes, writing* out) {
  out->started = true;
  out->sent = co_await flow->write(std::move(bytes));
  out->done = true;
}
template <class Flow>
foreign writev_abroad(Flow* flow, std::span<coflow::buffer> list, writing* out) {
  out->started = true;
  out->sent = co_await flow->writev(list);
  out->done = true;
}
template <class Flow>
foreign shutdown_abroad(Flow* flow, coflow::shutdown_mode mode, shutting* out) {
  out->started = true;
  co_await flow->shutdown(mode);
  out->done = true;
}
template <class Flow>
foreign close_abroad(Flow* flow, bool* done) {
  co_await flow->close();
  *done = true;
}

}  // namespace laws
