#include "coflow/net/tcp_connect.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "coflow/async/detail/root.hpp"
#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/run_main.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::buffer;
using coflow::connect_error;
using coflow::connect_options;
using coflow::endpoint;
using coflow::event_loop;
using coflow::keep_alive_options;
using coflow::read_result;
using coflow::resolved;
using coflow::result;
using coflow::task;
using coflow::tcp_flow;
using namespace std::chrono_literals;

constexpr auto patience = 15s;  // what only a lost wake-up exceeds

class unique_fd {
 public:
  explicit unique_fd(int fd = -1) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { reset(); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// Stops a loop that would wait for ever.
class watchdog final : public coflow::timer {
 public:
  explicit watchdog(event_loop& loop) : loop_(loop) { loop.arm(*this, loop.now() + patience); }
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() = default;
  [[nodiscard]] bool barked() const noexcept { return barked_; }

 private:
  void run() noexcept override {
    barked_ = true;
    loop_.stop();
  }
  event_loop& loop_;
  bool barked_ = false;
};

// Runs `body` to its end on a loop of its own, and `beside`, which must not fail, in the same turns. False if `body`
// would have waited for ever.
[[nodiscard]] bool finishes(task<> body, std::optional<task<>> beside = std::nullopt) {
  std::exception_ptr thrown;
  bool on_time = false;
  {
    event_loop loop;
    const watchdog dog(loop);
    coflow::spawn(loop, std::move(body), [&](const coflow::task_outcome<void>& outcome) {
      if (!outcome) thrown = outcome.error();
      loop.stop();
    });
    if (beside) coflow::spawn(loop, *std::move(beside));
    loop.run();
    on_time = !dog.barked();
  }
  if (thrown) std::rethrow_exception(thrown);
  return on_time;
}

// A listener that knows nothing of coflow.
class raw_listener {
 public:
  explicit raw_listener(int backlog = 128, const endpoint& at = endpoint::loopback_v4(0))
      : fd_(::socket(at.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    coflow::detail::sys::kernel_address address(at.raw());
    if (::bind(fd_.get(), address.data(), address.size()) != 0 || ::listen(fd_.get(), backlog) != 0 ||
        ::getsockname(fd_.get(), address.data(), address.room()) != 0)
      throw std::system_error(errno, std::system_category(), "raw_listener");
    at_ = endpoint(address.value());
  }
  [[nodiscard]] const endpoint& at() const noexcept { return at_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] unique_fd accept(endpoint* from = nullptr) const {
    coflow::detail::sys::kernel_address peer;
    unique_fd made(::accept4(fd_.get(), peer.data(), peer.room(), SOCK_CLOEXEC));
    if (made.get() < 0) throw std::system_error(errno, std::system_category(), "accept");
    if (from != nullptr) *from = endpoint(peer.value());
    return made;
  }
  void close() { fd_.reset(); }

 private:
  unique_fd fd_;
  endpoint at_;
};

unique_fd raw_connect(const endpoint& to) {
  unique_fd made(::socket(to.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const coflow::detail::sys::kernel_address address(to.raw());
  if (::connect(made.get(), address.data(), address.size()) != 0)
    throw std::system_error(errno, std::system_category(), "raw_connect");
  return made;
}

// A listener whose queue is full: the system drops what else wants to connect.
class black_hole {
 public:
  black_hole() : listener_(0), filling_(raw_connect(listener_.at())) {
    pollfd queued{listener_.fd(), POLLIN, 0};
    REQUIRE(::poll(&queued, 1, 20000) == 1);
  }
  [[nodiscard]] const endpoint& at() const noexcept { return listener_.at(); }

 private:
  raw_listener listener_;
  unique_fd filling_;
};

// A port where nobody listens.
endpoint deserted() {
  const raw_listener gone;
  return gone.at();
}

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

std::string heard_by(int peer, std::size_t size) {
  std::string heard(size, '\0');
  const auto got = ::recv(peer, heard.data(), size, MSG_WAITALL);
  heard.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return heard;
}

// What connecting came to, and a look at the flow while it lives.
struct connected {
  std::error_code failure;
  endpoint local;
  endpoint remote;
  int no_delay = -1;
  int keep_alive = -1;
  int idle = -1;
  int interval = -1;
  int count = -1;
  std::string heard;
  bool eof = false;
  std::error_code read_failure;
};

task<> connect_and_look(endpoint to, connect_options options, connected* seen) {
  result<tcp_flow> flow = co_await coflow::tcp_connect(to, options);
  if (!flow) {
    seen->failure = flow.error();
    co_return;
  }
  seen->local = flow->local_endpoint();
  seen->remote = flow->remote_endpoint();
  seen->no_delay = flow->option(IPPROTO_TCP, TCP_NODELAY).value_or(-1);
  seen->keep_alive = flow->option(SOL_SOCKET, SO_KEEPALIVE).value_or(-1);
  seen->idle = flow->option(IPPROTO_TCP, TCP_KEEPIDLE).value_or(-1);
  seen->interval = flow->option(IPPROTO_TCP, TCP_KEEPINTVL).value_or(-1);
  seen->count = flow->option(IPPROTO_TCP, TCP_KEEPCNT).value_or(-1);
}

task<> connect_and_talk(endpoint to, connected* seen) {
  result<tcp_flow> flow = co_await coflow::tcp_connect(to);
  if (!flow) {
    seen->failure = flow.error();
    co_return;
  }
  const result<void> sent = co_await flow->write(buffer("hello"));
  sent.value();
  co_await flow->shutdown(coflow::shutdown_mode::write);
}

task<> connect_and_listen(endpoint to, std::size_t enough, connected* seen) {
  result<tcp_flow> flow = co_await coflow::tcp_connect(to);
  if (!flow) {
    seen->failure = flow.error();
    co_return;
  }
  while (seen->heard.size() < enough) {
    const read_result got = co_await flow->read();
    if (got) {
      seen->heard += got->text();
      continue;
    }
    seen->eof = got.eof();
    seen->read_failure = got.error();
    co_return;
  }
}

task<> answer_at_once(const raw_listener* listener, std::string_view text, bool end, bool reset, unique_fd* kept) {
  unique_fd peer = listener->accept();
  if (!text.empty()) {
    const auto sent = ::send(peer.get(), text.data(), text.size(), end ? MSG_MORE : 0);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("the answer did not go out");
  }
  if (end) ::shutdown(peer.get(), SHUT_WR);
  if (reset) {
    const linger now{1, 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer.reset();
  }
  *kept = std::move(peer);
  co_return;
}

task<> connect_then_wait(endpoint to, connect_options options, event_loop::duration time, connected* seen,
                         const raw_listener* listener) {
  result<tcp_flow> flow = co_await coflow::tcp_connect(to, options);
  if (!flow) {
    seen->failure = flow.error();
    co_return;
  }
  const unique_fd peer = listener->accept();
  const result<void> slept = co_await coflow::sleep_for(time);
  slept.value();
  if (::send(peer.get(), "late", 4, 0) != 4) co_return;
  const read_result got = co_await flow->read();
  if (got) seen->heard = got->text();
  seen->read_failure = got.error();
}

task<> connect_cancelled(endpoint to, bool before, connected* seen) {
  coflow::task_scope scope;
  if (before) scope.cancel();
  scope.spawn(connect_and_look(to, {}, seen)).value();
  const result<void> slept = co_await coflow::sleep_for(1ms);
  slept.value();
  const int while_connecting = open_descriptors();
  scope.cancel();
  const result<void> joined = co_await scope.join();
  joined.value();
  if (!before && open_descriptors() != while_connecting - 1) throw std::runtime_error("the descriptor is still open");
}

task<> connect_destroyed(endpoint to, endpoint then, connected* seen) {
  const int before = open_descriptors();
  {
    coflow::task_scope scope;
    for (int i = 0; i < 3; ++i) scope.spawn(connect_and_look(to, connect_options().timeout(20ms), seen)).value();
    const result<void> slept = co_await coflow::sleep_for(1ms);
    slept.value();
    if (open_descriptors() != before + 3) throw std::runtime_error("three attempts were to be under way");
  }
  if (open_descriptors() != before) throw std::runtime_error("a descriptor is still open");
  const result<void> slept = co_await coflow::sleep_for(40ms);
  slept.value();
  const result<tcp_flow> flow = co_await coflow::tcp_connect(then);
  seen->failure = std::error_code();
  if (!flow) seen->failure = flow.error();
}

task<> connect_many(endpoint to, int count, int* made) {
  std::vector<connected> seen(static_cast<std::size_t>(count));
  coflow::task_scope scope;
  for (connected& one : seen) scope.spawn(connect_and_look(to, {}, &one)).value();
  const result<void> joined = co_await scope.join();
  joined.value();
  for (const connected& one : seen) *made += one.failure ? 0 : 1;
}

task<> connect_without_descriptors(endpoint to, std::error_code* failure, int* leaked) {
  const int before = open_descriptors();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  rlimit none = limit;
  const int first_free = ::dup(STDERR_FILENO);
  ::close(first_free);
  none.rlim_cur = static_cast<rlim_t>(first_free);
  ::setrlimit(RLIMIT_NOFILE, &none);
  const result<tcp_flow> flow = co_await coflow::tcp_connect(to);
  if (!flow) *failure = flow.error();
  ::setrlimit(RLIMIT_NOFILE, &limit);
  *leaked = open_descriptors() - before;
}

// A coroutine of somebody else's, which no executor runs.
class foreign {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    foreign get_return_object() noexcept { return foreign(); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

foreign connect_from_nowhere(endpoint to, std::error_code* failure) {
  const result<tcp_flow> flow = co_await coflow::tcp_connect(to);
  if (!flow) *failure = flow.error();
}

// An executor that knows no descriptors.
class bare_executor final : public coflow::executor {
 public:
  bare_executor() noexcept {}
  ~bare_executor() { finish(); }
  [[nodiscard]] time_point now() const noexcept override { return clock::now(); }
  void turn() {
    const entry current(*this);
    run_ready();
  }

 private:
  void wake() noexcept override {}
};

}  // namespace

TEST_CASE("a connection is made, over IPv4 and IPv6", "[tcp_connect]") {
  for (const endpoint& local : {endpoint::loopback_v4(0), endpoint::loopback_v6(0)}) {
    const raw_listener listener(16, local);
    connected seen;
    REQUIRE(finishes(connect_and_talk(listener.at(), &seen)));
    REQUIRE_FALSE(seen.failure);
    const unique_fd peer = listener.accept();
    CHECK(heard_by(peer.get(), 100) == "hello");
  }
}

TEST_CASE("both ends of a connection name the same endpoints", "[tcp_connect]") {
  for (const endpoint& local : {endpoint::loopback_v4(0), endpoint::loopback_v6(0)}) {
    const raw_listener listener(16, local);
    connected seen;
    REQUIRE(finishes(connect_and_look(listener.at(), {}, &seen)));
    REQUIRE_FALSE(seen.failure);
    endpoint from;
    const unique_fd peer = listener.accept(&from);
    CHECK(seen.remote == listener.at());
    CHECK(seen.local == from);
  }
}

TEST_CASE("the remote endpoint is where the connection went, not what was asked for", "[tcp_connect]") {
  const raw_listener listener;
  const endpoint anywhere = endpoint::parse("0.0.0.0", listener.at().port()).value();  // the system takes 127.0.0.1
  connected seen;
  REQUIRE(finishes(connect_and_look(anywhere, {}, &seen)));
  REQUIRE_FALSE(seen.failure);
  CHECK(seen.remote.to_string() == listener.at().to_string());
}

TEST_CASE("a port where nobody listens refuses the connection", "[tcp_connect]") {
  connected seen;
  REQUIRE(finishes(connect_and_look(deserted(), {}, &seen)));
  CHECK(seen.failure == std::errc::connection_refused);
  CHECK(seen.failure.category() == std::system_category());
}

TEST_CASE("an endpoint that is unspecified is an error of the system, not a crash", "[tcp_connect]") {
  connected seen;
  REQUIRE(finishes(connect_and_look(endpoint(), {}, &seen)));
  CHECK(seen.failure);
}

TEST_CASE("small writes go out at once unless the options say otherwise", "[tcp_connect]") {
  const raw_listener listener;
  connected plain;
  REQUIRE(finishes(connect_and_look(listener.at(), {}, &plain)));
  CHECK(plain.no_delay == 1);
  CHECK(plain.keep_alive == 0);
  connected delayed;
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().no_delay(false), &delayed)));
  CHECK(delayed.no_delay == 0);
}

TEST_CASE("keep-alive reaches the socket", "[tcp_connect]") {
  const raw_listener listener;
  connected seen;
  const auto probing = keep_alive_options().idle(17s).interval(5s).count(4);
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().keep_alive(probing), &seen)));
  REQUIRE_FALSE(seen.failure);
  CHECK(seen.keep_alive == 1);
  CHECK(seen.idle == 17);
  CHECK(seen.interval == 5);
  CHECK(seen.count == 4);
}

TEST_CASE("an option that the system refuses fails the connection and leaks nothing", "[tcp_connect]") {
  const raw_listener listener;
  const int before = open_descriptors();
  connected seen;
  const auto impossible = keep_alive_options().idle(0s);
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().keep_alive(impossible), &seen)));
  CHECK(seen.failure == std::errc::invalid_argument);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a connection comes from the local address that was asked for", "[tcp_connect]") {
  const raw_listener listener;
  const endpoint source = endpoint::parse("127.0.0.2:0").value();
  connected seen;
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().local(source), &seen)));
  REQUIRE_FALSE(seen.failure);
  endpoint from;
  const unique_fd peer = listener.accept(&from);
  CHECK(from.address() == "127.0.0.2");
  CHECK(from.port() != 0);
  CHECK(seen.local == from);
}

