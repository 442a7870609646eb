/// \file
/// Operations that end when a `std::stop_token` says so, from any thread and in any coroutine.
///
/// Inside the library a stop is a level that goes from task to task, without a lock (`stop_node`). This is the bridge
/// at the border. `<stop_token>` is expensive to include, so no other header includes this one. A standard library that
/// keeps it back as experimental leaves this header empty (`__cpp_lib_jthread`).
#pragma once

#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <version>

#include "coflow/async/detail/held_wait.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/node.hpp"
#include "coflow/core/stop_relay.hpp"

#ifdef __cpp_lib_jthread

namespace coflow::inline v0 {

/// What `cancellable` returns for an `Awaitable` that waits in place. It lives in the awaiting coroutine's frame.
template <class Awaitable>
class [[nodiscard]] cancellable_operation final {
 public:
  cancellable_operation(Awaitable&& awaited, std::stop_token token)
      : token_(std::move(token)), wait_(std::move(awaited)) {}
  cancellable_operation(cancellable_operation&& unbegun)
      : token_(std::move(unbegun.token_)), wait_(std::move(unbegun.wait_)) {}
  ~cancellable_operation() = default;

  [[nodiscard]] bool await_ready() { return wait_.ready(); }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    return suspend(coroutine);
  }
  [[nodiscard]] decltype(auto) await_resume() { return take(); }
  void await_resume()
    requires std::is_void_v<await_result_t<Awaitable>>
  {
    take();
  }

 private:
  /// Carries a request to the thread of the operation. It listens to the token while the operation waits, and no longer
  /// than the executor is there.
  class request final : public node, public executor::dependent {
   public:
    explicit request(stop_relay& to) noexcept : relay_(to) {}
    ~request() { end(); }

    void begin(const std::stop_token& token) {
      home_ = executor::current();
      if (home_ == nullptr || !token.stop_possible()) return;
      home_->add_dependent(*this);
      callback_.emplace(token, caller(*this));
    }
    // Waits for a call that is under way on another thread; after that, nobody posts.
    void end() noexcept {
      if (!callback_) return;
      callback_.reset();
      node::unlink();
      executor::dependent::unlink();
    }

   private:
    class caller {
     public:
      explicit caller(request& of) noexcept : request_(of) {}
      void operator()() const noexcept { request_.home_->post(request_); }

     private:
      request& request_;
    };

    void run() noexcept override { relay_.request_stop(); }
    void on_executor_gone() noexcept override { end(); }

    stop_relay& relay_;
    executor* home_ = nullptr;
    std::optional<std::stop_callback<caller>> callback_;
  };

  // What completes at once does not touch the token's list of listeners.
  [[nodiscard]] bool suspend(awaiting coroutine) {
    if (token_.stop_requested()) relay_.request_stop();
    const detail::suspension came_to = wait_.suspend(relay_.begin(coroutine));
    if (came_to == detail::suspension::waits) request_.begin(token_);
    return came_to != detail::suspension::none;
  }

  decltype(auto) take() {
    request_.end();
    relay_.end();
    return wait_.resume();
  }

  std::stop_token token_;
  stop_relay relay_;
  request request_{relay_};
  detail::held_wait<Awaitable> wait_;  // dies first
};

/// Awaits `operation`, and tells it to give up when a stop is requested of `token`: for coroutines whose promise has no
/// stop state of its own, and for requests that come from other threads.
///
///     std::stop_source give_up;  // give_up.request_stop() anywhere
///     coflow::read_result got = co_await coflow::cancellable(flow.read(), give_up.get_token());
///
/// Gives what the operation gives: `operation_canceled` if the request reached it in time, after which the flow is as
/// usable as after any cancellation (laws X0, X1); what completed is preferred. A request that was there before the
/// await stops the operation from the beginning; one that comes later is posted to the executor that is current at the
/// await, and takes effect in its turn. A request after the end does nothing. In a task, a stop of the task reaches the
/// operation as well.
///
/// It lives in the awaiting coroutine's frame and listens to the token only while the operation waits, which takes the
/// token's lock; only an awaitable that insists on a certain kind of coroutine costs a pooled frame. The coroutine is
/// resumed, or destroyed, on the executor's thread. Without an executor only a request that was there before counts.
template <awaitable Awaitable>
[[nodiscard]] auto cancellable(Awaitable operation, std::stop_token token) {
  return cancellable_operation<detail::in_place_t<Awaitable>>(detail::in_place(operation), std::move(token));
}

}  // namespace coflow::inline v0

#endif
