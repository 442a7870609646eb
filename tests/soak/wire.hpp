#pragma once

// What the sweeps on real sockets run over. Another kind of socket, or of loop, is another class of this form, and one
// more line in the main function of each program.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>

namespace support {

/// How the loops that are made from now on learn that descriptors are ready.
inline coflow::reactor loop_reactor = coflow::default_reactor;

struct tcp_wire {
  using flow = coflow::tcp_flow;
  using listener = coflow::tcp_listener;
  static constexpr const char* name = "tcp";

  static std::unique_ptr<coflow::event_loop> make_loop() { return std::make_unique<coflow::event_loop>(loop_reactor); }

  static listener listen(int backlog = 4096) {
    auto made = listener::bind("127.0.0.1", 0, coflow::listener_options().backlog(backlog));
    if (!made) throw std::system_error(made.error());
    return std::move(*made);
  }
  /// Where it listens, in words for another process.
  static std::string address(const listener& at) { return std::to_string(at.local_endpoint().port()); }

  /// `from` chooses among local addresses: one has 28,000 ports, and a port that was used is not free for a while.
  static coflow::task<coflow::result<flow>> connect(std::string address, unsigned from) {
    coflow::endpoint local = coflow::endpoint::parse("127.0.0." + std::to_string(2 + from % 16), 0).value();
    coflow::connect_options options;
    options.local(local);
    const auto port = static_cast<std::uint16_t>(std::strtoul(address.c_str(), nullptr, 10));
    return coflow::tcp_connect(coflow::endpoint::loopback_v4(port), options);
  }

  /// A connected descriptor of the system's own, for peers that keep to no contract; -1 if it cannot be had.
  static int raw_connect(const std::string& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(address.c_str(), nullptr, 10)));
    if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      ::close(fd);
      return -1;
    }
    return fd;
  }
};

}  // namespace support
