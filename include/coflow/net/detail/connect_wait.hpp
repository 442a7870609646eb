/// \file
/// Waiting for one connection attempt.
#pragma once

#include <coroutine>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/net/detail/connect_verdict.hpp"
#include "coflow/net/detail/stream_socket.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Waits until a connection attempt that is under way has been decided, the deadline passes, or the task is stopped.
class [[nodiscard]] connect_wait final : public operation, private connect_waiter {
 public:
  /// `decided` says that the connection stands already; then only a stop request is looked for.
  connect_wait(stream_socket& socket, bool decided, std::optional<executor::time_point> deadline) noexcept
      : socket_(socket), deadline_(deadline), decided_(decided) {}
  connect_wait(connect_wait&&) = delete;
  ~connect_wait() {
    if (pending_) socket_.set_connect_waiter(nullptr);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested())
      outcome_ = canceled();
    else
      outcome_ = socket_.enter();
    if (!outcome_ && decided_) outcome_ = refuse_oneself(socket_);
    if (outcome_ || decided_) return false;
    socket_.set_connect_waiter(this);
    pending_ = true;
    if (deadline_) socket_.home().arm(timer_, *deadline_);
    this->begin_wait();
    return true;
  }
  [[nodiscard]] std::error_code await_resume() const noexcept { return outcome_; }

 private:
  class deadline_timer final : public timer {
   public:
    explicit deadline_timer(connect_wait& of) noexcept : wait_(of) {}
    void run() noexcept override { wait_.decide(abandoned() ? error::closed : error::timed_out); }

   private:
    connect_wait& wait_;
  };

  void on_decided() noexcept override {
    pending_ = false;
    if (const auto verdict = connect_verdict(socket_)) {
      decide(*verdict);
    } else {
      socket_.set_connect_waiter(this);
      pending_ = true;
    }
  }
  void on_closed() noexcept override {
    pending_ = false;
    outcome_ = error::closed;
    settle();
  }
  void on_stop() noexcept override {
    if (std::exchange(pending_, false)) socket_.set_connect_waiter(nullptr);
    outcome_ = canceled();
    settle();
  }
  const char* waits_for() const noexcept override { return "a connection attempt"; }
  void settle() noexcept {
    timer_.disarm();
    this->end_wait();
    socket_.home().post(*this);
  }
  // In a turn of the loop: goes on at once.
  void decide(std::error_code code) noexcept {
    if (std::exchange(pending_, false)) socket_.set_connect_waiter(nullptr);
    outcome_ = code;
    timer_.disarm();
    socket_.home().renew_turns();
    this->resume();
  }
  void run() noexcept override { this->resume(); }

  stream_socket& socket_;
  std::optional<executor::time_point> deadline_;
  deadline_timer timer_{*this};
  std::error_code outcome_;
  bool decided_;
  bool pending_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
