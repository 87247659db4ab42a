// The linker sends every call of malloc and its kin here (--wrap, see BUILD and CMakeLists.txt).

#include "tests/tflite_host/allocations.h"

#include <atomic>
#include <cstddef>
#include <new>

extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* block, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void** block, size_t alignment, size_t size);
void __real_free(void* block);
}

namespace {

std::atomic<int64_t> calls{0}, frees{0}, bytes{0};

void count(size_t size) {
  calls.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(static_cast<int64_t>(size), std::memory_order_relaxed);
}

void count_free(void* block) {
  if (block != nullptr) frees.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* __wrap_malloc(size_t size) {
  count(size);
  return __real_malloc(size);
}

void* __wrap_calloc(size_t number, size_t size) {
  count(number * size);
  return __real_calloc(number, size);
}

void* __wrap_realloc(void* block, size_t size) {
  if (block == nullptr) count(size);
  return __real_realloc(block, size);
}

void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void** block, size_t alignment, size_t size) {
  count(size);
  return __real_posix_memalign(block, alignment, size);
}

void __wrap_free(void* block) {
  count_free(block);
  __real_free(block);
}

}  // extern "C"

// The C++ library may be a shared one, whose calls no linker option moves.
void* operator new(size_t size) {
  count(size);
  return __real_malloc(size);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  count(size);
  return __real_malloc(size);
}
void operator delete(void* block) noexcept {
  count_free(block);
  __real_free(block);
}
void operator delete(void* block, size_t) noexcept {
  count_free(block);
  __real_free(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
  count_free(block);
  __real_free(block);
}

namespace int8x::host {

int64_t allocations() { return calls.load(); }
int64_t live_allocations() { return calls.load() - frees.load(); }
int64_t allocated_bytes() { return bytes.load(); }

}  // namespace int8x::host
