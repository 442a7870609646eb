/// \file
/// Where the frames of this library's coroutines come from.
#pragma once

#include <cstddef>
#ifdef COFLOW_COUNT_FRAMES
#include <atomic>
#endif

#include "coflow/core/detail/pool.hpp"

namespace coflow::inline v0 {
namespace detail {

#ifdef COFLOW_COUNT_FRAMES
/// How many frames exist, in programs that are built to count them.
inline std::atomic<long> live_frames{0};
#endif

/// A base of promises: the frame comes from the pool of the thread. Making one may throw std::bad_alloc.
class pooled_frame {
 public:
  [[nodiscard]] static void* operator new(std::size_t size) {
    void* frame = pool_allocate(size);
#ifdef COFLOW_COUNT_FRAMES
    live_frames.fetch_add(1, std::memory_order_relaxed);
#endif
    return frame;
  }
  static void operator delete(void* frame, std::size_t size) noexcept {
#ifdef COFLOW_COUNT_FRAMES
    live_frames.fetch_sub(1, std::memory_order_relaxed);
#endif
    pool_free(frame, size);
  }

 protected:
  pooled_frame() noexcept {}
  ~pooled_frame() = default;
};

}  // namespace detail
}  // namespace coflow::inline v0
