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
///
/// One that `lingers` is for a handshake that has failed: the peer is to read why, so the layer then reads on, within
/// the limit, until the peer has closed. Input that nobody has read would make a reset of the close, and that would
/// overtake what was sent (fact K4). A stop request ends that wait.
template <class Block>
class [[nodiscard]] codec_close_operation final : public queued_operation {
 public:
  explicit codec_close_operation(Block& block, bool lingers = false) noexcept : block_(block), lingers_(lingers) {}
  codec_close_operation(codec_close_operation&& unbegun) noexcept
      : block_(unbegun.block_), lingers_(unbegun.lingers_) {}
  ~codec_close_operation() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
      block_.withdraw_closer(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    const bool stopped = lingers_ && this->stop_requested();
    if (stopped) block_.abandon();
    if (!block_.begin_close(*this, lingers_ && !stopped)) return false;
    if (lingers_) this->begin_wait();
    return true;
  }
  void await_resume() const noexcept {}

 private:
  friend Block;

  void run() noexcept override {
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override { block_.abandon(); }

  Block& block_;
  bool lingers_;
};

/// Waits until the handshake is done, one way or the other: gives a `result<void>`.
template <class Block>
class [[nodiscard]] handshake_operation final : public queued_operation {
 public:
  explicit handshake_operation(Block& block) noexcept : block_(block) {}
  handshake_operation(handshake_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~handshake_operation() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
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

  void run() noexcept override {
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override {
    failure_ = canceled();
    block_.stop_handshake(*this);
  }

  Block& block_;
  std::error_code failure_;
};

}  // namespace detail
}  // namespace coflow::inline v0
