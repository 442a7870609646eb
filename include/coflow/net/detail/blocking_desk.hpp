/// \file
/// Where work that blocks waits for a thread that does it.
///
/// Such work cannot be cancelled, so nobody waits for it: the thread that does it owns what it works on, and whoever
/// asked may leave at any time. One lock guards who waits for what; it is taken a few times for each piece of work,
/// never while one is done.
#pragma once

#include <chrono>
#include <cstddef>
#include <new>
#include <utility>

#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/net/detail/system_thread.hpp"

namespace coflow::inline v0 {
namespace detail {

/// One piece of work, and what came of it. It belongs to whoever asked while it is in the queue and once it has been
/// answered, and to both sides in between.
class blocking_job : public list_link {
 public:
  blocking_job(const blocking_job&) = delete;
  blocking_job& operator=(const blocking_job&) = delete;
  virtual ~blocking_job() = default;

  /// `waiter` will be posted to `home` when the answer is there.
  void expect(executor& home, basic_node& waiter) noexcept {
    home_ = &home;
    waiter_ = &waiter;
  }
  /// True if it was never done, because its desk went away.
  [[nodiscard]] bool refused() const noexcept { return refused_; }

 protected:
  blocking_job() noexcept {}

 private:
  friend class blocking_desk;
  enum class stage : unsigned char { queued, running, answered };

  /// Does it, on a thread of the desk.
  virtual void work() noexcept = 0;

  executor* home_ = nullptr;  // null when nobody waits any longer
  basic_node* waiter_ = nullptr;
  stage stage_ = stage::queued;
  bool refused_ = false;
};

/// A queue, and the threads that serve it. There are as many threads as pieces of work, up to a limit; one that has
/// found the queue empty for a time ends. Held by whoever made it, by its threads, and by those who wait; the last one
/// frees it.
class blocking_desk {
 public:
  /// Starts a thread; see `sys::start_thread`.
  using thread_starter = int (*)(void* (*body)(void*), void* argument) noexcept;

  /// How many threads there are at most, unless said otherwise.
  static constexpr unsigned usual_limit = 16;

  explicit blocking_desk(thread_starter start = &sys::start_thread, unsigned most_threads = usual_limit,
                         std::chrono::nanoseconds idle_time = std::chrono::nanoseconds(0)) noexcept
      : start_(start), most_threads_(most_threads == 0 ? 1 : most_threads), idle_time_(idle_time) {}
  blocking_desk(const blocking_desk&) = delete;
  blocking_desk& operator=(const blocking_desk&) = delete;
  ~blocking_desk() = default;

  /// Has the job done. Gives 0, or minus the errno value if there is no thread to be had for it. Whoever asks holds the
  /// desk from then on, until `leave`.
  [[nodiscard]] int begin(blocking_job& job) noexcept {
    const sys::monitor::lock held(monitor_);
    if (queued_ < idle_) {
      monitor_.wake_one();
    } else if (threads_ < most_threads_) {
      const int status = start_(&serve, this);
      if (status < 0 && threads_ == 0) return status;
      if (status >= 0) {
        ++threads_;
        ++holders_;
      }
    }
    queue_.push_back(job);
    ++queued_;
    ++holders_;
    return 0;
  }

  /// Whoever asked leaves, once. True if the answer is there: then the waiter has been posted, its executor is not
  /// touched any more, and the job is the caller's. False if not: then the waiter will not be posted, and the job is
  /// gone. So may the desk be.
  [[nodiscard]] bool leave(blocking_job& job) noexcept {
    using stage = blocking_job::stage;
    stage met;
    bool last;
    {
      const sys::monitor::lock held(monitor_);
      met = job.stage_;
      job.home_ = nullptr;
      if (met == stage::queued) {
        job.unlink();
        --queued_;
      }
      last = --holders_ == 0;
    }
    if (met == stage::queued) delete &job;
    if (last) delete this;
    return met == stage::answered;
  }

  /// Whoever made it leaves: answers what has not been begun, and has the threads end as soon as they can.
  void close() noexcept {
    bool last;
    {
      const sys::monitor::lock held(monitor_);
      closed_ = true;
      while (!queue_.empty()) {
        blocking_job& job = queue_.pop_front();
        job.refused_ = true;
        answer(job);
      }
      queued_ = 0;
      monitor_.wake_all();
      last = --holders_ == 0;
    }
    if (last) delete this;
  }

  /// How many threads there are.
  [[nodiscard]] unsigned threads() noexcept {
    const sys::monitor::lock held(monitor_);
    return threads_;
  }

 private:
  static void* serve(void* desk) noexcept {
    static_cast<blocking_desk*>(desk)->serve();
    return nullptr;
  }
  void serve() noexcept {
    for (;;) {
      bool last = false;
      blocking_job* job = next(last);
      if (job == nullptr) {
        if (last) delete this;
        return;
      }
      job->work();
      if (!deliver(*job)) delete job;
    }
  }
  // The next piece of work. If there is none, null: then the thread is no longer counted, and the desk, unless this was
  // its last holder, may be gone.
  [[nodiscard]] blocking_job* next(bool& last) noexcept {
    const sys::monitor::lock held(monitor_);
    if (queue_.empty() && idle_time_.count() > 0) wait_for_work();
    if (queue_.empty()) {
      thread_pool.drain();  // a thread that is not counted holds nothing
      --threads_;
      last = --holders_ == 0;
      return nullptr;
    }
    blocking_job& job = queue_.pop_front();
    --queued_;
    job.stage_ = blocking_job::stage::running;
    return &job;
  }
  void wait_for_work() noexcept {
    const sys::monitor::deadline end(idle_time_);
    ++idle_;
    while (queue_.empty() && !closed_ && monitor_.wait_until(end)) {
    }
    --idle_;
  }
  // False if nobody waits any longer; then the job is the caller's.
  [[nodiscard]] bool deliver(blocking_job& job) noexcept {
    const sys::monitor::lock held(monitor_);
    if (job.home_ == nullptr) return false;
    answer(job);
    return true;
  }
  // Under the lock: an executor cannot go away before those who wait on it have left.
  static void answer(blocking_job& job) noexcept {
    job.stage_ = blocking_job::stage::answered;
    job.home_->post(*job.waiter_);
  }

  thread_starter start_;
  unsigned most_threads_;
  std::chrono::nanoseconds idle_time_;
  sys::monitor monitor_;
  intrusive_list<blocking_job> queue_;
  unsigned queued_ = 0;
  unsigned idle_ = 0;  // threads that wait for work
  unsigned threads_ = 0;
  bool closed_ = false;
  unsigned holders_ = 1;
};

}  // namespace detail
}  // namespace coflow::inline v0
