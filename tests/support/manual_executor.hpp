#pragma once

// An executor that a test drives by hand, on a clock that the test sets, and a way to run a task on it that finds a
// hang by an empty queue instead of a time-out.

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "coflow/core/executor.hpp"
#include "coflow/core/node.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"

namespace support {

class manual_executor final : public coflow::executor {
 public:
  manual_executor() noexcept {}
  ~manual_executor() { finish(); }

  [[nodiscard]] time_point now() const noexcept override { return now_; }
  void advance(duration time) noexcept { now_ += time; }
  void set_now(time_point time) noexcept { now_ = time; }

  /// How often a post from outside has asked for a look at the queue.
  [[nodiscard]] int wakes() const noexcept { return wakes_.load(); }

  /// One turn: expired timers, then what is ready. Gives how many nodes ran.
  std::size_t run_once() noexcept {
    const entry current(*this);
    expire_timers(now_);
    return run_ready();
  }
  /// Turns until nothing is ready at the present time. Gives how many nodes ran.
  std::size_t run_until_idle() noexcept {
    std::size_t ran = 0;
    while (const std::size_t more = run_once()) ran += more;
    return ran;
  }
  /// Sets the clock to the next deadline. False if there is none.
  bool advance_to_next_deadline() noexcept {
    const auto next = next_deadline();
    if (!next) return false;
    if (*next > now_) now_ = *next;
    return true;
  }

  // For coflow::run.
  void turn() noexcept {
    ++turns_;
    if (run_once() == 0) advance_to_next_deadline();
  }
  [[nodiscard]] bool take_stop_request() noexcept {
    if (turns_ < stop_after_turns_) return false;
    stop_after_turns_ = 1 << 30;
    ++stops_taken;
    return true;
  }
  /// The request comes after so many turns.
  void stop_after(int turns) noexcept { stop_after_turns_ = turns_ + turns; }
  int stops_taken = 0;

  using coflow::executor::expire_timers;
  using coflow::executor::finish;
  using coflow::executor::has_ready;
  using coflow::executor::next_deadline;
  using coflow::executor::run_ready;

 private:
  void wake() noexcept override { wakes_.fetch_add(1); }

  // Not zero, so that a deadline before the start is a time too.
  time_point now_{std::chrono::hours(1000)};
  std::atomic<int> wakes_{0};
  int turns_ = 0;
  int stop_after_turns_ = 1 << 30;
};

/// A coroutine that awaits one task, with a stop state of its own; destroying it destroys the task wherever it stands.
template <class T>
class job {
 public:
  class promise_type final : public coflow::node {
   public:
    promise_type() noexcept {}
    job get_return_object() noexcept { return job(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
    coflow::stop_node* stop() noexcept { return &stop_; }
    void run() noexcept override { std::coroutine_handle<promise_type>::from_promise(*this).resume(); }

   private:
    friend job;
    coflow::stop_node stop_;
    std::exception_ptr thrown_;
  };

  /// Nothing runs before `start`.
  static job of(coflow::task<T> body) {
    auto value = std::make_shared<stored>();
    job made = wait_for(std::move(body), value);
    made.value_ = std::move(value);
    return made;
  }
  job(job&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)), value_(std::move(other.value_)) {}
  job& operator=(job&&) = delete;
  ~job() { destroy(); }

  /// Queues it on `on`.
  void start(coflow::executor& on) noexcept {
    const coflow::executor::entry current(on);
    on.post(frame_.promise());
  }
  /// The node that begins it, for a test that posts it by itself.
  [[nodiscard]] coflow::node& started() noexcept { return frame_.promise(); }
  void destroy() noexcept {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }
  [[nodiscard]] bool ended() const noexcept { return frame_.done(); }
  void request_stop() noexcept { frame_.promise().stop_.request_stop(); }
  T take() {
    if (auto thrown = std::exchange(frame_.promise().thrown_, nullptr)) std::rethrow_exception(std::move(thrown));
    if constexpr (std::is_reference_v<T>)
      return **value_;
    else if constexpr (!std::is_void_v<T>)
      return std::move(**value_);
  }

 private:
  struct nothing {};
  using stored = std::conditional_t<
      std::is_void_v<T>, nothing,
      std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>,
                         std::optional<std::conditional_t<std::is_void_v<T>, int, std::remove_reference_t<T>>>>>;

  static job wait_for(coflow::task<T> body, std::shared_ptr<stored> value) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(body);
    } else if constexpr (std::is_reference_v<T>) {
      T given = co_await std::move(body);
      *value = &given;
    } else {
      T given = co_await std::move(body);
      value->emplace(std::move(given));
    }
  }
  explicit job(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
  std::shared_ptr<stored> value_;
};

/// A task waits, and nothing is left that could wake it.
class hang : public std::runtime_error {
 public:
  hang() : std::runtime_error("hang: the task has not ended, nothing is ready and no timer is armed") {}
};

/// Runs until `waited` has ended, advancing the clock whenever nothing else is left to do. Throws `hang`.
template <class T>
void finish_job(manual_executor& on, job<T>& waited) {
  while (!waited.ended()) {
    if (on.run_once() != 0) continue;
    if (!on.advance_to_next_deadline()) throw hang();
  }
}

/// Runs `body` to its end and gives what it gives, or throws what it throws. Throws `hang`.
template <class T>
T drive(manual_executor& on, coflow::task<T> body) {
  auto waited = job<T>::of(std::move(body));
  waited.start(on);
  finish_job(on, waited);
  return waited.take();
}

/// Runs `body` on an executor of its own.
template <class T>
T drive(coflow::task<T> body) {
  manual_executor on;
  return drive(on, std::move(body));
}

/// Lets everything run that is queued already: `co_await yield_turn()`.
class yield_turn final : public coflow::node {
 public:
  yield_turn() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    waiting_ = waiting;
    coflow::executor::current()->post(*this);
  }
  void await_resume() const noexcept {}
  void run() noexcept override { waiting_.resume(); }

 private:
  std::coroutine_handle<> waiting_;
};

/// A gate that coroutines wait at until it is opened; opening posts them. It does not know of stop requests.
class gate {
 public:
  gate() noexcept {}

  class waiter final : public coflow::node {
   public:
    explicit waiter(gate& at) noexcept : at_(at) {}
    [[nodiscard]] bool await_ready() const noexcept { return at_.open_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      waiting_ = waiting;
      on_ = coflow::executor::current();
      at_.waiting_.push_back(*this);
    }
    void await_resume() const noexcept {}
    void run() noexcept override { waiting_.resume(); }

   private:
    friend gate;
    gate& at_;
    std::coroutine_handle<> waiting_;
    coflow::executor* on_ = nullptr;
  };

  [[nodiscard]] waiter pass() noexcept { return waiter(*this); }
  void open() noexcept {
    open_ = true;
    while (!waiting_.empty()) {
      waiter& next = waiting_.pop_front();
      const coflow::executor::entry current(*next.on_);
      next.on_->post(next);
    }
  }
  [[nodiscard]] bool has_waiters() const noexcept { return !waiting_.empty(); }

 private:
  coflow::detail::intrusive_list<waiter> waiting_;
  bool open_ = false;
};

}  // namespace support
