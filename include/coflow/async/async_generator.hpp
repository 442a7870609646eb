/// \file
/// A coroutine that gives one thing after another, and may wait in between.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/detail/frame.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/stop.hpp"

namespace coflow::inline v0 {

template <class T>
class async_generator;

namespace detail {

class generator_promise_base;

/// The part of `next_operation` that does not depend on what is generated.
class generator_wait : public stop_target {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return body_ == nullptr; }

 protected:
  friend generator_promise_base;

  explicit generator_wait(generator_promise_base* body) noexcept : body_(body) {}
  inline ~generator_wait();

  // Both ends let go of each other; the coroutine that waited is to be resumed.
  inline std::coroutine_handle<> part() noexcept;

  generator_promise_base* body_;  // null if there is no generator, or no more
  std::coroutine_handle<> waiting_;
  stop_node* stop_ = nullptr;
  executor* home_ = nullptr;
  bool under_way_ = false;

 private:
  inline void on_stop() noexcept final;
  // The generator has died.
  void run() noexcept final { waiting_.resume(); }
  inline const char* waits_for() const noexcept final;
};

/// How the body and whoever waits for its next item find each other. The stop state of the body is its own, so that it
/// outlives a consumer that dies while it waits.
class generator_promise_base : public pooled_frame {
 public:
  generator_promise_base() noexcept {}
  generator_promise_base(const generator_promise_base&) = delete;
  generator_promise_base& operator=(const generator_promise_base&) = delete;

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
  [[nodiscard]] stop_node* stop() noexcept { return &stop_; }

  /// Where the body stops with an item, and at its end.
  class arrival {
   public:
    explicit arrival(bool ends) noexcept : ends_(ends) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> body) const noexcept {
      return body.promise().arrive(ends_);
    }
    void await_resume() const noexcept {}

   private:
    bool ends_;
  };
  [[nodiscard]] arrival final_suspend() const noexcept { return arrival(true); }

  /// `next` waits for an item: gives true if it is to be suspended. Runs `body` as far as it goes now.
  [[nodiscard]] bool advance(generator_wait& next, std::coroutine_handle<> body) noexcept {
    if (next_ != nullptr) [[unlikely]]
      return refuse(next);
    if (unclaimed_ || ended_) return false;  // it is there since a wait that was given up, or there is none
    next_ = &next;
    next.under_way_ = true;
    take_stop_state(next);
    if (!under_way_) {
      under_way_ = true;
      body.resume();
      if (!under_way_) {
        static_cast<void>(next.part());
        return false;
      }
    }
    next.home_ = executor::current();
    waits_ = true;
    return true;
  }
  /// The item has reached whoever asked for it; throws what the body threw.
  void claim() {
    unclaimed_ = false;
    if (thrown_) [[unlikely]]
      std::rethrow_exception(std::exchange(thrown_, nullptr));
  }

  /// The generator is about to die: whoever waits for it goes on, in a turn of its own (law O3).
  [[gnu::noinline]] void abandon() noexcept {
    if (next_ == nullptr) return;
    generator_wait& left = *next_;
    static_cast<void>(left.part());
    left.body_ = nullptr;
    executor* const on = left.home_ != nullptr ? left.home_ : executor::current();
    COFLOW_ASSERT(on != nullptr, "a generator was destroyed while a coroutine without an executor waited for it");
    if (on != nullptr) on->post(left);
  }

 protected:
  ~generator_promise_base() = default;

 private:
  friend generator_wait;

  std::coroutine_handle<> arrive(bool ends) noexcept {
    under_way_ = false;
    ended_ = ends;
    unclaimed_ = !ends;
    if (!waits_) return std::noop_coroutine();
    return next_->part();
  }

  [[gnu::noinline, gnu::cold]] static bool refuse(generator_wait& next) noexcept {
    COFLOW_ASSERT(false, "one coroutine at a time waits for the next item of a generator");
    next.body_ = nullptr;
    return false;
  }

  // The body sees what `next` is told. What an earlier consumer was told is over, unless the body still works on that.
  void take_stop_state(generator_wait& next) noexcept {
    if (stop_.stop_requested() && !under_way_) [[unlikely]]
      construct(stop_);
    if (next.stop_ == nullptr) return;
    if (next.stop_->stop_requested()) stop_.request_stop();
    next.stop_->attach(next);
  }

  stop_node stop_;
  generator_wait* next_ = nullptr;
  std::exception_ptr thrown_;
  bool waits_ = false;      // next_ is suspended
  bool under_way_ = false;  // the body runs or waits
  bool unclaimed_ = false;  // there is an item that nobody has taken
  bool ended_ = false;
};

inline generator_wait::~generator_wait() {
  this->unlink();
  if (under_way_) static_cast<void>(part());
}
inline std::coroutine_handle<> generator_wait::part() noexcept {
  under_way_ = false;
  body_->next_ = nullptr;
  body_->waits_ = false;
  if (stop_ != nullptr) stop_->detach(*this);
  return waiting_;
}
inline void generator_wait::on_stop() noexcept {
  stop_->attach(*this);  // the wait goes on, and has a name
  body_->stop_.request_stop();
}
inline const char* generator_wait::waits_for() const noexcept {
  const stop_target* inside = body_->stop_.target();
  return inside != nullptr ? inside->waits_for() : "the next item of an async_generator";
}

