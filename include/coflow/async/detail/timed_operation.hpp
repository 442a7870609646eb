/// \file
/// An operation that is told to give up when a moment comes.
#pragma once

#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/held_wait.hpp"
#include "coflow/async/detail/moment.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/stop_relay.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What a limit makes of what an operation gives: room for `error::timed_out`, and a pointer for a reference.
template <class Given>
using limited_t =
    fallible<std::conditional_t<std::is_lvalue_reference_v<Given>, std::add_pointer_t<std::remove_reference_t<Given>>,
                                std::remove_cvref_t<Given>>>;

[[nodiscard]] inline bool is_canceled(const std::error_code& code) noexcept {
  return code == std::errc::operation_canceled;
}

/// What becomes of what an operation gave that was cut short for the reason `why`: what it came to all the same is
/// preferred, as far as that shows.
template <class Given>
[[nodiscard]] limited_t<Given> after_cut(Given&& given, bool (*is_cut)(const std::error_code&) noexcept,
                                         std::error_code why) {
  if constexpr (std::is_same_v<limited_t<Given>, std::remove_cvref_t<Given>>) {
    if (!is_cut(failure_of(given))) return std::forward<Given>(given);
  }
  return failed_with<limited_t<Given>>(why);
}

/// What `with_timeout` and `with_deadline` return for an `Awaitable` that waits in place.
template <class Awaitable>
class [[nodiscard]] timed_operation final {
 public:
  using result_type = limited_t<await_result_t<Awaitable>>;

  timed_operation(Awaitable&& awaited, moment limit) : limit_(limit), wait_(std::move(awaited)) {}
  timed_operation(timed_operation&& unbegun) : limit_(unbegun.limit_), wait_(std::move(unbegun.wait_)) {}
  ~timed_operation() { disarm(); }

  [[nodiscard]] bool await_ready() { return wait_.ready(); }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    return suspend(coroutine);
  }
  [[nodiscard]] result_type await_resume() {
    disarm();
    const bool stopped = relay_.task_stopped();
    relay_.end();
    if (cut_ != error()) [[unlikely]]
      return resume_cut(stopped ? canceled() : make_error_code(cut_));
    if constexpr (std::is_void_v<await_result_t<Awaitable>>) {
      wait_.resume();
      return success;
    } else if constexpr (std::is_lvalue_reference_v<await_result_t<Awaitable>>) {
      return __builtin_addressof(wait_.resume());
    } else {
      return wait_.resume();
    }
  }

 private:
  class limit_timer final : public timer {
   public:
    explicit limit_timer(timed_operation& of) noexcept : operation_(of) {}
    void run() noexcept override { operation_.cut(abandoned() ? error::closed : error::timed_out); }

   private:
    timed_operation& operation_;
  };

  // The clock is looked at, and the timer armed, only for what waits.
  [[nodiscard]] bool suspend(awaiting coroutine) {
    const suspension came_to = wait_.suspend(relay_.begin(coroutine));
    if (came_to == suspension::waits) [[likely]]
      arm();
    return came_to != suspension::none;
  }
  [[gnu::noinline]] void arm() noexcept {
    executor* const home = executor::current();
    if (home == nullptr) return;
    construct(timer_, *this);
    armed_ = true;
    home->arm(timer_, limit_.on(*home));
  }
  void disarm() noexcept {
    if (std::exchange(armed_, false)) destroy(timer_);
  }
  void cut(error why) noexcept {
    cut_ = why;
    relay_.request_stop();
  }
  [[gnu::noinline, gnu::cold]] result_type resume_cut(std::error_code why) {
    if constexpr (std::is_void_v<await_result_t<Awaitable>>) {
      wait_.resume();
      return failed_with<result_type>(why);
    } else {
      return after_cut(wait_.resume(), is_canceled, why);
    }
  }

  error cut_ = error();  // none, as long as the limit has not come
  moment limit_;
  bool armed_ = false;
  union {
    limit_timer timer_;  // an object once armed: making one costs more than the rest
  };
  stop_relay relay_;
  held_wait<Awaitable> wait_;  // dies first
};

}  // namespace detail
}  // namespace coflow::inline v0
