/// \file
/// The load generator's sockets, and connections that speak TCP and nothing else.
#pragma once
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "generator_settings.hpp"

inline bool with_address(int (*call)(int, const sockaddr*, socklen_t), int socket, std::uint32_t host,
                         std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
  return call(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// Connects from one address after the other in 127.0.0.0/8: the ports of one would run out.
inline int connect_to(std::uint16_t port) {
  static std::uint64_t opened = 0;
  const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (!with_address(bind, made, static_cast<std::uint32_t>(1 + opened++ % 32), 0)) fail("bind");
  if (!with_address(connect, made, 0, port)) fail("connect");
  return made;
}

inline void wait_until_ready(int socket, short events) {
  pollfd one{socket, events, 0};
  while (poll(&one, 1, -1) < 0) {
    if (errno != EINTR) fail("poll");
  }
}

/// What every connection of the generator has.
struct client_connection {
  int socket = -1;
  bool established = false;   // and a message may be sent
  std::size_t received = 0;   // of the message that is to come back
  std::size_t under_way = 0;  // stream: sent, and not back yet
};

/// How connections talk over TCP. No call waits; 0 says that nothing can be sent or received now.
class plain_client {
 public:
  using connection = client_connection;

  explicit plain_client(const settings&) {}

  void begin(connection& peer, std::uint16_t port) {
    peer = connection();
    peer.socket = connect_to(port);
  }
  /// True when a message may be sent.
  bool establish(connection&) { return true; }
  void end(connection& peer) { close(peer.socket); }

  std::size_t send_some(connection& peer, const char* from, std::size_t size) {
    const ssize_t sent = send(peer.socket, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno != EAGAIN) fail("send");
    return 0;
  }
  std::size_t receive(connection& peer, char* to, std::size_t size) {
    const ssize_t received = recv(peer.socket, to, size, MSG_DONTWAIT);
    if (received > 0) return static_cast<std::size_t>(received);
    if (received < 0 && errno == EAGAIN) return 0;
    if (received == 0) errno = ECONNRESET;
    fail("recv");
  }
  /// True: there may be more to receive that no event tells of.
  bool has_more(const connection&) { return false; }
};
