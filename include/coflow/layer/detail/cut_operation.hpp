/// \file
/// Operations that a layer may cut short for a reason of its own: each waits under a stop state of the layer's.
#pragma once

#include <coroutine>
#include <cstdint>
#include <system_error>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/stop_relay.hpp"
#include "coflow/layer/detail/plain_operation.hpp"
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

/// What such a layer's operations return: what `make` gave, where it stays. `Entry` derives from `cuttable`; the block
/// has
///
///     bool admits() noexcept;                       // false: it is over before it begins, with error::timed_out
///     void watch(Entry&, Operation&) noexcept;      // it waits: put it on the list
///     void note_progress() noexcept;                // an operation has come to something
///
/// A completed result beats the cut; a stop of the awaiting task beats it, too (law X0).
template <class Block, class Result, class Entry, class Operation>
class [[nodiscard]] cut_operation {
 public:
  static constexpr bool never_resumes_inline = resumes_in_a_turn<Operation>;

  template <class Make>
  cut_operation(Block& block, Make& make) : block_(block), operation_(make()) {}
  cut_operation(cut_operation&& unbegun) noexcept
      : block_(std::move(unbegun.block_)), operation_(std::move(unbegun.operation_)) {}
  ~cut_operation() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) {
    Block& block = *block_;
    if (block.gone()) [[unlikely]] {
      state_ = state::closed;
      return false;
    }
    if (!block.admits() && !stopped(waiting)) [[unlikely]] {
      state_ = state::refused;
      return false;
    }
    if (operation_.await_ready()) return false;
    if constexpr (never_resumes_inline) {
      if (!suspend_on(operation_, entry_.relay.begin(waiting))) return false;
      watch(block);
      return true;
    } else {
      watch(block);
      return suspend_on(operation_, entry_.relay.begin(waiting));
    }
  }
  [[nodiscard]] Result await_resume() {
    if (state_ != state::unwatched) [[unlikely]]
      return resume_watched();
    entry_.relay.end();
    Result came = result_of<Result>(operation_);
    if (!failed(came)) [[likely]]
      block_->note_progress();
    return came;
  }

 private:
  enum class state : std::uint8_t { unwatched, watched, refused, closed };

  // Away from home the inner flow has an error for it.
  void watch(Block& block) noexcept {
    if (!block.at_home()) [[unlikely]]
      return;
    state_ = state::watched;
    block.watch(entry_, operation_);
  }
  [[nodiscard, gnu::noinline]] Result resume_watched() {
    if (state_ == state::closed) return error::closed;
    if (state_ == state::refused) return error::timed_out;
    const bool cut = !entry_.linked() && !entry_.relay.task_stopped();
    entry_.unlink();
    entry_.relay.end();
    Result came = result_of<Result>(operation_);
    if (!failed(came))
      block_->note_progress();
    else if (cut && came.error() == std::errc::operation_canceled)
      came = error::timed_out;
    return came;
  }
  template <class Handle>
  static bool stopped(Handle waiting) noexcept {
    const stop_node* const stop = detail::stop_of(waiting.promise());
    return stop != nullptr && stop->stop_requested();
  }
  static bool failed(const Result& came) noexcept {
    if constexpr (requires { came.failed(); })
      return came.failed();
    else
      return !came.has_value();
  }

  share<Block> block_;
  Entry entry_;
  Operation operation_;  // behind its stop state, so that it dies first
  state state_ = state::unwatched;
};

}  // namespace detail
}  // namespace coflow::inline v0
