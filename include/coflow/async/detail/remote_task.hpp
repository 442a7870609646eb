/// \file
/// A task that runs on another executor than the one that waits for it.
///
/// Two executors on two threads, of which either may go away at any time: so what they share is held by both sides, and
/// whoever lets go last frees it. Its lock guards which side is still there, and each side posts to the other while it
/// holds the lock. As a side takes the lock when it leaves, and once it has heard of a post, no executor is posted to,
/// or is still being woken, when it goes away.
#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/short_lock.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What does not depend on the type of the task. "Home" is where somebody waits, "there" is where the task runs.
class remote_block : public node, public executor::dependent, protected task_end {
 public:
  /// `waiter` is posted to `home` when the answer is there.
  remote_block(executor& home, basic_node& waiter, executor& there) noexcept
      : home_(&home), there_(&there), waiter_(waiter) {}
  remote_block(const remote_block&) = delete;
  remote_block& operator=(const remote_block&) = delete;

  // ---- at home

  void start() noexcept {
    const short_lock::guard held(lock_);
    there_->post(*this);
  }
  /// Tells the task to stop.
  void request_stop() noexcept {
    const short_lock::guard held(lock_);
    post_stop();
  }
  /// Nobody waits any longer. True if the answer is there: then the waiter has been posted, the executor is not touched
  /// any more, and the answer is the caller's. False if not: then the waiter will not be posted, and the task is told
  /// to stop.
  [[nodiscard]] bool leave() noexcept {
    const short_lock::guard held(lock_);
    if (answered_) return true;
    home_ = nullptr;
    post_stop();
    return false;
  }

  // ---- on either side

  void release() noexcept {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

 protected:
  ~remote_block() = default;

  virtual void destroy() noexcept = 0;

  // There.
  virtual void resume_task() noexcept = 0;
  [[nodiscard]] virtual bool task_ended() const noexcept = 0;
  virtual void keep_answer() noexcept = 0;
  virtual void destroy_task() noexcept = 0;
  virtual void drop_answer() noexcept = 0;

  [[nodiscard]] stop_node& stop_chain() noexcept { return stop_; }

 private:
  class stop_request final : public node {
   public:
    explicit stop_request(stop_node& to) noexcept : to_(to) {}
    ~stop_request() = default;

   private:
    void run() noexcept override { to_.request_stop(); }
    stop_node& to_;
  };

  void post_stop() noexcept {
    if (there_ != nullptr && !std::exchange(stop_posted_, true)) there_->post(stop_request_);
  }

  // Posted to start the task, and once more when it has ended.
  void run() noexcept final {
    if (begun_) {
      end();
      return;
    }
    begun_ = true;
    if (!wanted() || there_->finishing()) {
      close();
      return;
    }
    there_->add_root(*this);
    resume_task();
  }
  void discard() noexcept final { close(); }
  std::coroutine_handle<> on_task_end() noexcept final {
    there_->post(*this);
    return std::noop_coroutine();
  }
  void on_executor_gone() noexcept final {
    if (task_ended())
      end();
    else
      close();
  }
  void list_waits(wait_list& into) const final { into.add("a task from another executor", stop_); }

  // Once the lock was held, whoever has posted this is done with the executor.
  [[nodiscard]] bool wanted() noexcept {
    const short_lock::guard held(lock_);
    return home_ != nullptr;
  }
  void end() noexcept {
    keep_answer();
    close();
  }
  // The task's last step on its own executor; without an answer it has not ended.
  void close() noexcept {
    destroy_task();
    answer();
    node::unlink();
    stop_request_.unlink();
    executor::dependent::unlink();
    release();
  }
  void answer() noexcept {
    {
      const short_lock::guard held(lock_);
      there_ = nullptr;
      if (home_ != nullptr) {
        answered_ = true;
        home_->post(waiter_);
        return;
      }
    }
    drop_answer();
  }

  short_lock lock_;
  std::atomic<int> holders_{2};
  executor* home_;   // null when nobody waits any longer
  executor* there_;  // null when the task is gone
  basic_node& waiter_;
  stop_node stop_;
  stop_request stop_request_{stop_};
  bool begun_ = false;
  bool answered_ = false;
  bool stop_posted_ = false;
};

template <class T>
class remote_task final : public remote_block, public pooled {
 public:
  remote_task(executor& home, basic_node& waiter, executor& there, task<T> body) noexcept
      : remote_block(home, waiter, there), frame_(body.release()) {
    frame_.promise().set_stop(&stop_chain());
    frame_.promise().set_end(*this);
  }

  /// What the task gave, or throws what it threw; `error::closed` if it did not end. At home, once, when the answer is
  /// there.
  [[nodiscard]] fallible<T> take() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (!given_) return failed_with<fallible<T>>(error::closed);
    return std::move(*given_);
  }
  /// Ends what was given, on the side that it belongs to.
  void drop_answer() noexcept override {
    given_.reset();
    thrown_ = nullptr;
  }

 private:
  ~remote_task() = default;

  void destroy() noexcept override { delete this; }
  void resume_task() noexcept override { frame_.resume(); }
  bool task_ended() const noexcept override { return frame_.promise().ended(); }
  void keep_answer() noexcept override {
    try {
      if constexpr (std::is_void_v<T>) {
        frame_.promise().take();
        given_.emplace(success);
      } else {
        given_.emplace(frame_.promise().take());
      }
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }
  void destroy_task() noexcept override { std::exchange(frame_, nullptr).destroy(); }

  std::coroutine_handle<task_promise<T>> frame_;
  std::optional<fallible<T>> given_;
  std::exception_ptr thrown_;
};

}  // namespace detail
}  // namespace coflow::inline v0
