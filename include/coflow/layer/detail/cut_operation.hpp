/// \file
/// Operations that a layer may cut short for a reason of its own: each waits under a stop state of the layer's.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/stop_relay.hpp"
#include "coflow/layer/detail/inner_wait.hpp"
#include "coflow/layer/detail/share.hpp"

namespace coflow::inline v0 {
namespace detail {

/// One operation that waits, in its layer's list. It is off the list when it has been cut.
class cuttable : public self_unlinking {
 public:
  stop_relay relay;

  /// Asks the inner operation to give up. Resumes nobody inline.
  void cut() noexcept {
    this->unlink();
    relay.request_stop();
  }

 protected:
  cuttable() noexcept {}
  ~cuttable() = default;
};

/// The one timer of such a layer: looks after what waits from time to time.
template <class Block>
class look_timer final : public timer {
 public:
  explicit look_timer(Block& of) noexcept : block_(of) {}

 private:
  void run() noexcept override {
    if (!abandoned()) block_.look();  // else the inner flow ends what waits (law O4)
  }
  Block& block_;
};

/// True for operations that resume the awaiting coroutine from a turn of the executor alone, so that they can still be
/// touched when they have been suspended.
template <class Awaitable>
concept resumes_in_a_turn =
    std::derived_from<Awaitable, basic_operation> || requires { requires Awaitable::never_resumes_inline; };

/// An operation of the inner flow that waits on its own for one thing. `Wait` is made of what is asked for.
template <class Inner, class Call>
class call_wait {
 public:
  using result_type = typename Call::result_type;
  static constexpr bool never_resumes_inline =
      resumes_in_a_turn<decltype(begin_call(std::declval<Inner&>(), std::declval<Call&>()))>;

  template <class... Args>
  explicit call_wait(std::in_place_t, Args&&... args) noexcept : call_(std::forward<Args>(args)...) {}
  call_wait(call_wait&& unbegun) noexcept : call_(std::move(unbegun.call_)) {}
  ~call_wait() = default;

  [[nodiscard]] bool begin(Inner& flow) {
    const auto make = [this, &flow]() -> decltype(auto) { return begin_call(flow, call_); };
    return wait_.emplace(make).ready();
  }
  [[nodiscard]] bool suspend(awaiting coroutine) { return wait_->suspend(coroutine); }
  [[nodiscard]] result_type finish() { return wait_->resume(); }

 private:
  Call call_;
  std::optional<begun_call<Inner, Call>> wait_;
};

/// What such a layer's operations return. `Entry` derives from `cuttable`; the block has
///
///     bool admits() noexcept;                  // false: the operation is over before it begins, with error::timed_out
///     void watch(Entry&, Wait&) noexcept;      // it is about to wait: put it on the list
///     void note_progress() noexcept;           // an operation has come to something
///
/// A completed result beats the cut; a stop of the awaiting task beats it, too (law X0).
template <class Block, class Wait, class Entry>
class [[nodiscard]] cut_operation {
 public:
  using result_type = typename Wait::result_type;
  static constexpr bool never_resumes_inline = Wait::never_resumes_inline;

  template <class... Args>
  explicit cut_operation(Block& block, Args&&... args) noexcept
      : block_(block), wait_(std::in_place, std::forward<Args>(args)...) {}
  cut_operation(cut_operation&& unbegun) noexcept
      : block_(std::move(unbegun.block_)), wait_(std::move(unbegun.wait_)) {}
  ~cut_operation() { entry_.unlink(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) {
    Block& block = *block_;
    if (block.gone()) [[unlikely]] {
      state_ = state::closed;
      return false;
    }
    const bool home = block.at_home();
    if (home && !block.admits() && !stopped(waiting)) [[unlikely]] {
      state_ = state::refused;
      return false;
    }
    const bool ready = wait_.begin(block.inner());
    state_ = state::begun;
    if (ready) return false;
    if (!home) [[unlikely]]
      return wait_.suspend(waiting);
    if constexpr (Wait::never_resumes_inline) {
      if (!wait_.suspend(entry_.relay.begin(waiting))) return false;
      state_ = state::watched;
      block.watch(entry_, wait_);
      return true;
    } else {
      state_ = state::watched;
      block.watch(entry_, wait_);
      return wait_.suspend(entry_.relay.begin(waiting));
    }
  }
  [[nodiscard]] result_type await_resume() {
    if (state_ == state::closed) [[unlikely]]
      return error::closed;
    if (state_ == state::refused) [[unlikely]]
      return error::timed_out;
    result_type came = end_wait();
    if (!failed(came)) [[likely]]
      block_->note_progress();
    else if (was_cut_ && came.error() == std::errc::operation_canceled)
      came = error::timed_out;
    return came;
  }

 private:
  enum class state : std::uint8_t { idle, closed, refused, begun, watched };

  [[nodiscard]] result_type end_wait() {
    was_cut_ = state_ == state::watched && !entry_.linked() && !entry_.relay.task_stopped();
    entry_.unlink();
    entry_.relay.end();
    return wait_.finish();
  }
  template <class Handle>
  static bool stopped(Handle waiting) noexcept {
    const stop_node* const stop = detail::stop_of(waiting.promise());
    return stop != nullptr && stop->stop_requested();
  }
  static bool failed(const result_type& came) noexcept {
    if constexpr (requires { came.failed(); })
      return came.failed();
    else
      return !came.has_value();
  }

  share<Block> block_;
  Entry entry_;
  Wait wait_;  // last: the inner operation dies before its stop state
  state state_ = state::idle;
  bool was_cut_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