/// Points to the item that the body has stopped with.
template <class T>
class generator_promise final : public generator_promise_base {
  using object = std::remove_reference_t<T>;
  static constexpr bool by_value = !std::is_reference_v<T>;
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
  static constexpr bool temporaries_die_twice =
      std::is_aggregate_v<object> && !std::is_trivially_destructible_v<object>;
#else
  static constexpr bool temporaries_die_twice = false;
#endif

  // For what is handed out changeable and must not be changed.
  class copy_arrival : public arrival {
   public:
    explicit copy_arrival(const object& item) : arrival(false), copy_(item) {}
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<generator_promise> body) noexcept {
      body.promise().item_ = __builtin_addressof(copy_);
      return arrival::await_suspend(body);
    }

   private:
    object copy_;
  };

 public:
  generator_promise() noexcept {}
  async_generator<T> get_return_object() noexcept;

  [[nodiscard]] arrival yield_value(object& item) noexcept {
    item_ = __builtin_addressof(item);
    return arrival(false);
  }
  [[nodiscard]] arrival yield_value(object&& item) noexcept
    requires by_value
  {
    static_assert(!temporaries_die_twice,
                  "g++ 12 destroys a temporary aggregate twice where it is yielded: name it, "
                  "and yield that; it is not copied");
    item_ = __builtin_addressof(item);
    return arrival(false);
  }
  [[nodiscard]] copy_arrival yield_value(const object& item)
    requires(by_value && !std::is_const_v<object> && std::copy_constructible<object>)
  {
    return copy_arrival(item);
  }

  /// The item, or null at the end.
  [[nodiscard]] object* take() {
    object* const item = std::exchange(item_, nullptr);
    claim();
    return item;
  }

 private:
  object* item_ = nullptr;
};

}  // namespace detail

/// What `async_generator::next` returns: gives a pointer to the item, or null.
template <class T>
class [[nodiscard]] next_operation final : public detail::generator_wait {
 public:
  explicit next_operation(std::coroutine_handle<detail::generator_promise<T>> body) noexcept
      : generator_wait(body ? &body.promise() : nullptr) {}
  next_operation(next_operation&& unbegun) noexcept : generator_wait(unbegun.body_) {}
  ~next_operation() = default;

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    waiting_ = awaiting;
    stop_ = detail::stop_of(awaiting.promise());
    return promise().advance(*this, std::coroutine_handle<detail::generator_promise<T>>::from_promise(promise()));
  }
  [[nodiscard]] std::add_pointer_t<T> await_resume() {
    if (body_ == nullptr) return nullptr;
    return promise().take();
  }

 private:
  [[nodiscard]] detail::generator_promise<T>& promise() const noexcept {
    return static_cast<detail::generator_promise<T>&>(*body_);
  }
};

/// A coroutine that gives items with `co_yield`, one at a time as they are asked for, and may `co_await` in between
/// what a task may. `T` is an object type or an lvalue reference.
///
///     coflow::async_generator<std::string> lines(coflow::tcp_flow& from);
///
///     auto all = lines(flow);
///     while (std::string* line = co_await all.next()) use(*line);
///
/// The body runs only inside `next`. What it yields is not copied: the pointer leads to the object itself in the body's
/// frame, until the next `next`, and may be moved from. (But a const object in a generator of values is copied.)
///
/// Lazy and move-only. Destroying a generator destroys its frame, and with it the wait it is in (law C6); its own body
/// may not do that. The frame comes from a per-thread pool; making one may throw std::bad_alloc. Items that are there
/// at once use no stack and no turn of the executor, however many.
template <class T>
class [[nodiscard]] async_generator {
  static_assert(std::is_object_v<T> || std::is_lvalue_reference_v<T>, "a generator gives objects or lvalue references");

 public:
  using promise_type = detail::generator_promise<T>;
  using value_type = std::remove_cvref_t<T>;

  async_generator(async_generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  async_generator& operator=(async_generator&& other) noexcept {
    if (this != &other) {
      destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~async_generator() { destroy(); }

  /// Runs the body to its next `co_yield` and gives a pointer to what it yields; null when the body has ended, and from
  /// then on. An exception that leaves the body is thrown here, once, and ends it.
  /// Concurrency: one wait at a time; the generator may be moved meanwhile, and if it is destroyed the wait gives null.
  /// Cancellation: the operations that the body begins, or waits in, are cancelled while the coroutine that awaits
  /// `next` is told to stop (law X0); what the body makes of that is its affair. If that coroutine is destroyed,
  /// nothing is lost: the body goes on to its next item, which the next `next` gets.
  [[nodiscard]] next_operation<T> next() noexcept { return next_operation<T>(frame_); }

  /// False for a generator that was moved from.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(frame_); }

 private:
  friend promise_type;
  explicit async_generator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  void destroy() noexcept {
    if (!frame_) return;
    frame_.promise().abandon();
    std::exchange(frame_, nullptr).destroy();
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
async_generator<T> generator_promise<T>::get_return_object() noexcept {
  return async_generator<T>(std::coroutine_handle<generator_promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace coflow::inline v0
