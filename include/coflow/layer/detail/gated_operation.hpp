/// \file
/// Operations that may have to wait for their layer's leave, before or after the inner operation.
#pragma once

#include <coroutine>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/inner_wait.hpp"
#include "coflow/layer/detail/share.hpp"

namespace coflow::inline v0 {
namespace detail {

/// How an operation of such a layer is to go about it.
enum class way : std::uint8_t {
  straight,  ///< as the inner flow's operation and nothing else
  noted,     ///< the same, and the layer is told how it ends
  around,    ///< by a coroutine that waits at a gate, too: a pooled frame, for what waits anyway
  answered,  ///< the layer has the answer
};

/// What such a layer's operations return. The block has, for every `Call` that it uses,
///
///     way choose(Call&, const stop_node*) noexcept;     // at home only; may take note that the operation begins
///     task<R> go_around(share<Block>, Call);            // throws std::bad_alloc, with nothing noted
///     R answer(Call&);                                  // for way::answered, at once
///     void noted(Call&, R&) noexcept;                   // the result of what was to be noted; may be replaced
///     void forgotten(Call&) noexcept;                   // its coroutine died waiting
template <class Block, class Inner, class Call>
class [[nodiscard]] gated_operation {
 public:
  using result_type = typename Call::result_type;

  template <class... Args>
  explicit gated_operation(Block& block, Args&&... args) noexcept : block_(block), call_(std::forward<Args>(args)...) {}
  gated_operation(gated_operation&& unbegun) noexcept
      : block_(std::move(unbegun.block_)), call_(std::move(unbegun.call_)) {}
  ~gated_operation() {
    if (way_ == way::noted) [[unlikely]]
      block_->forgotten(call_);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) {
    Block& block = *block_;
    if (block.gone()) [[unlikely]]
      return false;
    if (block.at_home()) [[likely]]
      way_ = block.choose(call_, detail::stop_of(waiting.promise()));
    if (way_ == way::answered) return false;
    bool ready = false;
    if (way_ == way::around) [[unlikely]]
      ready = wait_.begin_second([this] { return Block::go_around(block_, std::move(call_)); });
    else
      ready = wait_.begin_first([this, &block]() -> decltype(auto) { return begin_call(block.inner(), call_); });
    return !ready && wait_.suspend(waiting);
  }
  [[nodiscard]] result_type await_resume() {
    if (way_ == way::answered) return block_->answer(call_);
    if (!wait_.begun()) [[unlikely]]
      return error::closed;
    if (way_ != way::noted) return wait_.finish();
    result_type came = wait_.finish();
    way_ = way::straight;
    block_->noted(call_, came);
    return came;
  }

 private:
  share<Block> block_;
  Call call_;
  way way_ = way::straight;
  either_wait<begun_call<Inner, Call>, placed_wait<task<result_type>, result_type>> wait_;
};

}  // namespace detail
}  // namespace coflow::inline v0
