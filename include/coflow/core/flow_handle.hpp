/// \file
/// What a flow's handle holds.
#pragma once

#include <utility>

#include "coflow/core/config.hpp"

namespace coflow::inline v0 {

/// Owns a control block, and closes the flow when it dies (law C6). `Block` has `close()` and `destroy()`, such as one
/// that is built on `flow_block`. Moving the handle leaves the block, and the operations that are pending on it, where
/// they are.
template <class Block>
class flow_handle {
 public:
  explicit flow_handle(Block* fresh) noexcept : block_(fresh) {}
  flow_handle(flow_handle&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  flow_handle& operator=(flow_handle&& other) noexcept {
    if (this != &other) {
      drop();
      block_ = std::exchange(other.block_, nullptr);
    }
    return *this;
  }
  ~flow_handle() { drop(); }

  [[nodiscard]] Block& operator*() const noexcept {
    COFLOW_ASSERT(block_ != nullptr, "a flow that was moved from was used");
    return *block_;
  }
  [[nodiscard]] Block* operator->() const noexcept { return &**this; }

 private:
  void drop() noexcept {
    if (block_ == nullptr) return;
    block_->close();
    block_->destroy();
  }

  Block* block_;
};

}  // namespace coflow::inline v0
