/// \file
/// The pool for standard containers.
#pragma once

#include <cstddef>

#include "coflow/core/detail/pool.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class T>
class pool_allocator {
 public:
  using value_type = T;

  pool_allocator() noexcept {}
  template <class U>
  pool_allocator(const pool_allocator<U>&) noexcept {}  // NOLINT: allocators convert

  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(pool_allocate(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept { pool_free(memory, count * sizeof(T)); }

  friend bool operator==(const pool_allocator&, const pool_allocator&) noexcept { return true; }
};

}  // namespace detail
}  // namespace coflow::inline v0
