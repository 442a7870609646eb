/// \file
/// Threads of the operating system, as far as servers need them: <thread> costs its includer 12,000 lines, because it
/// brings <stop_token>.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>

#include "coflow/core/detail/min_max.hpp"

namespace coflow::inline v0 {
namespace detail::sys {

/// A thread that runs `work.run()`. It must be joined if it was started.
class thread {
 public:
  thread() noexcept {}
  thread(const thread&) = delete;
  thread& operator=(const thread&) = delete;

  /// Gives 0, or minus the errno value (EAGAIN) if there can be no further thread. `work` must outlive it.
  template <class Work>
  [[nodiscard]] int start(Work& work) noexcept {
    return -::pthread_create(&handle_, nullptr, &run<Work>, &work);
  }
  void join() noexcept { static_cast<void>(::pthread_join(handle_, nullptr)); }

 private:
  template <class Work>
  static void* run(void* work) noexcept {
    static_cast<Work*>(work)->run();
    return nullptr;
  }

  pthread_t handle_{};
};

/// Runs `body(argument)` on a thread of its own that nobody waits for and that gets no signals: those are for the
/// program's own threads.
[[nodiscard]] inline int start_thread(void* (*body)(void*), void* argument) noexcept {
  pthread_attr_t attributes;
  if (const int status = ::pthread_attr_init(&attributes); status != 0) return -status;
  static_cast<void>(::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &all, &before));
  pthread_t made;
  const int status = ::pthread_create(&made, &attributes, body, argument);
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &before, nullptr));
  static_cast<void>(::pthread_attr_destroy(&attributes));
  return -status;
}

/// How many cores this process may run on; at least one.
[[nodiscard]] inline unsigned available_cores() noexcept {
#ifdef __linux__
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    const int count = CPU_COUNT(&allowed);
    if (count > 0) return static_cast<unsigned>(count);
  }
#endif
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<unsigned>(online) : 1;
}

/// A lock for as long as it lives on a mutex of the process, which is not destroyed. (<mutex> costs more to include.)
class process_lock {
 public:
  explicit process_lock(pthread_mutex_t& on) noexcept : on_(on) { static_cast<void>(::pthread_mutex_lock(&on_)); }
  process_lock(const process_lock&) = delete;
  process_lock& operator=(const process_lock&) = delete;
  ~process_lock() { static_cast<void>(::pthread_mutex_unlock(&on_)); }

 private:
  pthread_mutex_t& on_;
};

/// A lock, and waits for what is changed under it.
class monitor {
 public:
  monitor() noexcept {}
  monitor(const monitor&) = delete;
  monitor& operator=(const monitor&) = delete;
  ~monitor() {
    static_cast<void>(::pthread_cond_destroy(&changed_));
    static_cast<void>(::pthread_mutex_destroy(&mutex_));
  }

  /// Holds the lock for as long as it lives.
  class lock {
   public:
    explicit lock(monitor& on) noexcept : on_(on) { static_cast<void>(::pthread_mutex_lock(&on_.mutex_)); }
    lock(const lock&) = delete;
    lock& operator=(const lock&) = delete;
    ~lock() { static_cast<void>(::pthread_mutex_unlock(&on_.mutex_)); }

   private:
    monitor& on_;
  };

  /// A time from now, on the clock that every system can wait by: setting that clock makes a wait shorter or longer.
  class deadline {
   public:
    explicit deadline(std::chrono::nanoseconds from_now) noexcept {
      static_cast<void>(::clock_gettime(CLOCK_REALTIME, &time_));
      const std::chrono::nanoseconds bounded =
          smaller<std::chrono::nanoseconds>(from_now, std::chrono::hours(24 * 365));
      const std::chrono::nanoseconds part(time_.tv_nsec + bounded.count() % 1'000'000'000);
      time_.tv_sec += static_cast<time_t>(bounded.count() / 1'000'000'000 + part.count() / 1'000'000'000);
      time_.tv_nsec = static_cast<long>(part.count() % 1'000'000'000);
    }

   private:
    friend monitor;
    timespec time_{};
  };

  /// Lets go of the lock, which is held, until somebody wakes it, or for no reason. False once the time is over.
  [[nodiscard]] bool wait_until(const deadline& end) noexcept {
    return ::pthread_cond_timedwait(&changed_, &mutex_, &end.time_) == 0;
  }
  void wake_one() noexcept { static_cast<void>(::pthread_cond_signal(&changed_)); }
  void wake_all() noexcept { static_cast<void>(::pthread_cond_broadcast(&changed_)); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
};

/// Lets other threads run.
inline void yield_thread() noexcept { static_cast<void>(::sched_yield()); }

}  // namespace detail::sys
}  // namespace coflow::inline v0
