/// \file
/// Doing what blocks on a thread where it keeps nobody up.
#pragma once

#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/net/blocking_pool.hpp"
#include "coflow/net/detail/blocking_wait.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A callable with what it is called with.
template <class F, class... Args>
class bound_call {
 public:
  explicit bound_call(F&& function, Args&&... args) : parts_(std::move(function), std::move(args)...) {}
  decltype(auto) operator()() && {
    return std::apply(
        [](F& function, Args&... args) -> decltype(auto) { return std::move(function)(std::move(args)...); }, parts_);
  }

 private:
  std::tuple<F, Args...> parts_;
};

/// A call to be made, and what it gives.
template <class F>
class blocking_call final : public blocking_job, public pooled {
 public:
  using value_type = std::remove_cv_t<std::invoke_result_t<F>>;

  explicit blocking_call(F&& function) : function_(std::move(function)) {}
  ~blocking_call() override = default;

  [[nodiscard]] fallible<value_type> take() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    return std::move(*given_);
  }

 private:
  void work() noexcept override {
    try {
      if constexpr (std::is_void_v<value_type>) {
        std::move (*function_)();
        given_.emplace(success);
      } else {
        given_.emplace(std::move(*function_)());
      }
    } catch (...) {
      thrown_ = std::current_exception();
    }
    function_.reset();  // what it holds may block as well when it goes
  }

  std::optional<F> function_;
  std::optional<fallible<value_type>> given_;
  std::exception_ptr thrown_;
};

}  // namespace detail

/// What `run_blocking` returns: gives a `fallible` of what the callable gives.
template <class F>
class [[nodiscard]] blocking_operation final : public detail::blocking_wait {
 public:
  using result_type = fallible<typename detail::blocking_call<F>::value_type>;

  blocking_operation(detail::blocking_desk& desk, F&& function) : blocking_wait(desk), function_(std::move(function)) {}
  blocking_operation(blocking_operation&& unbegun)
      : blocking_wait(unbegun.desk()), function_(std::move(unbegun.function_)) {}
  ~blocking_operation() = default;

  [[nodiscard]] result_type await_resume() {
    if (this->failure()) return detail::failed_with<result_type>(this->failure());
    return static_cast<detail::blocking_call<F>&>(this->job()).take();
  }

 private:
  detail::blocking_job* make_job() override { return new detail::blocking_call<F>(std::move(function_)); }
  const char* waits_for() const noexcept override { return "work on another thread"; }

  F function_;
};

/// Calls `function(args...)` on a thread of `pool`, and gives here what it gives, or throws here what it throws: a
/// `fallible<R>`, which is what the function gives itself if that can hold an error, else a `result` of it. The loop
/// goes on meanwhile. For what blocks and has no other form: files, libraries, long calculations.
///
///     auto text = co_await run_blocking(read_whole_file, path);
///
/// The function and the arguments are moved or copied, called once, as rvalues, and destroyed on that thread: what they
/// refer to must outlive the call, whatever becomes of the one who waits; so let them own what they use. There no
/// executor is current, and all signals are blocked. Up to the pool's limit calls run side by side, others queue; one
/// pooled block for each.
///
/// Cancellation: a call cannot be interrupted. A stop ends the wait at once, as does the end of the awaiting coroutine
/// or of its executor: a call that has not begun is never made, one that has goes on by itself and what it gives or
/// throws is dropped there; nobody waits for it, not even the end of the program. What has come beats a cancellation.
/// Errors: `operation_canceled`; `error::closed` if the executor goes away, or the pool before the call has begun;
/// `error::no_executor`; resource_unavailable_try_again if there is no thread to be had. Throws what moving the
/// arguments throws, and std::bad_alloc.
///
/// With g++ 12, name a lambda that captures objects before the `co_await` that it is used in, or hand the objects over
/// as arguments.
template <class F, class... Args>
  requires std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>
[[nodiscard]] auto run_blocking(blocking_pool& pool, F&& function, Args&&... args) {
  using call = std::decay_t<F>;
  static_assert(!std::is_reference_v<std::invoke_result_t<call, std::decay_t<Args>...>>,
                "what runs on another thread gives an object, or nothing, not a reference");
  if constexpr (sizeof...(Args) == 0) {
    return blocking_operation<call>(pool.desk(), call(std::forward<F>(function)));
  } else {
    using bound = detail::bound_call<call, std::decay_t<Args>...>;
    return blocking_operation<bound>(
        pool.desk(), bound(call(std::forward<F>(function)), std::decay_t<Args>(std::forward<Args>(args))...));
  }
}

/// The same on a thread of `process_blocking_pool()`.
template <class F, class... Args>
  requires std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>
[[nodiscard]] auto run_blocking(F&& function, Args&&... args) {
  return run_blocking(process_blocking_pool(), std::forward<F>(function), std::forward<Args>(args)...);
}

}  // namespace coflow::inline v0
