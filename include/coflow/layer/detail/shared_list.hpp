/// \file
/// Second handles on all the buffers of a list.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/detail/storage.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Kept in memory of the pool.
class shared_list {
 public:
  shared_list() noexcept {}
  /// Throws std::bad_alloc.
  explicit shared_list(std::span<const buffer> of) {
    if (of.empty()) return;
    first_ = static_cast<buffer*>(pool_allocate(of.size() * sizeof(buffer)));
    for (const buffer& one : of) ::new (static_cast<void*>(first_ + count_++)) buffer(one.share());
  }
  shared_list(shared_list&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  shared_list& operator=(shared_list other) noexcept {
    std::swap(first_, other.first_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~shared_list() {
    if (first_ == nullptr) return;
    for (buffer& one : list()) detail::destroy(one);
    pool_free(first_, count_ * sizeof(buffer));
  }

  [[nodiscard]] std::span<buffer> list() noexcept { return {first_, count_}; }

 private:
  buffer* first_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
