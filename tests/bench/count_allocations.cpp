// A library to preload: counts the allocations of a process, in the first eight bytes of $COUNT_ALLOCATIONS_FILE.
// Every way to allocate with glibc is here; operator new ends in malloc.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {

using counter = std::atomic<std::uint64_t>;
static_assert(sizeof(counter) == sizeof(std::uint64_t) && counter::is_always_lock_free);

constinit counter before_the_file{0};  // the loader's own
constinit counter* allocations = &before_the_file;

[[gnu::constructor]] void open_file() {
  const char* name = std::getenv("COUNT_ALLOCATIONS_FILE");
  const int file = name != nullptr ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (file < 0) return;
  if (ftruncate(file, sizeof(counter)) == 0) {
    void* page = mmap(nullptr, sizeof(counter), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) allocations = static_cast<counter*>(page);
  }
  close(file);
}

void count() { allocations->fetch_add(1, std::memory_order_relaxed); }

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) {
  count();
  return __libc_calloc(number, size);
}
void* realloc(void* old, std::size_t size) {
  count();
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  count();
  *out = __libc_memalign(alignment, size);
  return *out != nullptr ? 0 : ENOMEM;
}
}
