// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_OBSERVE_LEAF_H_
#define INT8X_KERNELS_OBSERVE_LEAF_H_

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/observe/observe.h"

namespace int8x {

#define INT8X_SUMMARIZE_KERNEL(arch, name) \
  void name(const float* x, size_t rows, size_t channels, float* min, float* max, double* sum);
#define INT8X_UPPER_HALVES_KERNEL(arch, name) \
  size_t name(const float* x, size_t n, uint16_t* halves);
#include "delegate/kernels/observe/kernels.inc"
#undef INT8X_SUMMARIZE_KERNEL
#undef INT8X_UPPER_HALVES_KERNEL

// Whether `sum` plus n floats, added in double, is the same in every order. least, most: the
// smallest bits of |x| over those that are not zero, and the largest over all; most = 0 when all
// are zero. Every float here is a multiple of u = 2^(e - 150), e the exponent of the least one.
// When sum is one too, and |sum| + n * 2^(E - 126) <= 2^53 u, E the exponent of the largest, then
// every partial sum is a multiple of u that a double holds: no addition rounds.
INT8X_INLINE bool sums_exactly(uint32_t least, uint32_t most, size_t n, double sum) {
  if (most == 0) return true;
  const uint64_t e = least >> 23, top = most >> 23;
  if (e == 0 || top == 255) return false;  // subnormal; infinite or NaN
  // Powers of two by their bits: exponent 1023 is that of 1.
  const uint64_t unit_bits = (1023 + e - 150) << 52, top_bits = (1023 + top - 126) << 52;
  double unit, largest;
  std::memcpy(&unit, &unit_bits, sizeof unit);
  std::memcpy(&largest, &top_bits, sizeof largest);
  const double units = sum / unit;  // exact, or out of range
  const double all = (units < 0 ? -units : units) + static_cast<double>(n) * (largest / unit);
  if (!(all <= 0x1p53)) return false;
  return static_cast<double>(static_cast<int64_t>(units)) == units;
}

}  // namespace int8x

#endif  // INT8X_KERNELS_OBSERVE_LEAF_H_
