#pragma once

// How buffered flows come to a connected pair, for everything that is checked over many kinds of flow.

#include <coflow/layer/buffered_reader.hpp>
#include <coflow/layer/buffered_writer.hpp>
#include <utility>

#include "laws/factories.hpp"

namespace factories {

struct buffered_reading {
  template <class Inner>
  using flow = coflow::buffered_reader<Inner>;
  static constexpr bool says_goodbye = false;
  static constexpr bool by_awaiting = false;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(std::move(inner));
  }
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

struct buffered_writing {
  template <class Inner>
  using flow = coflow::buffered_writer<Inner>;
  static constexpr bool says_goodbye = false;
  static constexpr bool by_awaiting = false;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(std::move(inner));
  }
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

template <class Below = memory>
using over_reader = around<Below, buffered_reading>;
template <class Below = memory>
using over_writer = around<Below, buffered_writing>;

}  // namespace factories
