/// \file
/// A deadline for the reads of a flow that costs no timer per operation.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/cut_operation.hpp"
#include "coflow/layer/detail/layer_block.hpp"
#include "coflow/layer/detail/plain_operation.hpp"

namespace coflow::inline v0 {
namespace detail {

class deadline_entry final : public cuttable {
 public:
  deadline_entry() noexcept {}
  ~deadline_entry() = default;

  executor::time_point due = executor::time_point::max();  // its own, beside the flow's
};

/// The timer is armed for the earliest time at which anything may be due, and set anew only when it has fired or that
/// time has moved to the front.
template <class Inner>
class deadline_block final : public layer_block<deadline_block<Inner>, Inner> {
  using time_point = executor::time_point;

 public:
  static constexpr time_point never = time_point::max();

  deadline_block(Inner inner, executor::duration each)
      : layer_block<deadline_block, Inner>(std::move(inner)), each_(each) {}
  ~deadline_block() = default;

  [[nodiscard]] time_point deadline() const noexcept { return deadline_; }
  void set_deadline(time_point when) noexcept {
    deadline_ = when;
    passed_ = false;
    if (when == never) return;
    const bool reachable = executor::current() != nullptr ? this->at_home() : this->home() != nullptr;
    if (reachable) look_at_deadline();
  }
  void set_each(executor::duration time) noexcept { each_ = time; }

  [[nodiscard]] bool admits() noexcept {
    if (passed_) [[unlikely]]
      return false;
    if (deadline_ != never && !timer_.armed() && this->at_home()) [[unlikely]]
      look_at_deadline();  // it was set before there was an executor
    return !passed_;
  }
  void note_progress() const noexcept {}
  template <class Operation>
  void watch(deadline_entry& one, const Operation&) noexcept {
    waiting_.push_back(one);
    if (each_ == executor::duration::max()) [[likely]]
      return;
    one.due = this->home()->after(each_);
    wake_at(one.due);
  }
  void look() noexcept {
    const time_point now = this->home()->now();
    if (deadline_ <= now) passed_ = true;
    time_point next = passed_ ? never : deadline_;
    intrusive_list<deadline_entry> all;
    all.splice_back(waiting_);
    while (!all.empty()) {
      deadline_entry& one = all.pop_front();
      if (passed_ || one.due <= now) {
        one.cut();
      } else {
        next = smaller(next, one.due);
        waiting_.push_back(one);
      }
    }
    if (next != never) wake_at(next);
  }

  void let_go() noexcept { timer_.disarm(); }

 private:
  [[gnu::noinline]] void look_at_deadline() noexcept {
    if (deadline_ <= this->home()->now())
      look();
    else
      wake_at(deadline_);
  }
  void wake_at(time_point when) noexcept {
    if (timer_.armed() && armed_for_ <= when) return;
    armed_for_ = when;
    this->home()->arm(timer_, when);
  }

  intrusive_list<deadline_entry> waiting_;
  look_timer<deadline_block> timer_{*this};
  time_point deadline_ = never;
  time_point armed_for_ = never;
  executor::duration each_;
  bool passed_ = false;
};

}  // namespace detail

/// A layer that gives the reads of a flow a deadline, which may be set at any time.
///
/// A read that waits beyond the deadline gives `error::timed_out`, and so does one that begins after it, whatever there
/// is to be read, until another deadline is set. It is no verdict (law X0): no byte is lost (law X1), and the flow goes
/// on with the next deadline. Writes are not touched. Every law of the flow below holds.
///
/// One timer a flow: setting a deadline later than the last one arms none, and a read costs nothing but to be on a
/// list. Reads of a flow below that do not hear of stop requests cannot be given up and wait on. One pooled block,
/// which holds the inner flow.
template <SystemFlow Inner>
class read_deadline : public detail::layer_handle<Inner, detail::deadline_block<Inner>> {
  using block = detail::deadline_block<Inner>;

 public:
  /// No deadline yet. Throws std::bad_alloc; the inner flow is then destroyed.
  explicit read_deadline(Inner inner) : read_deadline(std::move(inner), executor::duration::max()) {}
  /// Each read may wait for `each` at most, beside the deadline; that asks the clock once for each read that waits.
  template <class Rep, class Period>
  read_deadline(Inner inner, std::chrono::duration<Rep, Period> each)
      : detail::layer_handle<Inner, block>(new block(std::move(inner), detail::saturated(each))) {}

  /// Reads give `error::timed_out` from `when` on, on the executor's clock: those that wait, and later ones. A time
  /// that has passed ends those that wait now, in a turn of their own. On the flow's thread; also before the first
  /// operation, and where no executor is current.
  void expires_at(executor::time_point when) noexcept { this->control().set_deadline(when); }
  /// The same, `time` from now. Needs a current executor; where there is none, nothing is changed.
  template <class Rep, class Period>
  void expires_after(std::chrono::duration<Rep, Period> time) noexcept {
    if (const executor* on = executor::current()) expires_at(on->after(detail::saturated(time)));
  }
  /// Takes the deadline away.
  void never() noexcept { this->control().set_deadline(block::never); }
  /// What is set; the end of the clock's range if nothing is.
  [[nodiscard]] executor::time_point deadline() const noexcept { return this->control().deadline(); }

  /// How long each read that begins from now on may wait.
  template <class Rep, class Period>
  void limit_each(std::chrono::duration<Rep, Period> time) noexcept {
    this->control().set_each(detail::saturated(time));
  }

  /// Reads from the flow below; `error::timed_out` beyond the deadline.
  [[nodiscard]] auto read() {
    return cuttable<read_result>([](Inner& inner) { return inner.read(); });
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    return cuttable<read_into_result>([room](Inner& inner) { return inner.read_into(room); });
  }
  /// Writes to the flow below.
  [[nodiscard]] auto write(buffer bytes) { return this->next_layer().write(std::move(bytes)); }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) { return this->next_layer().writev(list); }

 private:
  template <class Result, class Make>
  [[nodiscard, gnu::always_inline]] auto cuttable(Make make) {
    block& whole = this->control();
    auto below = [&whole, &make] { return make(whole.inner()); };
    const auto plain = [&below] { return detail::made_plain<Result>(below); };
    using made = detail::made_operation<Result, decltype(below)>;
    return detail::cut_operation<block, Result, detail::deadline_entry, made>(whole, plain);
  }
};

}  // namespace coflow::inline v0
