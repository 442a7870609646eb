#pragma once

// S8, S9 and S14: codecs over the world's connections.

#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "faults/plain_scenarios.hpp"
#include "support/toy_codec.hpp"

namespace faults {

using support::toy_codec;
using support::toy_role;

inline coflow::codec_options brief() { return coflow::codec_options().close_limit(300ms); }

/// With a handshake, records that are sealed, and pings that must be answered.
struct secure {
  template <class F>
  using over = coflow::codec_flow<toy_codec, F>;
  template <class F>
  static task<coflow::result<over<F>>> make(F flow, bool client) {
    coflow::result<over<F>> made = co_await coflow::codec_handshake(
        toy_codec(client ? toy_role::client : toy_role::server, 42, 2), std::move(flow), brief());
    if (!made) co_return made.error();
    co_return std::move(*made);
  }
  /// The beginning of a record, and what may be read of it.
  static std::string torso() { return std::string("D\0\x50only so much", 15); }
  static std::string_view readable() { return ""; }
};
/// Frames and nothing else.
struct framed {
  template <class F>
  using over = coflow::codec_flow<coflow::length_prefix_codec, F>;
  template <class F>
  static task<coflow::result<over<F>>> make(F flow, bool) {
    co_return over<F>(coflow::length_prefix_codec(), std::move(flow), brief());
  }
  static std::string torso() { return std::string("\0\0\0\x50only so much", 16); }
  static std::string_view readable() { return "only so much"; }
};

template <class W, class Codec>
using layered = typename Codec::template over<typename W::flow>;

/// Puts the codec around a flow and goes on with `body`.
template <class W, class Codec, task<> (*body)(side*, layered<W, Codec>), bool client>
task<> wrapped(side* at, typename W::flow flow) {
  at->framed = true;
  coflow::result<layered<W, Codec>> made = co_await Codec::make(std::move(flow), client);
  if (!made) {
    at->report(made.error());
    co_return;
  }
  co_await body(at, std::move(*made));
}

// ---- S8: a handshake glued to data, echo, goodbye both ways

template <class W, class Codec>
task<> s8_client(side* at, layered<W, Codec> flow) {
  bool well = true;
  // Who writes does not read meanwhile: byte by byte, much would fill both sides of the connection for good.
  const std::size_t largest = at->on.bulk < 1024 * 1024 ? 500 : 25'000;
  for (std::size_t size = 10; size <= largest && well; size *= 50) {
    well = co_await say(at, &flow, material(size));
    if (well) well = co_await hear_up_to(at, &flow, at->offered.size());
  }
  co_await flow.shutdown(shutdown_mode::write);
  if (well) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W, class Codec>
task<> s8(stage* on) {
  co_await meet<W>(on, wrapped<W, Codec, s8_client<W, Codec>, true>, wrapped<W, Codec, echo<layered<W, Codec>>, false>);
  on->complete = on->client.heard(on->client.offered) && on->server.heard(on->client.offered) &&
                 on->client.offered.size() == (on->bulk < 1024 * 1024 ? 510U : 25'510U) && on->reports.empty();
}

// ---- S9: the peer vanishes in the middle of a frame

template <class W, class Codec>
task<> s9_client(side* at, layered<W, Codec> flow) {
  static_cast<void>(co_await say(at, &flow, "a whole frame"));
  at->cut_off = true;
  at->offered += Codec::readable();
  coflow::buffer part_of_one(Codec::torso());
  const coflow::result<void> sent = co_await flow.next_layer().write(std::move(part_of_one));
  if (!sent) at->report(sent.error());
  co_await flow.next_layer().shutdown(shutdown_mode::write);
  const bool wait_for_answer = !at->write_end && sent.has_value();
  if (wait_for_answer) co_await hear_all(at, &flow);
}
template <class F>
task<> s9_server(side* at, F flow) {
  co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W, class Codec>
task<> s9(stage* on) {
  co_await meet<W>(on, wrapped<W, Codec, s9_client<W, Codec>, true>,
                   wrapped<W, Codec, s9_server<layered<W, Codec>>, false>);
  on->complete = on->server.received == "a whole frame" + std::string(Codec::readable()) &&
                 on->server.read_end == make_error_code(coflow::error::truncated) && on->client.at_eof();
}

// ---- S14: three layers, closed gracefully with a limit

template <class W>
using lowest = coflow::codec_flow<coflow::length_prefix_codec, typename W::flow>;
template <class W>
using highest = coflow::codec_flow<toy_codec, coflow::layered_flow<lowest<W>>>;

template <class F>
task<> close_gracefully(side* at, F* flow) {
  const coflow::result<void> closed = co_await coflow::graceful_close(*flow, 400ms);
  if (!closed) at->report(closed.error());
  at->closed = true;
  co_await part(at, flow);
}
template <class W, bool client, task<> (*body)(side*, highest<W>)>
task<> stacked(side* at, typename W::flow flow) {
  at->framed = true;
  coflow::layered_flow<lowest<W>> middle(lowest<W>(coflow::length_prefix_codec(), std::move(flow), brief()));
  coflow::result<highest<W>> made = co_await coflow::codec_handshake(
      toy_codec(client ? toy_role::client : toy_role::server, 42, 2), std::move(middle), brief());
  if (!made) {
    at->report(made.error());
    co_return;
  }
  co_await body(at, std::move(*made));
}
template <class W>
task<> s14_client(side* at, highest<W> flow) {
  bool well = co_await say(at, &flow, material(100));
  if (well) well = co_await hear_up_to(at, &flow, 100);
  if (well) well = co_await say(at, &flow, material(20'000));
  co_await close_gracefully(at, &flow);
}
template <class W>
task<> s14_server(side* at, highest<W> flow) {
  bool well = co_await hear_up_to(at, &flow, 100);
  if (well) well = co_await say(at, &flow, at->received);
  if (well) co_await hear_all(at, &flow);
  co_await close_gracefully(at, &flow);
}
template <class W>
task<> s14(stage* on) {
  co_await meet<W>(on, stacked<W, true, s14_client<W>>, stacked<W, false, s14_server<W>>);
  on->complete = on->server.heard(on->client.offered) && on->client.received == material(100) &&
                 on->client.offered.size() == 20'100 && on->reports.empty();
}

}  // namespace faults
