/// \file
/// A control block that a flow and its pending operations own together (law O2).
#pragma once

#include <cstdint>
#include <utility>

#include "coflow/core/detail/pool.hpp"

namespace coflow::inline v0 {
namespace detail {

/// The base of a block that lives in the pool until its last `share` is gone. A plain count: it belongs to one thread.
class shared_block : public pooled {
 public:
  shared_block(const shared_block&) = delete;
  shared_block& operator=(const shared_block&) = delete;

 protected:
  shared_block() noexcept {}
  ~shared_block() = default;

 private:
  template <class T>
  friend class share;

  std::uint32_t owners_ = 0;
};

/// One owner's part in a block, or nothing.
template <class T>
class share {
 public:
  explicit share(T& block) noexcept : held_(&block) { ++held_->owners_; }
  share(const share& other) noexcept : held_(other.held_) {
    if (held_ != nullptr) ++held_->owners_;
  }
  share(share&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  share& operator=(share other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~share() {
    if (held_ != nullptr) release(*held_);
  }

  // For an owner that keeps no share.
  static void retain(T& block) noexcept { ++block.owners_; }
  static void release(T& block) noexcept {
    if (--block.owners_ == 0) delete &block;
  }

  [[nodiscard]] T& operator*() const noexcept { return *held_; }
  [[nodiscard]] T* operator->() const noexcept { return held_; }

 private:
  T* held_;
};

}  // namespace detail
}  // namespace coflow::inline v0
