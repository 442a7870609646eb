#pragma once

// What is particular to TLS: a record that stays incomplete, a close that cuts off what was sealed, a graceful close
// over a layer, and a handshake that fails.

#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "faults/layered_scenarios.hpp"
#include "faults/tls_world.hpp"

namespace faults {

/// TLS as a codec of layered_scenarios.hpp, over any connection.
struct tls {
  template <class F>
  using over = coflow::tls_flow<F, coflow::openssl_engine>;
  template <class F>
  static task<coflow::result<over<F>>> make(F flow, bool client) {
    const tls_contexts& contexts = tls_contexts::all();
    if (client) {
      auto made = co_await coflow::tls_client(contexts.client, std::move(flow), "localhost", in_time());
      if (!made) co_return made.error().code();
      co_return std::move(*made);
    }
    auto made = co_await coflow::tls_server(contexts.server, std::move(flow), in_time());
    if (!made) co_return made.error().code();
    co_return std::move(*made);
  }
  /// The beginning of a record, of which nothing may be read.
  static std::string torso() { return std::string("\x17\x03\x03\0\x50only so much", 17); }
  static std::string_view readable() { return ""; }
};

// ---- S5, S6: close with a read pending, and with a write pending; where both sides know that their handshakes are
// over, since a close leaves the peer without the rest of its own

template <class W, role<W> body>
task<> greeted(side* at, typename W::flow flow) {
  const bool well = co_await hear_up_to(at, &flow, 5);
  if (well)
    co_await body(at, std::move(flow));
  else
    co_await part(at, &flow);
}
template <class W, role<W> body>
task<> greets(side* at, typename W::flow flow) {
  const bool well = co_await say(at, &flow, "hello");
  if (well)
    co_await body(at, std::move(flow));
  else
    co_await part(at, &flow);
}
template <class W>
task<> s5_tls(stage* on) {
  co_await meet<W>(on, greeted<W, s5_client<W>>, greets<W, listens<W>>);
  on->complete = on->client.read_failed_with(coflow::error::closed) && on->server.heard("");
}
template <class W>
task<> s6_tls(stage* on) {
  co_await meet<W>(on, greeted<W, s6_client<W>>, greets<W, s6_server<W>>);
  // What is sealed may all be out just then: a goodbye is missing, and nothing is there that a reset would cut off.
  const bool cut = on->server.read_failed_with(std::error_code(ECONNRESET, std::system_category())) ||
                   on->server.read_failed_with(make_error_code(coflow::error::truncated));
  on->complete = cut && on->client.write_end == std::error_code(coflow::error::closed) && on->client.accepted == 0;
}

// ---- S10: a proxy between two TLS connections

template <class W>
task<> s10_tls(stage* on) {
  on->inner_client.framed = on->inner_server.framed = true;
  co_await s10<W>(on);
}

// ---- S14: TLS over a layer, closed gracefully with a limit

template <class W>
using tls_over_a_layer = tls::over<coflow::layered_flow<typename W::flow>>;

template <class W, bool client, task<> (*body)(side*, tls_over_a_layer<W>)>
task<> tls_stacked(side* at, typename W::flow flow) {
  at->framed = true;
  coflow::layered_flow<typename W::flow> middle(std::move(flow));
  coflow::result<tls_over_a_layer<W>> made = co_await tls::make(std::move(middle), client);
  if (!made) {
    at->report(made.error());
    co_return;
  }
  co_await body(at, std::move(*made));
}
// Byte by byte, much would take longer than the limit.
[[nodiscard]] inline std::size_t last_words(const stage& on) { return on.bulk < 1024 * 1024 ? 1'000 : 20'000; }

template <class F>
task<> s14_tls_client(side* at, F flow) {
  bool well = co_await say(at, &flow, material(100));
  if (well) well = co_await hear_up_to(at, &flow, 100);
  if (well) well = co_await say(at, &flow, material(last_words(at->on)));
  co_await close_gracefully(at, &flow);
}
template <class F>
task<> s14_tls_server(side* at, F flow) {
  bool well = co_await hear_up_to(at, &flow, 100);
  if (well) well = co_await say(at, &flow, at->received);
  if (well) co_await hear_all(at, &flow);
  co_await close_gracefully(at, &flow);
}
template <class W>
task<> s14_tls(stage* on) {
  co_await meet<W>(on, tls_stacked<W, true, s14_tls_client<tls_over_a_layer<W>>>,
                   tls_stacked<W, false, s14_tls_server<tls_over_a_layer<W>>>);
  on->complete = on->server.heard(on->client.offered) && on->client.received == material(100) &&
                 on->client.offered.size() == 100 + last_words(*on) && on->reports.empty();
}

// ---- S16: the client does not trust the server's certificate: nobody ever has a flow

template <class W>
task<> is_not_to_be(side* at, typename W::flow flow) {
  at->breach("a handshake has succeeded with somebody who is not trusted");
  co_await flow.close();
}
template <class W>
task<> s16(stage* on) {
  co_await meet<W>(on, is_not_to_be<W>, is_not_to_be<W>);
  bool refuses = false;
  bool is_refused = false;
  for (const std::error_code& one : on->reports) {
    refuses = refuses || one == coflow::tls_condition::certificate_untrusted;
    is_refused = is_refused || one == coflow::tls_condition::own_certificate_refused;
  }
  on->complete = refuses && is_refused && on->reports.size() == 2;
}

}  // namespace faults
