/// \file
/// Where a loop that may never wait lets others run.
#pragma once

#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Lets everything run that is ready already; gives `operation_canceled` if the task has been stopped (law X0), else an
/// empty code. Without an executor it does not wait.
class [[nodiscard]] checkpoint final : public operation {
 public:
  checkpoint() noexcept {}
  checkpoint(checkpoint&&) = delete;
  ~checkpoint() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    executor* const home = executor::current();
    if (home == nullptr || this->stop_requested()) return false;
    home->post(*this);
    return true;
  }
  [[nodiscard]] std::error_code await_resume() const noexcept {
    return this->stop_requested() ? canceled() : std::error_code();
  }

 private:
  void on_stop() noexcept override {}  // never attached: it is on its way already
  void run() noexcept override { this->resume(); }
};

}  // namespace detail
}  // namespace coflow::inline v0
