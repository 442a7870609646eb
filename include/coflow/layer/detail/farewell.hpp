/// \file
/// The wait for a peer's end, and the close that ends it.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/async/detail/errand.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/node.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Lets everything run that is ready already.
class [[nodiscard]] next_turn final : public node {
 public:
  next_turn() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> coroutine) noexcept {
    coroutine_ = coroutine;
    executor* const current = executor::current();
    if (current == nullptr) return false;
    current->post(*this);
    return true;
  }
  void await_resume() const noexcept {}

 private:
  void run() noexcept override { coroutine_.resume(); }
  std::coroutine_handle<> coroutine_;
};

template <class E>
[[nodiscard]] std::error_code as_system_error(const E& given) noexcept {
  if constexpr (std::convertible_to<const E&, std::error_code>)
    return given;
  else
    return std::make_error_code(std::errc::io_error);
}

/// Shuts the write half down and reads to the end; gives an empty code for eof.
template <class F>
task<std::error_code> read_to_end(F* flow) {
  co_await flow->shutdown(shutdown_mode::write);
  for (unsigned round = 1;; ++round) {
    auto got = co_await flow->read();
    if (got.eof()) co_return std::error_code();
    if (got.failed()) co_return as_system_error(got.error());
    if (round % 64 == 0) co_await next_turn();  // a flow of somebody else's may never wait
  }
}

/// Runs both: the second when the first has ended, or ends it when the limit has passed or the task is stopped.
template <class F>
class [[nodiscard]] farewell final : public operation, private errand_listener {
 public:
  farewell(F* flow, executor::duration limit)
      : reading_(read_to_end(flow), *this), closing_(close_flow(flow), *this), limit_(limit) {}
  farewell(farewell&&) = delete;
  ~farewell() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    home_ = executor::current();
    if (home_ == nullptr)
      cut_ = error::no_executor;
    else if (this->stop_requested())
      cut_ = canceled();
    if (!cut_) {
      timer_.arm(*home_, home_->after(limit_));
      reading_.start();
    }
    if (cut_ || reading_.ended()) {
      timer_.disarm();
      closing_.start();
      if (closing_.ended()) return false;
    } else {
      this->begin_wait();
    }
    waiting_ = true;
    return true;
  }
  [[nodiscard]] result<void> await_resume() {
    closing_.take();
    if (!reading_.ended()) return cut_;
    const std::error_code ended_with = reading_.take();
    if (!ended_with) return success;
    return cut_ ? cut_ : ended_with;
  }

 private:
  class limit_timer final : public timer {
   public:
    explicit limit_timer(farewell& of) noexcept : farewell_(of) {}
    void arm(executor& on, executor::time_point when) noexcept { on.arm(*this, when); }
    void run() noexcept override { farewell_.cut(abandoned() ? error::closed : error::timed_out); }

   private:
    farewell& farewell_;
  };

  void cut(std::error_code why) noexcept {
    this->end_wait();
    if (!cut_) cut_ = why;
    go_on();
  }
  void on_stop() noexcept override {
    timer_.disarm();
    cut_ = canceled();
    home_->post(*this);
  }
  // An end in the middle of somebody's turn, or of `await_suspend`.
  void errand_ended() noexcept override {
    if (!waiting_ || this->linked()) return;
    timer_.disarm();
    this->end_wait();
    if (home_ != nullptr) home_->post(*this);
  }
  void run() noexcept override { go_on(); }
  const char* waits_for() const noexcept override { return "a graceful_close"; }

  // In a turn of its own.
  void go_on() noexcept {
    if (!closing_.started()) {
      waiting_ = false;
      closing_.start();
      waiting_ = true;
    }
    if (closing_.ended() && (reading_.ended() || !reading_.started())) this->resume();
  }

  errand<std::error_code> reading_;
  errand<void> closing_;
  executor* home_ = nullptr;
  executor::duration limit_;
  limit_timer timer_{*this};
  std::error_code cut_;
  bool waiting_ = false;
};

template <class F>
task<result<void>> say_farewell(F* flow, executor::duration limit) {
  farewell<F> parting(flow, limit);
  const result<void> came_to = co_await parting;
  co_return came_to;
}

template <class F>
task<result<void>> say_last_farewell(F flow, executor::duration limit) {
  farewell<F> parting(&flow, limit);
  const result<void> came_to = co_await parting;
  co_return came_to;
}

}  // namespace detail
}  // namespace coflow::inline v0
