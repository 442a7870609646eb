#pragma once

// Two sides that meet through a listener.

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <cstddef>
#include <string>
#include <utility>

#include "faults/stage.hpp"

namespace faults {

/// What one side does with its end of the connection.
template <class W>
using role = coflow::task<> (*)(side*, typename W::flow);

/// The number of the socket at the bottom.
template <class F>
[[nodiscard]] int descriptor_of(F& flow) {
  if constexpr (requires { flow.native_handle(); })
    return flow.native_handle();
  else
    return flow.lowest_layer().native_handle();
}
/// True in a world whose connections are a codec's, from their handshake on.
template <class W>
[[nodiscard]] constexpr bool always_framed() noexcept {
  if constexpr (requires { W::framed; })
    return W::framed;
  else
    return false;
}

template <class W>
coflow::task<> accepting(side* at, typename W::listener* through, role<W> body) {
  at->framed = always_framed<W>();
  coflow::result<typename W::flow> flow = co_await through->accept();
  if (!flow) {
    at->report(flow.error());
    through->close();  // whoever waits to be accepted waits no longer
    co_return;
  }
  at->descriptor = descriptor_of(*flow);
  co_await body(at, std::move(*flow));
}
template <class W>
coflow::task<> connecting(side* at, typename W::listener* to, role<W> body, bool close_listener) {
  at->framed = always_framed<W>();
  coflow::result<typename W::flow> flow = co_await W::connect(to);
  if (!flow) {
    at->report(flow.error());
    if (close_listener) to->close();
    co_return;
  }
  at->descriptor = descriptor_of(*flow);
  co_await body(at, std::move(*flow));
  if (close_listener) to->close();  // whoever has not been accepted by now never will be
}

/// Runs both sides to their ends.
template <class W>
coflow::task<> meet(stage* on, role<W> client, role<W> server) {
  coflow::result<typename W::listener> listener = W::listen();
  if (!listener) {
    on->server.report(listener.error());
    co_return;
  }
  coflow::task_scope both(coflow::on_failure::isolate);
  both.spawn(accepting<W>(&on->server, &*listener, server)).value();
  both.spawn(connecting<W>(&on->client, &*listener, client, true)).value();
  static_cast<void>(co_await both.join());
}

/// Bytes that tell where they belong; they repeat after a number that no size of anything is a multiple of.
[[nodiscard]] inline std::string material(std::size_t size, unsigned seed = 7) {
  constexpr std::size_t period = 8191;
  std::string text(size < period ? size : period, '\0');
  for (char& one : text) {
    seed = seed * 1664525U + 1013904223U;
    one = static_cast<char>('!' + (seed >> 24) % 90);
  }
  text.reserve(size);
  while (text.size() < size) text.append(text, 0, period < size - text.size() ? period : size - text.size());
  return text;
}

}  // namespace faults
