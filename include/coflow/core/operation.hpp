/// \file
/// The base of awaitable objects that wait for something: they live in the awaiting coroutine's frame.
#pragma once

#include <coroutine>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/stop.hpp"

namespace coflow::inline v0 {

/// What all operations share, for those whose own state says whether they wait: they must call `end_wait` and `unlink`
/// before they die waiting. Others derive from `operation`.
class basic_operation : public stop_target {
 public:
  basic_operation(const basic_operation&) = delete;
  basic_operation& operator=(const basic_operation&) = delete;

 protected:
  basic_operation() noexcept {}
  ~basic_operation() = default;

  /// Remembers the awaiting coroutine and the stop state that its promise hands on, if it does.
  template <suspended_coroutine Handle>
  void bind(Handle awaiting) noexcept {
    waiting_ = awaiting;
    stop_ = detail::stop_of(awaiting.promise());
  }

  /// True if the awaiting task has been told to stop (law X0: stop is a level).
  [[nodiscard]] bool stop_requested() const noexcept { return stop_ != nullptr && stop_->stop_requested(); }

  /// From here on a stop request reaches `on_stop`.
  void begin_wait() noexcept {
    if (stop_ != nullptr) stop_->attach(*this);
  }
  /// From here on a stop request passes this operation by.
  void end_wait() noexcept {
    if (stop_ != nullptr) stop_->detach(*this);
  }

  /// Goes on with the awaiting coroutine. The operation may be gone when this returns.
  void resume() noexcept {
    if (stop_ != nullptr) stop_->detach();
    waiting_.resume();
  }

 private:
  std::coroutine_handle<> waiting_;
  stop_node* stop_ = nullptr;
};

/// A wait of one coroutine. It allocates nothing: it is linked into whatever it waits for, and posted when that is
/// over.
///
/// A derived class does its work in `await_suspend`, after `bind`: either it completes at once and returns false, or it
/// calls `begin_wait`, links itself somewhere and returns true. Later `resume` goes on with the coroutine, from an
/// executor's turn only (law O3). An operation that dies while it waits takes its wait back (law C6).
class operation : public basic_operation {
 protected:
  operation() noexcept {}
  ~operation() {
    end_wait();
    unlink();
  }
};

}  // namespace coflow::inline v0
