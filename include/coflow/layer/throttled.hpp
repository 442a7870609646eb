/// \file
/// A flow that is no faster than it is told to be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/end_notice.hpp"
#include "coflow/layer/detail/gate.hpp"
#include "coflow/layer/detail/gated_operation.hpp"
#include "coflow/layer/detail/hooked.hpp"
#include "coflow/layer/detail/layer_block.hpp"
#include "coflow/layer/detail/token_bucket.hpp"

namespace coflow::inline v0 {

/// How fast a `throttled` flow is. Rates are in bytes per second, and there is none unless it is set: 0, or more than
/// 10^10, is no limit. `burst` is how many bytes may pass at once after a pause; a tenth of a second's worth unless
/// set.
class throttle_options {
 public:
  throttle_options() noexcept {}
  throttle_options& read_rate(std::uint64_t rate) noexcept { return read_rate(rate, rate / 10); }
  throttle_options& read_rate(std::uint64_t rate, std::uint64_t burst) noexcept {
    reads_ = detail::token_bucket(rate, burst);
    return *this;
  }
  throttle_options& write_rate(std::uint64_t rate) noexcept { return write_rate(rate, rate / 10); }
  throttle_options& write_rate(std::uint64_t rate, std::uint64_t burst) noexcept {
    writes_ = detail::token_bucket(rate, burst);
    return *this;
  }
  [[nodiscard]] const detail::token_bucket& reads() const noexcept { return reads_; }
  [[nodiscard]] const detail::token_bucket& writes() const noexcept { return writes_; }

 private:
  detail::token_bucket reads_;
  detail::token_bucket writes_;
};

namespace detail {

/// One direction: who comes before it is time waits at the gate for the one timer.
template <class Block>
class throttle_lane final : public gate {
 public:
  throttle_lane(Block& of, const token_bucket& limits) noexcept : bucket(limits), block_(of) {}
  ~throttle_lane() = default;

  void let_go() noexcept {
    timer_.disarm();
    this->open();
  }

  token_bucket bucket;

 private:
  class clock_hand final : public timer {
   public:
    explicit clock_hand(throttle_lane& of) noexcept : lane_(of) {}
    void arm(executor& on, executor::time_point when) noexcept { on.arm(*this, when); }

   private:
    void run() noexcept override {
      if (abandoned())
        lane_.open();
      else if (executor* const home = lane_.block_.home())
        lane_.look_again(*home);
    }
    throttle_lane& lane_;
  };

  // A write waits for what was owed when it began; a read, which has no time of its own, for what is owed now.
  bool lets_pass(executor::time_point own_time) noexcept override {
    executor* const home = block_.home();
    if (home == nullptr) return true;
    const executor::time_point when = own_time != executor::time_point::min() ? own_time : bucket.ready_at();
    if (when <= home->now()) return true;
    timer_.arm(*home, when);
    return false;
  }

  Block& block_;
  clock_hand timer_{*this};
};

struct throttled_write {
  using result_type = result<void>;
  explicit throttled_write(std::size_t bytes) noexcept : size(bytes) {}
  std::size_t size;
  executor::time_point paid{};
};

template <class Inner>
class throttle_block final : public layer_block<throttle_block<Inner>, Inner> {
  using owner = share<throttle_block>;

 public:
  throttle_block(Inner inner, const throttle_options& options)
      : layer_block<throttle_block, Inner>(std::move(inner)),
        reads_(*this, options.reads()),
        writes_(*this, options.writes()) {}
  ~throttle_block() = default;

  // ---- reading: the wait comes first, and what was read is owed afterwards

  template <note_of_read Note>
  [[nodiscard]] way choose(const Note& note, const stop_node*) noexcept {
    if (!reads_.bucket.limited() || wants_nothing(note) || !this->at_home()) return way::straight;
    return reads_.free_for(executor::time_point::min()) ? way::noted : way::around;
  }
  template <note_of_read Note, class Operation>
  static task<typename Note::result_type> go_around(owner block, Note& note, Operation& operation) {
    gate_wait leave(block->reads_, *block->home());
    const bool passed = co_await leave;
    if (!passed) co_return canceled();
    if (block->gone()) co_return error::closed;
    auto came = co_await operation;
    auto given = as_system_result<typename Note::result_type>(std::move(came));
    block->noted(note, given);
    co_return std::move(given);
  }
  template <note_of_read Note>
  void noted(const Note&, const typename Note::result_type& came) noexcept {
    if (const std::size_t count = bytes_of(came)) {
      if (executor* const home = this->home()) reads_.bucket.take(count, home->now());
    } else if (is_verdict(came)) {
      reads_.open();  // it is not to be waited for
    }
  }

