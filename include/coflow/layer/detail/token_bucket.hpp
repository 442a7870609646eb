/// \file
/// How fast bytes may pass: a token bucket, told as the time at which what has passed is paid for.
#pragma once

#include <chrono>
#include <cstdint>

#include "coflow/core/executor.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What passes makes debts; whoever comes next waits until they are down to what the burst allows. Exact over any time:
/// fractions of a tick are carried on.
class token_bucket {
 public:
  using time_point = executor::time_point;
  /// Rates beyond this one are none, and so is 0: bytes per second.
  static constexpr std::uint64_t most = 10'000'000'000;

  token_bucket() noexcept {}
  /// `burst` bytes may pass at once after a pause.
  token_bucket(std::uint64_t rate, std::uint64_t burst) noexcept : rate_(rate > most ? 0 : rate) {
    if (rate_ != 0) allowance_ = in_time(burst);
  }

  [[nodiscard]] bool limited() const noexcept { return rate_ != 0; }

  /// When the next byte may pass.
  [[nodiscard]] time_point ready_at() const noexcept { return paid_at_ - allowance_; }

  /// `count` bytes pass at `now`.
  void take(std::uint64_t count, time_point now) noexcept {
    if (paid_at_ < now) {
      paid_at_ = now;
      carry_ = 0;
    }
    const std::uint64_t scaled = count % rate_ * ticks + carry_;
    carry_ = scaled % rate_;
    paid_at_ = later(in_ticks(count / rate_, scaled / rate_));
  }
  /// They have not passed after all.
  void give_back(std::uint64_t count) noexcept { paid_at_ -= in_time(count); }

 private:
  using nanoseconds = std::chrono::nanoseconds;
  static constexpr std::uint64_t ticks = 1'000'000'000;
  // Ten years: what is owed is never more, so that no sum overflows.
  static constexpr std::uint64_t most_seconds = 315'360'000;

  static executor::duration in_ticks(std::uint64_t seconds, std::uint64_t rest) noexcept {
    if (seconds > most_seconds) seconds = most_seconds;
    return std::chrono::duration_cast<executor::duration>(
        nanoseconds(static_cast<std::int64_t>(seconds * ticks + rest)));
  }
  [[nodiscard]] executor::duration in_time(std::uint64_t count) const noexcept {
    return in_ticks(count / rate_, count % rate_ * ticks / rate_);
  }
  [[nodiscard]] time_point later(executor::duration by) const noexcept {
    return by > time_point::max() - paid_at_ ? time_point::max() : paid_at_ + by;
  }

  std::uint64_t rate_ = 0;
  std::uint64_t carry_ = 0;  // of a tick, in parts of 1 / rate
  executor::duration allowance_{0};
  // Early enough for everything to be paid, and not so early that a difference overflows.
  time_point paid_at_{-std::chrono::hours(24 * 365 * 100)};
};

}  // namespace detail
}  // namespace coflow::inline v0
