/// \file
/// What `close` of a `function_flow` returns.
#pragma once

#include "coflow/core/awaiting.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Waits for the end of the close callable. A stop ends that wait, not the closing (law X0).
template <class Block>
class [[nodiscard]] function_close_operation final : public operation {
 public:
  explicit function_close_operation(Block& block) noexcept : block_(block) {}
  function_close_operation(function_close_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~function_close_operation() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    home_ = executor::current();
    if (!block_.close_and_wait() || home_ == nullptr || this->stop_requested()) return false;
    this->begin_wait();
    block_.add_closer(*this);
    return true;
  }
  void await_resume() const noexcept {}

  /// The closing is over; this is off the block's list.
  void settle() noexcept {
    this->end_wait();
    home_->post(*this);
  }

 private:
  void on_stop() noexcept override {
    this->unlink();
    home_->post(*this);
  }
  void run() noexcept override { this->resume(); }
  const char* waits_for() const noexcept override { return "a close"; }

  Block& block_;
  executor* home_ = nullptr;
};

}  // namespace detail
}  // namespace coflow::inline v0
