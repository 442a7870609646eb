/// \file
/// Values that go from some coroutines to others.
#pragma once

#include <concepts>
#include <cstddef>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/channel_block.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {

/// What `channel::send` of a value returns: gives a `result<void>`. It holds the value.
template <class T>
class [[nodiscard]] send_operation final : public detail::sending<T> {
 public:
  send_operation(detail::channel_block<T>& block, T value) noexcept
      : detail::sending<T>(block), held_(std::move(value)) {}
  send_operation(send_operation&& unbegun) noexcept
      : detail::sending<T>(std::move(unbegun)), held_(std::move(unbegun.held_)) {}
  ~send_operation() = default;

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->value_ = __builtin_addressof(held_);
    return detail::sending<T>::await_suspend(awaiting);
  }
  [[nodiscard]] result<void> await_resume() const noexcept { return this->outcome(); }

 private:
  T held_;
};

/// What `channel::send_from` returns: gives a `result<void>`.
template <class T>
class [[nodiscard]] send_from_operation final : public detail::sending<T> {
 public:
  send_from_operation(detail::channel_block<T>& block, T& value) noexcept : detail::sending<T>(block) {
    this->value_ = __builtin_addressof(value);
  }
  send_from_operation(send_from_operation&&) noexcept = default;
  ~send_from_operation() = default;

  [[nodiscard]] result<void> await_resume() const noexcept { return this->outcome(); }
};

/// What `channel::receive` returns: gives a `result<T>`.
template <class T>
class [[nodiscard]] receive_operation final : public detail::receiving<T> {
 public:
  explicit receive_operation(detail::channel_block<T>& block) noexcept : detail::receiving<T>(block) {}
  receive_operation(receive_operation&&) noexcept = default;
  ~receive_operation() = default;

  [[nodiscard]] result<T> await_resume() noexcept {
    if (std::exchange(this->claims_, false)) [[likely]]
      return this->room_.template take<result<T>>();
    return unexpected<std::error_code>(detail::error_of(this->verdict_));  // also where a `T` can be made from one
  }
};

/// A bounded queue between coroutines: senders wait for room, receivers for values, each side first come, first served.
///
/// Values arrive in the order in which they were accepted, each once. Of a capacity of 0, a value is accepted when a
/// receiver waits for it, and one at a time changes hands. Nothing is lost on the way: a value that is accepted stays
/// in the channel until a receiver runs that takes it, whatever becomes of receivers that were to have it.
///
/// Any number of senders and receivers, the coroutines of one executor, on its thread: there is no lock and nothing
/// atomic in it. It may be made before the executor and outlive it. It allocates when it is made; sending and receiving
/// does not. Movable; who waits then waits for the channel where it now is. Destroying it closes it (laws O2, O3):
/// whoever waits gets `error::closed`, but a receiver that has a value coming gets it. Moving a `T` must not throw.
template <class T>
class channel {
  static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "a channel moves its values, and that must not throw");

 public:
  using value_type = T;

  /// Holds up to `capacity` values that nobody has taken yet. Throws std::bad_alloc.
  explicit channel(std::size_t capacity) : block_(new detail::channel_block<T>(capacity)) {}
  channel(channel&&) noexcept = default;
  channel& operator=(channel&&) noexcept = default;
  ~channel() = default;

  /// Sends `value`, waiting for room. Gives success when the channel has accepted it, which beats a stop that comes
  /// after that; `operation_canceled` when the task is stopped (law X0); `error::closed` after `close`, and when the
  /// channel or the executor goes away; `error::no_executor` if it would have to wait where none is current. On an
  /// error the value has not been sent, and goes down with the operation: see `send_from`.
  [[nodiscard]] send_operation<T> send(T value) noexcept { return send_operation<T>(*block_, std::move(value)); }

  /// The same, but on an error `value` is what it was: it is moved from only when the channel accepts it. It must live
  /// until the await ends.
  [[nodiscard]] send_from_operation<T> send_from(T& value) noexcept { return send_from_operation<T>(*block_, value); }

  /// Sends `value` if that need not wait. Errors, on which `value` is what it was: `std::errc::operation_would_block`,
  /// `error::closed`.
  [[nodiscard]] result<void> try_send(T&& value) noexcept {
    if (block_->try_send(std::move(value))) return success;
    return why_not(block_->closed());
  }
  /// The same with a copy.
  [[nodiscard]] result<void> try_send(const T& value)
    requires std::copy_constructible<T>
  {
    T copy(value);
    return try_send(std::move(copy));
  }

  /// Waits for the next value and takes it. Errors: `error::closed` when the channel is closed and nothing is left in
  /// it, and when the channel or the executor goes away; `operation_canceled` when the task is stopped (law X0) before
  /// a value was there for it (law X1); `error::no_executor` if it would have to wait where none is current.
  [[nodiscard]] receive_operation<T> receive() noexcept { return receive_operation<T>(*block_); }

  /// The next value, if there is one and nobody is before the caller. Errors: `std::errc::operation_would_block`;
  /// `error::closed` when the channel is closed and nothing is left in it.
  [[nodiscard]] result<T> try_receive() noexcept {
    if (block_->try_claim()) return block_->template take<result<T>>();
    return unexpected<std::error_code>(why_not(block_->drained()));
  }

  /// Ends sending: sends give `error::closed`, also those that wait. Receivers drain what is there, then they get it
  /// too. Resumes nobody inline. A second close does nothing.
  void close() noexcept { block_->close(); }
  [[nodiscard]] bool closed() const noexcept { return block_->closed(); }

  /// How many values are in it: accepted, and not yet taken.
  [[nodiscard]] std::size_t size() const noexcept { return block_->size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return block_->capacity(); }

 private:
  [[nodiscard]] static std::error_code why_not(bool for_good) noexcept {
    if (for_good) return error::closed;
    return std::make_error_code(std::errc::operation_would_block);
  }

  flow_handle<detail::channel_block<T>> block_;
};

}  // namespace coflow::inline v0
