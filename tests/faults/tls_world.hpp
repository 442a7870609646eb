#pragma once

// Connections over the loopback device with TLS by OpenSSL: both sides' handshakes are part of how they are made, and
// so of what goes wrong.

#include <chrono>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <coflow/tls/openssl.hpp>
#include <system_error>
#include <utility>

#include "faults/worlds.hpp"
#include "support/certificates.hpp"

namespace faults {

/// The contexts of both sides, made once: signing costs time.
struct tls_contexts {
  support::authority trusted;
  support::authority stranger{"an authority that has signed nothing"};
  support::identity shown = trusted.issue(support::request("server").hosts("DNS:localhost"));
  coflow::openssl_context client =
      coflow::openssl_context::client(coflow::openssl_options().trust(trusted.pem())).value();
  coflow::openssl_context older_client =
      coflow::openssl_context::client(
          coflow::openssl_options().trust(trusted.pem()).maximum_version(coflow::tls_version::v1_2))
          .value();
  coflow::openssl_context distrustful_client =
      coflow::openssl_context::client(coflow::openssl_options().trust(stranger.pem())).value();
  coflow::openssl_context server =
      coflow::openssl_context::server(coflow::openssl_options().certificate(shown.chain, shown.key)).value();

  static const tls_contexts& all() {
    static const tls_contexts made;
    return made;
  }
};

/// Limits that pass before a scenario is given up.
[[nodiscard]] inline coflow::tls_options in_time() {
  return coflow::tls_options()
      .handshake_timeout(std::chrono::milliseconds(800))
      .close_limit(std::chrono::milliseconds(300));
}

enum class tls_client_is { usual, older, distrustful };

/// `allow_truncation` is how it should not be.
template <tls_client_is kind, bool allow_truncation = false>
struct tls_world_of {
  using flow = coflow::tls_flow<coflow::tcp_flow, coflow::openssl_engine>;
  static constexpr bool framed = true;

  class listener {
   public:
    explicit listener(coflow::tcp_listener over) noexcept : over_(std::move(over)) {}
    coflow::task<coflow::result<flow>> accept() {
      coflow::result<coflow::tcp_flow> below = co_await over_.accept();
      if (!below) co_return below.error();
      auto made = co_await coflow::tls_server(tls_contexts::all().server, std::move(*below), options());
      if (!made) co_return made.error().code();
      co_return std::move(*made);
    }
    void close() noexcept { over_.close(); }
    [[nodiscard]] const coflow::tcp_listener& below() const noexcept { return over_; }

   private:
    coflow::tcp_listener over_;
  };

  static coflow::result<listener> listen() {
    coflow::result<coflow::tcp_listener> below = tcp_world::listen();
    if (!below) return below.error();
    return listener(std::move(*below));
  }
  static coflow::task<coflow::result<flow>> connect(const listener* to) {
    coflow::result<coflow::tcp_flow> below = co_await tcp_world::connect(&to->below());
    if (!below) co_return below.error();
    auto made = co_await coflow::tls_client(context(), std::move(*below), "localhost", options());
    if (!made) co_return made.error().code();
    co_return std::move(*made);
  }
  static coflow::result<void> narrow(flow& end) noexcept { return tcp_world::narrow(end.next_layer()); }
  static void reset(flow& end) noexcept { end.reset(); }

 private:
  static coflow::tls_options options() { return in_time().allow_truncation(allow_truncation); }
  static const coflow::openssl_context& context() {
    const tls_contexts& all = tls_contexts::all();
    if (kind == tls_client_is::older) return all.older_client;
    return kind == tls_client_is::usual ? all.client : all.distrustful_client;
  }
};

using tls_world = tls_world_of<tls_client_is::usual>;
using older_tls_world = tls_world_of<tls_client_is::older>;
using distrustful_tls_world = tls_world_of<tls_client_is::distrustful>;
using careless_tls_world = tls_world_of<tls_client_is::usual, true>;

}  // namespace faults
