/// \file
/// A layer that keeps the contract and makes life hard: for tests of whatever is built on a flow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/async/spawn.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/next_layer.hpp"
#include "coflow/layer/reset.hpp"
#include "coflow/testing/choices.hpp"
#include "coflow/testing/detail/fault_core.hpp"
#include "coflow/testing/fault_plan.hpp"

namespace coflow::inline v0 {

/// A flow around another one that does what a `fault_plan` says, and otherwise what the flow below does.
///
/// It keeps the contract whatever the plan: what is cut up is put together in order, errors are final, a write that
/// ended in the middle is not followed by a clean end (law X3): the flow at the bottom is then reset if it can be, and
/// destroyed. Up to one buffer of the flow below is held back while it is given out in pieces. Operations are
/// coroutines; starting one throws std::bad_alloc where there is no memory for it.
template <SystemFlow Inner>
class faulty_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using next_layer_type = Inner;

  faulty_flow(Inner inner, fault_plan plan) : whole_(std::make_shared<control>(std::move(inner), plan)) {
    whole_->keep_self(whole_);
  }
  faulty_flow(faulty_flow&& other) noexcept : whole_(std::move(other.whole_)) {}
  faulty_flow& operator=(faulty_flow&& other) noexcept {
    faulty_flow old(std::move(*this));
    whole_ = std::move(other.whole_);
    return *this;
  }
  /// Closes the flow (law C6).
  ~faulty_flow() {
    if (whole_) whole_->drop();
  }

  /// Reads a piece of what the flow below has.
  [[nodiscard]] task<read_result> read() { return reading(whole_); }
  /// Writes all of `bytes`, in pieces.
  [[nodiscard]] task<result<void>> write(buffer bytes) { return writing(whole_, std::move(bytes)); }
  /// Writes all of `list`, in pieces; the array must live until the await ends.
  [[nodiscard]] task<result<void>> writev(std::span<buffer> list) { return sending(whole_, list); }
  /// Ends one half or both, here and below (laws S1 to S4).
  [[nodiscard]] task<> shutdown(shutdown_mode mode) { return shutting(whole_, mode); }
  /// Ends both halves, here and below (laws C1 to C4).
  [[nodiscard]] task<> close() { return closing(whole_); }

  /// Ends both halves now, here and below, so that the peer does not take that for a clean end.
  void reset() noexcept { whole_->reset_all(); }

  /// The flow below, which is there until a fault of the plan has destroyed it.
  [[nodiscard]] Inner& next_layer() noexcept { return *whole_->inner; }
  /// The flow at the bottom of the stack, as long as `next_layer` is there.
  [[nodiscard]] auto& lowest_layer() noexcept { return detail::lowest_layer_of(*whole_->inner); }

 private:
  class control;
  using shared = std::shared_ptr<control>;
  using fault_half = detail::fault_half;
  using fault_turn = detail::fault_turn;
  using fault_pause = detail::fault_pause;

  static task<read_result> reading(shared whole);
  static task<result<void>> writing(shared whole, buffer bytes) {
    const result<void> sent = co_await sending(whole, std::span<buffer>(&bytes, 1));
    co_return sent;
  }
  static task<result<void>> sending(shared whole, std::span<buffer> list);
  static task<> shutting(shared whole, shutdown_mode mode);
  static task<> closing(shared whole) {
    if (!whole->close()) co_return;
    whole->left.clear();
    whole->spread();
    if (whole->state().torn()) whole->break_off();
    if (whole->inner) co_await whole->inner->close();
  }
  static task<> signal_end(shared whole) {
    if (whole->inner) co_await whole->inner->shutdown(shutdown_mode::write);
  }

  static read_result ended_by(const std::error_code& verdict) {
    if (verdict) return verdict;
    return end_of_stream;
  }

  shared whole_;
};

