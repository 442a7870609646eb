#include "coflow/net/tcp_options.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <type_traits>

#include "support/catch.hpp"

namespace {

using coflow::connect_options;
using coflow::keep_alive_options;
using coflow::listener_options;
using namespace std::chrono_literals;

// An aggregate made inside a co_await expression would be destroyed twice by g++ 12.
static_assert(!std::is_aggregate_v<keep_alive_options>);
static_assert(!std::is_aggregate_v<connect_options>);
static_assert(!std::is_aggregate_v<listener_options>);
static_assert(std::is_copy_constructible_v<connect_options> && std::is_copy_assignable_v<connect_options>);
static_assert(std::is_copy_constructible_v<listener_options> && std::is_copy_assignable_v<listener_options>);

int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -errno;
}

}  // namespace

TEST_CASE("connections are made without delay, probes or deadline unless the options say otherwise", "[tcp_options]") {
  const connect_options plain;
  CHECK(plain.no_delay());
  CHECK_FALSE(plain.timeout().has_value());
  CHECK_FALSE(plain.keep_alive_setting().has_value());
  CHECK_FALSE(plain.local().has_value());
}

TEST_CASE("the options of a connection are set one after another", "[tcp_options]") {
  const connect_options chosen = connect_options()
                                     .timeout(1500ms)
                                     .no_delay(false)
                                     .keep_alive(keep_alive_options().idle(7s).interval(3s).count(2))
                                     .local(coflow::endpoint::loopback_v4(9));
  REQUIRE(chosen.timeout().has_value());
  CHECK(*chosen.timeout() == 1500ms);
  CHECK_FALSE(chosen.no_delay());
  REQUIRE(chosen.keep_alive_setting().has_value());
  CHECK(chosen.keep_alive_setting()->idle() == 7s);
  CHECK(chosen.keep_alive_setting()->interval() == 3s);
  CHECK(chosen.keep_alive_setting()->count() == 2);
  REQUIRE(chosen.local().has_value());
  CHECK(*chosen.local() == coflow::endpoint::loopback_v4(9));
}

TEST_CASE("keep-alive that is just turned on has times of its own", "[tcp_options]") {
  const connect_options chosen = connect_options().keep_alive();
  REQUIRE(chosen.keep_alive_setting().has_value());
  CHECK(chosen.keep_alive_setting()->idle() > 0s);
  CHECK(chosen.keep_alive_setting()->interval() > 0s);
  CHECK(chosen.keep_alive_setting()->count() > 0);
}

TEST_CASE("a listener takes its address again and delays nothing unless the options say otherwise", "[tcp_options]") {
  const listener_options plain;
  CHECK(plain.backlog() > 0);
  CHECK(plain.reuse_address());
  CHECK_FALSE(plain.reuse_port());
  CHECK(plain.dual_stack());
  CHECK(plain.no_delay());
  CHECK_FALSE(plain.keep_alive_setting().has_value());
  CHECK_FALSE(plain.on_trouble());
}

TEST_CASE("the options of a listener are set one after another", "[tcp_options]") {
  std::error_code told;
  const listener_options chosen = listener_options()
                                      .backlog(3)
                                      .reuse_address(false)
                                      .reuse_port(true)
                                      .dual_stack(false)
                                      .no_delay(false)
                                      .keep_alive(keep_alive_options().idle(9s))
                                      .on_trouble([&told](std::error_code code) { told = code; });
  CHECK(chosen.backlog() == 3);
  CHECK_FALSE(chosen.reuse_address());
  CHECK(chosen.reuse_port());
  CHECK_FALSE(chosen.dual_stack());
  CHECK_FALSE(chosen.no_delay());
  REQUIRE(chosen.keep_alive_setting().has_value());
  CHECK(chosen.keep_alive_setting()->idle() == 9s);
  REQUIRE(chosen.on_trouble());
  chosen.on_trouble()(std::make_error_code(std::errc::too_many_files_open));
  CHECK(told == std::errc::too_many_files_open);
}

TEST_CASE("keep-alive options reach the socket, and leave it", "[tcp_options]") {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  CHECK(coflow::detail::set_keep_alive(fd, keep_alive_options().idle(11s).interval(5s).count(4)) == 0);
  CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 11);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT) == 4);
  CHECK(coflow::detail::set_keep_alive(fd, std::nullopt) == 0);
  CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
  ::close(fd);
}

TEST_CASE("keep-alive options that the system does not take are refused, each of them", "[tcp_options]") {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  CHECK(coflow::detail::set_keep_alive(fd, keep_alive_options().idle(0s)) == -EINVAL);
  CHECK(coflow::detail::set_keep_alive(fd, keep_alive_options().idle(-1s)) == -EINVAL);
  CHECK(coflow::detail::set_keep_alive(fd, keep_alive_options().interval(0s)) == -EINVAL);
  CHECK(coflow::detail::set_keep_alive(fd, keep_alive_options().count(0)) == -EINVAL);
  CHECK(coflow::detail::set_keep_alive(-1, keep_alive_options()) == -EBADF);
  ::close(fd);
}
