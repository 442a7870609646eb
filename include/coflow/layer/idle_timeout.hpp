/// \file
/// Giving up what waits on a flow where nothing moves.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/cut_operation.hpp"
#include "coflow/layer/detail/layer_block.hpp"
#include "coflow/layer/detail/plain_operation.hpp"

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
    left_ = sum_of(list_);
  }
  /// True if bytes have gone out since it was asked last.
  [[nodiscard]] bool has_moved() noexcept {
    if (list_.empty()) return false;
    const std::size_t before = std::exchange(left_, sum_of(list_));
    return left_ != before;
  }

 private:
  std::span<const buffer> list_;
  std::size_t left_ = 0;
};

/// A write of one buffer. A large one is made a list when it begins, so that its progress can be seen.
template <class Inner, class Small, class Large>
class idle_write {
 public:
  static constexpr std::size_t large = 16 * 1024;
  static constexpr bool never_resumes_inline = resumes_in_a_turn<Small> && resumes_in_a_turn<Large>;

  template <class MakeSmall>
  idle_write(Inner& inner, buffer& bytes, MakeSmall& make) : inner_(inner), bytes_(large_part(bytes)), small_(make()) {}
  idle_write(idle_write&& unbegun) noexcept
      : inner_(unbegun.inner_), bytes_(std::move(unbegun.bytes_)), small_(std::move(unbegun.small_)) {}
  ~idle_write() = default;

  [[nodiscard]] std::span<const buffer> list() const noexcept { return {&bytes_, large_.has_value() ? 1U : 0U}; }
  [[nodiscard]] bool await_ready() {
    if (bytes_.empty()) [[likely]]
      return small_.await_ready();
    auto make = [this] { return inner_.writev(std::span<buffer>(&bytes_, 1)); };
    large_.emplace(made_plain<result<void>>(make));
    return large_->await_ready();
  }
  [[nodiscard]] bool await_suspend(awaiting waiting) {
    return large_ ? suspend_on(*large_, waiting) : suspend_on(small_, waiting);
  }
  [[nodiscard]] result<void> await_resume() {
    return large_ ? result_of<result<void>>(*large_) : result_of<result<void>>(small_);
  }

 private:
  static buffer large_part(buffer& bytes) noexcept { return bytes.size() > large ? std::move(bytes) : buffer(); }

  Inner& inner_;
  buffer bytes_;  // of a large one
  Small small_;
  std::optional<Large> large_;
};

template <class Operation>
class idle_writev {
 public:
  static constexpr bool never_resumes_inline = resumes_in_a_turn<Operation>;

  template <class Make>
  idle_writev(std::span<buffer> list, Make& make) : list_(list), operation_(make()) {}

  [[nodiscard]] std::span<const buffer> list() const noexcept { return list_; }
  [[nodiscard]] bool await_ready() { return operation_.await_ready(); }
  [[nodiscard]] bool await_suspend(awaiting waiting) { return suspend_on(operation_, waiting); }
  [[nodiscard]] result<void> await_resume() { return result_of<result<void>>(operation_); }

 private:
  std::span<buffer> list_;
  Operation operation_;
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
  template <class Operation>
  void watch(idle_entry& one, const Operation& operation) noexcept {
    if constexpr (requires { operation.list(); }) one.writes(operation.list());
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
  [[nodiscard]] auto read() {
    return cuttable<read_result>([](Inner& inner) { return inner.read(); });
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    return cuttable<read_into_result>([room](Inner& inner) { return inner.read_into(room); });
  }
  /// Writes to the flow below; `error::timed_out` when nothing moves.
  [[nodiscard]] auto write(buffer bytes) {
    return cuttable<result<void>>([&bytes](Inner& inner) {
      auto small = [&inner, &bytes] { return inner.write(std::move(bytes)); };
      auto large = [&inner] { return inner.writev(std::span<buffer>()); };
      using made = detail::idle_write<Inner, detail::made_operation<result<void>, decltype(small)>,
                                      detail::made_operation<result<void>, decltype(large)>>;
      const auto plain = [&small] { return detail::made_plain<result<void>>(small); };
      return made(inner, bytes, plain);
    });
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    return cuttable<result<void>>([list](Inner& inner) {
      auto below = [&inner, list] { return inner.writev(list); };
      const auto plain = [&below] { return detail::made_plain<result<void>>(below); };
      return detail::idle_writev<detail::made_operation<result<void>, decltype(below)>>(list, plain);
    });
  }

 private:
  template <class Result, class Make>
  [[nodiscard, gnu::always_inline]] auto cuttable(Make make) {
    block& whole = this->control();
    auto below = [&whole, &make] { return make(whole.inner()); };
    const auto plain = [&below] { return detail::made_plain<Result>(below); };
    using made = detail::made_operation<Result, decltype(below)>;
    return detail::cut_operation<block, Result, detail::idle_entry, made>(whole, plain);
  }
};

}  // namespace coflow::inline v0
