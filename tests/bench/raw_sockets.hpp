/// \file
/// The sockets of the servers that are written by hand.
#pragma once
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "server_arguments.hpp"

/// Listens on loopback, says so, and adds the socket to `poll`, edge-triggered and without a pointer.
inline int listen_on(std::uint16_t port, int poll) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* name = reinterpret_cast<sockaddr*>(&address);
  epoll_event interest{};
  interest.events = EPOLLIN | EPOLLET;
  if (bind(listener, name, size) != 0 || listen(listener, 4096) != 0 || getsockname(listener, name, &size) != 0 ||
      epoll_ctl(poll, EPOLL_CTL_ADD, listener, &interest) != 0) {
    std::perror("cannot listen");
    std::exit(1);
  }
  announce(ntohs(address.sin_port));
  return listener;
}

/// Accepts whoever waits, and adds each to `poll` with `events` and with what `make_connection(socket)` points to.
template <class MakeConnection>
void accept_all(int listener, int poll, std::uint32_t events, MakeConnection make_connection) {
  for (;;) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event interest{};
    interest.events = events;
    interest.data.ptr = make_connection(socket);
    epoll_ctl(poll, EPOLL_CTL_ADD, socket, &interest);
  }
}
