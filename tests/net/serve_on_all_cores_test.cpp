#include "coflow/net/serve_on_all_cores.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "support/catch.hpp"
#include "support/survival.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::cores_options;
using coflow::endpoint;
using coflow::result;
using coflow::serve_on_all_cores;
using coflow::serve_options;
using coflow::stop_switch;
using coflow::task;
using coflow::tcp_flow;
using coflow::tcp_listener;

template <coflow::Flow F>
task<result<void>> echo(F flow) {
  for (;;) {
    auto chunk = co_await flow.read();
    if (chunk.eof()) co_return coflow::success;
    if (!chunk) co_return chunk.error();
    auto sent = co_await flow.write(std::move(*chunk));
    if (!sent) co_return sent.error();
  }
}
constexpr auto echo_anything = [](auto flow) { return echo(std::move(flow)); };
constexpr auto make_echo = [](unsigned) { return echo_anything; };

task<> ask(endpoint at, std::string text, int* good) {
  auto flow = co_await coflow::tcp_connect(at);
  if (!flow) co_return;
  const auto sent = co_await flow->write(buffer(text));
  auto got = co_await flow->read();
  if (sent && got && got->text() == text) ++*good;
}

task<result<void>> ask_often(endpoint at, int count, int* good) {
  coflow::task_scope clients;
  for (int i = 0; i < count; ++i) {
    const auto started = clients.spawn(ask(at, std::to_string(i), good));
    if (!started) co_return started;
  }
  const auto joined = co_await clients.join();
  co_return joined;
}

// A server on threads of its own, and its address once it listens.
class running_server {
 public:
  template <class MakeHandler, bool Watched>
  running_server(MakeHandler make, coflow::basic_serve_options<Watched> options, cores_options cores) {
    cores.on_listening([this](const endpoint& at) { listens_.set_value(at); });
    thread_ = std::thread([this, make = std::move(make), options, cores] {
      try {
        outcome_ = serve_on_all_cores(endpoint::loopback_v4(0), make, options, cores);
      } catch (...) {
        thrown_ = std::current_exception();
      }
    });
  }
  running_server(const running_server&) = delete;
  running_server& operator=(const running_server&) = delete;
  ~running_server() {
    if (thread_.joinable()) thread_.join();
  }
  endpoint address() { return listens_.get_future().get(); }
  result<void> end() {
    thread_.join();
    if (thrown_) std::rethrow_exception(thrown_);
    return outcome_;
  }

 private:
  std::promise<endpoint> listens_;
  result<void> outcome_;
  std::exception_ptr thrown_;
  std::thread thread_;
};

// Listens like TCP, but the second breaks after its first accept has begun.
class fragile_listener {
 public:
  explicit fragile_listener(tcp_listener below, bool breaks) : below_(std::move(below)), breaks_(breaks) {}
  task<result<tcp_flow>> accept() { return accept_below(this); }
  void close() noexcept { below_.close(); }

 private:
  static task<result<tcp_flow>> accept_below(fragile_listener* self) {
    if (self->breaks_) co_return std::make_error_code(std::errc::protocol_error);
    auto accepted = co_await self->below_.accept();
    co_return std::move(accepted);
  }
  tcp_listener below_;
  bool breaks_;
};

}  // namespace

template <>
inline constexpr bool coflow::can_share_address<fragile_listener> = true;

TEST_CASE("several loops share one address and serve it until the switch is thrown", "[serve_on_all_cores][threads]") {
  stop_switch stop;
  std::atomic<unsigned> made{0};
  std::atomic<int> failures{0};
  const auto make = [&made](unsigned core) {
    made.fetch_or(1U << core);
    if (coflow::executor::current() == nullptr) throw std::logic_error("a handler is made outside its loop");
    return echo_anything;
  };
  const auto options =
      serve_options().on_error([&failures](const coflow::connection_failure&) { failures.fetch_add(1); });
  const auto cores = cores_options().threads(4).stopped_by(stop);
  int good = 0;
  std::optional<running_server> server;
  SECTION("plain") { server.emplace(make, options, cores); }
  SECTION("watched") { server.emplace(make, options.idle_timeout(60s), cores); }
  SECTION("by poll") { server.emplace(make, options, cores_options(cores).reactor(coflow::reactor::poll)); }
  const endpoint at = server->address();
  CHECK(at.port() != 0);
  CHECK(coflow::run(ask_often(at, 100, &good)).has_value());
  stop.request();
  CHECK(server->end().has_value());
  CHECK(good == 100);
  CHECK(made.load() == 15);
  CHECK(failures.load() == 0);
}

