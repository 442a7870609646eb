/// \file
/// Cancellation: a level that flows from a task to whatever it waits for.
///
/// A task carries a pointer to a `stop_node`, inherited by every task it awaits. The operation that such a chain of
/// tasks waits for at the bottom attaches itself, so that a request reaches it. A request stays: operations begun later
/// in a stopped task end the same way at once (law X0). Everything here belongs to one thread.
#pragma once

#include <concepts>
#include <string_view>
#include <utility>

#include "coflow/core/node.hpp"

namespace coflow::inline v0 {

/// Something that waits and can be told to give up. It is a node because giving up means to be posted with a verdict.
class stop_target : public basic_node {
 public:
  /// The wait is no longer wanted. Called after the target was detached; must not resume anybody inline (law O3).
  virtual void on_stop() noexcept = 0;

  /// What it waits for, in a word or two, for the report of a hang: "a read".
  [[nodiscard]] virtual const char* waits_for() const noexcept { return "something"; }

 protected:
  ~stop_target() = default;
};

/// The cancellation state of one chain of tasks. A chain waits for one thing at a time, so there is one slot.
class stop_node {
 public:
  stop_node() noexcept {}
  stop_node(const stop_node&) = delete;
  stop_node& operator=(const stop_node&) = delete;

  [[nodiscard]] bool stop_requested() const noexcept { return requested_; }

  /// Asks the chain to stop. Later calls do nothing.
  void request_stop() noexcept {
    if (std::exchange(requested_, true)) return;
    if (stop_target* target = std::exchange(target_, nullptr)) target->on_stop();
  }

  /// `target` is what the chain waits for now.
  void attach(stop_target& target) noexcept { target_ = &target; }

  /// `target` waits no longer. Does nothing if it is not attached.
  void detach(const stop_target& target) noexcept {
    if (target_ == &target) target_ = nullptr;
  }

  /// Nothing waits any longer: for the target that is attached, if any is.
  void detach() noexcept { target_ = nullptr; }

  /// What the chain waits for now; null if it runs, has ended, or waits for something that takes no stop.
  [[nodiscard]] const stop_target* target() const noexcept { return target_; }

 private:
  stop_target* target_ = nullptr;
  bool requested_ = false;
};

/// Told of chains of tasks that have not ended, one by one; see `executor::dependent::list_waits`.
class wait_list {
 public:
  /// `who` is a name for people, and valid during the call.
  virtual void add(std::string_view who, const stop_node& chain) = 0;

 protected:
  ~wait_list() = default;
};

/// A promise that hands its cancellation state to what it awaits; `stop()` may give a null pointer.
template <class Promise>
concept stoppable_promise = requires(Promise& promise) {
  { promise.stop() } -> std::same_as<stop_node*>;
};

namespace detail {

template <class Promise>
[[nodiscard]] stop_node* stop_of(Promise& promise) noexcept {
  if constexpr (stoppable_promise<Promise>)
    return promise.stop();
  else
    return nullptr;
}

}  // namespace detail
}  // namespace coflow::inline v0
