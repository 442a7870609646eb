/// \file
/// Threads of the operating system, as far as servers need them: <thread> costs its includer 12,000 lines, because it
/// brings <stop_token>.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cstddef>

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

/// Lets other threads run.
inline void yield_thread() noexcept { static_cast<void>(::sched_yield()); }

}  // namespace detail::sys
}  // namespace coflow::inline v0
