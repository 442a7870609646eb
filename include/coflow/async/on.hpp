/// \file
/// Running a task on another executor, usually another thread's, and coming back with what it gives.
#pragma once

#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/remote_task.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {

/// What `on` returns: gives a `fallible<T>`.
template <class T>
class [[nodiscard]] on_operation final : public operation {
 public:
  on_operation(executor& there, task<T> body) noexcept : there_(there), body_(std::move(body)) {}
  on_operation(on_operation&& unbegun) noexcept : there_(unbegun.there_), body_(std::move(unbegun.body_)) {}
  ~on_operation() {
    if (remote_ == nullptr) return;
    if (arrived_ || remote_->leave()) remote_->drop_answer();
    remote_->release();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) {
    this->bind(awaiting);
    home_ = executor::current();
    if (this->stop_requested())
      outcome_ = canceled();
    else if (home_ == nullptr)
      outcome_ = error::no_executor;
    else if (home_->finishing())
      outcome_ = error::closed;
    if (outcome_) return false;
    begin();
    return true;
  }
  [[nodiscard]] fallible<T> await_resume() {
    if (outcome_) return detail::failed_with<fallible<T>>(outcome_);
    return remote_->take();
  }

 private:
  class farewell final : public executor::dependent {
   public:
    explicit farewell(on_operation& of) noexcept : operation_(of) {}
    void on_executor_gone() noexcept override { operation_.give_up(); }

   private:
    on_operation& operation_;
  };

  [[gnu::noinline]] void begin() {
    COFLOW_ASSERT(body_.valid(), "a task that was moved from cannot run on another executor");
    remote_ = new detail::remote_task<T>(*home_, *this, there_, std::move(body_));
    home_->add_dependent(farewell_);
    this->begin_wait();
    remote_->start();
  }
  // Home goes away. An answer that has come is given all the same.
  void give_up() noexcept {
    if (remote_->leave()) return;
    std::exchange(remote_, nullptr)->release();
    outcome_ = error::closed;
    this->end_wait();
    home_->post(*this);
  }
  void on_stop() noexcept override {
    remote_->request_stop();
    this->begin_wait();  // it waits on, and has a name
  }
  void run() noexcept override {
    // Once the lock was held, the thread that has posted this is done with the executor.
    if (remote_ != nullptr) arrived_ = remote_->leave();
    farewell_.unlink();
    this->resume();
  }
  const char* waits_for() const noexcept override { return "a task on another executor"; }

  executor& there_;
  executor* home_ = nullptr;
  task<T> body_;
  detail::remote_task<T>* remote_ = nullptr;
  farewell farewell_{*this};
  std::error_code outcome_;
  bool arrived_ = false;
};

/// Runs `body` on the executor `there`, usually the event loop of another thread, and gives here what it gives, or
/// throws here what it throws: a `fallible<T>`, which is `T` itself if that can hold an error, else `result<T>`.
///
///     auto hash = co_await on(other_loop, hash_of(name));
///
/// The task's frame, and whatever the task was given, is made here, runs there, and is destroyed there when the task
/// has ended; what it gives is moved out there, and once more here. Both executors may belong to one thread. One pooled
/// block beside the frame; a frame ends in the pool of the thread where the task ran.
///
/// Cancellation: a stop of the awaiting task is posted to `body`; `on` waits for its end and gives what it then gives.
/// A task that is stopped already does not send `body`. If the awaiting coroutine is destroyed, or its executor goes
/// away, `body` is told to stop and ends by itself, and what it gives or throws is dropped there; if it has not begun
/// it never does.
///
/// Lifetime: `there` must be alive when this is awaited. It may go away at any time after that, on its own thread, as
/// may the executor that waits. Its thread must turn it, or destroy it; while it does neither, `on` waits.
/// Errors: `operation_canceled` in a task that was stopped before; `error::closed` if `there` goes away before `body`
/// has ended, or this executor does; `error::no_executor`. Throws std::bad_alloc.
template <class T>
  requires(!std::is_reference_v<T>)
[[nodiscard]] on_operation<T> on(executor& there, task<T> body) noexcept {
  return on_operation<T>(there, std::move(body));
}

}  // namespace coflow::inline v0
