// raw_epoll --port P [--mode echo|sink]
// The practical limit: one thread, edge-triggered epoll, one buffer for all connections. A receive that does not fill
// the buffer has drained the socket (epoll(7), question 9), so a small message costs one receive and one send.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "raw_sockets.hpp"

namespace {

constexpr std::uint32_t gone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

struct connection {
  int socket;
  char* unsent = nullptr;  // the rest of a short send
  unsigned unsent_size = 0, unsent_offset = 0;
};

char buffer[receive_size];
bool sink = false;

/// Sends what an earlier send left behind. False: the connection is over.
bool flush(connection& peer) {
  while (peer.unsent_offset < peer.unsent_size) {
    const ssize_t sent =
        send(peer.socket, peer.unsent + peer.unsent_offset, peer.unsent_size - peer.unsent_offset, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    peer.unsent_offset += static_cast<unsigned>(sent);
  }
  std::free(peer.unsent);
  peer.unsent = nullptr;
  peer.unsent_size = peer.unsent_offset = 0;
  return true;
}

/// Sends back what is in the buffer. False: the connection is over.
bool send_back(connection& peer, unsigned size) {
  ssize_t sent = send(peer.socket, buffer, size, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  if (sent < 0) sent = 0;
  const unsigned rest = size - static_cast<unsigned>(sent);
  if (rest == 0) return true;
  peer.unsent = static_cast<char*>(std::malloc(rest));
  if (peer.unsent == nullptr) return false;
  std::memcpy(peer.unsent, buffer + sent, rest);
  peer.unsent_size = rest;
  return true;
}

/// Everything that can be done now: the next edge brings us back. False: the connection is over.
bool serve(connection& peer, std::uint32_t events) {
  if (peer.unsent != nullptr && !flush(peer)) return false;
  while (peer.unsent == nullptr) {
    const ssize_t received = recv(peer.socket, buffer, receive_size, 0);
    if (received < 0) return errno == EAGAIN;
    if (received == 0) return false;
    const auto size = static_cast<unsigned>(received);
    if (!sink && !send_back(peer, size)) return false;
    // An end that came together with the data gives no further edge: read on to it.
    if (size < receive_size && (events & gone) == 0) return true;
  }
  return true;
}

}  // namespace

int main(int count, char** words) {
  const server_arguments wanted = read_arguments(count, words);
  sink = wanted.sink;
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  const int listener = listen_on(wanted.port, poll);
  static epoll_event ready[256];
  for (;;) {
    const int found = epoll_wait(poll, ready, 256, -1);
    for (int i = 0; i < found; ++i) {
      auto* peer = static_cast<connection*>(ready[i].data.ptr);
      const std::uint32_t events = ready[i].events;
      if (peer == nullptr) {
        accept_all(listener, poll, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                   [](int socket) { return new connection{socket}; });
        continue;
      }
      // Who has something unsent waits for room, everybody else for input: other edges cost no system call.
      const std::uint32_t awaited = peer->unsent != nullptr ? EPOLLOUT | EPOLLHUP | EPOLLERR : EPOLLIN | gone;
      if ((events & awaited) == 0 || serve(*peer, events)) continue;
      close(peer->socket);
      std::free(peer->unsent);
      delete peer;
    }
  }
}
