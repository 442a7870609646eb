/// \file
/// The operations that a codec's flow has beyond those of every control block: its close and its handshake take time.
#pragma once

#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What `codec_flow::close` returns: gives nothing. It waits for the goodbye, within the limit; a stop request does not
/// end that wait (law X0).
template <class Block>
class [[nodiscard]] codec_close_operation final : public queued_operation {
 public:
  explicit codec_close_operation(Block& block) noexcept : block_(block) {}
  codec_close_operation(codec_close_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~codec_close_operation() {
    if (phase_ == operation_phase::waiting) block_.withdraw_closer(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return block_.begin_close(*this);
  }
  void await_resume() const noexcept {}

 private:
  friend Block;

  void run() noexcept override { this->resume(); }
  void on_stop() noexcept override {}

  Block& block_;
};

/// Waits until the handshake is done, one way or the other: gives a `result<void>`.
template <class Block>
class [[nodiscard]] handshake_operation final : public queued_operation {
 public:
  explicit handshake_operation(Block& block) noexcept : block_(block) {}
  handshake_operation(handshake_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~handshake_operation() {
    if (phase_ != operation_phase::waiting) return;
    this->end_wait();
    block_.withdraw_handshake(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested()) {
      failure_ = canceled();
      return false;
    }
    return block_.begin_handshake(*this);
  }
  [[nodiscard]] result<void> await_resume() const noexcept {
    if (failure_) return failure_;
    return success;
  }

 private:
  friend Block;

  void run() noexcept override { this->resume(); }
  void on_stop() noexcept override {
    failure_ = canceled();
    block_.stop_handshake(*this);
  }

  Block& block_;
  std::error_code failure_;
};

}  // namespace detail
}  // namespace coflow::inline v0
