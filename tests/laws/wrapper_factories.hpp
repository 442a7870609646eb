#pragma once

// The wrapper flows as layers of the factories. Each is set up so that its own business takes place in the midst of the
// checks where the laws allow that, and is out of the way where it would be an outcome of its own: deadlines that are
// far, limits that are not reached.

#include <chrono>
#include <coflow/layer.hpp>
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
    return flow<Inner>(std::move(inner), first ? "a" : "b",
                       coflow::trace_options().preview(40).beginnings(first), sink());
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

/// So fast that no check waits for long, and so tight that operations do wait: a burst of a few bytes.
struct throttling : plain_wrap {
  template <class Inner>
  using flow = coflow::throttled<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(std::move(inner),
                       coflow::throttle_options().read_rate(1'000'000'000, 10).write_rate(1'000'000'000, 10));
  }
};

struct limiting : plain_wrap {
  template <class Inner>
  using flow = coflow::limited<Inner>;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool first) {
    return flow<Inner>(std::move(inner), first ? UINT64_MAX : UINT64_MAX / 2,
                       coflow::limited_options().most_written(UINT64_MAX / 2));
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
using over_limited = around<Below, limiting>;

}  // namespace factories
