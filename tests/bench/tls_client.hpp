/// \file
/// How the load generator's connections talk over TLS 1.3, by OpenSSL.
#pragma once
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <csignal>
#include <utility>

#include "client_socket.hpp"

/// The same functions as `plain_client`. It is the client that decides, so all servers have the same version, cipher
/// and key exchange: what is best in OpenSSL's eyes. Certificates are not verified, which costs the server nothing.
///
/// Every handshake is a full one, and with `settings::resumes` every one but a connection's first takes up the session
/// that the server's last ticket is for. Anything else ends the process.
class tls_client {
 public:
  struct connection : client_connection {
    connection() = default;
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() { SSL_SESSION_free(session); }

    SSL* tls = nullptr;
    SSL_SESSION* session = nullptr;  // of the last ticket; it stays when the connection is closed and opened again
    bool offered = false;            // that session, to the server
  };

  explicit tls_client(const settings& wanted) : resumes_(wanted.resumes()), context_(SSL_CTX_new(TLS_client_method())) {
    if (context_ == nullptr || SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) != 1) give_up("SSL_CTX_new");
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (wanted.mode == "idle") SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context_, 1);
    SSL_CTX_set_session_cache_mode(
        context_, resumes_ ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE : SSL_SESS_CACHE_OFF);
    if (resumes_) SSL_CTX_sess_set_new_cb(context_, keep_session);
  }
  tls_client(const tls_client&) = delete;
  tls_client& operator=(const tls_client&) = delete;
  ~tls_client() { SSL_CTX_free(context_); }

  void begin(connection& peer, std::uint16_t port) {
    static_cast<client_connection&>(peer) = client_connection();
    peer.socket = connect_to(port);
    fcntl(peer.socket, F_SETFL, O_NONBLOCK);
    peer.tls = SSL_new(context_);
    if (peer.tls == nullptr || SSL_set_fd(peer.tls, peer.socket) != 1) give_up("SSL_new");
    SSL_set_connect_state(peer.tls);
    SSL_set_app_data(peer.tls, &peer);
    peer.offered = resumes_ && peer.session != nullptr;
    if (!peer.offered) return;
    if (SSL_set_session(peer.tls, peer.session) != 1) give_up("SSL_set_session");
    SSL_SESSION_free(std::exchange(peer.session, nullptr));  // a ticket is good for one connection
  }

  bool establish(connection& peer) {
    const int came_to = SSL_do_handshake(peer.tls);
    if (came_to != 1) {
      if (SSL_get_error(peer.tls, came_to) == SSL_ERROR_WANT_READ) return false;
      give_up("the handshake");
    }
    if ((SSL_session_reused(peer.tls) != 0) == peer.offered) return true;
    give_up(peer.offered ? "the server has made a full handshake of one that takes up a session"
                         : "the server has taken up a session that was not offered");
  }

  void end(connection& peer) {
    if (resumes_ && peer.session == nullptr) give_up("the server has sent no ticket");
    SSL_shutdown(peer.tls);  // without it OpenSSL would not take up the session again
    SSL_free(std::exchange(peer.tls, nullptr));
    ERR_clear_error();
    close(peer.socket);
  }

  std::size_t send_some(connection& peer, const char* from, std::size_t size) {
    return done_by(peer, SSL_write(peer.tls, from, static_cast<int>(size)), "SSL_write");
  }
  std::size_t receive(connection& peer, char* to, std::size_t size) {
    return done_by(peer, SSL_read(peer.tls, to, static_cast<int>(size)), "SSL_read");
  }
  bool has_more(const connection& peer) { return SSL_has_pending(peer.tls) != 0; }

 private:
  static std::size_t done_by(connection& peer, int came_to, const char* call) {
    if (came_to > 0) return static_cast<std::size_t>(came_to);
    const int why = SSL_get_error(peer.tls, came_to);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return 0;
    if (why == SSL_ERROR_ZERO_RETURN) errno = ECONNRESET;
    give_up(call);
  }

  [[noreturn]] static void give_up(const char* what) {
    ERR_print_errors_fp(stderr);
    fail(what);
  }

  static int keep_session(SSL* tls, SSL_SESSION* owned) {
    auto& peer = *static_cast<connection*>(SSL_get_app_data(tls));
    SSL_SESSION_free(std::exchange(peer.session, owned));
    return 1;
  }

  const bool resumes_;
  SSL_CTX* const context_;
};