template <SystemFlow Inner>
class faulty_flow<Inner>::control final : public detail::fault_core {
 public:
  control(Inner below, const fault_plan& what)
      : inner(std::move(below)),
        plan(what),
        read_picks(choices::by_seed(what.seed_)),
        write_picks(choices::by_seed(~what.seed_)) {}
  ~control() = default;

  void keep_self(const shared& self) noexcept { self_ = self; }

  [[nodiscard]] static std::size_t piece(split how, std::size_t size, choices& picks) {
    switch (how) {
      case split::one_byte:
        return 1;
      case split::halves:
        return size - size / 2;
      case split::random:
        return 1 + picks.pick(size);
      case split::whole:
        break;
    }
    return size;
  }

  /// What stays with the flow for good; the rest is said of one operation alone.
  [[nodiscard]] static bool is_verdict(const std::error_code& code) noexcept {
    return code != canceled() && code != error::timed_out && code != error::no_executor &&
           code != error::wrong_executor;
  }

  // Ends the connection as a process that dies does.
  void break_off() noexcept {
    if (!inner) return;
    static_cast<void>(coflow::reset(*inner));
    inner.reset();
  }
  void drop() noexcept {
    static_cast<void>(this->close());
    left.clear();
    this->spread();
    if (this->state().torn()) break_off();
    inner.reset();
  }
  void reset_all() noexcept {
    this->state().mark_torn();
    drop();
  }

  void fail_read(const fault_plan::fault& how) noexcept {
    left.clear();
    if (!how.code)
      this->state().end_of_input();
    else
      this->state().fail_read(how.code);
    after_fault(how);
  }
  std::error_code fail_write(const fault_plan::fault& how) noexcept {
    this->state().fail_write(how.code);
    after_fault(how);
    return this->state().transmit_verdict();
  }
  // What the flow below has answered a write: a verdict is everybody's.
  [[nodiscard]] std::error_code write_failed(const std::error_code& code) noexcept {
    if (!is_verdict(code)) return code;
    this->state().fail_write(code);
    this->spread();
    return this->state().transmit_verdict();
  }
  void after_fault(const fault_plan::fault& how) noexcept {
    if (how.cuts) inner.reset();
    if (detail::ends_connection(how.code)) break_off();
    this->spread();
  }

  std::optional<Inner> inner;  // empty once it is destroyed
  fault_plan plan;
  choices read_picks;
  choices write_picks;
  buffer left;                  // read below, and not yet given
  std::size_t reads_begun = 0;  // and so on
  std::size_t writes_begun = 0;
  std::size_t given = 0;
  std::size_t sent = 0;

 private:
  void on_drained(executor& on) noexcept override {
    if (!inner) return;
    try {
      spawn(on, signal_end(self_.lock()));
    } catch (const std::exception&) {  // no memory: the end comes by destruction
      inner.reset();
    }
  }
  void on_gone() noexcept override { left.clear(); }

  std::weak_ptr<control> self_;
};

template <SystemFlow Inner>
task<read_result> faulty_flow<Inner>::reading(shared whole) {
  fault_turn turn(*whole, fault_half::read, false);
  const bool mine = co_await turn;
  if (!mine) co_return ended_by(turn.refused());
  if (whole->plan.slow_ > executor::duration::zero()) {
    fault_pause pause(*whole, fault_half::read, whole->plan.slow_);
    const bool rested = co_await pause;
    if (!rested) co_return canceled();
    if (!whole->state().can_read()) co_return ended_by(whole->state().read_verdict());
  }
  const fault_plan::fault& fault = whole->plan.read_;
  ++whole->reads_begun;
  while (whole->left.empty() || whole->given >= fault.bytes) {
    if (whole->reads_begun >= fault.nth || whole->given >= fault.bytes) {
      whole->fail_read(fault);
      co_return ended_by(whole->state().read_verdict());
    }
    if (!whole->inner) co_return error::closed;
    auto got = co_await whole->inner->read();
    if (!whole->state().can_read()) co_return ended_by(whole->state().read_verdict());
    if (got.has_data()) {
      whole->left = std::move(*got);
      continue;
    }
    const std::error_code failure = got.failed() ? static_cast<std::error_code>(got.error()) : std::error_code();
    if (failure && !whole->is_verdict(failure)) co_return failure;
    if (!failure || whole->state().broken())
      whole->state().end_of_input();
    else
      whole->state().fail_read(failure);
    whole->spread();
    co_return ended_by(whole->state().read_verdict());
  }
  const std::size_t wanted = whole->piece(whole->plan.reads_, whole->left.size(), whole->read_picks);
  buffer piece = whole->left.take_front(std::min(wanted, fault.bytes - whole->given));
  whole->given += piece.size();
  if (fault.cuts && whole->given == fault.bytes) whole->fail_read(fault);
  co_return std::move(piece);
}