  // ---- writing: bytes go out at once, and the wait for what they owe comes after

  [[nodiscard]] way choose(throttled_write& note, const stop_node* stop) noexcept {
    if (!writes_.bucket.limited() || note.size == 0 || !this->at_home()) return way::straight;
    if (stop != nullptr && stop->stop_requested()) return way::straight;
    const executor::time_point now = this->home()->now();
    writes_.bucket.take(note.size, now);
    note.paid = writes_.bucket.ready_at();
    return note.paid <= now ? way::noted : way::around;
  }
  template <class Operation>
  static task<result<void>> go_around(owner block, throttled_write& note, Operation& operation) {
    auto came = co_await operation;
    if (!came) {
      block->writes_.bucket.give_back(note.size);
      co_return as_system_result<result<void>>(std::move(came));
    }
    executor* const home = block->home();
    if (block->gone() || home == nullptr) co_return success;
    gate_wait paid(block->writes_, *home, note.paid);
    static_cast<void>(co_await paid);  // whatever ends the wait, the bytes have been accepted
    co_return success;
  }
  void noted(const throttled_write& note, const result<void>& came) noexcept {
    if (!came) writes_.bucket.give_back(note.size);
  }

  template <class Note>
  [[nodiscard]] typename Note::result_type answer(const Note&) const noexcept {
    return error::closed;
  }
  template <class Note>
  void forgotten(const Note&) const noexcept {}  // it may have moved bytes: what it owes it owes

  void let_go() noexcept {
    reads_.let_go();
    writes_.let_go();
  }
  void note_shutdown(shutdown_mode mode) noexcept {
    if (covers_read(mode)) reads_.let_go();
  }

 private:
  throttle_lane<throttle_block> reads_;
  throttle_lane<throttle_block> writes_;
};

}  // namespace detail

/// A layer that makes a flow slow: so many bytes a second, and a burst after a pause, in each direction.
///
/// It keeps to the rate over any time by debt. A read waits until what was read before is paid for, then takes whatever
/// the flow below has; a write is handed to the flow below at once, so that order and shutdown are that flow's affair,
/// and *completes* when it is paid for. So one operation may move more than the burst at once, and makes the next ones
/// wait the longer: write in pieces of a moderate size where the peer is to see an even stream. Reads wait first come,
/// first served (law R8).
///
/// A cancelled read loses nothing. When a write's bytes have been accepted below, a cancellation, a close or the
/// executor's end only ends its wait, and it is a success (law W1). Every law of the flow below holds. One pooled
/// block, which holds the inner flow, and one timer for each direction; an operation that has to wait takes a pooled
/// frame, others none. A direction without a limit asks no clock.
template <SystemFlow Inner>
class throttled : public detail::layer_handle<Inner, detail::throttle_block<Inner>> {
  using block = detail::throttle_block<Inner>;
  using notice = detail::end_notice<block>;

 public:
  /// Throws std::bad_alloc; the inner flow is then destroyed.
  throttled(Inner inner, const throttle_options& options)
      : detail::layer_handle<Inner, block>(new block(std::move(inner), options)) {}

  /// Reads from the flow below, when it is time.
  [[nodiscard]] auto read() {
    return detail::gated<detail::read_note>(this->control(), [](Inner& inner) { return inner.read(); });
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    const auto make = [room](Inner& inner) { return inner.read_into(room); };
    return detail::gated<detail::read_into_note>(this->control(), make, room);
  }
  /// Writes to the flow below, and waits until that is paid for.
  [[nodiscard]] auto write(buffer bytes) {
    const std::size_t size = bytes.size();
    const auto make = [&bytes](Inner& inner) { return inner.write(std::move(bytes)); };
    return detail::gated<detail::throttled_write>(this->control(), make, size);
  }
  /// Writes to the flow below, and waits until that is paid for; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    const auto make = [list](Inner& inner) { return inner.writev(list); };
    return detail::gated<detail::throttled_write>(this->control(), make, detail::sum_of(list));
  }
  /// Shuts the flow below down. Of the read half: reads that wait for their time get eof at once.
  [[nodiscard]] auto shutdown(shutdown_mode mode) {
    return detail::hooked<notice>([&] { return this->next_layer().shutdown(mode); }, this->shared(), mode);
  }
  /// Closes the flow below. What waits for its time goes on at once.
  [[nodiscard]] auto close() {
    return detail::hooked<notice>([&] { return this->next_layer().close(); }, this->shared());
  }
};

}  // namespace coflow::inline v0
