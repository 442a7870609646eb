/// \file
/// The control block of a channel: its values, and who waits on either side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/waiting_room.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/detail/storage.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A first-in, first-out queue in memory that is allocated once.
template <class T>
class value_ring {
 public:
  /// Throws std::bad_alloc.
  explicit value_ring(std::size_t room) : places_(allocate(room)), room_(room) {}
  value_ring(const value_ring&) = delete;
  value_ring& operator=(const value_ring&) = delete;
  ~value_ring() {
    while (count_ != 0) drop_front();
    ::operator delete(places_, alignment);
  }

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool full() const noexcept { return count_ == room_; }
  [[nodiscard]] T& front() noexcept { return places_[first_]; }

  /// Needs `!full()`.
  void push(T&& value) noexcept {
    const std::size_t to_end = room_ - first_;
    T* const place = count_ < to_end ? places_ + first_ + count_ : places_ + (count_ - to_end);
    ::new (static_cast<void*>(place)) T(std::move(value));
    ++count_;
  }
  /// Needs a size other than 0.
  void drop_front() noexcept {
    T& dropped = front();
    first_ = first_ + 1 == room_ ? 0 : first_ + 1;
    --count_;
    destroy(dropped);
  }

 private:
  static constexpr std::align_val_t alignment{alignof(T)};

