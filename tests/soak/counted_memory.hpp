#pragma once

// Replaces operator new and delete by ones that count what is live. For programs with one thread; included by one file
// of each.

#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

struct live_memory {
  long blocks = 0;
  long bytes = 0;
  long peak = 0;  // of bytes, since it was last set back
};
inline live_memory memory_in_use;

inline void* allocate_counted(std::size_t size, std::size_t alignment) {
  void* made = alignment == 0 ? std::malloc(size == 0 ? 1 : size)
                              : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (made == nullptr) throw std::bad_alloc();
  ++memory_in_use.blocks;
  memory_in_use.bytes += static_cast<long>(::malloc_usable_size(made));
  if (memory_in_use.bytes > memory_in_use.peak) memory_in_use.peak = memory_in_use.bytes;
  return made;
}
inline void free_counted(void* memory) noexcept {
  if (memory == nullptr) return;
  --memory_in_use.blocks;
  memory_in_use.bytes -= static_cast<long>(::malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace support

void* operator new(std::size_t size) { return support::allocate_counted(size, 0); }
void* operator new[](std::size_t size) { return support::allocate_counted(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return support::allocate_counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { support::free_counted(memory); }
void operator delete[](void* memory) noexcept { support::free_counted(memory); }
void operator delete(void* memory, std::size_t) noexcept { support::free_counted(memory); }
void operator delete[](void* memory, std::size_t) noexcept { support::free_counted(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { support::free_counted(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { support::free_counted(memory); }
