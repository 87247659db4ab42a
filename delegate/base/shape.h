// Element types and shapes of values, as every layer above names them.

#ifndef INT8X_BASE_SHAPE_H_
#define INT8X_BASE_SHAPE_H_

#include <cstddef>
#include <cstdint>

namespace int8x {

enum class ElementType : uint8_t { s8, u8, s16, s32, s64, f32, b8 };  // b8: a bool

constexpr size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::s8:
    case ElementType::u8:
    case ElementType::b8:
      return 1;
    case ElementType::s16:
      return 2;
    case ElementType::s32:
    case ElementType::f32:
      return 4;
    case ElementType::s64:
      return 8;
  }
  return 0;
}

struct Shape {
  static constexpr int kMaxRank = 6;
  // No tensor of more elements is taken: every index then fits in 32 bits.
  static constexpr int64_t kMaxElements = INT32_MAX;

  int rank = 0;
  int32_t dims[kMaxRank] = {};

  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  // dims counted from the end: back(0) is the innermost; 1 beyond the rank.
  int32_t back(int i) const { return i < rank ? dims[rank - 1 - i] : 1; }

  bool operator==(const Shape& other) const {
    if (rank != other.rank) return false;
    for (int i = 0; i < rank; ++i) {
      if (dims[i] != other.dims[i]) return false;
    }
    return true;
  }
  bool operator!=(const Shape& other) const { return !(*this == other); }
};

}  // namespace int8x

#endif  // INT8X_BASE_SHAPE_H_
