/// \file
/// Where names wait for a thread that looks them up.
///
/// A look-up cannot be cancelled, so nobody waits for one: the thread that runs it owns what it works on, and whoever
/// asked may leave at any time. One lock guards who waits for what; it is taken a few times for each look-up, never
/// while one runs.
#pragma once

#include <netdb.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/net/detail/socket_address.hpp"
#include "coflow/net/detail/system_names.hpp"
#include "coflow/net/detail/system_thread.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Looks a name up; see `sys::look_up`.
using lookup_function = int (*)(const char* host, std::vector<socket_address>& found, int& number);

/// One name to be looked up, and what came of it. It belongs to whoever asked while it is in the queue and once it has
/// been answered, and to both sides in between.
class lookup_job final : public list_link {
 public:
  /// `waiter` is posted to `home` when the answer is there.
  lookup_job(lookup_function how, std::string host, executor& home, basic_node& waiter) noexcept
      : how_(how), host_(std::move(host)), home_(&home), waiter_(waiter) {}

  /// 0 or a value of getaddrinfo(3).
  [[nodiscard]] int status() const noexcept { return status_; }
  /// The errno value, where the status is EAI_SYSTEM.
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] std::vector<socket_address>& found() noexcept { return found_; }

 private:
  friend class lookup_desk;
  enum class stage : unsigned char { queued, running, answered };

  void look_up() noexcept {
    try {
      status_ = how_(host_.c_str(), found_, number_);
    } catch (const std::bad_alloc&) {
      status_ = EAI_MEMORY;
    } catch (...) {
      status_ = EAI_FAIL;
    }
  }

  lookup_function how_;
  std::string host_;
  executor* home_;  // null when nobody waits any longer
  basic_node& waiter_;
  std::vector<socket_address> found_;
  int status_ = 0;
  int number_ = 0;
  stage stage_ = stage::queued;
};

/// The queue of a process, and the threads that serve it. There are as many threads as names wait, up to a limit; one
/// that finds the queue empty ends.
class lookup_desk {
 public:
  /// How many look-ups run at a time; further ones queue.
  static constexpr unsigned most_threads = 16;

  /// Starts a thread; see `sys::start_thread`.
  using thread_starter = int (*)(void* (*body)(void*), void* argument) noexcept;

  explicit lookup_desk(thread_starter start = &sys::start_thread) noexcept : start_(start) {}
  lookup_desk(const lookup_desk&) = delete;
  lookup_desk& operator=(const lookup_desk&) = delete;

  /// Has the job looked up. Gives 0, or minus the errno value if there is no thread to be had for it.
  [[nodiscard]] int begin(lookup_job& job) noexcept {
    const sys::process_lock lock(mutex_);
    if (threads_ < most_threads) {
      const int status = start_(&serve, this);
      if (status >= 0)
        ++threads_;
      else if (threads_ == 0)
        return status;
    }
    queue_.push_back(job);
    return 0;
  }

  /// Whoever asked leaves. True if the answer is there: then the waiter has been posted, its executor is not touched
  /// any more, and the job is the caller's. False if not: then the waiter will not be posted, and the job is gone.
  [[nodiscard]] bool leave(lookup_job& job) noexcept {
    const sys::process_lock lock(mutex_);
    if (job.stage_ == lookup_job::stage::answered) return true;
    job.home_ = nullptr;
    if (job.stage_ == lookup_job::stage::queued) {
      job.unlink();
      delete &job;
    }
    return false;
  }

  /// How many threads there are.
  [[nodiscard]] unsigned threads() noexcept {
    const sys::process_lock lock(mutex_);
    return threads_;
  }

 private:
  static void* serve(void* desk) noexcept {
    static_cast<lookup_desk*>(desk)->serve();
    return nullptr;
  }
  void serve() noexcept {
    while (lookup_job* job = next()) {
      job->look_up();
      answer(*job);
    }
  }
  // The next name to look up; null, and the thread is no longer counted, if there is none.
  [[nodiscard]] lookup_job* next() noexcept {
    const sys::process_lock lock(mutex_);
    if (queue_.empty()) return --threads_, nullptr;
    lookup_job& job = queue_.pop_front();
    job.stage_ = lookup_job::stage::running;
    return &job;
  }
  void answer(lookup_job& job) noexcept {
    const sys::process_lock lock(mutex_);
    job.stage_ = lookup_job::stage::answered;
    // Posted under the lock: an executor cannot go away before those who wait on it have left.
    if (job.home_ != nullptr)
      job.home_->post(job.waiter_);
    else
      delete &job;
  }

  thread_starter start_;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  intrusive_list<lookup_job> queue_;
  unsigned threads_ = 0;
};

/// The desk of this process. It is never destroyed: a look-up may outlast `main`.
[[nodiscard, gnu::visibility("default")]] inline lookup_desk& lookups() noexcept {
  alignas(lookup_desk) static std::byte room[sizeof(lookup_desk)];
  static auto* const made = ::new (static_cast<void*>(room)) lookup_desk;
  return *made;
}

}  // namespace detail
}  // namespace coflow::inline v0
