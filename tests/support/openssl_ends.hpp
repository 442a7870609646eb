#pragma once

// Contexts for tests of TLS with OpenSSL: a server for "localhost" and 127.0.0.1, and a client that trusts its
// authority.

#include <coflow/tls/openssl.hpp>
#include <utility>

#include "support/certificates.hpp"
#include "support/tls_ends.hpp"

namespace openssl_ends {

using namespace tls_ends;
using coflow::openssl_context;
using coflow::openssl_engine;
using coflow::openssl_options;
using coflow::tls_condition;
using coflow::tls_version;
using support::authority;
using support::identity;
using support::request;

using flow = coflow::tls_flow<memory_flow, openssl_engine>;
using ends = both<openssl_context>;

/// Made once, before any test, which would be blamed for what is left: signing costs time.
struct actors {
  authority trusted;
  identity server = trusted.issue(request("server").hosts("DNS:localhost, DNS:*.example.org, IP:127.0.0.1, IP:::1"));
  identity client = trusted.issue(request("a client").for_clients());
};
inline const actors all_actors;
inline const actors& cast() { return all_actors; }

inline openssl_context client(openssl_options options = {}) {
  return openssl_context::client(std::move(options.trust(cast().trusted.pem()))).value();
}
/// One that does not trust the test's authority, or has trust of its own.
inline openssl_context other_client(openssl_options options) {
  return openssl_context::client(std::move(options)).value();
}
inline openssl_context server(openssl_options options = {}) {
  return openssl_context::server(std::move(options.certificate(cast().server.chain, cast().server.key))).value();
}
inline openssl_context server_as(const identity& who, openssl_options options = {}) {
  return openssl_context::server(std::move(options.certificate(who.chain, who.key))).value();
}

/// What a client and a server come to.
inline ends meet(const openssl_context& of_client, const openssl_context& of_server, std::string host = "localhost") {
  ends both_sides;
  coflow::virtual_executor on;
  coflow::run(on, connect(coflow::memory_pipe(), &of_client, &of_server, &both_sides, std::move(host)));
  return both_sides;
}

}  // namespace openssl_ends
