/// \file
/// A stop state for one wait, between the awaiting task and what it awaits.
#pragma once

#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/stop.hpp"

namespace coflow::inline v0 {

/// Lets an awaiter ask the operation inside it to give up, for a reason of its own (a deadline, a token), while a stop
/// request of the awaiting task reaches the operation as well. It needs no coroutine of its own: the operation is begun
/// on behalf of the awaiting coroutine, under the relay's stop state.
///
///     auto await_suspend(Handle waiting) { return inside.await_suspend(relay.begin(waiting)); }
///     auto await_resume() { relay.end(); return inside.await_resume(); }
///
/// The operation must die first. It belongs to one thread.
class stop_relay final : public stop_target {
 public:
  stop_relay() noexcept {}
  stop_relay(const stop_relay&) = delete;
  stop_relay& operator=(const stop_relay&) = delete;
  ~stop_relay() { end(); }

  /// What the operation is to be suspended with. A task that has been stopped already stops it from the beginning (law
  /// X0).
  template <suspended_coroutine Handle>
  [[nodiscard]] awaiting begin(Handle waiting) noexcept {
    outer_ = detail::stop_of(waiting.promise());
    if (outer_ != nullptr) {
      if (outer_->stop_requested()) inner_.request_stop();
      outer_->attach(*this);
    }
    return awaiting(waiting, &inner_);
  }

  /// The wait is over: a stop request of the awaiting task passes by.
  void end() noexcept {
    if (outer_ != nullptr) std::exchange(outer_, nullptr)->detach(*this);
  }

  /// Asks the operation to give up. Does not resume anybody inline (law O3). Later calls do nothing.
  void request_stop() noexcept { inner_.request_stop(); }

  /// True if the awaiting task has been told to stop, not only the operation.
  [[nodiscard]] bool task_stopped() const noexcept { return outer_ != nullptr && outer_->stop_requested(); }

 private:
  void on_stop() noexcept override {
    outer_->attach(*this);  // the wait goes on, and has a name
    inner_.request_stop();
  }
  void run() noexcept override {}  // nobody posts it
  const char* waits_for() const noexcept override {
    return inner_.target() != nullptr ? inner_.target()->waits_for() : "something";
  }

  stop_node inner_;
  stop_node* outer_ = nullptr;
};

}  // namespace coflow::inline v0
