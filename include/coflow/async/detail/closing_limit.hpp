/// \file
/// An operation that ends by the close of its flow when a moment comes.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/as_task.hpp"
#include "coflow/async/detail/errand.hpp"
#include "coflow/async/detail/moment.hpp"
#include "coflow/async/detail/timed_operation.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Closes a flow when its time comes. Awaiting it disarms it, and waits for the end of a close that has begun.
template <class F>
class closing_limit final : public timer, private errand_listener {
 public:
  /// Makes ready all that the close takes. Throws std::bad_alloc.
  explicit closing_limit(F* flow) : closing_(close_flow(flow), *this) {}
  ~closing_limit() = default;

  void begin(moment limit) noexcept {
    home_ = executor::current();
    if (home_ != nullptr) home_->arm(*this, limit.on(*home_));
  }
  /// An empty code if the time has not come.
  [[nodiscard]] const std::error_code& cut() const noexcept { return cut_; }

  [[nodiscard]] bool await_ready() noexcept {
    this->disarm();
    return !closing_.started() || closing_.ended();
  }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { waiting_ = coroutine; }
  void await_resume() {
    if (closing_.started()) closing_.take();
  }

 private:
  void run() noexcept override {
    if (waiting_) {
      waiting_.resume();
      return;
    }
    cut_ = this->abandoned() ? error::closed : error::timed_out;
    closing_.start();
  }
  void errand_ended() noexcept override {
    if (waiting_) home_->post(*this);
  }

  errand<void> closing_;
  executor* home_ = nullptr;
  std::coroutine_handle<> waiting_;
  std::error_code cut_;
};

[[nodiscard]] inline bool is_closed(const std::error_code& code) noexcept { return code == error::closed; }

/// The close is waited for, whatever becomes of the operation: the flow may be gone afterwards.
template <class F, class Awaitable>
task<limited_t<await_result_t<Awaitable>>> limit_by_close(F* flow, Awaitable awaited, moment when) {
  using given_t = await_result_t<Awaitable>;
  closing_limit<F> limit(flow);
  limit.begin(when);
  std::optional<limited_t<given_t>> outcome;
  std::exception_ptr thrown;
  try {
    if constexpr (std::is_void_v<given_t>) {
      co_await std::move(awaited);
      if (limit.cut())
        outcome.emplace(failed_with<limited_t<given_t>>(limit.cut()));
      else
        outcome.emplace();
    } else {
      task_result_t<Awaitable> given = co_await std::move(awaited);
      if (limit.cut())
        outcome.emplace(after_cut(std::forward<task_result_t<Awaitable>>(given), is_closed, limit.cut()));
      else if constexpr (std::is_lvalue_reference_v<given_t>)
        outcome.emplace(__builtin_addressof(given));
      else
        outcome.emplace(std::move(given));
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  try {
    co_await limit;
  } catch (...) {
    if (!thrown) thrown = std::current_exception();
  }
  if (thrown) std::rethrow_exception(std::move(thrown));
  co_return *std::move(outcome);
}

}  // namespace detail
}  // namespace coflow::inline v0
