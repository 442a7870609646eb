/// \file
/// What `flush` and `close` of a `buffered_writer` return.
#pragma once

#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Waits until everything that was accepted before has gone out; gives a `result<void>`.
template <class Block>
class [[nodiscard]] flush_operation final : public queued_operation {
 public:
  explicit flush_operation(Block& block) noexcept : block_(block) {}
  flush_operation(flush_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~flush_operation() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
      block_.withdraw_flush(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested()) {
      failure_ = canceled();
      return false;
    }
    if (!block_.begin_flush(*this)) return false;
    this->begin_wait();
    return true;
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
    block_.stop_flush(*this);
  }
  const char* waits_for() const noexcept override { return "a flush"; }

  Block& block_;
  std::error_code failure_;
  std::uint64_t target_ = 0;  // of all bytes ever accepted
};

/// What `buffered_writer::close` returns: gives nothing. It waits while buffered bytes go out, within the limit; a stop
/// request does not end that wait (law X0).
template <class Block>
class [[nodiscard]] writer_close_operation final : public queued_operation {
 public:
  explicit writer_close_operation(Block& block) noexcept : block_(block) {}
  writer_close_operation(writer_close_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~writer_close_operation() {
    if (phase_ == operation_phase::settled)
      this->unlink();
    else if (phase_ == operation_phase::waiting)
      block_.withdraw_closer(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return block_.begin_close(*this);
  }
  void await_resume() const noexcept {}

 private:
  void run() noexcept override {
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override {}
  const char* waits_for() const noexcept override { return "a close"; }

  Block& block_;
};

}  // namespace detail
}  // namespace coflow::inline v0
