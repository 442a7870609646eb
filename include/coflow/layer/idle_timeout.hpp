/// \file
/// Giving up what waits on a flow where nothing moves.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/cut_operation.hpp"
#include "coflow/layer/detail/inner_wait.hpp"
#include "coflow/layer/detail/layer_block.hpp"

namespace coflow::inline v0 {
namespace detail {

/// An operation that waits. The inner flow takes the bytes of a write out of their buffers as it accepts them (law W2),
/// so that progress can be seen from time to time.
class idle_entry final : public cuttable {
 public:
  idle_entry() noexcept {}
  ~idle_entry() = default;

  void writes(std::span<const buffer> list) noexcept {
    list_ = list;
    left_ = count();
  }
  /// True if bytes have gone out since it was asked last.
  [[nodiscard]] bool has_moved() noexcept {
    if (list_.empty()) return false;
    const std::size_t before = std::exchange(left_, count());
    return left_ != before;
  }

 private:
  [[nodiscard]] std::size_t count() const noexcept {
    std::size_t sum = 0;
    for (const buffer& one : list_) sum += one.size();
    return sum;
  }

  std::span<const buffer> list_;
  std::size_t left_ = 0;
};

/// A write of one buffer: a large one is made a list, so that its progress can be seen.
template <class Inner>
class idle_write {
 public:
  using result_type = result<void>;
  static constexpr std::size_t large = 16 * 1024;
  static constexpr bool never_resumes_inline =
      resumes_in_a_turn<decltype(begin_call(std::declval<Inner&>(), std::declval<write_call&>()))> &&
      resumes_in_a_turn<decltype(begin_call(std::declval<Inner&>(), std::declval<writev_call&>()))>;

  idle_write(std::in_place_t, buffer&& bytes) noexcept : call_(std::move(bytes)) {}
  idle_write(idle_write&& unbegun) noexcept : call_(std::move(unbegun.call_)) {}
  ~idle_write() = default;

  [[nodiscard]] std::span<const buffer> list() const noexcept { return {&call_.bytes, wait_.is_first() ? 0U : 1U}; }
  [[nodiscard]] bool begin(Inner& flow) {
    if (call_.bytes.size() <= large) [[likely]]
      return wait_.begin_first([&flow, this]() -> decltype(auto) { return begin_call(flow, call_); });
    writev_call call(std::span<buffer>(&call_.bytes, 1));
    return wait_.begin_second([&flow, &call]() -> decltype(auto) { return begin_call(flow, call); });
  }
  [[nodiscard]] bool suspend(awaiting coroutine) { return wait_.suspend(coroutine); }
  [[nodiscard]] result_type finish() { return wait_.finish(); }

 private:
  write_call call_;
  either_wait<begun_call<Inner, write_call>, begun_call<Inner, writev_call>> wait_;
};

template <class Inner>
class idle_writev final : public call_wait<Inner, writev_call> {
 public:
  idle_writev(std::in_place_t, std::span<buffer> list) noexcept
      : call_wait<Inner, writev_call>(std::in_place, list), list_(list) {}
  idle_writev(idle_writev&& unbegun) noexcept
      : call_wait<Inner, writev_call>(std::move(unbegun)), list_(unbegun.list_) {}
  ~idle_writev() = default;

  [[nodiscard]] std::span<const buffer> list() const noexcept { return list_; }

 private:
  std::span<buffer> list_;
};

/// Looks eight times within the limit, as long as anything waits: what has moved since the last look has moved.
template <class Inner>
class idle_block final : public layer_block<idle_block<Inner>, Inner> {
 public:
  idle_block(Inner inner, executor::duration limit)
      : layer_block<idle_block, Inner>(std::move(inner)), step_(step_of(limit)) {}
  ~idle_block() = default;

