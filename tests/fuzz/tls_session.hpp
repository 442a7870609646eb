#pragma once

// A TLS session over a network that does to it what the bytes of an input say: bytes are changed, put in, taken out,
// handed on in pieces, and streams are cut off. Whatever it does: nobody hears what was not said, nobody takes a cut
// for an end, nothing hangs, and nothing is left.

#include <coflow/async.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/harm.hpp"
#include "fuzz/input.hpp"
#include "support/certificates.hpp"

namespace fuzz {

struct heard {
  std::string text;
  bool eof = false;
};

inline constexpr std::string_view from_client = "what the client says";
inline constexpr std::string_view from_server = "what the server says, which is a little more";

template <class F>
task<> listen(F* flow, heard* out) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      out->eof = got.eof();
      co_return;
    }
    out->text.append(got->text());
  }
}
template <class F>
task<> talk(F flow, std::string_view text, heard* out) {
  coflow::task_scope scope;
  static_cast<void>(scope.spawn(listen(&flow, out)));
  const result<void> sent = co_await flow.write(buffer(text));
  if (sent) co_await flow.shutdown(shutdown_mode::write);
  static_cast<void>(co_await scope.join());
  co_await flow.close();
}
inline task<> be_client(const coflow::openssl_context* context, harmed_flow below, heard* out) {
  auto made = co_await coflow::tls_client(*context, std::move(below), "localhost");
  if (made) co_await talk(std::move(*made), from_client, out);
}
inline task<> be_server(const coflow::openssl_context* context, harmed_flow below, heard* out) {
  auto made = co_await coflow::tls_server(*context, std::move(below));
  if (made) co_await talk(std::move(*made), from_server, out);
}
inline task<> both(task<> client, task<> server) {
  coflow::task_scope scope(coflow::on_failure::isolate);
  scope.spawn(std::move(client)).value();
  scope.spawn(std::move(server)).value();
  static_cast<void>(co_await scope.join());
}

inline void judge(const heard& what, std::string_view said) {
  if (!said.starts_with(what.text)) breach("a side has heard what was not said");
  if (what.eof && what.text != said) breach("a side has taken a cut for an end");
}

/// The contexts of both sides, made once; the old server speaks TLS 1.2 only.
struct stage {
  support::authority trusted;
  support::identity shown = trusted.issue(support::request("server").hosts("DNS:localhost"));
  coflow::openssl_context client =
      coflow::openssl_context::client(coflow::openssl_options().trust(trusted.pem())).value();
  coflow::openssl_context old_server =
      coflow::openssl_context::server(
          coflow::openssl_options().certificate(shown.chain, shown.key).maximum_version(coflow::tls_version::v1_2))
          .value();
  coflow::openssl_context server =
      coflow::openssl_context::server(coflow::openssl_options().certificate(shown.chain, shown.key)).value();

  static const stage& the() {
    static const stage one;
    return one;
  }
};

/// One session. The first three bytes choose the version and the sizes of the pieces, the others are harms of four
/// bytes each; without any, both sides must hear all, to its end.
inline void tls_session(std::span<const std::uint8_t> input) {
  choices from(input);
  const bool harmless = input.size() <= 3;
  const unsigned how = from.next();
  const std::size_t client_piece = from.next();
  const std::size_t server_piece = from.next();
  std::vector<harm> to_client;
  std::vector<harm> to_server;
  while (!from.empty() && to_client.size() + to_server.size() < 64) {
    const unsigned what = from.next();
    harm one;
    one.what = static_cast<harm::kind>(what % 4);
    one.at = (from.next() << 8U | from.next()) & 0xFFFU;  // a session has some three thousand bytes
    one.byte = static_cast<std::uint8_t>(from.next());
    ((what & 4U) != 0 ? to_client : to_server).push_back(one);
  }
  const stage& on = stage::the();
  heard at_client;
  heard at_server;
  passage of_client;
  passage of_server;
  {
    coflow::virtual_executor executor;
    auto pipe = coflow::memory_pipe();
    try {
      coflow::run(
          executor,
          both(be_client(&on.client, harmed_flow(std::move(pipe.first), std::move(to_client), client_piece, &of_client),
                         &at_client),
               be_server((how & 1U) != 0 ? &on.old_server : &on.server,
                         harmed_flow(std::move(pipe.second), std::move(to_server), server_piece, &of_server),
                         &at_server)));
    } catch (const coflow::hang& hung) {
      breach(hung.what());
    }
  }
  judge(at_client, from_server);
  judge(at_server, from_client);
  if (harmless && !(at_client.eof && at_server.eof)) breach("a session that nobody harms is not whole");
}

/// From none to sixteen harms, near the beginning more often than at the end.
inline bytes made_tls_session(unsigned seed) {
  maker by(seed);
  bytes input{by.any(), by.any(), by.any()};
  if (by.pick(4) != 0) input[1] = input[2] = 0;
  for (unsigned harms = seed % 17 == 0 ? 0 : 1 + by.pick(16); harms != 0; --harms) {
    const unsigned at = by.pick(1U << (4 + by.pick(9)));
    input.insert(input.end(), {by.any(), static_cast<std::uint8_t>(at >> 8U), static_cast<std::uint8_t>(at), by.any()});
  }
  return input;
}

}  // namespace fuzz
