#pragma once

// Where the scenarios run: how connections are made there. A world of another kind is a struct like these and a line in
// the table of scenarios.cpp; another reactor is such a line alone.

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <string>
#include <system_error>
#include <utility>

namespace faults {

/// So small that much does not fit, and more than one segment of the loopback device, which would stall on less.
inline constexpr int narrow_size = 65536;

/// Connections over the loopback device.
struct tcp_world {
  using flow = coflow::tcp_flow;
  using listener = coflow::tcp_listener;

  /// What arrives before it is accepted has little room, too.
  static coflow::result<listener> listen() {
    coflow::result<listener> made = coflow::tcp_listener::bind(coflow::endpoint::loopback_v4(0));
    if (!made) return made.error();
    const int size = narrow_size;
    if (::setsockopt(made->native_handle(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size) != 0)
      return std::error_code(errno, std::system_category());
    return std::move(*made);
  }
  static coflow::task<coflow::result<flow>> connect(const listener* to) {
    const coflow::endpoint where = to->local_endpoint();
    if (where.unspecified()) co_return std::error_code(ENOBUFS, std::system_category());
    coflow::result<flow> made = co_await coflow::tcp_connect(where);
    if (!made) co_return made.error();
    co_return std::move(*made);
  }
  static coflow::result<void> narrow(flow& end) noexcept {
    for (const int name : {SO_SNDBUF, SO_RCVBUF}) {
      const coflow::result<void> set = end.set_option(SOL_SOCKET, name, narrow_size);
      if (!set) return set.error();
    }
    return coflow::success;
  }
  static void reset(flow& end) noexcept { end.reset(); }
};

/// Local connections, by an abstract name. They have no reset: scenarios that need one are left out.
struct unix_world {
  using flow = coflow::unix_flow;
  using listener = coflow::unix_listener;

  static coflow::result<listener> listen() {
    static int number = 0;
    const std::string name = "coflow-faults-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    return coflow::unix_listener::bind(coflow::unix_address::abstract(name).value());
  }
  static coflow::task<coflow::result<flow>> connect(const listener* to) {
    const coflow::unix_address where = to->local_address();
    if (where.unnamed()) co_return std::error_code(ENOBUFS, std::system_category());
    coflow::result<flow> made = co_await coflow::unix_connect(where);
    co_return std::move(made);
  }
  static coflow::result<void> narrow(flow& end) noexcept { return end.set_option(SOL_SOCKET, SO_SNDBUF, narrow_size); }
};

}  // namespace faults