TEST_CASE("a local address that cannot be had fails the connection and leaks nothing", "[tcp_connect]") {
  const raw_listener listener;
  const raw_listener taken;
  const int before = open_descriptors();
  connected in_use;
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().local(taken.at()), &in_use)));
  CHECK(in_use.failure == std::errc::address_in_use);
  connected foreign_address;
  const endpoint not_ours = endpoint::parse("192.0.2.1:0").value();
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().local(not_ours), &foreign_address)));
  CHECK(foreign_address.failure == std::errc::address_not_available);
  connected other_family;
  REQUIRE(finishes(connect_and_look(listener.at(), connect_options().local(endpoint::loopback_v6(0)), &other_family)));
  CHECK(other_family.failure);
  CHECK(open_descriptors() == before);
}

TEST_CASE("an attempt that takes longer than its deadline has timed out", "[tcp_connect]") {
  const black_hole hole;
  const int before = open_descriptors();
  for (const std::chrono::nanoseconds limit :
       {std::chrono::nanoseconds(20ms), std::chrono::nanoseconds(0), std::chrono::nanoseconds(-1s)}) {
    CAPTURE(limit.count());
    connected seen;
    const auto start = event_loop::clock::now();
    REQUIRE(finishes(connect_and_look(hole.at(), connect_options().timeout(limit), &seen)));
    CHECK(seen.failure == coflow::error::timed_out);
    CHECK(event_loop::clock::now() - start >= limit);
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("a connection that was made in time outlives its deadline", "[tcp_connect]") {
  const raw_listener listener;
  connected seen;
  REQUIRE(finishes(connect_then_wait(listener.at(), connect_options().timeout(30ms), 60ms, &seen, &listener)));
  REQUIRE_FALSE(seen.failure);
  CHECK(seen.heard == "late");
}

TEST_CASE("a deadline that is centuries away has not passed", "[tcp_connect]") {
  const raw_listener listener;
  connected seen;
  const auto limit = connect_options().timeout(std::chrono::nanoseconds::max());
  REQUIRE(finishes(connect_and_look(listener.at(), limit, &seen)));
  CHECK_FALSE(seen.failure);
}

TEST_CASE("an attempt that is cancelled gives the descriptor back", "[tcp_connect]") {
  const black_hole hole;
  connected seen;
  REQUIRE(finishes(connect_cancelled(hole.at(), false, &seen)));
  CHECK(seen.failure == std::errc::operation_canceled);
}

TEST_CASE("an attempt in a task that is stopped already is cancelled", "[tcp_connect]") {
  const black_hole hole;
  connected seen;
  REQUIRE(finishes(connect_cancelled(hole.at(), true, &seen)));
  CHECK(seen.failure == std::errc::operation_canceled);
}

TEST_CASE("attempts that are destroyed leave no descriptor, timer or event behind", "[tcp_connect]") {
  const black_hole hole;
  const raw_listener listener;
  connected seen;
  seen.failure = coflow::error::truncated;
  REQUIRE(finishes(connect_destroyed(hole.at(), listener.at(), &seen)));
  CHECK_FALSE(seen.failure);
}

TEST_CASE("a hundred connections are made side by side", "[tcp_connect]") {
  const raw_listener listener;
  int made = 0;
  REQUIRE(finishes(connect_many(listener.at(), 100, &made)));
  CHECK(made == 100);
}

TEST_CASE("an attempt without a descriptor to be had is an error of the system", "[tcp_connect]") {
  const raw_listener listener;
  std::error_code failure;
  int leaked = -1;
  REQUIRE(finishes(connect_without_descriptors(listener.at(), &failure, &leaked)));
  CHECK(failure == std::errc::too_many_files_open);
  CHECK(leaked == 0);
}

TEST_CASE("there is no connecting without an executor", "[tcp_connect]") {
  const raw_listener listener;
  const int before = open_descriptors();
  std::error_code failure;
  connect_from_nowhere(listener.at(), &failure);
  CHECK(failure == coflow::error::no_executor);
  CHECK(open_descriptors() == before);
}

TEST_CASE("there is no connecting on an executor that knows no descriptors", "[tcp_connect]") {
  const raw_listener listener;
  const int before = open_descriptors();
  connected seen;
  bare_executor bare;
  coflow::spawn(bare, connect_and_look(listener.at(), {}, &seen));
  bare.turn();
  bare.turn();
  CHECK(seen.failure == coflow::error::no_executor);
  CHECK(open_descriptors() == before);
}

// What the peer does before the loop has heard that the connection stands comes in one event with that news.

TEST_CASE("bytes that came before the news of the connection are read", "[tcp_connect]") {
  const raw_listener listener;
  connected seen;
  unique_fd peer;
  CHECK(
      finishes(connect_and_listen(listener.at(), 7, &seen), answer_at_once(&listener, "welcome", false, false, &peer)));
  CHECK_FALSE(seen.failure);
  CHECK(seen.heard == "welcome");
}

TEST_CASE("bytes and the end that came before the news of the connection are read, one after the other",
          "[tcp_connect]") {
  const raw_listener listener;
  connected seen;
  unique_fd peer;
  CHECK(finishes(connect_and_listen(listener.at(), 1000, &seen),
                 answer_at_once(&listener, "welcome", true, false, &peer)));
  CHECK_FALSE(seen.failure);
  CHECK(seen.heard == "welcome");
  CHECK(seen.eof);
}

TEST_CASE("an end that came before the news of the connection is read", "[tcp_connect]") {
  const raw_listener listener;
  connected seen;
  unique_fd peer;
  CHECK(finishes(connect_and_listen(listener.at(), 1000, &seen), answer_at_once(&listener, "", true, false, &peer)));
  CHECK_FALSE(seen.failure);
  CHECK(seen.heard.empty());
  CHECK(seen.eof);
}

TEST_CASE("a reset that came before the news of the connection is an error, not an end", "[tcp_connect]") {
  for (const std::string_view first : {"", "welcome"}) {
    CAPTURE(first);
    const raw_listener listener;
    connected seen;
    unique_fd peer;
    CHECK(
        finishes(connect_and_listen(listener.at(), 1000, &seen), answer_at_once(&listener, first, false, true, &peer)));
    CHECK_FALSE(seen.eof);
    if (seen.failure)
      CHECK(seen.failure == std::errc::connection_reset);
    else
      CHECK(seen.read_failure == std::errc::connection_reset);
  }
}

// ---- by name

namespace {

// Gives what it was told to, and counts how often it was asked.
class known_names {
 public:
  explicit known_names(std::vector<endpoint> found, int* asked = nullptr) : found_(std::move(found)), asked_(asked) {}
  task<resolved> operator()(std::string, std::uint16_t) const {
    if (asked_ != nullptr) ++*asked_;
    return give(found_);
  }

 private:
  static task<resolved> give(std::vector<endpoint> found) { co_return std::move(found); }

  std::vector<endpoint> found_;
  int* asked_;
};

// What connecting to a name came to. The attempts that were open are looked at while the flow lives.
struct named {
  bool ended = false;
  connect_error failure;
  endpoint remote;
  int descriptors = -1;
  event_loop::duration time{};
};

task<> connect_named(std::string host, std::uint16_t port, connect_options options, named* seen) {
  const auto start = event_loop::clock::now();
  result<tcp_flow, connect_error> flow = co_await coflow::tcp_connect(std::move(host), port, options);
  seen->time = event_loop::clock::now() - start;
  seen->descriptors = open_descriptors();
  seen->ended = true;
  if (flow)
    seen->remote = flow->remote_endpoint();
  else
    seen->failure = flow.error();
}

// Looks after `limit` whether connecting has ended. What was due earlier has its turns first, however late they are.
task<> notice_if_late(event_loop::duration limit, const named* seen, bool* late) {
  const result<void> slept = co_await coflow::sleep_for(limit);
  for (int turn = 0; turn < 20; ++turn) {
    const result<void> let_others_run = co_await coflow::sleep_for(0s);
    if (!let_others_run) co_return;
  }
  *late = slept.has_value() && !seen->ended;
}

// Connects to a name, which must have ended within `limit`.
named connect_within(event_loop::duration limit, connect_options options) {
  named seen;
  bool late = false;
  REQUIRE(finishes(connect_named("a.example", 1, options, &seen), notice_if_late(limit, &seen, &late)));
  REQUIRE(seen.ended);
  CHECK_FALSE(late);
  return seen;
}

// Connects to a name that has `addresses`.
named race(std::vector<endpoint> addresses, connect_options options = {}, event_loop::duration limit = 10s) {
  return connect_within(limit, options.resolver(known_names(std::move(addresses))));
}

task<result<void>> hand_on(std::string host, std::uint16_t port, connect_options options) {
  auto flow = co_await coflow::tcp_connect(std::move(host), port, options);
  if (!flow) co_return flow.error();
  co_return coflow::success;
}

// An awaitable that never goes on and knows of no stop request.
class never {
 public:
  never() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

class alive {
 public:
  explicit alive(int* count) noexcept : count_(count) { ++*count_; }
  alive(const alive&) = delete;
  alive& operator=(const alive&) = delete;
  ~alive() { --*count_; }

 private:
  int* count_;
};

task<resolved> answer_never(int* pending) {
  const alive one(pending);
  co_await never();
  co_return coflow::error::truncated;
}
task<resolved> answer_when_stopped(int* pending) {
  const alive one(pending);
  const result<void> slept = co_await coflow::sleep_for(1h);
  co_return slept.error();
}

task<resolved> answer_after(std::chrono::milliseconds time, endpoint to) {
  const result<void> slept = co_await coflow::sleep_for(time);
  if (!slept) co_return slept.error();
  std::vector<endpoint> found;
  found.push_back(to);
  co_return std::move(found);
}

// Gives up waiting for `body`, and looks at what is left of it.
task<std::error_code> outlast(task<resolved> body, const int* pending, int* left) {
  coflow::detail::limited_task<resolved> answer(std::move(body), coflow::executor::current()->after(1s), "an answer");
  const resolved given = co_await answer;
  *left = *pending;
  const result<void> slept = co_await coflow::sleep_for(2h);
  slept.value();
  co_return given.has_value() ? std::error_code() : given.error();
}

connect_options silent(int* pending, bool knows_of_stops) {
  return connect_options().resolver([pending, knows_of_stops](const std::string&, int) {
    return knows_of_stops ? answer_when_stopped(pending) : answer_never(pending);
  });
}

// With so many attempts and calls of the resolver pending.
task<> cancel_named(connect_options options, int attempts, const int* calls, int pending, named* seen) {
  const int before = open_descriptors();
  coflow::task_scope scope;
  scope.spawn(connect_named("a.example", 1, options, seen)).value();
  while (open_descriptors() != before + attempts || *calls != pending) {
    const result<void> slept = co_await coflow::sleep_for(1ms);
    slept.value();
  }
  scope.cancel();
  const result<void> joined = co_await scope.join();
  joined.value();
  if (seen->descriptors != before) throw std::runtime_error("a descriptor is still open");
}

task<> destroy_named(connect_options options, int attempts, const int* calls, int pending) {
  const int before = open_descriptors();
  named seen;
  {
    coflow::task_scope scope;
    scope.spawn(connect_named("a.example", 1, options, &seen)).value();
    while (open_descriptors() != before + attempts || *calls != pending) {
      const result<void> slept = co_await coflow::sleep_for(1ms);
      slept.value();
    }
  }
  if (seen.ended || open_descriptors() != before) throw std::runtime_error("something is left");
}

task<> stopped_before(connect_options options, std::string host, std::uint16_t port, named* seen) {
  coflow::task_scope scope;
  scope.cancel();
  scope.spawn(connect_named(std::move(host), port, options, seen)).value();
  const result<void> joined = co_await scope.join();
  joined.value();
}

// A task that tells what it waits for, and outlives its loop.
class telling final : public coflow::detail::root<void> {
 public:
  explicit telling(task<> body) : root(std::move(body)) {}
  ~telling() = default;
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] std::string waits_for() const {
    const coflow::stop_target* target = stop_chain().target();
    return target == nullptr ? "" : target->waits_for();
  }

 private:
  void on_end() noexcept override { ended_ = true; }
  bool ended_ = false;
};

// An endpoint where connecting meets only itself: a free port, bound by the attempt and nobody else.
endpoint oneself(const endpoint& local) {
  const raw_listener gone(1, local);
  return gone.at();
}

}  // namespace

TEST_CASE("a connection to oneself is no connection", "[tcp_connect]") {
  for (const endpoint& local : {endpoint::loopback_v4(0), endpoint::loopback_v6(0)}) {
    const endpoint at = oneself(local);
    connected seen;
    REQUIRE(finishes(connect_and_look(at, connect_options().local(at), &seen)));
    CHECK(seen.failure == std::errc::connection_refused);
    CHECK(seen.failure.category() == std::system_category());
    CHECK_NOTHROW(raw_listener(1, at));  // nothing of it lingers

    named by_name;
    REQUIRE(finishes(connect_named(at.address(), at.port(), connect_options().local(at), &by_name)));
    CHECK((by_name.failure == std::errc::connection_refused));
    CHECK(by_name.failure.failures().size() == 1);
  }
}

TEST_CASE("a task that waits for a connection attempt says so", "[tcp_connect]") {
  const black_hole hole;
  connected seen;
  named by_name;
  named unknown;
  int pending = 0;
  telling plain(connect_and_look(hole.at(), {}, &seen));
  telling racing(connect_named(hole.at().address(), hole.at().port(), {}, &by_name));
  telling asking(connect_named("a.example", 1, silent(&pending, true), &unknown));
  {
    event_loop loop;
    plain.start(loop);
    racing.start(loop);
    asking.start(loop);
    loop.turn();
    CHECK(plain.waits_for() == "a connection attempt");
    CHECK(racing.waits_for() == "a connection attempt");
    CHECK(asking.waits_for() == "the answer of a resolver");
  }
  CHECK(plain.ended());
  CHECK(racing.ended());
  CHECK(asking.ended());
  CHECK(seen.failure == coflow::error::closed);
  CHECK((by_name.failure == coflow::error::closed));
  CHECK((unknown.failure == coflow::error::closed));
}

TEST_CASE("a host may be an address, for which no resolver is asked", "[tcp_connect]") {
  const raw_listener four;
  const raw_listener six(16, endpoint::loopback_v6(0));
  int asked = 0;
  const auto options = connect_options().resolver(known_names({}, &asked));
  for (const auto& [host, at] : {std::pair<std::string, const raw_listener*>("127.0.0.1", &four),
                                 std::pair<std::string, const raw_listener*>("::1", &six),
                                 std::pair<std::string, const raw_listener*>("[::1]", &six)}) {
    CAPTURE(host);
    named seen;
    REQUIRE(finishes(connect_named(host, at->at().port(), options, &seen)));
    CHECK_FALSE(seen.failure.code());
    CHECK(seen.remote == at->at());
  }
  CHECK(asked == 0);
}

TEST_CASE("an address with a scope is no name either", "[tcp_connect]") {
  int asked = 0;
  named seen;
  REQUIRE(
      finishes(connect_named("fe80::1%lo", 1, connect_options().timeout(0s).resolver(known_names({}, &asked)), &seen)));
  CHECK(asked == 0);
  REQUIRE(seen.failure.failures().size() == 1);
  CHECK(seen.failure.failures()[0].remote().to_string() == "[fe80::1%lo]:1");
}

TEST_CASE("what cannot be the name of a host is an error without a question", "[tcp_connect]") {
  int asked = 0;
  const auto options = connect_options().resolver(known_names({endpoint::loopback_v4(1)}, &asked));
  for (const std::string& host : {std::string(), std::string(254, 'a'), std::string("a\0b", 3)}) {
    named seen;
    REQUIRE(finishes(connect_named(host, 1, options, &seen)));
    CHECK((seen.failure == coflow::resolve_error::bad_host));
  }
  CHECK(asked == 0);
}

TEST_CASE("a connection is made to localhost by its name", "[tcp_connect][threads]") {
  const raw_listener listener;
  named seen;
  REQUIRE(finishes(connect_named("localhost", listener.at().port(), {}, &seen)));
  while (coflow::detail::lookups().threads() != 0) std::this_thread::yield();
  INFO(seen.failure.message());
  REQUIRE_FALSE(seen.failure.code());
  CHECK(seen.remote == listener.at());
}

TEST_CASE("a name that nobody knows is an error that names it", "[tcp_connect][threads]") {
  named seen;
  REQUIRE(finishes(connect_named("does-not-exist.invalid", 80, {}, &seen)));
  while (coflow::detail::lookups().threads() != 0) std::this_thread::yield();
  CHECK(seen.failure.code().category() == coflow::resolver_category());
  CHECK(seen.failure.message() == "cannot connect to does-not-exist.invalid:80: " + seen.failure.code().message());
  CHECK(seen.failure.failures().empty());
}

TEST_CASE("an address that does not answer does not keep the next one waiting", "[tcp_connect]") {
  const black_hole hole;
  const raw_listener listener;
  const int before = open_descriptors();
  const named seen = race({hole.at(), listener.at()}, connect_options().attempt_delay(30ms));
  CHECK_FALSE(seen.failure.code());
  CHECK(seen.remote == listener.at());
  CHECK(seen.time >= 30ms);
  CHECK(open_descriptors() == before);
}

TEST_CASE("addresses get a head start of a quarter of a second each", "[tcp_connect]") {
  const black_hole hole;
  const black_hole other;
  const raw_listener listener;
  const named seen = race({hole.at(), other.at(), listener.at()});
  CHECK(seen.remote == listener.at());
  CHECK(seen.time >= 500ms);
}

TEST_CASE("the losers of a race are closed before it ends", "[tcp_connect]") {
  const black_hole hole;
  const black_hole other;
  const raw_listener listener;
  const named none = race({deserted()});
  const named seen = race({hole.at(), other.at(), listener.at()}, connect_options().attempt_delay(10ms));
  REQUIRE(seen.remote == listener.at());
  CHECK(seen.descriptors == none.descriptors + 1);  // the flow
}

TEST_CASE("an address that refuses makes way for the next one at once", "[tcp_connect]") {
  const raw_listener listener;
  const named seen = race({deserted(), deserted(), deserted(), listener.at()}, connect_options().attempt_delay(2s), 1s);
  CHECK_FALSE(seen.failure.code());
  CHECK(seen.remote == listener.at());
}

TEST_CASE("an attempt that fails while another is under way makes way for the next one", "[tcp_connect]") {
  const black_hole hole;
  const raw_listener listener;
  const named seen =
      race({hole.at(), deserted(), deserted(), listener.at()}, connect_options().attempt_delay(600ms), 900ms);
  CHECK(seen.remote == listener.at());
  CHECK(seen.time >= 600ms);
}

TEST_CASE("an address that refuses late does not end the race", "[tcp_connect]") {
  const black_hole hole;
  const named seen = race({hole.at(), deserted()}, connect_options().attempt_delay(10ms).timeout(60ms));
  CHECK((seen.failure == coflow::error::timed_out));
  REQUIRE(seen.failure.failures().size() == 2);
  CHECK(seen.failure.failures()[0].code() == coflow::error::timed_out);
  CHECK(seen.failure.failures()[1].code() == std::errc::connection_refused);
}

TEST_CASE("addresses of both families are tried in turns, beginning with the first one's", "[tcp_connect]") {
  const endpoint four = deserted();
  const endpoint six = oneself(endpoint::loopback_v6(0));
  endpoint four_more = four;
  four_more.set_port(1);
  endpoint six_more = six;
  six_more.set_port(1);
  const auto order = [](std::vector<endpoint> addresses) {
    std::vector<endpoint> tried;
    const named seen = race(std::move(addresses));
    for (const coflow::connect_failure& one : seen.failure.failures()) tried.push_back(one.remote());
    return tried;
  };
  CHECK(order({six, six_more, four, four_more}) == std::vector<endpoint>{six, four, six_more, four_more});
  CHECK(order({four, four_more, six}) == std::vector<endpoint>{four, six, four_more});
  CHECK(order({four, six, six_more}) == std::vector<endpoint>{four, six, six_more});
  CHECK(order({four, four, six, four}) == std::vector<endpoint>{four, six});
}

TEST_CASE("if every address refuses, the error names them all", "[tcp_connect]") {
  const endpoint first = deserted();
  const endpoint second = oneself(endpoint::loopback_v6(0));
  const named seen = race({first, second});
  const std::string refused = std::error_code(ECONNREFUSED, std::system_category()).message();
  CHECK((seen.failure == std::errc::connection_refused));
  CHECK(seen.failure.message() == "cannot connect to a.example:1: " + first.to_string() + ": " + refused + "; " +
                                      second.to_string() + ": " + refused);
}

TEST_CASE("a connect error is returned where an error code is expected", "[tcp_connect]") {
  const result<void> given =
      coflow::run(hand_on("a.example", 1, connect_options().resolver(known_names({deserted()}))));
  CHECK(given.error() == std::errc::connection_refused);
}

TEST_CASE("a resolver that finds nothing has found no such host", "[tcp_connect]") {
  CHECK((race({}).failure == coflow::resolve_error::no_such_host));
}

TEST_CASE("a resolver's error is the error", "[tcp_connect]") {
  named seen;
  const auto options = connect_options().resolver(
      [](const std::string&, int) -> task<resolved> { co_return coflow::resolve_error::try_again; });
  REQUIRE(finishes(connect_named("a.example", 1, options, &seen)));
  CHECK((seen.failure == coflow::resolve_error::try_again));
  CHECK(seen.failure.host() == "a.example");
}

TEST_CASE("what a resolver throws is thrown by connecting", "[tcp_connect]") {
  named seen;
  const auto at_once = connect_options().resolver(
      [](const std::string&, int) -> task<resolved> { throw std::runtime_error("at once"); });
  CHECK_THROWS_WITH(finishes(connect_named("a.example", 1, at_once, &seen)), "at once");
  const auto later = connect_options().resolver([](const std::string&, int) -> task<resolved> {
    const result<void> slept = co_await coflow::sleep_for(1ms);
    if (slept) throw std::runtime_error("later");
    co_return slept.error();
  });
  CHECK_THROWS_WITH(finishes(connect_named("a.example", 1, later, &seen)), "later");
}

TEST_CASE("the deadline ends a look-up that never does, whatever the resolver knows of stops", "[tcp_connect]") {
  for (const bool knows : {false, true}) {
    int pending = 0;
    named seen;
    REQUIRE(finishes(connect_named("a.example", 1, silent(&pending, knows).timeout(20ms), &seen)));
    CHECK((seen.failure == coflow::error::timed_out));
    CHECK(seen.failure.message() == "cannot connect to a.example:1: the deadline has passed");
    CHECK(seen.time >= 20ms);
    CHECK(pending == 0);
  }
}

TEST_CASE("what is given up at a deadline is gone before its caller goes on", "[tcp_connect]") {
  int pending = 0;
  int left = -1;
  CHECK(support::drive(outlast(answer_never(&pending), &pending, &left)) == coflow::error::timed_out);
  CHECK(left == 0);
  left = -1;
  CHECK(support::drive(outlast(answer_when_stopped(&pending), &pending, &left)) == coflow::error::timed_out);
  CHECK(left == 0);
  CHECK_FALSE(support::drive(outlast(answer_after(500ms, endpoint()), &pending, &left)));
}

TEST_CASE("the deadline is one for the look-up and the attempts", "[tcp_connect]") {
  const black_hole hole;
  const auto slow = connect_options().timeout(400ms).resolver(
      [to = hole.at()](const std::string&, int) { return answer_after(300ms, to); });
  const named seen = connect_within(550ms, slow);
  CHECK((seen.failure == coflow::error::timed_out));
  CHECK(seen.time >= 400ms);
}

TEST_CASE("the deadline ends a race and tells what had failed and what had not answered", "[tcp_connect]") {
  const black_hole hole;
  const endpoint refusing = deserted();
  const named seen = race({refusing, hole.at()}, connect_options().timeout(30ms));
  CHECK((seen.failure == coflow::error::timed_out));
  CHECK(seen.failure.message() == "cannot connect to a.example:1: " + refusing.to_string() + ": " +
                                      std::error_code(ECONNREFUSED, std::system_category()).message() + "; " +
                                      hole.at().to_string() + ": the deadline has passed");
}

TEST_CASE("connecting to a name is cancelled while a resolver is asked", "[tcp_connect]") {
  for (const bool knows : {false, true}) {
    int pending = 0;
    named seen;
    REQUIRE(finishes(cancel_named(silent(&pending, knows), 0, &pending, 1, &seen)));
    CHECK((seen.failure == std::errc::operation_canceled));
    CHECK(pending == 0);
  }
}

TEST_CASE("connecting to a name is cancelled with any number of attempts under way", "[tcp_connect]") {
  const black_hole hole;
  const black_hole other;
  const int none = 0;
  for (int attempts = 1; attempts <= 2; ++attempts) {
    named seen;
    const auto options = connect_options()
                             .attempt_delay(attempts == 1 ? 2s : 10ms)
                             .resolver(known_names({deserted(), hole.at(), other.at()}));
    REQUIRE(finishes(cancel_named(options, attempts, &none, 0, &seen)));
    CHECK((seen.failure == std::errc::operation_canceled));
    REQUIRE(seen.failure.failures().size() == 1);
    CHECK(seen.failure.failures()[0].code() == std::errc::connection_refused);
  }
}

TEST_CASE("connecting to a name in a task that is stopped already is cancelled", "[tcp_connect]") {
  const raw_listener listener;
  int asked = 0;
  named seen;
  REQUIRE(finishes(
      stopped_before(connect_options().resolver(known_names({listener.at()}, &asked)), "a.example", 1, &seen)));
  CHECK((seen.failure == std::errc::operation_canceled));
  CHECK(asked == 0);
  named by_address;
  REQUIRE(finishes(stopped_before({}, "127.0.0.1", listener.at().port(), &by_address)));
  CHECK((by_address.failure == std::errc::operation_canceled));
}

TEST_CASE("connecting to a name is destroyed in each of its waits and leaves nothing", "[tcp_connect]") {
  const black_hole hole;
  const black_hole other;
  int pending = 0;
  REQUIRE(finishes(destroy_named(silent(&pending, true), 0, &pending, 1)));
  REQUIRE(finishes(destroy_named(silent(&pending, false), 0, &pending, 1)));
  CHECK(pending == 0);
  const auto options = connect_options().attempt_delay(10ms).resolver(known_names({hole.at(), other.at()}));
  REQUIRE(finishes(destroy_named(options, 1, &pending, 0)));
  REQUIRE(finishes(destroy_named(options, 2, &pending, 0)));
}

TEST_CASE("a loop that goes away ends a race as closed, though addresses are left", "[tcp_connect]") {
  const black_hole hole;
  const raw_listener listener;
  named seen;
  telling racing(
      connect_named("a.example", 1, connect_options().resolver(known_names({hole.at(), listener.at()})), &seen));
  {
    event_loop loop;
    racing.start(loop);
    while (racing.waits_for() != "a connection attempt") loop.turn();
  }
  REQUIRE(racing.ended());
  CHECK((seen.failure == coflow::error::closed));
}

TEST_CASE("attempts that cannot even be made fail with the system's reason", "[tcp_connect]") {
  const raw_listener listener;
  const named seen = race({endpoint(), endpoint::parse("192.0.2.1:1").value()},
                          connect_options().local(endpoint::parse("192.0.2.9:0").value()));
  CHECK(seen.failure.failures().size() == 2);
  CHECK((seen.failure == std::errc::address_not_available));
}

TEST_CASE("there is no connecting to a name without an executor that knows descriptors", "[tcp_connect]") {
  named seen;
  int asked = 0;
  {
    bare_executor bare;
    coflow::spawn(bare, connect_named("a.example", 1, connect_options().resolver(known_names({}, &asked)), &seen));
    bare.turn();
    bare.turn();
  }
  CHECK((seen.failure == coflow::error::no_executor));
  CHECK(asked == 0);
}

TEST_CASE("the head start of an address is kept within what the standard allows", "[tcp_connect]") {
  CHECK(connect_options().attempt_delay() == 250ms);
  CHECK(connect_options().attempt_delay(70ms).attempt_delay() == 70ms);
  CHECK(connect_options().attempt_delay(-1s).attempt_delay() == 10ms);
  CHECK(connect_options().attempt_delay(std::chrono::nanoseconds::max()).attempt_delay() == 2s);
  CHECK_FALSE(connect_options().resolver());
  CHECK(connect_options().resolver(coflow::system_resolver()).resolver());
}