  void set_limit(executor::duration limit) noexcept {
    step_ = step_of(limit);
    if (timer_.armed()) begin_looking();
  }
  [[nodiscard]] bool admits() const noexcept { return true; }
  void note_progress() noexcept { moved_ = true; }
  template <class Wait>
  void watch(idle_entry& one, const Wait& wait) noexcept {
    if constexpr (requires { wait.list(); }) one.writes(wait.list());
    if (waiting_.empty()) moved_ = true;  // time without anything that waits does not count
    waiting_.push_back(one);
    if (!timer_.armed()) [[unlikely]]
      begin_looking();
  }
  void look() noexcept {
    if (waiting_.empty()) return;
    bool moved = std::exchange(moved_, false);
    waiting_.for_each([&moved](idle_entry& one) {
      if (one.has_moved()) moved = true;
    });
    quiet_ = moved ? 0 : quiet_ + 1;
    if (quiet_ < looks) return arm();
    while (!waiting_.empty()) waiting_.front().cut();
  }

  void let_go() noexcept { timer_.disarm(); }

 private:
  static constexpr int looks = 8;

  static executor::duration step_of(executor::duration limit) noexcept {
    return limit / looks + executor::duration(limit % looks != executor::duration(0));
  }
  void arm() noexcept { this->home()->arm(timer_, this->home()->after(step_)); }
  [[gnu::noinline]] void begin_looking() noexcept {
    moved_ = false;
    quiet_ = 0;
    arm();
  }

  intrusive_list<idle_entry> waiting_;
  look_timer<idle_block> timer_{*this};
  executor::duration step_;
  int quiet_ = 0;  // looks in a row that have found nothing
  bool moved_ = false;
};

}  // namespace detail

/// A layer that gives up what waits on a flow when nothing has moved for a while.
///
/// When for `limit` no read has come to anything and no byte of a write has been accepted, what waits gives
/// `error::timed_out`. It is no verdict (law X0): nothing is latched, no byte is lost (law X1), and the next operation
/// has the whole limit again; a write of which a part had gone out ends the write half (law X2). Close the flow if the
/// peer is to be given up. Every law of the flow below holds.
///
/// Time in which nothing waits does not count. Never early, and at most an eighth of the limit late: one timer looks
/// eight times within the limit while anything waits, and an operation costs a store and asks no clock. Of a `write` of
/// up to 16 KiB only the completion is progress, of larger ones and of `writev` each part that the flow below accepts,
/// as far as it takes it out of its buffer at once (law W2); most do. Operations of a flow below that do not hear of
/// stop requests cannot be given up and wait on. One pooled block, which holds the inner flow.
template <SystemFlow Inner>
class idle_timeout : public detail::layer_handle<Inner, detail::idle_block<Inner>> {
  using block = detail::idle_block<Inner>;
  template <class Wait>
  using operation = detail::cut_operation<block, Wait, detail::idle_entry>;
  template <class Call>
  using waiting = detail::call_wait<Inner, Call>;

 public:
  /// A limit that is not positive gives up what waits in the next turn. Throws std::bad_alloc; the inner flow is then
  /// destroyed.
  template <class Rep, class Period>
  idle_timeout(Inner inner, std::chrono::duration<Rep, Period> limit)
      : detail::layer_handle<Inner, block>(new block(std::move(inner), detail::saturated(limit))) {}

  /// Sets another limit, which counts from now on.
  template <class Rep, class Period>
  void limit(std::chrono::duration<Rep, Period> time) noexcept {
    this->control().set_limit(detail::saturated(time));
  }
  /// Counts as progress: for programs that know of a reason to wait on.
  void keep_alive() noexcept { this->control().note_progress(); }

  /// Reads from the flow below; `error::timed_out` when nothing moves.
  [[nodiscard]] auto read() noexcept { return operation<waiting<detail::read_call>>(this->control()); }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room) noexcept
    requires has_read_into<Inner>
  {
    return operation<waiting<detail::read_into_call>>(this->control(), room);
  }
  /// Writes to the flow below; `error::timed_out` when nothing moves.
  [[nodiscard]] auto write(buffer bytes) noexcept {
    return operation<detail::idle_write<Inner>>(this->control(), std::move(bytes));
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept {
    return operation<detail::idle_writev<Inner>>(this->control(), list);
  }
};

}  // namespace coflow::inline v0
