/// \file
/// A lock between threads, for a few instructions at a time. <mutex> costs its includer 2,000 lines more.
#pragma once

#include <atomic>

namespace coflow::inline v0 {
namespace detail {

/// Held by one thread at a time; the others wait in the system. It may still be touched when it is released, so whoever
/// lets go of it must keep it alive.
class short_lock {
 public:
  short_lock() noexcept {}
  short_lock(const short_lock&) = delete;
  short_lock& operator=(const short_lock&) = delete;

  void lock() noexcept {
    int seen = free;
    if (!state_.compare_exchange_strong(seen, held, std::memory_order_acquire, std::memory_order_relaxed)) [[unlikely]]
      wait();
  }
  void unlock() noexcept {
    if (state_.exchange(free, std::memory_order_release) == wanted) [[unlikely]]
      state_.notify_one();
  }

  /// Holds the lock for as long as it lives.
  class guard {
   public:
    explicit guard(short_lock& on) noexcept : on_(on) { on_.lock(); }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() { on_.unlock(); }

   private:
    short_lock& on_;
  };

 private:
  static constexpr int free = 0;
  static constexpr int held = 1;
  static constexpr int wanted = 2;  // held, and perhaps somebody waits

  [[gnu::noinline, gnu::cold]] void wait() noexcept {
    while (state_.exchange(wanted, std::memory_order_acquire) != free) state_.wait(wanted, std::memory_order_relaxed);
  }

  std::atomic<int> state_{free};
};

}  // namespace detail
}  // namespace coflow::inline v0
