/// \file
/// Stopping servers from other threads and from signal handlers.
#pragma once

#include <atomic>

#include "coflow/net/detail/system_thread.hpp"
#include "coflow/net/event_loop.hpp"

namespace coflow::inline v0 {

/// What stops a `serve_on_all_cores`, from any thread and from signal handlers: `cores_options::stopped_by`.
///
/// The first request stops gracefully, the second cancels the handlers at once. A request is a level: what begins later
/// stops as well. One switch may stop any number of servers and must outlive them; a global one is made before `main`.
class stop_switch {
 public:
  constexpr stop_switch() noexcept {}
  stop_switch(const stop_switch&) = delete;
  stop_switch& operator=(const stop_switch&) = delete;
  ~stop_switch() = default;

  /// Asks for a stop. Safe in a signal handler: no lock, no allocation, `errno` as before.
  void request() noexcept {
    requests_.fetch_add(1);
    inside_.fetch_add(1);
    for (watcher* next = first_.load(); next != nullptr; next = next->next_.load()) next->loop_.stop();
    inside_.fetch_sub(1);
  }

  /// How often it was asked for.
  [[nodiscard]] unsigned requests() const noexcept { return requests_.load(); }
  /// True once it was asked for.
  [[nodiscard]] bool requested() const noexcept { return requests() != 0; }

  /// For loops of one's own: while one lives, each request calls `loop.stop()`. Neither is made in a signal handler.
  class watcher {
   public:
    watcher(stop_switch& watched, event_loop& loop) noexcept : switch_(watched), loop_(loop) {
      switch_.lock();
      next_.store(switch_.first_.load());
      switch_.first_.store(this);
      switch_.unlock();
    }
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;
    ~watcher() {
      switch_.lock();
      std::atomic<watcher*>* link = &switch_.first_;
      while (link->load() != this) link = &link->load()->next_;
      link->store(next_.load());
      // Whoever has come by here before may still be looking. Nobody stays inside for longer than a few system calls.
      while (switch_.inside_.load() != 0) detail::sys::yield_thread();
      switch_.unlock();
    }

   private:
    friend stop_switch;

    stop_switch& switch_;
    event_loop& loop_;
    std::atomic<watcher*> next_{nullptr};
  };

 private:
  // Between watchers that come and go; a request takes no lock.
  void lock() noexcept {
    while (locked_.exchange(true)) detail::sys::yield_thread();
  }
  void unlock() noexcept { locked_.store(false); }

  std::atomic<watcher*> first_{nullptr};
  std::atomic<unsigned> requests_{0};
  std::atomic<unsigned> inside_{0};
  std::atomic<bool> locked_{false};
};

}  // namespace coflow::inline v0
