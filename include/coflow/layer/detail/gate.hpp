/// \file
/// Where operations wait for their layer's leave, first come, first served.
#pragma once

#include <coroutine>
#include <utility>

#include "coflow/core/executor.hpp"
#include "coflow/core/operation_queue.hpp"

namespace coflow::inline v0 {
namespace detail {

class gate_wait;

/// A queue with a keeper: a derived class that says who may pass, and calls `look_again` when that may have changed.
class gate {
 public:
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  /// True if whoever comes now passes at once, and nobody who came earlier waits.
  [[nodiscard]] bool free_for(executor::time_point own_time) noexcept {
    return open_ || (queue_.idle() && lets_pass(own_time));
  }

  /// The first that waits asks again, in a turn of its own.
  void look_again(executor& on) noexcept { queue_.call(on); }

  /// Everybody passes from now on. Those who wait go on in a turn of their own.
  inline void open() noexcept;

 protected:
  gate() noexcept {}
  ~gate() = default;

  /// Whether the first in the queue may pass, which has `own_time` to wait for, if that means anything here.
  [[nodiscard]] virtual bool lets_pass(executor::time_point own_time) noexcept = 0;

 private:
  friend gate_wait;

  operation_queue queue_;
  bool open_ = false;
};

/// One wait at a gate: gives true, or false if the task was stopped. The gate and the executor outlive it.
class [[nodiscard]] gate_wait final : public queued_operation {
 public:
  gate_wait(gate& at, executor& on, executor::time_point own_time = executor::time_point::min()) noexcept
      : gate_(at), home_(on), own_time_(own_time) {}
  gate_wait(gate_wait&&) = delete;
  ~gate_wait() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();
    else
      leave();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) noexcept {
    this->bind(waiting);
    stopped_ = this->stop_requested();
    if (stopped_ || gate_.free_for(own_time_)) return false;
    gate_.queue_.push(*this);
    this->begin_wait();
    return true;
  }
  [[nodiscard]] bool await_resume() const noexcept { return !stopped_; }

 private:
  friend gate;

  void run() noexcept override {
    if (phase_ == operation_phase::called) {
      gate_.queue_.answer(*this);
      if (!gate_.lets_pass(own_time_)) return;
      gate_.queue_.pop();
      gate_.queue_.call(home_);
    }
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override {
    leave();
    stopped_ = true;
    settle();
  }
  const char* waits_for() const noexcept override { return "a layer's leave"; }

  // The next one has its chance.
  void leave() noexcept {
    const bool was_called = phase_ == operation_phase::called;
    gate_.queue_.remove(*this);
    if (was_called) gate_.queue_.call(home_);
  }
  void settle() noexcept {
    phase_ = operation_phase::settled;
    this->end_wait();
    home_.post(*this);
  }

  gate& gate_;
  executor& home_;
  executor::time_point own_time_;
  bool stopped_ = false;
};

inline void gate::open() noexcept {
  open_ = true;
  queue_.take_all([](queued_operation& one) { static_cast<gate_wait&>(one).settle(); });
}

}  // namespace detail
}  // namespace coflow::inline v0
