/// \file
/// Waiting for signals.
#pragma once

#include <initializer_list>
#include <system_error>

#include "coflow/core/flow_handle.hpp"
#include "coflow/core/result.hpp"
#include "coflow/net/detail/signal_station.hpp"

namespace coflow::inline v0 {

/// What `signal_watch::next` returns: gives a `result<int>`. Cancellation: no signal is lost.
class [[nodiscard]] next_signal_operation final : public detail::signal_wait {
 public:
  explicit next_signal_operation(detail::signal_station& station) noexcept : signal_wait(station) {}
  next_signal_operation(next_signal_operation&&) noexcept = default;

  [[nodiscard]] result<int> await_resume() const noexcept {
    if (failure()) return failure();
    return number();
  }
};

/// Catches signals for as long as it lives, and hands them to a coroutine:
///
///     coflow::signal_watch interrupts{SIGINT, SIGTERM};
///     auto number = co_await interrupts.next();
///
/// A signal counts from the moment when the watch is made, whoever raised it, on whatever thread it is delivered; only
/// where every thread blocks it, it stays with the system. It is kept until somebody asks; the same signal twice before
/// that is one, as it may be with the system.
/// Any number of watches, on any number of event loops, may watch one signal: each gets it. What the process did about
/// the signal before (its end, a handler, nothing) it does again when the last watch is gone; meanwhile that is not
/// done.
/// A watch belongs to the event loop on which its first `next` begins. Making and ending one takes a lock.
class signal_watch {
 public:
  /// Watches these signals from now on. What keeps it from that is the outcome of every `next`: `invalid_argument` for
  /// a number that is no signal, SIGKILL, SIGSTOP, and those that report a fault of the program itself (SIGSEGV,
  /// SIGBUS, SIGFPE, SIGILL); too_many_files_open and the like. Nothing is watched then. Throws std::bad_alloc.
  signal_watch(std::initializer_list<int> numbers) : station_(new detail::signal_station(numbers)) {}

  signal_watch(signal_watch&&) noexcept = default;
  signal_watch& operator=(signal_watch&&) noexcept = default;
  /// Ends the watch. A pending `next` gives `error::closed`.
  ~signal_watch() = default;

  /// Waits for the next signal and gives its number; of several that have arrived, the lowest first.
  /// Concurrency: one signal goes to one wait of this watch, first come, first served. Cancellation: no signal is lost.
  /// Errors: `operation_canceled`, `error::closed` after a close and when the event loop goes away (law O4),
  /// `error::no_executor`, or why the signals cannot be watched.
  [[nodiscard]] next_signal_operation next() noexcept { return next_signal_operation(*station_); }

  /// Ends the watch before its life ends; what has arrived and was not asked for is dropped. A second close does
  /// nothing.
  void close() noexcept { station_->close(); }

  /// Why the signals cannot be watched; an empty code if they are, or were until the close.
  [[nodiscard]] std::error_code error() const noexcept { return station_->refused(); }

 private:
  flow_handle<detail::signal_station> station_;
};

}  // namespace coflow::inline v0
