#include "tests/tflite_host/allocations.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

// glibc's own names of the functions that are replaced here.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* block);
}

namespace {

std::atomic<int64_t> calls{0}, frees{0}, bytes{0};

void count(size_t size) {
  calls.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(static_cast<int64_t>(size), std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void* calloc(size_t number, size_t size) {
  count(number * size);
  return __libc_calloc(number, size);
}

void* realloc(void* block, size_t size) {
  if (block == nullptr) count(size);
  return __libc_realloc(block, size);
}

int posix_memalign(void** block, size_t alignment, size_t size) {
  count(size);
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}

void* aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void free(void* block) {
  if (block != nullptr) frees.fetch_add(1, std::memory_order_relaxed);
  __libc_free(block);
}

}  // extern "C"

namespace int8x::host {

int64_t allocations() { return calls.load(); }
int64_t live_allocations() { return calls.load() - frees.load(); }
int64_t allocated_bytes() { return bytes.load(); }

}  // namespace int8x::host
