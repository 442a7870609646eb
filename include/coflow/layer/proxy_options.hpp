/// \file
/// The limits of a proxy.
#pragma once

#include <chrono>

#include "coflow/async/sleep.hpp"
#include "coflow/core/executor.hpp"

namespace coflow::inline v0 {

/// Options of `proxy`: `proxy_options().linger(30s).idle_timeout(5min)`.
class proxy_options {
 public:
  proxy_options() = default;

  /// How long one direction may go on when the other has ended; any time unless set.
  template <class Rep, class Period>
  proxy_options& linger(std::chrono::duration<Rep, Period> time) noexcept {
    return linger_ = detail::saturated(time), *this;
  }
  /// Ends it when nothing has moved in either direction for `time`; never earlier, and at most an eighth later. A time
  /// that is not positive, and the default, is no limit.
  template <class Rep, class Period>
  proxy_options& idle_timeout(std::chrono::duration<Rep, Period> time) noexcept {
    return idle_timeout_ = detail::saturated(time), *this;
  }

  /// The greatest duration: no limit.
  [[nodiscard]] executor::duration linger() const noexcept { return linger_; }
  /// Zero: none.
  [[nodiscard]] executor::duration idle_timeout() const noexcept { return idle_timeout_; }

 private:
  executor::duration linger_ = executor::duration::max();
  executor::duration idle_timeout_{};
};

}  // namespace coflow::inline v0
