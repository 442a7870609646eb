/// \file
/// Memory for coroutine frames, buffers and control blocks: a bounded free list per thread.
///
/// A block goes to the pool of the thread that frees it. The pool itself is a trivially destructible thread-local, so
/// that it may be used by destructors that run after the thread's other objects are gone; a separate guard returns
/// what it holds when the thread ends. Under AddressSanitizer, or with COFLOW_NO_POOL (for valgrind), every call goes
/// straight to operator new, so that nothing hides a use after free.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define COFLOW_NO_POOL 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(COFLOW_NO_POOL)
#define COFLOW_NO_POOL 1
#endif
#endif

namespace coflow::inline v0 {
namespace detail {

/// Size classes: multiples of 64 up to 1 KiB, then powers of two up to 256 KiB. Larger requests are not pooled.
struct size_classes {
  static constexpr std::size_t granule = 64;
  static constexpr std::size_t small_limit = 1024;
  static constexpr std::size_t small_count = small_limit / granule;
  static constexpr std::size_t limit = 256 * 1024;
  static constexpr std::size_t count = small_count + 8;

  static constexpr std::size_t index(std::size_t size) noexcept {
    if (size <= small_limit) [[likely]]
      return (size - (size != 0)) / granule;
    return small_count + static_cast<std::size_t>(std::bit_width(size - 1)) - 11;
  }
  static constexpr std::size_t size(std::size_t index) noexcept {
    if (index < small_count) return (index + 1) * granule;
    return std::size_t{2048} << (index - small_count);
  }
  /// How many free blocks of a class one thread keeps: 256 KiB of each small class, 512 KiB of each large one.
  static constexpr std::uint32_t keep(std::size_t index) noexcept {
    return static_cast<std::uint32_t>((index < small_count ? 256 * 1024 : 512 * 1024) / size(index));
  }
};

struct pool {
  struct free_block {
    free_block* next;
  };
  struct shelf {
    free_block* first;
    std::uint32_t room;  // how many more blocks are kept; 0 before the guard exists and after it
  };
  shelf shelves[size_classes::count];
  bool closed;  // the guard is gone

  void open() noexcept {
    for (std::size_t i = 0; i < size_classes::count; ++i) shelves[i].room = size_classes::keep(i);
  }
  void drain() noexcept {
    for (shelf& one : shelves) {
      while (free_block* block = one.first) {
        one.first = block->next;
        ++one.room;
        ::operator delete(static_cast<void*>(block));
      }
    }
  }
  void close() noexcept {
    drain();
    for (shelf& one : shelves) one.room = 0;
    closed = true;
  }
};

inline thread_local constinit pool thread_pool{};

struct pool_guard {
  pool* guarded;
  pool_guard() noexcept : guarded(&thread_pool) { guarded->open(); }
  pool_guard(const pool_guard&) = delete;
  pool_guard& operator=(const pool_guard&) = delete;
  ~pool_guard() { guarded->close(); }
};

// No room: the first block that this thread frees, or one too many, or the thread is ending.
[[gnu::noinline, gnu::cold]] inline void shelve_slowly(void* memory, std::size_t index) noexcept {
  pool& mine = thread_pool;
  if (!mine.closed) {
    static thread_local pool_guard guard;
    if (pool::shelf& shelf = mine.shelves[index]; shelf.room != 0) {
      shelf.first = ::new (memory) pool::free_block{shelf.first};
      --shelf.room;
      return;
    }
  }
  ::operator delete(memory);
}

/// Gives a block of the class `index`, aligned for any object. Throws std::bad_alloc. Not for inlining into a
/// coroutine.
[[nodiscard]] inline void* unshelve(std::size_t index) {
  pool::shelf& shelf = thread_pool.shelves[index];
  if (pool::free_block* block = shelf.first) [[likely]] {
    shelf.first = block->next;
    ++shelf.room;
    return block;
  }
  return ::operator new(size_classes::size(index));
}
/// Takes it back. Not for inlining into a coroutine.
inline void shelve(void* memory, std::size_t index) noexcept {
  pool::shelf& shelf = thread_pool.shelves[index];
  if (shelf.room == 0) [[unlikely]] {
    shelve_slowly(memory, index);
    return;
  }
  shelf.first = ::new (memory) pool::free_block{shelf.first};
  --shelf.room;
}

#ifdef COFLOW_NO_POOL
inline constexpr bool pooling = false;
#else
inline constexpr bool pooling = true;
#endif

/// Gives `size` bytes (rounded up to its class), aligned for any object. Throws std::bad_alloc.
[[nodiscard, gnu::noinline]] inline void* pool_allocate(std::size_t size) {
  if (!pooling || size > size_classes::limit) return ::operator new(size);
  return unshelve(size_classes::index(size));
}

/// Takes back what `pool_allocate(size)` gave, on any thread.
[[gnu::noinline]] inline void pool_free(void* memory, std::size_t size) noexcept {
  if (!pooling || size > size_classes::limit)
    ::operator delete(memory);
  else
    shelve(memory, size_classes::index(size));
}

/// A base that puts objects of the derived class into the pool, but for those that want more alignment than it gives.
struct pooled {
  [[nodiscard]] static void* operator new(std::size_t size) { return pool_allocate(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { pool_free(memory, size); }

  [[nodiscard]] static void* operator new(std::size_t size, std::align_val_t alignment) {
    return ::operator new(size, alignment);
  }
  static void operator delete(void* memory, std::size_t, std::align_val_t alignment) noexcept {
    ::operator delete(memory, alignment);
  }
};

}  // namespace detail
}  // namespace coflow::inline v0