TEST_CASE("a switch that was thrown before lets nothing be served", "[serve_on_all_cores][threads]") {
  stop_switch stop;
  stop.request();
  const auto outcome = serve_on_all_cores(endpoint::loopback_v4(0), make_echo, serve_options(),
                                          cores_options().threads(3).stopped_by(stop));
  CHECK(outcome.has_value());
}

TEST_CASE("the address may be told while the switch is thrown", "[serve_on_all_cores][threads]") {
  for (int round = 0; round < 10; ++round) {
    stop_switch stop;
    std::thread stopper;
    const auto outcome =
        serve_on_all_cores(endpoint::loopback_v4(0), make_echo, serve_options(),
                           cores_options().threads(2).stopped_by(stop).on_listening(
                               [&](const endpoint&) { stopper = std::thread([&stop] { stop.request(); }); }));
    stopper.join();
    CHECK(outcome.has_value());
  }
}

namespace {

task<result<std::string>> hold_and_stop(endpoint at, stop_switch* stop, int requests) {
  auto flow = co_await coflow::tcp_connect(at);
  if (!flow) co_return flow.error();
  const auto sent = co_await flow->write(buffer("x"));
  if (!sent) co_return sent.error();
  auto got = co_await flow->read();  // the handler runs
  if (!got) co_return got.error();
  for (int i = 0; i < requests; ++i) stop->request();
  got = co_await flow->read();
  co_return got.eof() ? "eof" : "something";
}

}  // namespace

TEST_CASE("a second request cancels the handlers of every core", "[serve_on_all_cores][threads]") {
  stop_switch stop;
  running_server server(make_echo, serve_options().grace(24h), cores_options().threads(2).stopped_by(stop));
  const auto heard = coflow::run(hold_and_stop(server.address(), &stop, 2));
  REQUIRE(heard.has_value());
  CHECK(*heard == "eof");
  CHECK(server.end().has_value());
}

TEST_CASE("the grace ends on every core", "[serve_on_all_cores][threads]") {
  stop_switch stop;
  running_server server(make_echo, serve_options().grace(1ms), cores_options().threads(2).stopped_by(stop));
  const auto heard = coflow::run(hold_and_stop(server.address(), &stop, 1));
  REQUIRE(heard.has_value());
  CHECK(*heard == "eof");
  CHECK(server.end().has_value());
}

TEST_CASE("one loop runs on the calling thread alone", "[serve_on_all_cores]") {
  stop_switch stop;
  std::thread::id ran;
  const auto make = [&ran, &stop](unsigned core) {
    CHECK(core == 0);
    ran = std::this_thread::get_id();
    stop.request();
    return echo_anything;
  };
  const auto outcome =
      serve_on_all_cores(endpoint::loopback_v4(0), make, serve_options(), cores_options().threads(1).stopped_by(stop));
  CHECK(outcome.has_value());
  CHECK(ran == std::this_thread::get_id());
}

TEST_CASE("one switch stops several servers", "[serve_on_all_cores][threads]") {
  stop_switch stop;
  running_server a(make_echo, serve_options(), cores_options().threads(2).stopped_by(stop));
  running_server b(make_echo, serve_options(), cores_options().threads(1).stopped_by(stop));
  CHECK(a.address() != b.address());
  stop.request();
  CHECK(a.end().has_value());
  CHECK(b.end().has_value());
}

namespace {

stop_switch signalled;
extern "C" void on_signal(int) { signalled.request(); }

}  // namespace

TEST_CASE("a signal stops all cores", "[serve_on_all_cores][threads]") {
  const auto before = std::signal(SIGUSR1, on_signal);
  running_server server(make_echo, serve_options(), cores_options().threads(2).stopped_by(signalled));
  static_cast<void>(server.address());
  std::raise(SIGUSR1);
  CHECK(server.end().has_value());
  std::signal(SIGUSR1, before);
}

// ---- failures

TEST_CASE("the first core that fails stops all others", "[serve_on_all_cores][threads]") {
  // The first listener is on a port of the system's choice; that the others are elsewhere does not matter here.
  const auto make_listener = [](unsigned core) -> result<fragile_listener> {
    auto below = tcp_listener::bind("127.0.0.1", 0);
    if (!below) return below.error();
    return fragile_listener(std::move(*below), core == 2);
  };
  const auto outcome =
      serve_on_all_cores(make_listener, make_echo, serve_options().grace(24h), cores_options().threads(4));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error() == std::errc::protocol_error);
}

