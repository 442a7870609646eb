#pragma once

// TLS by OpenSSL over a pipe in memory, for conversations and micro scenarios.
//
// What OpenSSL draws at random has always the same size, as long as signatures have: so has every flight and every
// record, and a seed or a list of picks repeats a failure, though with other bytes on the wire. Tickets, whose sizes
// differ, are left out.

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/certificates.hpp"

namespace schedules {

/// The contexts of both sides, made once.
class tls_contexts {
 public:
  tls_contexts() = default;
  support::authority trusted;
  support::identity shown = trusted.issue(support::request("server").hosts("DNS:localhost").even());
  coflow::openssl_context client =
      coflow::openssl_context::client(coflow::openssl_options().trust(trusted.pem())).value();
  coflow::openssl_context server =
      coflow::openssl_context::server(coflow::openssl_options().certificate(shown.chain, shown.key).without_tickets())
          .value();

  static const tls_contexts& all() {
    static const tls_contexts made;
    return made;
  }
};

// What it has sealed goes out, as of every codec. The handshakes are done in the order of the executor.
class over_tls {
 public:
  using flow = coflow::tls_flow<coflow::memory_flow, coflow::openssl_engine>;
  using made = coflow::result<flow, coflow::tls_error>;
  static constexpr const char* name = "tls";
  static constexpr bool seals = true;

  /// The capacity is a byte less than the record of 6 bytes, so that it goes out in two parts.
  static std::pair<flow, flow> connect(coflow::virtual_executor& on, std::size_t capacity = 27) {
    std::optional<made> client, server;
    coflow::run(on, shake_hands(coflow::memory_pipe(capacity), &client, &server));
    if (!client->has_value()) throw std::runtime_error("a client's handshake fails: " + client->error().message());
    if (!server->has_value()) throw std::runtime_error("a server's handshake fails: " + server->error().message());
    return {std::move(**client), std::move(**server)};
  }
  static coflow::task<> be_client(coflow::memory_flow over, std::optional<made>* into) {
    into->emplace(co_await coflow::tls_client(tls_contexts::all().client, std::move(over), "localhost"));
  }
  static coflow::task<> be_server(coflow::memory_flow over, std::optional<made>* into) {
    into->emplace(co_await coflow::tls_server(tls_contexts::all().server, std::move(over)));
  }

 private:
  static coflow::task<> shake_hands(std::pair<coflow::memory_flow, coflow::memory_flow> below,
                                    std::optional<made>* client, std::optional<made>* server) {
    coflow::task_scope both;
    both.spawn(be_client(std::move(below.first), client)).value();
    both.spawn(be_server(std::move(below.second), server)).value();
    const coflow::result<void> joined = co_await both.join();
    if (!joined) throw std::system_error(joined.error());
  }
};

}  // namespace schedules
