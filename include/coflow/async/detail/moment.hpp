/// \file
/// When a time has passed.
#pragma once

#include <chrono>

#include "coflow/core/executor.hpp"

namespace coflow::inline v0 {
namespace detail {

/// `time` as the clock counts it, rounded up. What is beyond its range (292 years) becomes the end of that; a negative
/// time and no number become nothing.
template <class Rep, class Period>
[[nodiscard]] executor::duration saturated(std::chrono::duration<Rep, Period> time) noexcept {
  const double seconds = std::chrono::duration<double>(time).count();
  if (!(seconds > 0)) return executor::duration::zero();
  if (seconds > 9.2e9) return executor::duration::max();
  if constexpr (std::chrono::treat_as_floating_point_v<Rep>) {
    return std::chrono::ceil<executor::duration>(time);
  } else {
    // A conversion multiplies before it divides; in two parts it cannot leave the range, whatever the period.
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    return whole + std::chrono::ceil<executor::duration>(time - whole);
  }
}

/// A point on an executor's clock, or one that is a certain time away when it is asked for.
class moment {
 public:
  explicit moment(executor::duration from_now) noexcept : time_(from_now), is_point_(false) {}
  explicit moment(executor::time_point point) noexcept : time_(point.time_since_epoch()), is_point_(true) {}

  [[nodiscard]] bool is_point() const noexcept { return is_point_; }
  [[nodiscard]] executor::time_point on(const executor& clock) const noexcept {
    return is_point_ ? executor::time_point(time_) : clock.after(time_);
  }

 private:
  executor::duration time_;
  bool is_point_;
};

}  // namespace detail
}  // namespace coflow::inline v0
