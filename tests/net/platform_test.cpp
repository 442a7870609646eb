#include "coflow/net/detail/platform.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>

#include "support/catch.hpp"

namespace {

namespace sys = coflow::detail::sys;
using namespace std::chrono_literals;

bool is_settled(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }
bool blocks_pipe_signals() {
  sigset_t now;
  sigemptyset(&now);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
  return sigismember(&now, SIGPIPE) == 1;
}
bool has_a_pipe_signal() {
  sigset_t now;
  sigemptyset(&now);
  ::sigpending(&now);
  return sigismember(&now, SIGPIPE) == 1;
}
sigset_t only_pipe_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

}  // namespace

TEST_CASE("a write to a pipe that nobody reads gives EPIPE and no signal", "[platform]") {
  sys::pipe_ends ends;
  REQUIRE(sys::make_pipe(ends) == 0);
  sys::close(ends.read);
  for (int i = 0; i < 3; ++i) {
    const auto sent = sys::without_pipe_signal([&] { return sys::checked(::write(ends.write, "x", 1)); });
    CHECK(sent == -EPIPE);
    CHECK_FALSE(blocks_pipe_signals());
    CHECK_FALSE(has_a_pipe_signal());
  }
  sys::close(ends.write);
}

TEST_CASE("a pipe signal that is somebody else's stays pending", "[platform]") {
  const sigset_t only = only_pipe_signals();
  sigset_t before;
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &only, &before) == 0);
  ::raise(SIGPIPE);
  sys::pipe_ends ends;
  REQUIRE(sys::make_pipe(ends) == 0);
  sys::close(ends.read);
  const auto sent = sys::without_pipe_signal([&] { return sys::checked(::write(ends.write, "x", 1)); });
  CHECK(sent == -EPIPE);
  CHECK(has_a_pipe_signal());
  CHECK(blocks_pipe_signals());
  int taken = 0;
  ::sigwait(&only, &taken);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sys::close(ends.write);
}

TEST_CASE("what a write gives passes through the guard against its signal", "[platform]") {
  sys::pipe_ends ends;
  REQUIRE(sys::make_pipe(ends) == 0);
  CHECK(sys::without_pipe_signal([&] { return sys::checked(::write(ends.write, "four", 4)); }) == 4);
  char taken[8];
  CHECK(::read(ends.read, taken, sizeof taken) == 4);
  CHECK(sys::checked(::read(ends.read, taken, sizeof taken)) == -EAGAIN);
  sys::close(ends.read);
  sys::close(ends.write);
}

TEST_CASE("descriptors are made non-blocking and close-on-exec", "[platform]") {
  sys::pipe_ends ends;
  REQUIRE(sys::make_pipe(ends) == 0);
  CHECK(is_settled(ends.read));
  CHECK(is_settled(ends.write));
  sys::close(ends.read);
  sys::close(ends.write);

  sys::pipe_ends wake;
  REQUIRE(sys::make_wake(wake) == 0);
  CHECK(is_settled(wake.read));
  CHECK(is_settled(wake.write));
  sys::close_wake(wake);

  const int listener = sys::make_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  REQUIRE(listener >= 0);
  CHECK(is_settled(listener));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  auto* address = reinterpret_cast<sockaddr*>(&name);
  REQUIRE(::bind(listener, address, size) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, address, &size) == 0);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in peer{};
  const auto room = [&size] { return size = sizeof(sockaddr_in), &size; };
  CHECK(sys::accept_on(listener, reinterpret_cast<sockaddr*>(&peer), room) == -EAGAIN);
  REQUIRE(::connect(client, address, size) == 0);
  const int accepted = sys::accept_on(listener, reinterpret_cast<sockaddr*>(&peer), room);
  REQUIRE(accepted >= 0);
  CHECK(is_settled(accepted));
  CHECK(peer.sin_family == AF_INET);
  for (const int fd : {listener, client, accepted}) sys::close(fd);
  CHECK(sys::make_socket(-1, SOCK_STREAM, 0) < 0);
}

TEST_CASE("a wake-up is heard once, however often it was given", "[platform]") {
  sys::pipe_ends wake;
  REQUIRE(sys::make_wake(wake) == 0);
  pollfd one{wake.read, POLLIN, 0};
  CHECK(sys::poll(&one, 1, 0ns) == 0);
  for (const int times : {1, 2, 64, 100, 100000}) {
    for (int i = 0; i < times; ++i) sys::signal_wake(wake);
    CHECK(sys::poll(&one, 1, -1ns) == 1);
    sys::clear_wake(wake);
    CHECK(sys::poll(&one, 1, 0ns) == 0);
  }
  sys::close_wake(wake);
}

TEST_CASE("the protocol of a socket is told from that of others", "[platform]") {
  const int tcp = ::socket(AF_INET6, SOCK_STREAM, 0);
  const int udp = ::socket(AF_INET, SOCK_DGRAM, 0);
  const int local = ::socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(sys::socket_protocol(tcp) == IPPROTO_TCP);
  CHECK(sys::socket_protocol(udp) >= 0);
  CHECK(sys::socket_protocol(udp) != IPPROTO_TCP);
  CHECK(sys::socket_protocol(local) >= 0);
  CHECK(sys::socket_protocol(local) != IPPROTO_TCP);
  sys::pipe_ends ends;
  REQUIRE(sys::make_pipe(ends) == 0);
  CHECK(sys::socket_protocol(ends.read) == -ENOTSOCK);
  CHECK(sys::socket_protocol(-1) == -EBADF);
  for (const int fd : {tcp, udp, local, ends.read, ends.write}) sys::close(fd);
}

TEST_CASE("timeouts are rounded up to milliseconds", "[platform]") {
  CHECK(sys::whole_milliseconds(-1ns) == -1);
  CHECK(sys::whole_milliseconds(0ns) == 0);
  CHECK(sys::whole_milliseconds(1ns) == 1);
  CHECK(sys::whole_milliseconds(1ms) == 1);
  CHECK(sys::whole_milliseconds(1000001ns) == 2);
  CHECK(sys::whole_milliseconds(std::chrono::nanoseconds::max()) == INT_MAX);
}
