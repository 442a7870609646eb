/// \file
/// Waiting for work that is done on a thread of a desk.
#pragma once

#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/net/detail/blocking_desk.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What such waits share. `failure` says whether there was no answer; else `job` has it. Whoever waits may be
/// cancelled, be destroyed or lose the executor; an answer that comes later is dropped where it comes.
class blocking_wait : public operation {
 public:
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
    return begin();
  }

 protected:
  explicit blocking_wait(blocking_desk& desk) noexcept : desk_(desk) {}
  blocking_wait(const blocking_wait&) = delete;
  blocking_wait& operator=(const blocking_wait&) = delete;
  ~blocking_wait() {
    if (job_ == nullptr) return;
    if (answered_ || desk_.leave(*job_)) delete job_;
  }

  [[nodiscard]] blocking_desk& desk() const noexcept { return desk_; }
  [[nodiscard]] const std::error_code& failure() const noexcept { return outcome_; }
  [[nodiscard]] blocking_job& job() noexcept { return *job_; }

 private:
  class farewell final : public executor::dependent {
   public:
    explicit farewell(blocking_wait& of) noexcept : wait_(of) {}
    void on_executor_gone() noexcept override { wait_.give_up(error::closed); }

   private:
    blocking_wait& wait_;
  };

  /// Makes what is to be done; throws what that throws.
  [[nodiscard]] virtual blocking_job* make_job() = 0;

  [[nodiscard, gnu::noinline]] bool begin() {
    blocking_job* job = make_job();
    job->expect(*home_, *this);
    if (const int status = desk_.begin(*job); status < 0) {
      delete job;
      outcome_ = from_system(-status);
      return false;
    }
    job_ = job;
    home_->add_dependent(farewell_);
    this->begin_wait();
    return true;
  }
  // An answer that has come beats whatever ends the wait.
  void give_up(std::error_code why) noexcept {
    answered_ = answered_ || desk_.leave(*job_);
    if (answered_) return;
    job_ = nullptr;
    outcome_ = why;
    farewell_.unlink();
    this->end_wait();
    home_->post(*this);
  }
  void on_stop() noexcept override { give_up(canceled()); }
  void run() noexcept override {
    // Once the lock was held, the thread that has posted this is done with the executor.
    if (job_ != nullptr) {
      answered_ = answered_ || desk_.leave(*job_);
      if (job_->refused()) outcome_ = error::closed;
    }
    farewell_.unlink();
    this->resume();
  }

  blocking_desk& desk_;
  executor* home_ = nullptr;
  blocking_job* job_ = nullptr;
  farewell farewell_{*this};
  std::error_code outcome_;
  bool answered_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
