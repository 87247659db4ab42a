// One owned, aligned block of bytes. Allocation failure is an answer, not an exception.

#ifndef INT8X_BASE_MEMORY_H_
#define INT8X_BASE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace int8x {

// A cache line, and the widest vector or tile row that a kernel loads.
constexpr size_t kAlignment = 64;

constexpr size_t align_up(size_t n) { return (n + kAlignment - 1) & ~(kAlignment - 1); }

class Block {
 public:
  Block() = default;
  ~Block() { std::free(data_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  Block(Block&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }

  // Makes the block hold at least `size` bytes; old contents are lost when it must grow.
  // False when there is no memory: the block is then empty.
  bool reserve(size_t size) {
    if (size <= size_) return true;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    if (size > SIZE_MAX - kAlignment) return false;
    void* data = nullptr;
    if (posix_memalign(&data, kAlignment, align_up(size)) != 0) return false;
    data_ = data;
    size_ = align_up(size);
    return true;
  }

  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace int8x

#endif  // INT8X_BASE_MEMORY_H_
