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
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/run_main.hpp"
#include "support/catch.hpp"

namespace {

using coflow::buffer;
using coflow::connect_options;
using coflow::endpoint;
using coflow::event_loop;
using coflow::keep_alive_options;
using coflow::read_result;
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
