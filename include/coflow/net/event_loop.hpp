/// \file
/// The executor that sockets need: a ready queue, timers, and readiness from the operating system.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <memory>
#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/net/detail/epoll_reactor.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {

/// One event loop per thread; flows belong to a loop, and nothing in it takes a lock. Work comes in from other threads
/// through `post`. Destroying a loop completes everything that waits on it with `error::closed` (law O4).
class event_loop final : public detail::io_executor {
 public:
  /// Throws std::system_error if the system refuses the two descriptors that a loop needs.
  event_loop() : event_loop(make_reactor()) {}
  ~event_loop() {
    finish();
    detail::sys::close(wake_.fd());
  }

  [[nodiscard]] time_point now() const noexcept override { return clock::now(); }

  /// Runs until `stop` is called. May be called again afterwards.
  void run() noexcept {
    while (!take_stop_request()) turn();
  }

  /// One turn: what the system reports (waiting for it only if nothing is ready), then expired timers, then what is
  /// ready. For loops that end on a condition of their own.
  void turn() noexcept {
    const entry current(*this);
    if (poll_descriptors(patience()) < 0) {
      COFLOW_ASSERT(false, "the system refuses to wait for descriptors");
    }
    if (next_deadline()) expire_timers(now());
    run_ready();
  }

  /// Makes `run` return soon. From any thread, and safe in a signal handler.
  void stop() noexcept {
    stopped_.store(true, std::memory_order_release);
    detail::sys::signal_wake(wake_.fd());
  }
  /// True if `stop` was called since this was last asked: for loops of one's own around `turn`.
  [[nodiscard]] bool take_stop_request() noexcept {
    return stopped_.load(std::memory_order_relaxed) && stopped_.exchange(false, std::memory_order_acquire);
  }

 private:
  explicit event_loop(std::unique_ptr<detail::reactor> r) : io_executor(std::move(r)), wake_(open_wake()) {
    if (const std::error_code refused = attach(wake_)) {
      detail::sys::close(wake_.fd());
      finish();
      throw std::system_error(refused, "cannot make an event loop");
    }
  }

  // The descriptor through which other threads end a wait.
  class wake_up final : public detail::descriptor {
   public:
    explicit wake_up(int fd) noexcept : descriptor(fd) {}
    [[nodiscard]] int fd() const noexcept { return fd_; }
    void on_ready(unsigned what) noexcept override {
      if ((what & detail::readable) != 0) detail::sys::clear_wake(fd_);
    }
    void on_loop_gone() noexcept override {}
  };

  static std::unique_ptr<detail::reactor> make_reactor() {
    auto made = std::make_unique<detail::epoll_reactor>();
    if (made->status() < 0) throw std::system_error(from_system(-made->status()), "cannot make an event loop");
    return made;
  }
  static int open_wake() {
    const int fd = detail::sys::wake_descriptor();
    if (fd < 0) throw std::system_error(from_system(-fd), "cannot make an event loop");
    return fd;
  }

  void wake() noexcept override { detail::sys::signal_wake(wake_.fd()); }

  // How long the next wait may take, in milliseconds; rounded up, so that no timer finds its deadline still ahead.
  [[nodiscard]] int patience() const noexcept {
    if (has_ready() || stopped_.load(std::memory_order_relaxed)) return 0;
    const auto deadline = next_deadline();
    if (!deadline) return -1;
    const time_point present = now();
    if (*deadline <= present) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - present).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
  }

  wake_up wake_;
  std::atomic<bool> stopped_{false};
};

}  // namespace coflow::inline v0
