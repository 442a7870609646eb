/// \file
/// What can be chosen about a flow that a codec makes.
#pragma once

#include <chrono>

#include "coflow/async/sleep.hpp"
#include "coflow/core/executor.hpp"

namespace coflow::inline v0 {

/// Options of `codec_flow`. Setters give the object back: `codec_options().close_limit(3s)`.
class codec_options {
 public:
  codec_options() noexcept {}

  /// How long a close waits for the goodbye to be accepted below, and how long the layer reads on for the peer's end
  /// before it closes the inner flow by itself (laws L2, L3). One second unless set; a negative time is none.
  template <class Rep, class Period>
  codec_options& close_limit(std::chrono::duration<Rep, Period> time) noexcept {
    close_limit_ = detail::saturated(time);
    return *this;
  }
  /// Takes the inner flow's eof without a goodbye for the end of the stream. Otherwise it is `error::truncated`, so
  /// that nobody can cut a stream short unnoticed (law L7).
  codec_options& allow_truncation(bool allow) noexcept {
    allow_truncation_ = allow;
    return *this;
  }

  [[nodiscard]] executor::duration close_limit() const noexcept { return close_limit_; }
  [[nodiscard]] bool truncation_allowed() const noexcept { return allow_truncation_; }

 private:
  executor::duration close_limit_ = std::chrono::seconds(1);
  bool allow_truncation_ = false;
};

}  // namespace coflow::inline v0
