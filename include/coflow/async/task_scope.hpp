/// \file
/// Structured concurrency: tasks that do not outlive their scope.
#pragma once

#include <coroutine>
#include <cstdio>
#include <exception>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/child_failure.hpp"
#include "coflow/async/detail/root.hpp"
#include "coflow/async/on_failure.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {

/// Runs any number of tasks side by side, on the executor that is current at the first `spawn`.
///
/// `join` waits for all of them; `cancel` tells them to stop. A child that fails cancels the scope, and `join` gives
/// the first failure; with `on_failure::isolate` nobody else is touched, and the failure is dropped. Destroying a scope
/// destroys the children that have not ended, and with them the waits they are in (law C6); a child may not destroy its
/// own scope. A scope may outlive its executor; it then starts nothing more.
class task_scope final : private executor::dependent {
 public:
  explicit task_scope(on_failure policy = on_failure::cancel_siblings) noexcept : policy_(policy) {}
  task_scope(const task_scope&) = delete;
  task_scope& operator=(const task_scope&) = delete;
  inline ~task_scope();

  /// Starts `child` in a turn of the executor, never inline. Errors: `error::no_executor`, or `error::closed` when the
  /// executor is gone or going; the task is then destroyed.
  /// Throws std::bad_alloc. In a scope that was cancelled the child runs with a stop request from the beginning.
  template <class T>
  result<void> spawn(task<T> child);

  /// Tells all children to stop (law X0). They end in their own time; `join` waits for that.
  inline void cancel() noexcept;

  /// How many children have not ended.
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

  class join_operation;
  /// Waits until no child is left. Gives success, or the first failure of a scope whose children fail together; an
  /// exception of a child is thrown here. When the waiting task itself is stopped, the children are cancelled, `join`
  /// still waits for them, and then gives `operation_canceled`. One join at a time.
  [[nodiscard]] inline join_operation join() noexcept;

 private:
  class child_base;
  template <class T>
  class child;

  void on_executor_gone() noexcept override { gone_ = true; }
  inline void list_waits(wait_list& into) const override;
  inline void ended(std::error_code failure, std::exception_ptr thrown) noexcept;

  detail::intrusive_list<child_base> children_;
  std::size_t count_ = 0;
  std::size_t spawned_ = 0;
  executor* home_ = nullptr;
  join_operation* joining_ = nullptr;
  std::exception_ptr thrown_;
  std::error_code failure_;
  on_failure policy_;
  bool failed_ = false;
  bool canceled_ = false;
  bool gone_ = false;
};

/// What `task_scope::join` returns: gives a `result<void>`.
class [[nodiscard]] task_scope::join_operation final : public operation {
 public:
  explicit join_operation(task_scope& scope) noexcept : scope_(scope) {}
  join_operation(join_operation&& unbegun) noexcept : scope_(unbegun.scope_) {}
  ~join_operation() {
    if (scope_.joining_ == this) scope_.joining_ = nullptr;
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested()) on_stop();
    if (scope_.count_ == 0) return false;
    COFLOW_ASSERT(scope_.joining_ == nullptr, "a task_scope is joined by one task at a time");
    scope_.joining_ = this;
    this->begin_wait();
    return true;
  }
  [[nodiscard]] result<void> await_resume() {
    scope_.failed_ = false;
    if (std::exception_ptr thrown = std::exchange(scope_.thrown_, nullptr)) std::rethrow_exception(std::move(thrown));
    if (const std::error_code failure = std::exchange(scope_.failure_, {})) return failure;
    if (stopped_) return canceled();
    return success;
  }

 private:
  friend class task_scope;

  void on_stop() noexcept override {
    stopped_ = true;
    scope_.cancel();
    if (scope_.joining_ == this) this->begin_wait();  // it waits on, and has a name
  }
  const char* waits_for() const noexcept override { return "a task_scope to end"; }
  // More children may have come since the last one ended.
  void run() noexcept override {
    if (scope_.count_ == 0) {
      this->resume();
      return;
    }
    if (!stopped_ && this->stop_requested()) on_stop();
    scope_.joining_ = this;
    this->begin_wait();
  }

  task_scope& scope_;
  bool stopped_ = false;
};

class task_scope::child_base : public detail::self_unlinking {
 public:
  virtual void request_stop() noexcept = 0;
  virtual void destroy() noexcept = 0;
  [[nodiscard]] virtual const stop_node& stop_chain() const noexcept = 0;
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

 protected:
  explicit child_base(std::size_t number) noexcept : number_(number) {}
  ~child_base() = default;

 private:
  std::size_t number_;
};

template <class T>
class task_scope::child final : public detail::root<T>, public child_base, public detail::pooled {
 public:
  child(task_scope& scope, task<T> body) noexcept
      : detail::root<T>(std::move(body)), child_base(scope.spawned_), scope_(scope) {}
  ~child() = default;

  void request_stop() noexcept override { detail::root<T>::request_stop(); }
  void destroy() noexcept override { delete this; }
  const stop_node& stop_chain() const noexcept override { return detail::root<T>::stop_chain(); }

 private:
  void on_end() noexcept override {
    std::error_code failure;
    std::exception_ptr thrown;
    try {
      if constexpr (detail::can_fail<T>) {
        const T outcome = this->take();
        failure = failure_of(outcome);
      } else {
        static_cast<void>(this->take());
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    task_scope& scope = scope_;
    delete this;
    scope.ended(failure, std::move(thrown));
  }

  task_scope& scope_;
};

inline task_scope::~task_scope() {
  // A child's destructor may spawn or destroy others; take them one at a time.
  while (!children_.empty()) children_.pop_front().destroy();
}

template <class T>
result<void> task_scope::spawn(task<T> body) {
  if (home_ == nullptr) {
    executor* current = executor::current();
    if (current == nullptr) return error::no_executor;
    if (current->finishing()) return error::closed;
    home_ = current;
    home_->add_dependent(*this);
  }
  if (gone_ || home_->finishing()) return error::closed;
  auto* started = new child<T>(*this, std::move(body));
  children_.push_back(*started);
  ++count_;
  ++spawned_;
  if (canceled_) started->request_stop();
  started->start(*home_);
  return success;
}

inline void task_scope::cancel() noexcept {
  canceled_ = true;
  children_.for_each([](child_base& one) { one.request_stop(); });
}

inline void task_scope::list_waits(wait_list& into) const {
  children_.for_each([&into](const child_base& one) {
    char name[64];
    std::snprintf(name, sizeof name, "child %zu of a task_scope", one.number());
    into.add(name, one.stop_chain());
  });
}

inline task_scope::join_operation task_scope::join() noexcept { return join_operation(*this); }

inline void task_scope::ended(std::error_code failure, std::exception_ptr thrown) noexcept {
  --count_;
  const bool failure_counts =
      policy_ == on_failure::cancel_siblings && (thrown || (failure && !(canceled_ && failure == canceled())));
  if (failure_counts && !std::exchange(failed_, true)) {
    failure_ = failure;
    thrown_ = std::move(thrown);
    cancel();
  }
  if (count_ == 0 && joining_ != nullptr) {
    join_operation& joined = *std::exchange(joining_, nullptr);
    joined.end_wait();
    home_->post(joined);
  }
}

}  // namespace coflow::inline v0