template <SystemFlow Inner>
task<result<void>> faulty_flow<Inner>::sending(shared whole, std::span<buffer> list) {
  while (!list.empty() && list.front().empty()) list = list.subspan(1);
  fault_turn turn(*whole, fault_half::write, list.empty());
  const bool mine = co_await turn;
  if (!mine) co_return turn.refused();
  if (list.empty()) co_return success;
  if (whole->plan.slow_ > executor::duration::zero()) {
    fault_pause pause(*whole, fault_half::write, whole->plan.slow_);
    const bool rested = co_await pause;
    if (!rested) co_return canceled();
    if (!whole->state().can_transmit()) co_return whole->state().transmit_verdict();
  }
  const detail::fault_watch watch(*whole, list);
  const fault_plan::fault& fault = whole->plan.write_;
  const bool as_it_comes = whole->plan.writes_ == split::whole && fault.bytes == fault_plan::most;
  if (++whole->writes_begun >= fault.nth) co_return whole->fail_write(fault);
  while (!list.empty()) {
    if (whole->sent >= fault.bytes) co_return whole->fail_write(fault);
    if (!whole->inner) co_return error::closed;
    if (as_it_comes) {
      auto sent = co_await whole->inner->writev(list);
      if (!sent) co_return whole->write_failed(sent.error());
      co_return success;
    }
    buffer& front = list.front();
    const std::size_t wanted = whole->piece(whole->plan.writes_, front.size(), whole->write_picks);
    detail::fault_piece piece(front, std::min(wanted, fault.bytes - whole->sent));
    auto sent = co_await whole->inner->writev(piece.list());
    whole->sent += piece.settle();
    while (!list.empty() && list.front().empty()) list = list.subspan(1);
    if (fault.cuts && whole->sent == fault.bytes) {
      const std::error_code verdict = whole->fail_write(fault);
      if (!list.empty()) co_return verdict;
      co_return success;
    }
    if (!sent) co_return whole->write_failed(sent.error());
    if (!list.empty() && !whole->state().can_transmit()) co_return whole->state().transmit_verdict();
  }
  co_return success;
}

template <SystemFlow Inner>
task<> faulty_flow<Inner>::shutting(shared whole, shutdown_mode mode) {
  bool below = false;
  shutdown_mode what = shutdown_mode::read_write;
  if (covers_read(mode) && whole->state().shut_read()) {
    whole->left.clear();
    below = true;
    what = shutdown_mode::read;
  }
  if (covers_write(mode) && whole->state().drain_write() && whole->write_idle() && whole->state().finish_drain()) {
    what = below ? shutdown_mode::read_write : shutdown_mode::write;
    below = true;
  }
  if (below) {
    whole->spread();
    if (whole->inner) co_await whole->inner->shutdown(what);
  }
  if (!covers_write(mode) || whole->state().write_half() != half::draining) co_return;
  fault_pause drained(*whole);
  static_cast<void>(co_await drained);
}

}  // namespace coflow::inline v0
