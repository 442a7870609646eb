/// \file
/// A handshake with a deadline.
#pragma once

#include <system_error>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/stop_relay.hpp"
#include "coflow/layer/detail/codec_operations.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Waits until the handshake of a codec's flow is done, one way or the other, or until `limit` has passed:
/// `error::timed_out`. A handshake that is done beats the deadline. Gives a `result<void>`.
template <class Block>
class [[nodiscard]] limited_handshake final {
 public:
  limited_handshake(Block& block, executor::duration limit) noexcept : limit_(limit), inside_(block) {}
  limited_handshake(const limited_handshake&) = delete;
  limited_handshake& operator=(const limited_handshake&) = delete;
  ~limited_handshake() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) noexcept {
    if (executor* const home = executor::current()) home->arm(deadline_, home->after(limit_));
    return inside_.await_suspend(relay_.begin(waiting));
  }
  [[nodiscard]] result<void> await_resume() noexcept {
    deadline_.disarm();
    const bool stopped = relay_.task_stopped();
    relay_.end();
    const result<void> came_to = inside_.await_resume();
    if (!came_to && came_to.error() == canceled() && !stopped && deadline_.passed()) return deadline_.verdict();
    return came_to;
  }

 private:
  class deadline final : public timer {
   public:
    explicit deadline(limited_handshake& of) noexcept : handshake_(of) {}
    [[nodiscard]] bool passed() const noexcept { return passed_; }
    [[nodiscard]] std::error_code verdict() const noexcept { return abandoned() ? error::closed : error::timed_out; }

   private:
    void run() noexcept override {
      passed_ = true;
      handshake_.relay_.request_stop();
    }
    limited_handshake& handshake_;
    bool passed_ = false;
  };

  executor::duration limit_;
  stop_relay relay_;
  deadline deadline_{*this};
  handshake_operation<Block> inside_;  // last: it dies before the relay
};

}  // namespace detail
}  // namespace coflow::inline v0
