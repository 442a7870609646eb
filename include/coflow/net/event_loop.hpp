/// \file
/// The executor that sockets need: a ready queue, timers, and readiness from the operating system.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/net/detail/epoll_reactor.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/platform.hpp"
#include "coflow/net/detail/poll_reactor.hpp"
#include "coflow/net/reactor.hpp"

namespace coflow::inline v0 {

/// One event loop per thread; flows belong to a loop, and nothing in it takes a lock. Work comes in from other threads
/// through `post`. Destroying a loop completes everything that waits on it with `error::closed` (law O4).
///
/// It runs by itself (`run`, `turn`), or as a guest in another event loop of the same thread, without a thread of its
/// own and without a look too many: the host waits until `native_handle()` is readable or `next_deadline()` has come,
/// calls `poll()`, and asks for the deadline anew.
///
///     on readable handle, on timer:  loop.poll();
///                                    if (loop.take_stop_request()) ... end, as `run` would ...
///                                    set the timer to loop.next_deadline(), or to none;  wait for the handle again
///
/// Nothing gets lost between turns: what other threads and the host's own callbacks post (`spawn` is the way to start a
/// task from one), and `stop`, make the handle readable. Only what the host does under an `executor::entry` of its own,
/// and timers that it arms by itself, show in `next_deadline()` alone.
///
/// No timer runs early. Deadlines less than 10 ms ahead are waited for to the microsecond where the system can do that
/// (epoll: Linux 5.11; poll: any Linux), others to the millisecond.
class event_loop final : public detail::io_executor {
 public:
  /// A loop on `default_reactor`.
  /// Throws std::system_error if the system refuses the descriptors that a loop needs (two at most), std::bad_alloc.
  event_loop() : event_loop(default_reactor) {}

  /// A loop on the reactor of your choice. Throws what the other constructor does, and std::system_error with
  /// `function_not_supported` for a reactor that is not available.
  explicit event_loop(reactor which) : io_executor(make_source(which)), which_(which) {
    if (const std::error_code refused = attach(wake_, detail::interest::read)) {
      finish();
      throw std::system_error(refused, "cannot make an event loop");
    }
  }
  ~event_loop() { finish(); }

  /// The reactor that this loop was made with.
  [[nodiscard]] reactor reactor_kind() const noexcept { return which_; }

  [[nodiscard]] time_point now() const noexcept override { return clock::now(); }

  /// Runs until `stop` is called. May be called again afterwards.
  void run() noexcept {
    while (!take_stop_request()) turn();
  }

  /// One turn: what the system reports (waiting for it only if nothing is ready), then expired timers, then what is
  /// ready. For loops that end on a condition of their own.
  void turn() noexcept { turn_within(patience()); }

  /// One turn that never waits, for a host; on this loop's thread, and not from inside a turn. True if there is more to
  /// do at once: then `next_deadline()` has come, or the handle is readable still.
  bool poll() noexcept {
    const bool more_reports = turn_within(std::chrono::nanoseconds(0)) == report_limit;
    return more_reports || has_ready();
  }

  /// When `poll` has something to do although the handle is not readable: at present if work is ready, else when the
  /// first timer expires; nothing if there is no timer. On this loop's thread.
  [[nodiscard]] std::optional<time_point> next_deadline() const noexcept {
    if (has_ready()) return now();
    return executor::next_deadline();
  }

  /// A descriptor that is readable for as long as `poll` would find something that descriptors or other threads have to
  /// say; a host that watches it for edges arms it anew before each wait. It belongs to the loop: wait for it to be
  /// readable, and do nothing else to it. -1 for a loop on `reactor::poll`, which has none: let its host call `poll`
  /// from time to time.
  [[nodiscard]] int native_handle() const noexcept { return source().native_handle(); }

  /// Makes `run` return soon. From any thread, and safe in a signal handler.
  void stop() noexcept {
    stopped_.store(true, std::memory_order_release);
    wake_.signal();
  }
  /// True if `stop` was called since this was last asked: for loops of one's own around `turn`.
  [[nodiscard]] bool take_stop_request() noexcept {
    return stopped_.load(std::memory_order_relaxed) && stopped_.exchange(false, std::memory_order_acquire);
  }

 private:
  // The descriptors through which other threads end a wait. It never counts as readable: each report is one.
  class wake_up final : public detail::descriptor {
   public:
    wake_up() : wake_up(open()) {}
    ~wake_up() { detail::sys::close_wake(ends_); }
    void signal() const noexcept { detail::sys::signal_wake(ends_); }

   private:
    explicit wake_up(const detail::sys::pipe_ends& ends) noexcept : descriptor(ends.read), ends_(ends) {
      readable_ = false;
    }
    static detail::sys::pipe_ends open() {
      detail::sys::pipe_ends ends;
      if (const int status = detail::sys::make_wake(ends); status < 0) refuse(status);
      return ends;
    }
    void on_ready(unsigned) noexcept override { detail::sys::clear_wake(ends_); }
    void on_loop_gone() noexcept override {}

    detail::sys::pipe_ends ends_;
  };

  [[noreturn]] static void refuse(int status) {
    throw std::system_error(from_system(-status), "cannot make an event loop");
  }
  static std::unique_ptr<detail::readiness_source> make_source(reactor which) {
    if (which == reactor::poll) return std::make_unique<detail::poll_reactor>();
#if COFLOW_LINUX
    auto made = std::make_unique<detail::epoll_reactor>();
    if (made->status() < 0) refuse(made->status());
    return made;
#else
    throw std::system_error(std::make_error_code(std::errc::function_not_supported),
                            "this build has no epoll: make the event loop with reactor::poll, or without an argument");
#endif
  }

  void wake() noexcept override { wake_.signal(); }

  // Gives how many reports of the system there were.
  int turn_within(std::chrono::nanoseconds timeout) noexcept {
    const entry current(*this);
    const int reports = poll_descriptors(timeout);
    if (reports < 0) {
      COFLOW_ASSERT(false, "the system refuses to wait for descriptors");
    }
    if (executor::next_deadline()) expire_timers(now());
    run_ready();
    return reports;
  }

  // How long the next wait may take; negative is for ever.
  [[nodiscard]] std::chrono::nanoseconds patience() const noexcept {
    if (has_ready() || stopped_.load(std::memory_order_relaxed)) return std::chrono::nanoseconds(0);
    const auto deadline = executor::next_deadline();
    if (!deadline) return std::chrono::nanoseconds(-1);
    const time_point present = now();
    if (*deadline <= present) return std::chrono::nanoseconds(0);
    return std::chrono::ceil<std::chrono::nanoseconds>(*deadline - present);
  }

  wake_up wake_;
  reactor which_;
  std::atomic<bool> stopped_{false};
};

}  // namespace coflow::inline v0
