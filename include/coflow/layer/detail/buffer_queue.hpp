/// \file
/// A first-in, first-out queue of buffers that can be handed to `writev` as it stands.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/move_front.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Keeps its memory when it runs empty, so that it allocates nothing in steady state.
class buffer_queue {
 public:
  buffer_queue() noexcept {}

  [[nodiscard]] bool empty() const noexcept { return first_ == all_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size() - first_; }
  /// The sum of what was pushed and not popped.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Throws std::bad_alloc; the queue is then as it was.
  void push(buffer one) {
    const std::size_t size = one.size();
    all_.push_back(std::move(one));
    bytes_ += size;
  }
  /// Needs `!empty()`.
  [[nodiscard]] buffer pop() noexcept {
    buffer one = std::move(all_[first_++]);
    bytes_ -= one.size();
    if (empty()) clear();
    return one;
  }
  /// Takes out the first bytes, as many as there are and as `room` holds; gives how many.
  [[nodiscard]] std::size_t take_into(std::span<std::byte> room) noexcept {
    std::size_t taken = 0;
    while (taken != room.size() && !empty()) {
      const std::size_t part = move_front(all_[first_], room.subspan(taken));
      taken += part;
      bytes_ -= part;
      if (all_[first_].empty()) static_cast<void>(pop());
    }
    return taken;
  }
  /// What is in it, in order; valid until the next call.
  [[nodiscard]] std::span<buffer> list() noexcept { return std::span<buffer>(all_).subspan(first_); }

  void clear() noexcept {
    all_.clear();
    first_ = 0;
    bytes_ = 0;
  }
  void swap(buffer_queue& other) noexcept {
    all_.swap(other.all_);
    std::swap(first_, other.first_);
    std::swap(bytes_, other.bytes_);
  }

 private:
  std::vector<buffer> all_;
  std::size_t first_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
