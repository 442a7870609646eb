// Loaded in front of the C library: counts what a program allocates and writes the number, when the program ends, to
// the file that COUNT_ALLOCATIONS_TO names.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* memory, size_t size);
extern void* __libc_memalign(size_t alignment, size_t size);

static unsigned long calls;
static void count(void) { __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED); }

void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}
void* realloc(void* memory, size_t size) {
  count();
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

__attribute__((destructor)) static void report(void) {
  const unsigned long at_the_end = calls;
  const char* name = getenv("COUNT_ALLOCATIONS_TO");
  FILE* file = name == NULL ? NULL : fopen(name, "w");
  if (file == NULL) return;
  fprintf(file, "%lu\n", at_the_end);
  fclose(file);
}
