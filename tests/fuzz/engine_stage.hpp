#pragma once

// Engines of OpenSSL to be fed: contexts for both versions, and sessions to be taken up again, which costs a third of a
// handshake.

#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <string>
#include <utility>

#include "support/certificates.hpp"
#include "support/codec_sink.hpp"

namespace fuzz {

using coflow::openssl_context;
using coflow::openssl_engine;

/// All that one engine has to say goes to another, until both are silent. What is decoded stays in the sinks.
inline void talk(openssl_engine& a, support::codec_sink& of_a, openssl_engine& b, support::codec_sink& of_b) {
  for (;;) {
    const std::string to_b = of_a.take_sent();
    if (!to_b.empty()) b.feed(coflow::buffer(to_b), of_b);
    const std::string to_a = of_b.take_sent();
    if (!to_a.empty()) a.feed(coflow::buffer(to_a), of_a);
    if (to_a.empty() && to_b.empty()) return;
  }
}

class engine_stage {
 public:
  static const engine_stage& the() {
    static const engine_stage one;
    return one;
  }

  [[nodiscard]] openssl_engine client(bool old, bool resumes) const {
    const acts& of = acts_[old ? 0 : 1];
    if (!resumes) return of.client.client_engine("localhost").value();
    // OpenSSL takes a session of TLS 1.3 up once, so each client has a copy.
    coflow::openssl_session copy("localhost", SSL_SESSION_dup(of.session.native_handle()));
    return of.client.resuming(std::move(copy)).client_engine("localhost").value();
  }
  [[nodiscard]] openssl_engine server(bool old) const { return acts_[old ? 0 : 1].server.server_engine().value(); }

 private:
  struct acts {
    acts(const support::authority& trusted, const support::identity& shown, coflow::tls_version version)
        : client(
              openssl_context::client(coflow::openssl_options().trust(trusted.pem()).maximum_version(version)).value()),
          server(openssl_context::server(
                     coflow::openssl_options().certificate(shown.chain, shown.key).maximum_version(version))
                     .value()) {
      if (version == coflow::tls_version::v1_3) divide_tickets();
      openssl_engine one = client.client_engine("localhost").value();
      openssl_engine other = server.server_engine().value();
      support::codec_sink of_one;
      support::codec_sink of_other;
      one.start(of_one);
      talk(one, of_one, other, of_other);
      session = one.session();
    }
    // Tickets of several records: an engine is then fed the first half of a message, in the middle of which OpenSSL
    // does not seal.
    void divide_tickets() const {
      SSL_CTX* const of = server.native_handle();
      SSL_CTX_set_max_send_fragment(of, 512);
      const auto fill = [](SSL* ssl, void*) {
        static constexpr char filling[700] = "";
        return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), filling, sizeof filling);
      };
      const auto use = [](SSL*, SSL_SESSION*, const unsigned char*, std::size_t, SSL_TICKET_STATUS status, void*) {
        const bool good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
        return good ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW;
      };
      SSL_CTX_set_session_ticket_cb(of, fill, use, nullptr);
    }

    openssl_context client;
    openssl_context server;
    coflow::openssl_session session;
  };

  support::authority trusted_;
  support::identity shown_ = trusted_.issue(support::request("server").hosts("DNS:localhost"));
  acts acts_[2] = {acts(trusted_, shown_, coflow::tls_version::v1_2),
                   acts(trusted_, shown_, coflow::tls_version::v1_3)};
};

}  // namespace fuzz
