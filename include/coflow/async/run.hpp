/// \file
/// Running one task to its end on an executor that is driven from here.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "coflow/async/detail/root.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {

/// An executor that the caller's thread drives: `turn()` does some work, waiting for it if need be, and
/// `take_stop_request()` says, once, that it has been told to end. `event_loop` is one.
template <class E>
concept drivable_executor = std::derived_from<E, executor> && requires(E& driven) {
  driven.turn();
  { driven.take_stop_request() } -> std::convertible_to<bool>;
};

namespace detail {

template <class T>
class foreground final : public root<T>, public executor::dependent, public pooled {
 public:
  explicit foreground(task<T> body) noexcept : root<T>(std::move(body)) {}
  ~foreground() = default;

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  using root<T>::take;

 private:
  void on_start() noexcept override { this->home().add_dependent(*this); }
  void on_end() noexcept override { ended_ = true; }
  void on_executor_gone() noexcept override {}  // it cannot go: `run` drives it
  void list_waits(wait_list& into) const override {
    if (!ended_) into.add("the task that was run", this->stop_chain());
  }

  bool ended_ = false;
};

}  // namespace detail

/// Runs `body` on `driven`, on this thread, until it has ended, and gives what it gives (or throws what it throws).
/// When the executor is told to stop, so is the task (law X0); `run` still waits for its end.
template <drivable_executor E, class T>
T run(E& driven, task<T> body) {
  const auto job = std::make_unique<detail::foreground<T>>(std::move(body));
  job->start(driven);
  while (!job->ended()) {
    if (driven.take_stop_request()) job->request_stop();
    driven.turn();
  }
  return job->take();
}

}  // namespace coflow::inline v0
