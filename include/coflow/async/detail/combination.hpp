/// \file
/// One coroutine that waits for several tasks, each of which has a stop state of its own.
///
/// The children run inside the coroutine that started them or inside whatever resumes them. The one that ends last
/// hands over to the waiting coroutine as any task hands over to its parent, so it takes no executor and no turn, and
/// depth is nesting only.
#pragma once

#include <coroutine>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

#include "coflow/async/detail/child_failure.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

class combination;

/// The part of a child that does not depend on what it gives. It moves until it is made part of a combination.
class combined_child : private task_end {
 public:
  combined_child& operator=(const combined_child&) = delete;

  [[nodiscard]] combined_child* next() const noexcept { return next_; }
  void set_next(combined_child& next) noexcept { next_ = &next; }
  void resume() const noexcept { frame_.resume(); }
  void request_stop() noexcept { stop_.request_stop(); }
  /// Throws what it threw, if it did.
  virtual void rethrow() = 0;
  /// What it waits for; null as in `stop_node::target`.
  [[nodiscard]] const stop_target* target() const noexcept { return stop_.target(); }

 protected:
  explicit combined_child(std::coroutine_handle<> frame) noexcept : frame_(frame) {}
  combined_child(combined_child&& unbegun) noexcept : frame_(std::exchange(unbegun.frame_, nullptr)) {}
  ~combined_child() {
    if (frame_) frame_.destroy();
  }

  void enter(combination& owner, task_promise_base& promise) noexcept {
    owner_ = &owner;
    promise.set_stop(&stop_);
    promise.set_end(*this);
  }
  [[nodiscard]] bool unbegun() const noexcept { return frame_ && owner_ == nullptr; }
  [[nodiscard]] std::coroutine_handle<> frame() const noexcept { return frame_; }
  [[nodiscard]] combination& owner() const noexcept { return *owner_; }

 private:
  std::coroutine_handle<> frame_;
  combination* owner_ = nullptr;
  combined_child* next_ = nullptr;
  stop_node stop_;
};

/// When the others are told to stop.
enum class stop_rule : unsigned char {
  never,
  at_failure,
  at_end,  ///< of the first one
};

/// What the waiting coroutine's frame holds besides the children. A derived class calls `end_wait` before its children
/// die.
class combination : public stop_target {
 public:
  combination(const combination&) = delete;
  combination& operator=(const combination&) = delete;

  /// For a child, in its final suspension: gives the coroutine that goes on.
  [[nodiscard, gnu::noinline]] std::coroutine_handle<> ended(combined_child& child, bool failed, bool threw) noexcept {
    if (winner_ == nullptr) winner_ = &child;
    if (threw && thrower_ == nullptr) thrower_ = &child;
    if (rule_ == stop_rule::at_end || (failed && rule_ == stop_rule::at_failure)) stop_children();
    if (--running_ != 0 || starting_) return std::noop_coroutine();
    end_wait();
    return waiting_;
  }

 protected:
  explicit combination(stop_rule rule) noexcept : rule_(rule) {}
  combination(combination&& unbegun) noexcept : rule_(unbegun.rule_) {}
  ~combination() = default;

  /// Starts the children in order. False if all of them have ended.
  template <class Children>
  [[nodiscard]] bool start(Children& children, awaiting coroutine) noexcept {
    combined_child* last = nullptr;
    children.for_each([this, &last](auto& child) {
      child.enter(*this);
      if (last == nullptr)
        first_ = &child;
      else
        last->set_next(child);
      last = &child;
      ++running_;
    });
    return start(coroutine);
  }

  void end_wait() noexcept {
    if (stop_ != nullptr) stop_->detach(*this);
  }

  /// The child that left an exception first, or null.
  [[nodiscard]] combined_child* thrower() const noexcept { return thrower_; }

  [[nodiscard]] bool has_winner() const noexcept { return winner_ != nullptr; }
  /// Where the child that ended first stands among the others; there must be one.
  [[nodiscard]] std::size_t winner() const noexcept {
    std::size_t number = 0;
    for (const combined_child* child = first_; child != winner_; child = child->next()) ++number;
    return number;
  }

 private:
  [[nodiscard, gnu::noinline]] bool start(awaiting coroutine) noexcept {
    waiting_ = coroutine;
    stop_ = coroutine.stop();
    if (stop_ != nullptr) {
      if (stop_->stop_requested()) stop_children();
      stop_->attach(*this);
    }
    starting_ = true;
    for (const combined_child* child = first_; child != nullptr; child = child->next()) child->resume();
    starting_ = false;
    if (running_ != 0) return true;
    end_wait();
    return false;
  }

  void stop_children() noexcept {
    if (std::exchange(stopped_, true)) return;
    for (combined_child* child = first_; child != nullptr; child = child->next()) child->request_stop();
  }
  void on_stop() noexcept override {
    stop_->attach(*this);  // the wait goes on, and has a name
    stop_children();
  }
  void run() noexcept override {}  // nobody posts it
  const char* waits_for() const noexcept override {
    for (const combined_child* child = first_; child != nullptr; child = child->next())
      if (child->target() != nullptr) return child->target()->waits_for();
    return "several tasks";
  }

  std::coroutine_handle<> waiting_;
  stop_node* stop_ = nullptr;
  combined_child* first_ = nullptr;
  combined_child* winner_ = nullptr;
  combined_child* thrower_ = nullptr;
  std::size_t running_ = 0;
  stop_rule rule_;
  bool starting_ = false;
  bool stopped_ = false;
};

/// A child that gives a `T`.
template <class T>
class child_of final : public combined_child {
 public:
  /// What stands for a `T` in the results: an object for nothing, a pointer for a reference.
  using given =
      std::conditional_t<std::is_void_v<T>, std::monostate,
                         std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<std::remove_reference_t<T>>, T>>;

  explicit child_of(task<T> body) noexcept : combined_child(body.release()) {
    COFLOW_ASSERT(this->frame(), "a task is awaited once, and not after it was moved from");
  }
  child_of(child_of&& unbegun) noexcept = default;
  ~child_of() = default;

  void enter(combination& owner) noexcept {
    COFLOW_ASSERT(this->unbegun(), "when_all and when_any are awaited once, and not after they were moved from");
    combined_child::enter(owner, promise());
  }
  void rethrow() override { static_cast<void>(promise().take()); }

  /// What it gave; throws what it threw.
  [[nodiscard]] given take() {
    if constexpr (std::is_void_v<T>) {
      promise().take();
      return {};
    } else if constexpr (std::is_reference_v<T>) {
      return __builtin_addressof(promise().take());
    } else {
      return promise().take();
    }
  }

 private:
  [[nodiscard]] task_promise<T>& promise() const noexcept {
    return std::coroutine_handle<task_promise<T>>::from_address(this->frame().address()).promise();
  }
  std::coroutine_handle<> on_task_end() noexcept override {
    const bool threw = promise().threw();
    bool failed = threw;
    if constexpr (can_fail<T>) {
      if (!threw) failed = has_failed(promise().value());
    }
    return this->owner().ended(*this, failed, threw);
  }
};

}  // namespace detail
}  // namespace coflow::inline v0
