#pragma once

// The wrapper flows as layers of the factories. Each is set up so that its own business takes place in the midst of the
// checks where the laws allow that, and is out of the way where it would be an outcome of its own: deadlines that are
// far, limits that are not reached.

#include <chrono>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/laws.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "laws/factories.hpp"

namespace factories {

/// What all layers have in common that say no goodbye.
struct plain_wrap {
  static constexpr bool says_goodbye = false;
  static constexpr bool by_awaiting = false;
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

struct counting : plain_wrap {
  template <class Inner>
  using flow = coflow::counted<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool first) {
    return flow<Inner>(std::move(inner), coflow::counted_options().timed(first));
  }
};

struct tracing : plain_wrap {
  struct sink {
    void operator()(std::string_view line) const noexcept { static_cast<void>(line); }
  };
  template <class Inner>
  using flow = coflow::traced<Inner, sink>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool first) {
    return flow<Inner>(std::move(inner), first ? "a" : "b", coflow::trace_options().preview(40).beginnings(first),
                       sink());
  }
};

struct timing_out : plain_wrap {
  template <class Inner>
  using flow = coflow::idle_timeout<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(std::move(inner), std::chrono::hours(1000));
  }
};

struct due : plain_wrap {
  template <class Inner>
  using flow = coflow::read_deadline<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool first) {
    flow<Inner> made(std::move(inner), first ? std::chrono::hours(1000) : std::chrono::hours(2000));
    made.expires_at(coflow::executor::time_point::max() - std::chrono::hours(1));
    return made;
  }
};

/// Without a rate: everything passes.
struct unthrottled : plain_wrap {
  template <class Inner>
  using flow = coflow::throttled<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(std::move(inner), coflow::throttle_options());
  }
};

/// With limits that asking takes a clock, but no check comes to wait for: no time passes in some of them.
struct throttling : plain_wrap {
  template <class Inner>
  using flow = coflow::throttled<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    constexpr std::uint64_t rate = 10'000'000'000;
    return flow<Inner>(std::move(inner), coflow::throttle_options().read_rate(rate, rate).write_rate(rate, rate));
  }
};

/// Fast, but with a burst of a few bytes, so that nearly every operation waits: for checks that let time pass.
struct crawling : plain_wrap {
  template <class Inner>
  using flow = coflow::throttled<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    constexpr std::uint64_t rate = 1'000'000'000;
    return flow<Inner>(std::move(inner), coflow::throttle_options().read_rate(rate, 10).write_rate(rate, 10));
  }
};

/// The checks that can be made of flows for which time must pass: all but those that wait by turns in which none does.
inline coflow::law_options where_time_passes() {
  coflow::law_options options;
  for (const coflow::laws::law& one : coflow::laws::all_laws()) {
    const std::string_view check = one.check;
    if (check != "a peer that does not read suspends the writer within bounds" &&
        check != "a shutdown ends cleanly when the unsent write that it waits for is cancelled" &&
        check != "a shutdown ends cleanly when the unsent write that it waits for is destroyed" &&
        check != "very many operations that complete at once use no stack and starve nobody")
      options.only(std::string(check));
  }
  return options;
}

struct limiting : plain_wrap {
  template <class Inner>
  using flow = coflow::limited<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool first) {
    return flow<Inner>(std::move(inner), first ? UINT64_MAX : UINT64_MAX / 2,
                       coflow::limited_options().most_written(UINT64_MAX / 2));
  }
};

/// Copies both ways to sinks that take everything, or fail after a while.
struct copying : plain_wrap {
  template <class Inner>
  using flow = coflow::tee<Inner, coflow::string_flow>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool first) {
    return flow<Inner>(std::move(inner), coflow::string_sink(first ? coflow::string_flow::all : 1000),
                       coflow::tee_options().writes(true));
  }
};

template <class Below = memory>
using over_counted = around<Below, counting>;
template <class Below = memory>
using over_traced = around<Below, tracing>;
template <class Below = memory>
using over_idle_timeout = around<Below, timing_out>;
template <class Below = memory>
using over_read_deadline = around<Below, due>;
template <class Below = memory>
using over_unthrottled = around<Below, unthrottled>;
template <class Below = memory>
using over_throttled = around<Below, throttling>;
template <class Below = memory>
using over_crawling = around<Below, crawling>;
template <class Below = memory>
using over_tee = around<Below, copying>;
template <class Below = memory>
using over_limited = around<Below, limiting>;

}  // namespace factories