  static T* allocate(std::size_t room) {
    if (room > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(::operator new(room * sizeof(T), alignment));
  }

  T* places_;
  std::size_t room_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

template <class T>
class channel_block;

/// The part of a send that does not depend on who holds the value.
template <class T>
class sending : public wait_in<sending<T>, channel_block<T>> {
 protected:
  friend channel_block<T>;

  explicit sending(channel_block<T>& block) noexcept : sending::wait_in(block) {}
  sending(sending&&) noexcept = default;
  ~sending() = default;

  T* value_ = nullptr;  // where it is; moved from when it is sent

 private:
  const char* waits_for() const noexcept override { return "a channel's receiver"; }
};

/// A receive. Once granted it has a claim on a value, which stays in the channel until it is taken; so a receive that
/// is given up in between leaves everything in order.
template <class T>
class receiving : public wait_in<receiving<T>, channel_block<T>> {
 protected:
  friend channel_block<T>;

  explicit receiving(channel_block<T>& block) noexcept : receiving::wait_in(block) {}
  receiving(receiving&&) noexcept = default;
  ~receiving() {
    if (claims_) [[unlikely]]
      this->room_.give_up_claim();
  }

  bool claims_ = false;

 private:
  const char* waits_for() const noexcept override { return "a channel's sender"; }
};

/// Lives until its handle is gone and every claim is settled (law O2).
///
/// There are never fewer values than claims. While receivers wait, there are not more either; while senders wait, there
/// is no room. A channel of no capacity has a place for one value, which is used only when a receiver waits for it.
template <class T>
class channel_block final : public pooled, private waiting_room {
 public:
  explicit channel_block(std::size_t capacity) : values_(capacity != 0 ? capacity : 1), capacity_(capacity) {}

  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool closed() const noexcept { return closed_; }

  /// Nothing more is sent. What is there can still be received.
  void close() noexcept {
    closed_ = true;
    settle_all(senders_, wait_verdict::closed);
    end_if_drained();
  }
  /// True if nothing will be received any more.
  [[nodiscard]] bool drained() const noexcept { return closed_ && values_.size() == 0; }

  /// For the handle, after `close`.
  void destroy() noexcept {
    abandoned_ = true;
    settle_all(receivers_, wait_verdict::closed);
    if (claims_ == 0) delete this;
  }

  /// Takes the value if it need not wait for that.
  [[nodiscard]] bool try_send(T&& value) noexcept {
    if (!has_room()) return false;
    values_.push(std::move(value));
    call_receivers();
    return true;
  }
  /// True if there is a value for somebody who does not wait, and nobody is before him; it is then claimed.
  [[nodiscard]] bool try_claim() noexcept {
    if (claims_ != 0 || (values_.size() == 0 && !pull_in())) return false;
    claims_ = 1;
    return true;
  }
  /// Gives the first value to one of those who claim one.
  template <class Result>
  [[nodiscard]] Result take() noexcept {
    Result taken(std::move(values_.front()));
    --claims_;
    values_.drop_front();
    if (!senders_.idle()) admit_senders();
    if (closed_) [[unlikely]]
      after_close();
    return taken;
  }
  [[gnu::noinline, gnu::cold]] void give_up_claim() noexcept {
    --claims_;
    call_receivers();
    if (abandoned_ && claims_ == 0) delete this;
  }

 private:
  friend class wait_in<sending<T>, channel_block>;
  friend class wait_in<receiving<T>, channel_block>;

  [[nodiscard, gnu::noinline]] bool start(sending<T>& op) noexcept {
    if (op.stop_requested()) return refuse(op, wait_verdict::canceled);
    if (closed_) return refuse(op, wait_verdict::closed);
    if (senders_.idle() && try_send(std::move(*op.value_))) return grant_now(op);
    return line_up(op, senders_, nobody_waits());
  }
  [[nodiscard, gnu::noinline]] bool start(receiving<T>& op) noexcept {
    if (op.stop_requested()) return refuse(op, wait_verdict::canceled);
    if (try_claim()) {
      op.claims_ = true;
      return grant_now(op);
    }
    if (drained()) return refuse(op, wait_verdict::closed);
    const bool suspended = line_up(op, receivers_, nobody_waits());
    call_receivers();  // there may be a value, and only others before him who have not run yet
    return suspended;
  }
  void withdraw(wait_in<sending<T>, channel_block>& op) noexcept { senders_.remove(op); }
  void withdraw(wait_in<receiving<T>, channel_block>& op) noexcept { receivers_.remove(op); }
  void end_waits() noexcept override {
    settle_all(receivers_, wait_verdict::closed);
    settle_all(senders_, wait_verdict::closed);
  }

  [[nodiscard]] bool nobody_waits() const noexcept { return senders_.idle() && receivers_.idle(); }
  [[nodiscard]] bool has_room() const noexcept {
    return !values_.full() && !closed_ && (capacity_ != 0 || !receivers_.idle());
  }

  // A value that somebody has a claim on may still become another's: only when it is gone is the end certain.
  void end_if_drained() noexcept {
    if (drained()) settle_all(receivers_, wait_verdict::closed);
  }
  [[gnu::noinline, gnu::cold]] void after_close() noexcept {
    end_if_drained();
    if (abandoned_ && claims_ == 0) delete this;
  }

  // Receivers that wait get a claim on the values that nobody has one on.
  void call_receivers() noexcept {
    while (!receivers_.idle() && values_.size() != claims_) {
      auto& op = static_cast<receiving<T>&>(*receivers_.waiting());
      receivers_.pop();
      op.claims_ = true;
      ++claims_;
      settle(op, wait_verdict::granted);
    }
  }
  void admit_first_sender() noexcept {
    auto& op = static_cast<sending<T>&>(*senders_.waiting());
    senders_.pop();
    values_.push(std::move(*op.value_));
    settle(op, wait_verdict::granted);
  }
  [[gnu::noinline]] void admit_senders() noexcept {
    while (!senders_.idle() && has_room()) {
      admit_first_sender();
      call_receivers();
    }
  }
  // Without capacity: a receiver that need not wait, because a sender does.
  [[nodiscard]] bool pull_in() noexcept {
    if (senders_.idle() || values_.full()) return false;
    admit_first_sender();
    return true;
  }

  value_ring<T> values_;
  operation_queue senders_;
  operation_queue receivers_;
  std::size_t claims_ = 0;
  std::size_t capacity_;
  bool closed_ = false;
  bool abandoned_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
