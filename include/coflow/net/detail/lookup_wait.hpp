/// \file
/// Waiting for the addresses of a name.
#pragma once

#include <string>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/net/detail/lookup_desk.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Awaited once: gives an error if there was no answer, or none; then `job` has the answer. Whoever waits may be
/// cancelled, be destroyed or lose the executor; an answer that comes later is dropped where it comes.
class [[nodiscard]] lookup_wait final : public operation {
 public:
  lookup_wait(lookup_desk& desk, lookup_function how, std::string host) noexcept
      : desk_(desk), how_(how), host_(std::move(host)) {}
  lookup_wait(lookup_wait&&) = delete;
  ~lookup_wait() { leave(); }

  [[nodiscard]] lookup_job& job() noexcept { return *job_; }

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
  [[nodiscard]] std::error_code await_resume() const noexcept { return outcome_; }

 private:
  class farewell final : public executor::dependent {
   public:
    explicit farewell(lookup_wait& of) noexcept : wait_(of) {}
    void on_executor_gone() noexcept override { wait_.give_up(error::closed); }

   private:
    lookup_wait& wait_;
  };

  [[nodiscard, gnu::noinline]] bool begin() {
    auto* job = new lookup_job(how_, std::move(host_), *home_, *this);
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
    if (desk_.leave(*job_)) return;
    job_ = nullptr;
    outcome_ = why;
    this->end_wait();
    home_->post(*this);
  }
  void on_stop() noexcept override { give_up(canceled()); }
  void run() noexcept override {
    // Once the lock was held, the thread that has posted this is done with the executor.
    if (job_ != nullptr) static_cast<void>(desk_.leave(*job_));
    farewell_.unlink();
    this->resume();
  }
  void leave() noexcept {
    if (lookup_job* left = std::exchange(job_, nullptr); left != nullptr && desk_.leave(*left)) delete left;
  }
  const char* waits_for() const noexcept override { return "the addresses of a name"; }

  lookup_desk& desk_;
  lookup_function how_;
  std::string host_;
  executor* home_ = nullptr;
  lookup_job* job_ = nullptr;
  farewell farewell_{*this};
  std::error_code outcome_;
};

}  // namespace detail
}  // namespace coflow::inline v0