TEST_CASE("an exception on one core stops the others and is thrown to the caller", "[serve_on_all_cores][threads]") {
  for (const unsigned bad : {0U, 1U}) {
    const auto make = [bad](unsigned core) {
      if (core == bad) throw std::runtime_error("no handler for this core");
      return echo_anything;
    };
    CHECK_THROWS_WITH(
        serve_on_all_cores(endpoint::loopback_v4(0), make, serve_options(), cores_options().threads(2)).has_value(),
        "no handler for this core");
  }
}

TEST_CASE("where it cannot listen nothing is started", "[serve_on_all_cores][threads]") {
  auto taken = tcp_listener::bind("127.0.0.1", 0);
  REQUIRE(taken.has_value());
  bool made = false;
  const auto make = [&made](unsigned) {
    made = true;
    return echo_anything;
  };
  bool listened = false;
  const auto outcome =
      serve_on_all_cores(taken->local_endpoint(), make, serve_options(),
                         cores_options().threads(2).on_listening([&listened](const endpoint&) { listened = true; }));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error() == std::errc::address_in_use);
  CHECK_FALSE(made);
  CHECK_FALSE(listened);
}

// UBSan opens descriptors when it sees a class for the first time: let it see what a refused loop throws.
void show_system_error() {
  try {
    throw std::system_error(coflow::from_system(EMFILE), "shown");
  } catch (const std::exception& thrown) {
    CHECK(dynamic_cast<const std::system_error&>(thrown).code() == std::errc::too_many_files_open);
  }
  try {
    throw std::system_error(coflow::from_system(EMFILE), "shown");
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == std::errc::too_many_files_open);
  }
}

TEST_CASE("without descriptors for its loops it starts nothing and says so", "[serve_on_all_cores]") {
  show_system_error();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(0);
  ::close(next);
  for (int spare = 0; spare < 9; ++spare) {  // three loops and their listeners take nine
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next + spare);
    ::setrlimit(RLIMIT_NOFILE, &tight);
    const auto outcome =
        serve_on_all_cores(endpoint::loopback_v4(0), make_echo, serve_options(), cores_options().threads(3));
    ::setrlimit(RLIMIT_NOFILE, &before);
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error() == std::errc::too_many_files_open);
  }
}

TEST_CASE("a thread that cannot be started ends the others with its error", "[serve_on_all_cores]") {
#if defined(__GLIBC__)
  pthread_attr_t before;
  pthread_attr_t huge;
  REQUIRE(::pthread_getattr_default_np(&before) == 0);
  ::pthread_attr_init(&huge);
  ::pthread_attr_setstacksize(&huge, std::size_t{1} << 47);
  REQUIRE(::pthread_setattr_default_np(&huge) == 0);
  const auto outcome =
      serve_on_all_cores(endpoint::loopback_v4(0), make_echo, serve_options(), cores_options().threads(2));
  ::pthread_setattr_default_np(&before);
  ::pthread_attr_destroy(&huge);
  ::pthread_attr_destroy(&before);
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error() == std::errc::resource_unavailable_try_again);
#endif
}

// ---- options

TEST_CASE("every loop has the reactor that was asked for", "[serve_on_all_cores]") {
  for (const coflow::reactor which : {coflow::reactor::poll, coflow::default_reactor}) {
    stop_switch stop;
    int right = 0;
    const auto make = [&](unsigned) {
      const auto* loop = dynamic_cast<coflow::event_loop*>(coflow::executor::current());
      if (loop != nullptr && loop->reactor_kind() == which) ++right;
      stop.request();
      return echo_anything;
    };
    const auto cores = cores_options().threads(1).stopped_by(stop).reactor(which);
    CHECK(serve_on_all_cores(endpoint::loopback_v4(0), make, serve_options(), cores).has_value());
    CHECK(right == 1);
  }
}

TEST_CASE("without a word there are as many threads as cores, and at least one", "[serve_on_all_cores]") {
  const cores_options plain;
  CHECK(plain.threads() >= 1);
  CHECK(plain.threads() == coflow::detail::sys::available_cores());
  CHECK(cores_options().threads(0).threads() == plain.threads());
  CHECK(cores_options().threads(3).threads() == 3);
  CHECK(plain.stopped_by() == nullptr);
  CHECK_FALSE(plain.on_listening());
  CHECK(cores_options().listening(coflow::listener_options().backlog(7)).listening().backlog() == 7);
}

TEST_CASE("only listeners that can share an address are taken", "[serve_on_all_cores]") {
  STATIC_REQUIRE(coflow::can_share_address<tcp_listener>);
  STATIC_REQUIRE_FALSE(coflow::can_share_address<int>);
}
