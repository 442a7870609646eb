/// \file
/// Threads for work that would block an event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <new>

#include "coflow/core/executor.hpp"
#include "coflow/net/detail/blocking_desk.hpp"

namespace coflow::inline v0 {

class blocking_pool;
[[nodiscard]] blocking_pool& process_blocking_pool() noexcept;

/// A bounded number of threads that `run_blocking` runs work on, for what shall not share the pool of the process: work
/// that takes long, or of which only so much may be done at a time.
///
/// Threads are started as work comes in, end when they have found none for a time, and take no signals. May be used
/// from any thread. The pool must live until the calls that are given to it have begun; destroying it waits for nobody:
/// work that has not begun is never done and ends its wait with `error::closed`, by post; work that is being done is
/// answered as usual, and its threads end by themselves. Not for use in the child of a fork.
class blocking_pool {
  static constexpr std::chrono::seconds usual_idle_time{1};

 public:
  /// At most `most_threads` (at least one) work at a time, further work queues; a thread ends when it was idle for
  /// `idle_time`, and at once if that is not positive. Starts no thread. Throws std::bad_alloc.
  explicit blocking_pool(unsigned most_threads = detail::blocking_desk::usual_limit,
                         executor::duration idle_time = usual_idle_time)
      : desk_(*new detail::blocking_desk(&detail::sys::start_thread, most_threads, idle_time)) {}
  blocking_pool(const blocking_pool&) = delete;
  blocking_pool& operator=(const blocking_pool&) = delete;
  ~blocking_pool() { desk_.close(); }

  /// How many threads it has at present, idle ones included.
  [[nodiscard]] unsigned threads() const noexcept { return desk_.threads(); }

  /// For `run_blocking`.
  [[nodiscard]] detail::blocking_desk& desk() const noexcept { return desk_; }

 private:
  friend blocking_pool& process_blocking_pool() noexcept;
  explicit blocking_pool(detail::blocking_desk& desk) noexcept : desk_(desk) {}

  detail::blocking_desk& desk_;
};

/// The pool of this process, of 16 threads at most. It is never destroyed: work may outlast `main`.
[[nodiscard, gnu::visibility("default")]] inline blocking_pool& process_blocking_pool() noexcept {
  struct lasting {
    alignas(detail::blocking_desk) std::byte desk[sizeof(detail::blocking_desk)];
    alignas(blocking_pool) std::byte pool[sizeof(blocking_pool)];
  };
  static lasting room;
  static auto* const made =
      ::new (static_cast<void*>(room.pool)) blocking_pool(*::new (static_cast<void*>(room.desk)) detail::blocking_desk(
          &detail::sys::start_thread, detail::blocking_desk::usual_limit, blocking_pool::usual_idle_time));
  return *made;
}

}  // namespace coflow::inline v0
