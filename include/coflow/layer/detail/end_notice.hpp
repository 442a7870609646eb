/// \file
/// A layer's block hears of a shutdown or a close before the inner flow does.
#pragma once

#include <utility>

#include "coflow/core/shutdown_mode.hpp"
#include "coflow/layer/detail/share.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A hook: calls `note_shutdown(mode)` of the block, or `let_go()` for a close, when the operation is awaited.
template <class Block>
class end_notice {
 public:
  explicit end_notice(share<Block> block) noexcept : block_(std::move(block)), closes_(true) {}
  end_notice(share<Block> block, shutdown_mode mode) noexcept : block_(std::move(block)), mode_(mode) {}

  void begin() const noexcept {
    if (closes_)
      block_->let_go();
    else
      block_->note_shutdown(mode_);
  }
  void end() const noexcept {}

 private:
  share<Block> block_;
  shutdown_mode mode_ = shutdown_mode::read_write;
  bool closes_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
