#pragma once

// How TLS with OpenSSL comes to a connected pair: a wrapper for the factories of factories.hpp.

#include <coflow/core.hpp>
#include <coflow/tls/openssl.hpp>
#include <system_error>
#include <utility>

#include "laws/factories.hpp"
#include "support/certificates.hpp"

namespace factories {

/// The contexts of both sides, made once.
struct tls_contexts {
  support::authority trusted;
  support::identity shown = trusted.issue(support::request("server").hosts("DNS:localhost"));
  coflow::openssl_context client =
      coflow::openssl_context::client(coflow::openssl_options().trust(trusted.pem())).value();
  coflow::openssl_context server =
      coflow::openssl_context::server(coflow::openssl_options().certificate(shown.chain, shown.key)).value();

  // For the laws of layers: every handshake has as many bytes as the others, and none comes behind its end.
  support::identity even = trusted.issue(support::request("even").hosts("DNS:localhost").even());
  coflow::openssl_context even_server =
      coflow::openssl_context::server(coflow::openssl_options().certificate(even.chain, even.key).without_tickets())
          .value();

  static const tls_contexts& all() {
    static const tls_contexts made;
    return made;
  }
};

struct over_openssl {
  template <class Inner>
  using flow = coflow::tls_flow<Inner, coflow::openssl_engine>;
  static constexpr bool says_goodbye = true;
  static constexpr bool by_awaiting = true;

  template <class Inner>
  static coflow::task<> keep(coflow::task<coflow::result<flow<Inner>, coflow::tls_error>> making,
                             coflow::result<flow<Inner>, coflow::tls_error>* out) {
    auto made = co_await std::move(making);
    *out = std::move(made);
  }
  template <class Inner>
  static coflow::task<pair_of<flow<Inner>>> connect(pair_of<Inner> ends) {
    using made = coflow::result<flow<Inner>, coflow::tls_error>;
    made client = coflow::tls_error(coflow::error::closed);
    made server = coflow::tls_error(coflow::error::closed);
    const tls_contexts& contexts = tls_contexts::all();
    coflow::task_scope both;
    both.spawn(keep<Inner>(coflow::tls_client(contexts.client, std::move(ends.first), "localhost"), &client)).value();
    both.spawn(keep<Inner>(coflow::tls_server(contexts.server, std::move(ends.second)), &server)).value();
    const coflow::result<void> joined = co_await both.join();
    if (!joined) throw std::system_error(joined.error());
    pair_of<flow<Inner>> ready(std::move(client).value(), std::move(server).value());
    co_return std::move(ready);
  }
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

template <class Below = memory>
using over_tls = around<Below, over_openssl>;

}  // namespace factories
