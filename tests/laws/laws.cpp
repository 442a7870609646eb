// Runs the law suite over every flow that the library ships, alone and in stacks of layers.
//
//     laws [--long] [--only LAW-OR-CHECK] [--flow NAME] [--findings]

#include <algorithm>
#include <coflow/testing/laws.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "broken/honest_flow.hpp"
#include "laws/buffered_factories.hpp"
#include "laws/factories.hpp"
#include "laws/hidden_factory.hpp"
#include "laws/wrapper_factories.hpp"
#ifdef COFLOW_WITH_OPENSSL
#include "laws/tls_factories.hpp"
#endif
#include "support/proof.hpp"

namespace {

using namespace factories;
using coflow::law_options;

support::proof* tally = nullptr;
std::string only_check;
std::string only_flow;
#ifdef COFLOW_FEWER_FLOWS
constexpr int very_many = 5000;
// Every stack that hides its flows has the same way to be read into the caller's memory.
template <class Factory>
constexpr bool is_enough = std::is_same_v<Factory, hidden_flow> || std::is_same_v<Factory, hidden_codec>;
#else
constexpr int very_many = 20'000;
template <class>
constexpr bool is_enough = false;
#endif

// What the system does not let a flow do, as its documentation says: that these checks find an end where they want a
// reset is excused.
using excuses = std::vector<std::string_view>;

bool is_excused(const coflow::finding& one, const excuses& by) {
  const bool end =
      one.happened == "eof" ||
      one.happened == coflow::laws::in_words(coflow::read_result(coflow::make_error_code(coflow::error::truncated)));
  return end && std::find(by.begin(), by.end(), one.check) != by.end();
}

template <class E, class Factory>
void check_once(std::string_view name, Factory make, const law_options& options, const excuses& excused) {
  const coflow::report found = coflow::check_flow<E>(std::move(make), options);
  tally->point(found.checks());
  for (const coflow::finding& one : found.findings()) {
    if (is_excused(one, excused)) continue;
    tally->fail(coflow::to_string(one), "--flow '" + std::string(name) + "' --only '" + one.check + "'");
  }
  if (tally->has("--findings"))
    for (const std::string& one : found.skipped()) std::printf("  left out: %s\n", one.c_str());
}

// Where a flow has read_into, a second time by that.
template <class E = coflow::virtual_executor, class Factory>
void check(std::string_view name, Factory make, law_options options = law_options(), const excuses& excused = {}) {
  if (!only_flow.empty() && only_flow != name) return;
  if (!only_check.empty()) options.only(only_check);
  options.many(tally->has("--long") ? 1'000'000 : very_many);
  check_once<E>(name, make, options, excused);
  if (coflow::has_read_into<typename Factory::flow> && !is_enough<Factory>)
    check_once<E>(name, make, options.by_read_into(), excused);
  tally->part(name);
}

// A flow that reads into the caller's memory, whose type is not part of its type.
template <class Inner>
struct erased_rooms {
  template <class>
  using flow = coflow::any_read_into_flow;
  static constexpr bool by_awaiting = false;
  static flow<Inner> make(Inner inner, bool) { return coflow::any_read_into_flow(std::move(inner)); }
  static Inner& below(coflow::any_read_into_flow& end) noexcept { return *end.target<Inner>(); }
};
template <class Below = memory>
using over_any_rooms = around<Below, erased_rooms<typename Below::flow>>;

struct honest : memory {
  using flow = broken::honest_flow;
  std::pair<flow, flow> operator()() const {
    auto below = coflow::memory_pipe(capacity);
    return {flow(std::move(below.first)), flow(std::move(below.second))};
  }
  void reset(flow& end) const noexcept { end.reset(); }
};

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  tally = &proof;
  only_check = proof.value("--only");
  only_flow = proof.value("--flow");
  const law_options goodbye = law_options().ends_with_goodbye();
  using coflow::event_loop;
  // Nothing makes the close of a local socket a reset; nor can its peer leave it a byte to lose after its own shutdown.
  const excuses no_reset{
      "a reset after a local shutdown is an error for the reader",
      "shutdown, then close after a torn write is no clean end",
      "a close after a torn write is no clean end",
      "a destruction after a torn write is no clean end",
      "shutdown, then destruction after a torn write is no clean end",
      "a close in the middle of a write is no clean end",
      "a destruction in the middle of a write is no clean end",
      "a shutdown whose last write is torn ends and signals nothing",
  };

