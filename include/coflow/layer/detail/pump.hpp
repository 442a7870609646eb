/// \file
/// A coroutine that belongs to a control block and does its inner operations, one after another, on demand.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

#include "coflow/core/detail/pool.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Made once, with its block, so that no operation allocates; destroyed with it, and with it the inner operation that
/// it is in. It runs in an endless loop that begins with `while (there is no work) co_await its_pump.idle();`.
class pump {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    [[nodiscard]] static void* operator new(std::size_t size) { return pool_allocate(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { pool_free(frame, size); }
    pump get_return_object() noexcept { return pump(std::coroutine_handle<promise_type>::from_promise(*this)); }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };

  pump(pump&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)), idle_(other.idle_) {}
  pump& operator=(pump&&) = delete;
  ~pump() {
    if (frame_) frame_.destroy();
  }

  /// Lets it look for work, if it is idle. It runs inline, up to its next inner operation that has to wait.
  void poke() noexcept {
    if (!std::exchange(idle_, false)) return;
    frame_.resume();
  }

  /// What a pump awaits while there is no work for it. A poke says only that there may be some.
  class idle_awaiter {
   public:
    explicit idle_awaiter(pump& of) noexcept : pump_(of) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept { pump_.idle_ = true; }
    void await_resume() const noexcept {}

   private:
    pump& pump_;
  };
  [[nodiscard]] idle_awaiter idle() noexcept { return idle_awaiter(*this); }

 private:
  explicit pump(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
  bool idle_ = true;
};

}  // namespace detail
}  // namespace coflow::inline v0
