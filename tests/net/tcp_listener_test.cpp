#include "coflow/net/tcp_listener.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
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
using coflow::endpoint;
using coflow::event_loop;
using coflow::keep_alive_options;
using coflow::listener_options;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::tcp_flow;
using coflow::tcp_listener;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<tcp_listener>);
static_assert(std::is_nothrow_move_constructible_v<tcp_listener>);
static_assert(std::is_nothrow_move_assignable_v<tcp_listener>);

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
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
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

// Runs `body` to its end on a loop of its own. False if it would have waited for ever.
[[nodiscard]] bool finishes(task<> body) {
  std::exception_ptr thrown;
  bool on_time = false;
  {
    event_loop loop;
    const watchdog dog(loop);
    coflow::spawn(loop, std::move(body), [&](const coflow::task_outcome<void>& outcome) {
      if (!outcome) thrown = outcome.error();
      loop.stop();
    });
    loop.run();
    on_time = !dog.barked();
  }
  if (thrown) std::rethrow_exception(thrown);
  return on_time;
}

tcp_listener listening(const listener_options& options = {}) {
  return tcp_listener::bind(endpoint::loopback_v4(0), options).value();
}

unique_fd raw_socket(const endpoint& for_one_like) {
  return unique_fd(::socket(for_one_like.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
void raw_connect(const unique_fd& socket, const endpoint& to) {
  const coflow::detail::sys::kernel_address address(to.raw());
  if (::connect(socket.get(), address.data(), address.size()) != 0)
    throw std::system_error(errno, std::system_category(), "connect");
}
unique_fd raw_connect(const endpoint& to) {
  unique_fd made = raw_socket(to);
  raw_connect(made, to);
  return made;
}
endpoint raw_name(const unique_fd& socket) {
  coflow::detail::sys::kernel_address address;
  if (::getsockname(socket.get(), address.data(), address.room()) != 0) return endpoint();
  return endpoint(address.value());
}
void raw_reset(unique_fd& socket) {
  const linger now{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  socket.reset();
}

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

// While it lives, or until it is lifted, the process can open no more descriptors. UBSan opens some when it sees a
// class for the first time; therefore what happens under a limit happens first under one that is not real.
class descriptor_limit {
 public:
  explicit descriptor_limit(bool real) : real_(real) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int first_free = ::dup(STDERR_FILENO);
    ::close(first_free);
    limit_ = before_;
    limit_.rlim_cur = static_cast<rlim_t>(first_free);
    impose();
  }
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;
  ~descriptor_limit() { lift(); }
  void impose() {
    if (real_) ::setrlimit(RLIMIT_NOFILE, &limit_);
  }
  void lift() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
  rlimit limit_{};
  bool real_;
};

std::chrono::nanoseconds thread_cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// Lets everybody else run that is ready, and the loop look at its descriptors.
task<> turns(int count) {
  for (int i = 0; i < count; ++i) {
    const result<void> slept = co_await coflow::sleep_for(0ms);
    slept.value();
  }
}

// ---- accepting

struct accepted {
  bool over = false;
  std::error_code failure;
  std::optional<tcp_flow> flow;
};

task<> accept_one(tcp_listener* listener, accepted* seen) {
  result<tcp_flow> client = co_await listener->accept();
  seen->over = true;
  if (client)
    seen->flow.emplace(std::move(*client));
  else
    seen->failure = client.error();
}

task<> accept_and_look(tcp_listener* listener, endpoint* local, endpoint* remote, std::vector<int>* options) {
  result<tcp_flow> accepted = co_await listener->accept();
  tcp_flow* client = &accepted.value();
  *local = client->local_endpoint();
  *remote = client->remote_endpoint();
  options->push_back(client->option(IPPROTO_TCP, TCP_NODELAY).value_or(-1));
  options->push_back(client->option(SOL_SOCKET, SO_KEEPALIVE).value_or(-1));
  options->push_back(client->option(IPPROTO_TCP, TCP_KEEPIDLE).value_or(-1));
  options->push_back(::fcntl(client->native_handle(), F_GETFD) & FD_CLOEXEC);
  options->push_back(::fcntl(client->native_handle(), F_GETFL) & O_NONBLOCK);
}

task<> accept_in_turn(tcp_listener* listener, std::vector<accepted>* seen, std::vector<unique_fd>* clients) {
  coflow::task_scope scope;
  for (accepted& one : *seen) scope.spawn(accept_one(listener, &one)).value();
  co_await turns(2);
  for (std::size_t i = 0; i < seen->size(); ++i) clients->push_back(raw_connect(listener->local_endpoint()));
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> accept_then_close(tcp_listener* listener, std::vector<accepted>* seen, accepted* late) {
  coflow::task_scope scope;
  for (accepted& one : *seen) scope.spawn(accept_one(listener, &one)).value();
  co_await turns(2);
  listener->close();
  for (const accepted& one : *seen)
    if (one.over) throw std::runtime_error("an accept was resumed inside close");
  const result<void> joined = co_await scope.join();
  joined.value();
  listener->close();
  co_await accept_one(listener, late);
}

task<> accept_then_destroy(std::optional<tcp_listener> listener, accepted* seen) {
  coflow::task_scope scope;
  scope.spawn(accept_one(&*listener, seen)).value();
  co_await turns(2);
  listener.reset();
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> accept_then_move(tcp_listener first, accepted* seen, accepted* second) {
  const endpoint at = first.local_endpoint();
  coflow::task_scope scope;
  scope.spawn(accept_one(&first, seen)).value();
  co_await turns(2);
  tcp_listener moved(std::move(first));
  tcp_listener assigned = listening();
  assigned = std::move(moved);
  const unique_fd client = raw_connect(at);
  const result<void> joined = co_await scope.join();
  joined.value();
  const unique_fd other = raw_connect(at);
  co_await accept_one(&assigned, second);
}

enum class ended_by { cancel, destruction };

// The first accept ends in the turn in which a connection has come; then somebody else accepts.
task<> accept_given_up(tcp_listener* listener, ended_by how, bool another_waits, accepted* first, accepted* second,
                       unique_fd* client) {
  std::optional<coflow::task_scope> scope(std::in_place);
  scope->spawn(accept_one(listener, first)).value();
  co_await turns(2);
  coflow::task_scope others;
  if (another_waits) {
    others.spawn(accept_one(listener, second)).value();
    co_await turns(2);
  }
  *client = raw_connect(listener->local_endpoint());
  pollfd queued{listener->native_handle(), POLLIN, 0};
  ::poll(&queued, 1, 20000);
  if (how == ended_by::destruction) {
    scope.reset();
  } else {
    scope->cancel();
    const result<void> joined = co_await scope->join();
    joined.value();
  }
  if (!another_waits) others.spawn(accept_one(listener, second)).value();
  const result<void> joined = co_await others.join();
  joined.value();
}

// The first of three is served; it cancels the second, whose turn it is then; the turn is the third one's.
task<> accept_then_cancel(tcp_listener* listener, accepted* seen, coflow::task_scope* other) {
  co_await accept_one(listener, seen);
  other->cancel();
}
task<> cancel_whose_turn_it_is(tcp_listener* listener, accepted* first, accepted* second, accepted* third,
                               std::vector<unique_fd>* clients) {
  coflow::task_scope scope;
  coflow::task_scope doomed;
  scope.spawn(accept_then_cancel(listener, first, &doomed)).value();
  co_await turns(1);
  doomed.spawn(accept_one(listener, second)).value();
  co_await turns(1);
  scope.spawn(accept_one(listener, third)).value();
  co_await turns(3);
  clients->push_back(raw_connect(listener->local_endpoint()));
  clients->push_back(raw_connect(listener->local_endpoint()));
  const result<void> joined = co_await scope.join();
  joined.value();
  const result<void> gone = co_await doomed.join();
  gone.value();
}

task<> accept_stopped(tcp_listener* listener, accepted* seen) {
  coflow::task_scope scope;
  scope.cancel();
  scope.spawn(accept_one(listener, seen)).value();
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> accept_many(tcp_listener* listener, int count, int* served) {
  for (int i = 0; i < count; ++i) {
    unique_fd client = raw_connect(listener->local_endpoint());
    if (i % 3 == 0) raw_reset(client);
    if (i % 3 == 1) client.reset();
    const result<tcp_flow> flow = co_await listener->accept();
    if (flow) ++*served;
  }
}

task<> accept_shared(tcp_listener* listener, int* count) {
  for (;;) {
    const result<tcp_flow> flow = co_await listener->accept();
    if (!flow) co_return;
    ++*count;
  }
}
task<> share_a_port(tcp_listener* one, tcp_listener* two, int clients, int* at_one, int* at_two) {
  coflow::task_scope scope;
  scope.spawn(accept_shared(one, at_one)).value();
  scope.spawn(accept_shared(two, at_two)).value();
  const endpoint at = one->local_endpoint();
  for (int i = 0; i < clients; ++i) {
    const unique_fd client = raw_connect(at);
    const int before = *at_one + *at_two;
    while (*at_one + *at_two == before) co_await turns(1);
  }
  one->close();
  two->close();
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> read_until_greeted(tcp_listener* listener, std::string* greeting, std::error_code* lost) {
  for (;;) {
    result<tcp_flow> flow = co_await listener->accept();
    if (!flow) throw std::system_error(flow.error());
    const read_result got = co_await flow->read();
    if (got) {
      *greeting = got->text();
      co_return;
    }
    if (got.eof()) throw std::runtime_error("a reset looked like an end");
    *lost = got.error();
  }
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
foreign accept_from_nowhere(tcp_listener* listener, std::error_code* failure) {
  const result<tcp_flow> flow = co_await listener->accept();
  if (!flow) *failure = flow.error();
}

// ---- no descriptors

struct troubles {
  int reports = 0;
  std::error_code last;
  descriptor_limit* lifted = nullptr;
  tcp_listener* closed = nullptr;
  std::optional<tcp_flow>* dropped = nullptr;

  [[nodiscard]] listener_options options() {
    return listener_options().on_trouble([this](std::error_code code) {
      ++reports;
      last = code;
      if (lifted != nullptr) lifted->lift();
      if (closed != nullptr) closed->close();
      if (dropped != nullptr) dropped->reset();
    });
  }
};

task<> bind_flow(std::optional<tcp_flow>* flow) {
  const result<void> sent = co_await (*flow)->write(buffer("x"));
  sent.value();
}
task<> bind_then_accept(std::optional<tcp_flow>* flow, tcp_listener* listener, accepted* seen) {
  co_await bind_flow(flow);
  co_await accept_one(listener, seen);
}

// Shows UBSan what an accept without descriptors uses, in an episode that ends when it is reported.
void rehearse() {
  troubles shown;
  shown.options().on_trouble()(std::error_code());
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_connect(listener.local_endpoint());
    tcp_listener other = listening();
    const unique_fd other_client = raw_connect(other.local_endpoint());
    accepted kept;
    accepted seen;
    event_loop loop;
    coflow::run(loop, accept_one(&other, &kept));
    REQUIRE(kept.flow);
    descriptor_limit limit(real);
    told.lifted = &limit;
    told.dropped = &kept.flow;
    watchdog dog(loop);
    coflow::spawn(loop, bind_then_accept(&kept.flow, &listener, &seen),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    REQUIRE_FALSE(dog.barked());
    REQUIRE(seen.flow);
    REQUIRE(told.reports == (real ? 1 : 0));
  }
}

// The descriptors come back after a while, and nothing but time tells the listener.
task<> served_after_a_while(tcp_listener* listener, descriptor_limit* limit, accepted* seen, bool* too_early) {
  coflow::task_scope scope;
  scope.spawn(accept_one(listener, seen)).value();
  const result<void> slept = co_await coflow::sleep_for(250ms);
  *too_early = seen->over;
  slept.value();
  limit->lift();
  const result<void> joined = co_await scope.join();
  joined.value();
}

// A flow of the loop is closed: its descriptor is there for the connection that waits, with no time to pass.
task<> served_by_a_close(tcp_listener* listener, tcp_flow kept, accepted* seen, bool* before, bool* soon_after) {
  const result<void> bound = co_await kept.write(buffer("x"));
  bound.value();
  coflow::task_scope scope;
  scope.spawn(accept_one(listener, seen)).value();
  co_await turns(3);
  *before = seen->over;
  co_await kept.close();
  co_await turns(3);
  *soon_after = seen->over;
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> two_episodes(tcp_listener* listener, descriptor_limit* limit, const unique_fd* second_client, accepted* first,
                    accepted* second) {
  coflow::task_scope scope;
  scope.spawn(accept_one(listener, first)).value();
  co_await turns(3);
  limit->lift();
  const result<void> served = co_await scope.join();
  served.value();
  first->flow.reset();
  limit->impose();
  scope.spawn(accept_one(listener, second)).value();
  raw_connect(*second_client, listener->local_endpoint());
  co_await turns(3);
  limit->lift();
  const result<void> served_again = co_await scope.join();
  served_again.value();
}

// The first episode is over before any connection comes.
task<> an_episode_without_a_connection(tcp_listener* listener, descriptor_limit* limit, const unique_fd* client,
                                       accepted* seen) {
  coflow::task_scope scope;
  scope.spawn(accept_one(listener, seen)).value();
  co_await turns(3);
  limit->lift();
  const result<void> slept = co_await coflow::sleep_for(250ms);
  slept.value();
  limit->impose();
  raw_connect(*client, listener->local_endpoint());
  co_await turns(3);
  limit->lift();
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> hungry_scope(tcp_listener* listener, accepted* seen) {
  coflow::task_scope scope;
  scope.spawn(accept_one(listener, seen)).value();
  co_await turns(3);
  listener->close();
  const result<void> joined = co_await scope.join();
  joined.value();
  const result<void> slept = co_await coflow::sleep_for(150ms);
  slept.value();
}

task<> two_hungry(tcp_listener* one, tcp_listener* two, descriptor_limit* limit, accepted* first, accepted* second) {
  coflow::task_scope scope;
  scope.spawn(accept_one(one, first)).value();
  scope.spawn(accept_one(two, second)).value();
  co_await turns(3);
  limit->lift();
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> accept_in_trouble_later(tcp_listener* listener, descriptor_limit* limit, const unique_fd* client,
                               accepted* seen) {
  limit->lift();
  coflow::task_scope scope;
  scope.spawn(accept_one(listener, seen)).value();
  co_await turns(3);
  limit->impose();
  raw_connect(*client, listener->local_endpoint());
  const result<void> joined = co_await scope.join();
  joined.value();
}
// What `check` makes of a child process that prints nothing: its exit code, or minus the signal that ended it.
int in_child(int (*check)()) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGABRT, SIG_DFL);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDERR_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    ::_exit(check());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int bind_below_1024_as_nobody() {
  if (::setresgid(65534, 65534, 65534) != 0 && ::geteuid() == 0) return 2;
  if (::setresuid(65534, 65534, 65534) != 0 && ::geteuid() == 0) return 2;
  const result<tcp_listener> refused = tcp_listener::bind(endpoint::loopback_v4(1));
  return !refused && refused.error() == std::errc::permission_denied ? 0 : 1;
}

int accept_on_another_loop() {
  tcp_listener listener = listening();
  event_loop home;
  event_loop other;
  accepted first;
  accepted second;
  coflow::spawn(home, accept_one(&listener, &first));
  home.turn();
  coflow::spawn(other, accept_one(&listener, &second));
  other.turn();
  return second.failure == coflow::error::wrong_executor ? 0 : 1;
}

// In another loop's turn.
task<> close_it(tcp_listener* listener) {
  listener->close();
  co_return;
}
int close_on_another_loop() {
  tcp_listener listener = listening();
  event_loop home;
  event_loop other;
  accepted first;
  coflow::spawn(home, accept_one(&listener, &first));
  home.turn();
  coflow::run(other, close_it(&listener));
  return listener.native_handle() == -1 ? 0 : 1;
}

task<> start_in(std::unique_ptr<coflow::task_scope>* scope, task<> child) {
  (*scope)->spawn(std::move(child)).value();
  co_return;
}

}  // namespace

TEST_CASE("a listener accepts, over IPv4 and IPv6", "[tcp_listener]") {
  for (const std::string_view address : {"127.0.0.1", "::1"}) {
    CAPTURE(address);
    tcp_listener listener = tcp_listener::bind(address, 0).value();
    const endpoint at = listener.local_endpoint();
    CHECK(at.port() != 0);
    CHECK(at.address() == address);
    const unique_fd client = raw_connect(at);
    endpoint local;
    endpoint remote;
    std::vector<int> options;
    REQUIRE(finishes(accept_and_look(&listener, &local, &remote, &options)));
    CHECK(local == at);
    CHECK(remote == raw_name(client));
  }
}

TEST_CASE("accepted connections are close-on-exec, do not block and do not delay", "[tcp_listener]") {
  tcp_listener listener = listening();
  const unique_fd client = raw_connect(listener.local_endpoint());
  endpoint local;
  endpoint remote;
  std::vector<int> options;
  REQUIRE(finishes(accept_and_look(&listener, &local, &remote, &options)));
  REQUIRE(options.size() == 5);
  CHECK(options[0] == 1);
  CHECK(options[1] == 0);
  CHECK(options[3] == FD_CLOEXEC);
  CHECK(options[4] == O_NONBLOCK);
  CHECK((::fcntl(listener.native_handle(), F_GETFD) & FD_CLOEXEC) == FD_CLOEXEC);
  CHECK((::fcntl(listener.native_handle(), F_GETFL) & O_NONBLOCK) == O_NONBLOCK);
}

TEST_CASE("what a listener's options say of connections holds for those that it accepts", "[tcp_listener]") {
  tcp_listener listener = listening(listener_options().no_delay(false).keep_alive(keep_alive_options().idle(23s)));
  const unique_fd client = raw_connect(listener.local_endpoint());
  endpoint local;
  endpoint remote;
  std::vector<int> options;
  REQUIRE(finishes(accept_and_look(&listener, &local, &remote, &options)));
  REQUIRE(options.size() == 5);
  CHECK(options[0] == 0);
  CHECK(options[1] == 1);
  CHECK(options[2] == 23);
}

TEST_CASE("a listener cannot have a port that another one has", "[tcp_listener]") {
  const tcp_listener first = listening();
  const int before = open_descriptors();
  const result<tcp_listener> second = tcp_listener::bind(first.local_endpoint());
  REQUIRE_FALSE(second);
  CHECK(second.error() == std::errc::address_in_use);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a listener takes the port of one that has just closed, with connections lingering", "[tcp_listener]") {
  tcp_listener first = listening();
  const endpoint at = first.local_endpoint();
  unique_fd client = raw_connect(at);
  accepted seen;
  REQUIRE(finishes(accept_one(&first, &seen)));
  first.close();
  const result<tcp_listener> second = tcp_listener::bind(at);
  CHECK(second);
  const result<tcp_listener> third = tcp_listener::bind(at, listener_options().reuse_address(false));
  REQUIRE_FALSE(third);
  CHECK(third.error() == std::errc::address_in_use);
}

TEST_CASE("an address that cannot be had is refused, and leaks nothing", "[tcp_listener]") {
  const int before = open_descriptors();
  const result<tcp_listener> not_ours = tcp_listener::bind("192.0.2.1", 0);
  REQUIRE_FALSE(not_ours);
  CHECK(not_ours.error() == std::errc::address_not_available);
  const result<tcp_listener> unspecified = tcp_listener::bind(endpoint());
  CHECK_FALSE(unspecified);
  for (const std::string_view bad : {"", "localhost", "127.0.0.1:80", "[::1]", "::1::"}) {
    CAPTURE(bad);
    const result<tcp_listener> refused = tcp_listener::bind(bad, 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == coflow::error::bad_endpoint);
  }
  const auto impossible = listener_options().keep_alive(keep_alive_options().count(0));
  const result<tcp_listener> refused = tcp_listener::bind("127.0.0.1", 0, impossible);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == std::errc::invalid_argument);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a port that needs privileges is refused to those without", "[tcp_listener]") {
  std::ifstream setting("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  int first_free_to_all = 1024;
  setting >> first_free_to_all;
  if (first_free_to_all > 1) CHECK(in_child(bind_below_1024_as_nobody) == 0);
}

TEST_CASE("pending accepts are served first come, first served", "[tcp_listener]") {
  tcp_listener listener = listening();
  std::vector<accepted> seen(5);
  std::vector<unique_fd> clients;
  REQUIRE(finishes(accept_in_turn(&listener, &seen, &clients)));
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CAPTURE(i);
    REQUIRE(seen[i].flow);
    CHECK(seen[i].flow->remote_endpoint() == raw_name(clients[i]));
  }
}

TEST_CASE("connections that came before anybody accepted wait", "[tcp_listener]") {
  tcp_listener listener = listening();
  const unique_fd first = raw_connect(listener.local_endpoint());
  const unique_fd second = raw_connect(listener.local_endpoint());
  accepted one;
  accepted two;
  event_loop loop;
  coflow::run(loop, accept_one(&listener, &one));
  coflow::run(loop, accept_one(&listener, &two));
  REQUIRE(one.flow);
  CHECK(one.flow->remote_endpoint() == raw_name(first));
  REQUIRE(two.flow);
  CHECK(two.flow->remote_endpoint() == raw_name(second));
}

TEST_CASE("two listeners that say so share a port", "[tcp_listener]") {
  tcp_listener one = listening(listener_options().reuse_port(true));
  const endpoint at = one.local_endpoint();
  tcp_listener two = tcp_listener::bind(at, listener_options().reuse_port(true)).value();
  int at_one = 0;
  int at_two = 0;
  REQUIRE(finishes(share_a_port(&one, &two, 64, &at_one, &at_two)));
  CHECK(at_one + at_two == 64);
  CHECK(at_one > 0);
  CHECK(at_two > 0);
}

TEST_CASE("a close gives closed to all that accept, and to all that accept later", "[tcp_listener]") {
  tcp_listener listener = listening();
  std::vector<accepted> seen(3);
  accepted late;
  const int before = open_descriptors();
  REQUIRE(finishes(accept_then_close(&listener, &seen, &late)));
  for (const accepted& one : seen) CHECK(one.failure == coflow::error::closed);
  CHECK(late.failure == coflow::error::closed);
  CHECK(listener.native_handle() == -1);
  CHECK(listener.local_endpoint().unspecified());
  CHECK(open_descriptors() == before - 1);
}

TEST_CASE("a listener that is destroyed gives closed to who accepts", "[tcp_listener]") {
  accepted seen;
  REQUIRE(finishes(accept_then_destroy(listening(), &seen)));
  CHECK(seen.failure == coflow::error::closed);
}

TEST_CASE("a listener may be moved while somebody accepts", "[tcp_listener]") {
  accepted first;
  accepted second;
  REQUIRE(finishes(accept_then_move(listening(), &first, &second)));
  CHECK(first.flow);
  CHECK(second.flow);
}

TEST_CASE("an accept that is given up when a connection has come loses no connection", "[tcp_listener]") {
  for (const ended_by how : {ended_by::cancel, ended_by::destruction}) {
    for (const bool another_waits : {false, true}) {
      CAPTURE(how == ended_by::cancel, another_waits);
      tcp_listener listener = listening();
      accepted first;
      accepted second;
      unique_fd client;
      REQUIRE(finishes(accept_given_up(&listener, how, another_waits, &first, &second, &client)));
      CHECK(first.over == (how == ended_by::cancel));
      if (first.over) CHECK(first.failure == std::errc::operation_canceled);
      REQUIRE(second.flow);
      CHECK(second.flow->remote_endpoint() == raw_name(client));
    }
  }
}

TEST_CASE("an accept that is cancelled when it is its turn gives the turn to the next", "[tcp_listener]") {
  tcp_listener listener = listening();
  accepted first;
  accepted second;
  accepted third;
  std::vector<unique_fd> clients;
  REQUIRE(finishes(cancel_whose_turn_it_is(&listener, &first, &second, &third, &clients)));
  CHECK(first.flow);
  CHECK(second.failure == std::errc::operation_canceled);
  CHECK(third.flow);
}

TEST_CASE("a task that is stopped already accepts nothing", "[tcp_listener]") {
  tcp_listener listener = listening();
  const unique_fd client = raw_connect(listener.local_endpoint());
  accepted stopped;
  REQUIRE(finishes(accept_stopped(&listener, &stopped)));
  CHECK(stopped.failure == std::errc::operation_canceled);
  accepted next;
  REQUIRE(finishes(accept_one(&listener, &next)));
  CHECK(next.flow);
}

TEST_CASE("there is no accepting without an executor", "[tcp_listener]") {
  tcp_listener listener = listening();
  const unique_fd client = raw_connect(listener.local_endpoint());
  std::error_code failure;
  accept_from_nowhere(&listener, &failure);
  CHECK(failure == coflow::error::no_executor);
  accepted seen;
  REQUIRE(finishes(accept_one(&listener, &seen)));
  CHECK(seen.flow);
}

TEST_CASE("accepting on another loop than the listener's is detected", "[tcp_listener]") {
#ifdef NDEBUG
  CHECK(in_child(accept_on_another_loop) == 0);
#else
  CHECK(in_child(accept_on_another_loop) == -SIGABRT);
#endif
}

TEST_CASE("closing a listener on another loop than its own is detected", "[tcp_listener]") {
#ifdef NDEBUG
  CHECK(in_child(close_on_another_loop) == 0);
#else
  CHECK(in_child(close_on_another_loop) == -SIGABRT);
#endif
}

namespace {
// A coroutine whose stop is at hand.
class watched {
 public:
  class promise_type {
   public:
    promise_type(tcp_listener*, coflow::stop_node* stop) noexcept : stop_(stop) {}
    watched get_return_object() noexcept { return watched(); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
    [[nodiscard]] coflow::stop_node* stop() const noexcept { return stop_; }

   private:
    coflow::stop_node* stop_;
  };
};
watched accept_watched(tcp_listener* listener, coflow::stop_node*) {
  const result<tcp_flow> flow = co_await listener->accept();
  CHECK_FALSE(flow);
}
}  // namespace

TEST_CASE("whoever accepts says what it waits for", "[tcp_listener]") {
  tcp_listener listener = listening();
  event_loop loop;
  coflow::stop_node stop;
  {
    const coflow::executor::entry current(loop);
    accept_watched(&listener, &stop);
    REQUIRE(stop.target() != nullptr);
    CHECK(std::string_view(stop.target()->waits_for()) == "a connection to accept");
    listener.close();
  }
  loop.turn();
}

TEST_CASE("a listener on every IPv6 address takes IPv4 connections, unless the options say otherwise",
          "[tcp_listener]") {
  for (const bool both : {true, false}) {
    CAPTURE(both);
    tcp_listener listener = tcp_listener::bind("::", 0, listener_options().dual_stack(both)).value();
    int v6_only = -1;
    socklen_t size = sizeof v6_only;
    REQUIRE(::getsockopt(listener.native_handle(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &size) == 0);
    CHECK(v6_only == (both ? 0 : 1));
    const endpoint v4 = endpoint::loopback_v4(listener.local_endpoint().port());
    const unique_fd client = raw_socket(v4);
    const coflow::detail::sys::kernel_address address(v4.raw());
    const int outcome = ::connect(client.get(), address.data(), address.size());
    CHECK((outcome == 0) == both);
    if (!both) continue;
    accepted seen;
    REQUIRE(finishes(accept_one(&listener, &seen)));
    REQUIRE(seen.flow);
    CHECK(seen.flow->remote_endpoint().address() == "::ffff:127.0.0.1");
  }
}

TEST_CASE("a listening TCP socket is adopted, and what the options say of connections holds", "[tcp_listener]") {
  for (const bool plain : {true, false}) {
    CAPTURE(plain);
    unique_fd raw(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::listen(raw.get(), 5) == 0);
    const int fd = raw.get();
    const listener_options options =
        plain ? listener_options().no_delay(false) : listener_options().keep_alive(keep_alive_options().idle(7s));
    tcp_listener listener = tcp_listener::adopt(fd, options).value();
    static_cast<void>(raw.release());
    CHECK(listener.native_handle() == fd);
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    const unique_fd client = raw_connect(endpoint::loopback_v4(listener.local_endpoint().port()));
    endpoint local;
    endpoint remote;
    std::vector<int> seen;
    REQUIRE(finishes(accept_and_look(&listener, &local, &remote, &seen)));
    CHECK(remote == raw_name(client));
    CHECK((seen[0] != 0) == !plain);
    CHECK((seen[1] != 0) == !plain);
    if (!plain) CHECK(seen[2] == 7);
  }
}

TEST_CASE("what is no listening TCP socket is not adopted and stays the caller's, as it was", "[tcp_listener]") {
  tcp_listener listener = listening();
  std::vector<std::pair<std::string, unique_fd>> others;
  others.emplace_back("file", unique_fd(::open("/proc/self/exe", O_RDONLY)));
  others.emplace_back("socket that does not listen", unique_fd(::socket(AF_INET, SOCK_STREAM, 0)));
  others.emplace_back("connected socket", raw_connect(listener.local_endpoint()));
  unique_fd local(::socket(AF_UNIX, SOCK_STREAM, 0));
  const sockaddr unnamed{AF_UNIX, {}};
  REQUIRE(::bind(local.get(), &unnamed, sizeof(sa_family_t)) == 0);
  REQUIRE(::listen(local.get(), 1) == 0);
  others.emplace_back("local listener", std::move(local));
  for (const auto& [name, fd] : others) {
    CAPTURE(name);
    const int flags = ::fcntl(fd.get(), F_GETFL);
    const result<tcp_listener> adopted = tcp_listener::adopt(fd.get());
    REQUIRE_FALSE(adopted);
    CHECK(adopted.error() == coflow::error::not_a_stream);
    CHECK(::fcntl(fd.get(), F_GETFL) == flags);
  }
  const result<tcp_listener> nothing = tcp_listener::adopt(-1);
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error() == std::errc::bad_file_descriptor);
  // An option that the system does not take leaves the descriptor to the caller.
  unique_fd raw(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::listen(raw.get(), 5) == 0);
  const result<tcp_listener> refused =
      tcp_listener::adopt(raw.get(), listener_options().keep_alive(keep_alive_options().count(0)));
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == std::errc::invalid_argument);
  CHECK(::fcntl(raw.get(), F_GETFD) >= 0);
}

TEST_CASE("clients that are gone before they are accepted keep nobody from accepting", "[tcp_listener]") {
  const int before = open_descriptors();
  {
    tcp_listener listener = listening();
    int served = 0;
    REQUIRE(finishes(accept_many(&listener, 300, &served)));
    CHECK(served == 300);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a client that resets before it is accepted is an error of its own connection alone", "[tcp_listener]") {
  tcp_listener listener = listening();
  for (int i = 0; i < 3; ++i) {
    unique_fd gone = raw_connect(listener.local_endpoint());
    raw_reset(gone);
  }
  const unique_fd there = raw_connect(listener.local_endpoint());
  REQUIRE(::send(there.get(), "hi", 2, 0) == 2);
  std::string greeting;
  std::error_code lost = std::make_error_code(std::errc::connection_reset);  // the system may drop them all by itself
  REQUIRE(finishes(read_until_greeted(&listener, &greeting, &lost)));
  CHECK(greeting == "hi");
  CHECK(lost == std::errc::connection_reset);
}

TEST_CASE("a listener that is closed outside its loop with an accept pending leaves nothing dangling",
          "[tcp_listener]") {
  accepted seen;
  {
    event_loop loop;
    auto listener = std::make_unique<tcp_listener>(listening());
    auto scope = std::make_unique<coflow::task_scope>();
    coflow::run(loop, start_in(&scope, accept_one(listener.get(), &seen)));
    coflow::run(loop, turns(2));
    listener.reset();
    scope.reset();
  }
  CHECK_FALSE(seen.over);
}

// ---- no descriptors

TEST_CASE("an accept without descriptors waits until there are some again", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_connect(listener.local_endpoint());
    accepted seen;
    bool too_early = false;
    event_loop loop;
    watchdog dog(loop);
    descriptor_limit limit(real);
    coflow::spawn(loop, served_after_a_while(&listener, &limit, &seen, &too_early),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    const auto before = thread_cpu_time();
    loop.run();
    const auto used = thread_cpu_time() - before;
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK_FALSE(too_early);
    REQUIRE(seen.flow);
    CHECK(seen.flow->remote_endpoint() == raw_name(client));
    CHECK(told.reports == 1);
    CHECK(told.last == std::errc::too_many_files_open);
    CHECK(used < 100ms);  // it did not spin
  }
}

TEST_CASE("an accept without descriptors is served by a close in the same loop", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_connect(listener.local_endpoint());
    tcp_listener other = listening();
    const unique_fd other_client = raw_connect(other.local_endpoint());
    accepted kept;
    accepted seen;
    bool before = true;
    bool soon_after = false;
    event_loop loop;
    coflow::run(loop, accept_one(&other, &kept));
    REQUIRE(kept.flow);
    descriptor_limit limit(real);
    watchdog dog(loop);
    coflow::spawn(loop, served_by_a_close(&listener, *std::move(kept.flow), &seen, &before, &soon_after),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK_FALSE(before);
    CHECK(soon_after);
    CHECK(seen.flow);
    CHECK(told.reports == 1);
  }
}

TEST_CASE("trouble is reported once an episode", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd first_client = raw_connect(listener.local_endpoint());
    const unique_fd second_client = raw_socket(listener.local_endpoint());
    accepted first;
    accepted second;
    event_loop loop;
    watchdog dog(loop);
    descriptor_limit limit(real);
    coflow::spawn(loop, two_episodes(&listener, &limit, &second_client, &first, &second),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK(second.flow);
    CHECK(told.reports == 2);
  }
}

TEST_CASE("an episode that ends before a connection comes has ended", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_socket(listener.local_endpoint());
    accepted seen;
    event_loop loop;
    watchdog dog(loop);
    descriptor_limit limit(real);
    coflow::spawn(loop, an_episode_without_a_connection(&listener, &limit, &client, &seen),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK(seen.flow);
    CHECK(told.reports == 2);
  }
}

TEST_CASE("a listener in trouble can be closed", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_connect(listener.local_endpoint());
    accepted seen;
    event_loop loop;
    watchdog dog(loop);
    descriptor_limit limit(real);
    coflow::spawn(loop, hungry_scope(&listener, &seen), [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK(seen.failure == coflow::error::closed);
  }
}

TEST_CASE("a loop may be destroyed with a listener in trouble", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_connect(listener.local_endpoint());
    accepted seen;
    {
      event_loop loop;
      coflow::spawn(loop, accept_one(&listener, &seen));
      descriptor_limit limit(real);
      loop.turn();
      limit.lift();
      if (real) CHECK(told.reports == 1);
      if (real) CHECK_FALSE(seen.over);
    }
    if (real) CHECK(seen.failure == coflow::error::closed);
  }
}

TEST_CASE("two listeners in trouble are both served when descriptors are there again", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    tcp_listener one = listening();
    tcp_listener two = listening();
    const unique_fd first_client = raw_connect(one.local_endpoint());
    const unique_fd second_client = raw_connect(two.local_endpoint());
    accepted first;
    accepted second;
    event_loop loop;
    watchdog dog(loop);
    descriptor_limit limit(real);
    coflow::spawn(loop, two_hungry(&one, &two, &limit, &first, &second),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK(first.flow);
    CHECK(second.flow);
  }
}

TEST_CASE("whoever is told of trouble may give up a connection, and the accept goes on", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    troubles told;
    tcp_listener listener = listening(told.options());
    const unique_fd client = raw_connect(listener.local_endpoint());
    tcp_listener other = listening();
    const unique_fd other_client = raw_connect(other.local_endpoint());
    accepted kept;
    accepted seen;
    event_loop loop;
    coflow::run(loop, accept_one(&other, &kept));
    REQUIRE(kept.flow);
    told.dropped = &kept.flow;
    descriptor_limit limit(real);
    watchdog dog(loop);
    coflow::spawn(loop, bind_then_accept(&kept.flow, &listener, &seen),
                  [&loop](const coflow::task_outcome<void>&) { loop.stop(); });
    loop.run();
    limit.lift();
    if (!real) continue;
    CHECK_FALSE(dog.barked());
    CHECK(seen.flow);
    CHECK(told.reports == 1);
  }
}

TEST_CASE("whoever is told of trouble may close the listener, and the accept gives closed", "[tcp_listener]") {
  rehearse();
  for (const bool real : {false, true}) {
    for (const bool while_waiting : {false, true}) {
      CAPTURE(while_waiting);
      troubles told;
      tcp_listener listener = listening(told.options());
      told.closed = &listener;
      const unique_fd client = raw_socket(listener.local_endpoint());
      if (!while_waiting) raw_connect(client, listener.local_endpoint());
      accepted seen;
      event_loop loop;
      watchdog dog(loop);
      descriptor_limit limit(real);
      told.lifted = &limit;
      const auto stop = [&loop](const coflow::task_outcome<void>&) { loop.stop(); };
      if (while_waiting)
        coflow::spawn(loop, accept_in_trouble_later(&listener, &limit, &client, &seen), stop);
      else
        coflow::spawn(loop, accept_one(&listener, &seen), stop);
      loop.run();
      if (!real) continue;
      REQUIRE_FALSE(dog.barked());
      CHECK(told.reports == 1);
      CHECK(seen.failure == coflow::error::closed);
    }
  }
}