  check("memory_pipe", memory());
  check("layered_flow", over_layer<>());
  check("any_flow", over_any<>());
  check("any_read_into_flow", over_any_rooms<>());
  check("function_flow", over_functions<>());
  check("codec_flow, frames", over_frames<>(), goodbye);
  check("codec_flow, secure", over_secure<>(), goodbye);
  check("secure, any, frames", hidden_codec(over_secure<over_any_rooms<over_frames<>>>()), goodbye);
  check("counted", over_counted<>());
  check("traced", hidden_flow(over_traced<>()));
  check("idle_timeout", hidden_flow(over_idle_timeout<>()));
  check("read_deadline", hidden_flow(over_read_deadline<>()));
  check("limited", hidden_flow(over_limited<>()));
  check("throttled, without a rate", hidden_flow(over_unthrottled<>()));
  check("throttled", hidden_flow(over_throttled<>()));
  check("throttled, with a small burst", hidden_flow(over_crawling<>()), where_time_passes());
  check("tee", hidden_flow(over_tee<>()));
  check("buffered_reader", over_reader<>());
  check("buffered_writer", hidden_flow(over_writer<>()));
  check("buffered_writer, a pipe of 100 bytes", hidden_flow(over_writer<>(memory(100))), law_options().accepts_early());
  check("buffered_writer, functions", hidden_flow(over_writer<over_functions<>>()), law_options().accepts_early());
  check("buffered reader and writer, secure, buffered writer",
        hidden_codec(over_reader<over_writer<over_secure<over_writer<>>>>()), goodbye);
  check("counted, throttled, frames, traced", hidden_codec(over_counted<over_throttled<over_frames<over_traced<>>>>()),
        goodbye);
  check("tee, limited, idle_timeout, secure, read_deadline",
        hidden_codec(over_tee<over_limited<over_idle_timeout<over_secure<over_read_deadline<>>>>>()), goodbye);
#ifdef COFLOW_WITH_OPENSSL
  check("tls", hidden_codec(over_tls<>()), goodbye);
  check<event_loop>("tls over tcp", hidden_codec(over_tls<tcp>()), goodbye);
#endif
  check<event_loop>("tcp", tcp());
  check<event_loop>("unix", local(), law_options(), no_reset);
#ifndef COFLOW_FEWER_FLOWS  // each more costs compile time, under a sanitizer above all
  check("memory_pipe of 100 bytes", memory(100));
  check("a flow made of coroutines", honest());
  check("layered, layered, layered", hidden_flow(over_layer<over_layer<over_layer<>>>()));
  check("any, layered, any", over_any<over_layer<over_any<>>>());
  check("frames, frames, frames", hidden_codec(over_frames<over_frames<over_frames<>>>()), goodbye);
  check("frames, functions, secure", over_frames<over_functions<over_secure<>>>(), goodbye);
  check("any, secure, layered", over_any<over_secure<over_layer<>>>(), goodbye);
  check("functions, functions, functions", over_functions<over_functions<over_functions<>>>());
  check<event_loop>("memory_pipe on an event loop", memory());
  check<event_loop>("layered over tcp", over_layer<tcp>());
  check<event_loop>("any over tcp", over_any<tcp>());
  check<event_loop>("any_read_into, layered over tcp", over_any_rooms<over_layer<tcp>>());
  check<event_loop>("secure over tcp", over_secure<tcp>(), goodbye);
  check<event_loop>("secure, any, frames over tcp", over_secure<over_any<over_frames<tcp>>>(), goodbye);
  check<event_loop>("layered over unix", over_layer<local>(), law_options(), no_reset);
  check("buffered_writer, as it is", over_writer<>());
  check("traced, as it is", over_traced<>());
  check("tee, as it is", over_tee<>());
  check<event_loop>("secure over unix", over_secure<local>(), goodbye, no_reset);
#endif
  return proof.end();
}
