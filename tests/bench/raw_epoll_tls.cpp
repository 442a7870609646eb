// raw_epoll_tls --port P [--mode echo|sink] --tls --cert FILE --key FILE
// The practical limit over TLS: one thread, epoll, and OpenSSL on the sockets themselves.
//
// OpenSSL reads ahead, so that a record costs one receive, into a buffer of the size that it likes: in a larger one it
// moves all that it has not opened yet to the front for each record, which costs what the saved receives bring. Sockets
// are watched level-triggered: whether a receive has drained one is known to OpenSSL only, and to be told again costs
// nothing, while to ask until there is no more would cost a receive for each message.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "raw_sockets.hpp"

namespace {

constexpr int record_size = 16384;  // what one read gives at most, and what one write takes

struct connection {
  int socket;
  SSL* tls;
  std::uint32_t awaited = EPOLLIN;
  bool established = false;
  char* unsent = nullptr;  // the rest of a write that found no room
  int unsent_size = 0, unsent_offset = 0;
};

char buffer[record_size];
bool sink = false;
int poll = -1;

void wait_for(connection& peer, std::uint32_t events) {
  if (peer.awaited == events) return;
  peer.awaited = events;
  epoll_event interest{};
  interest.events = events;
  interest.data.ptr = &peer;
  epoll_ctl(poll, EPOLL_CTL_MOD, peer.socket, &interest);
}

/// After a call that could not do what it was to do. False: the connection is over.
bool goes_on(connection& peer, int came_to) {
  switch (SSL_get_error(peer.tls, came_to)) {
    case SSL_ERROR_WANT_READ:
      wait_for(peer, EPOLLIN);
      return true;
    case SSL_ERROR_WANT_WRITE:
      wait_for(peer, EPOLLOUT);
      return true;
    case SSL_ERROR_ZERO_RETURN:
      SSL_shutdown(peer.tls);  // answers the goodbye with one
      break;
    default:
      break;
  }
  ERR_clear_error();
  return false;
}

/// Writes what an earlier write left behind. False: the connection is over.
bool flush(connection& peer) {
  while (peer.unsent_offset < peer.unsent_size) {
    const int written = SSL_write(peer.tls, peer.unsent + peer.unsent_offset, peer.unsent_size - peer.unsent_offset);
    if (written <= 0) return goes_on(peer, written);
    peer.unsent_offset += written;
  }
  std::free(peer.unsent);
  peer.unsent = nullptr;
  peer.unsent_size = peer.unsent_offset = 0;
  wait_for(peer, EPOLLIN);
  return true;
}

/// Writes back what is in the buffer. False: the connection is over.
bool write_back(connection& peer, int size) {
  const int written = SSL_write(peer.tls, buffer, size);  // one record, so all of it or nothing
  if (written == size) return true;
  if (written > 0 || !goes_on(peer, written)) return false;
  peer.unsent = static_cast<char*>(std::malloc(static_cast<std::size_t>(size)));
  if (peer.unsent == nullptr) return false;
  std::memcpy(peer.unsent, buffer, static_cast<std::size_t>(size));
  peer.unsent_size = size;
  return true;
}

/// What can be done now, and what can be done with bytes that OpenSSL has already. False: the connection is over.
bool serve(connection& peer) {
  if (!peer.established) {
    const int came_to = SSL_do_handshake(peer.tls);
    if (came_to != 1) return goes_on(peer, came_to);
    peer.established = true;
    if (SSL_has_pending(peer.tls) == 0) return true;
  }
  if (peer.unsent != nullptr) {
    if (!flush(peer)) return false;
    if (peer.unsent != nullptr || SSL_has_pending(peer.tls) == 0) return true;
  }
  do {
    const int received = SSL_read(peer.tls, buffer, record_size);
    if (received <= 0) return goes_on(peer, received);
    if (!sink && !write_back(peer, received)) return false;
  } while (peer.unsent == nullptr && SSL_has_pending(peer.tls) != 0);
  return true;
}

SSL_CTX* make_context(const server_arguments& wanted) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr || SSL_CTX_use_certificate_chain_file(context, wanted.certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, wanted.key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    std::exit(1);
  }
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // sessions live in tickets
  return context;
}

}  // namespace

int main(int count, char** words) {
  const server_arguments wanted = read_arguments(count, words, true);
  sink = wanted.sink;
  std::signal(SIGPIPE, SIG_IGN);
  SSL_CTX* const context = make_context(wanted);
  poll = epoll_create1(EPOLL_CLOEXEC);
  const int listener = listen_on(wanted.port, poll);
  static epoll_event ready[256];
  for (;;) {
    const int found = epoll_wait(poll, ready, 256, -1);
    for (int i = 0; i < found; ++i) {
      auto* peer = static_cast<connection*>(ready[i].data.ptr);
      if (peer == nullptr) {
        accept_all(listener, poll, EPOLLIN, [context](int socket) {
          auto* made = new connection{socket, SSL_new(context)};
          SSL_set_fd(made->tls, socket);
          SSL_set_accept_state(made->tls);
          return made;
        });
        continue;
      }
      if (serve(*peer)) continue;
      SSL_free(peer->tls);
      close(peer->socket);
      std::free(peer->unsent);
      delete peer;
    }
  }
}
