#include "delegate/quantization/exact_sum.h"

#include <cstring>

namespace int8x {
namespace {

// To normal form again, when only limbs[first, last) may have left it.
void normalize(int64_t* limbs, size_t first, size_t last) {
  for (size_t i = first; i + 1 < kExactLimbs; ++i) {
    const int64_t carry = limbs[i] >> 32;  // floor, so that the rest is not negative
    if (carry == 0 && i >= last) return;
    limbs[i] -= carry * (int64_t{1} << 32);
    limbs[i + 1] += carry;
  }
}

}  // namespace

void add_exactly(const double* x, size_t n, int64_t* sums) {
  for (size_t i = 0; i < n; ++i) {
    if (x[i] == 0.0) continue;
    int64_t* limbs = sums + i * kExactLimbs;
    // |x| = mantissa * 2^(position - 149), by its bits: no double here is subnormal.
    uint64_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    uint64_t magnitude = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
    int position = static_cast<int>(bits >> 52 & 0x7ff) - 1075 + 149;
    if (position < 0) {  // the low bits are zero: x is a multiple of 2^-149
      magnitude >>= -position;
      position = 0;
    }
    const auto size = static_cast<int64_t>(magnitude);
    const int64_t mantissa = bits >> 63 ? -size : size;
    const size_t limb = static_cast<size_t>(position) / 32;
    // |mantissa| < 2^53 shifted by less than 32: in two parts, each within 64 bits.
    const int64_t factor = int64_t{1} << (position % 32);
    const int64_t high = mantissa >> 32, low = mantissa - high * (int64_t{1} << 32);
    const int64_t low_part = low * factor, high_part = high * factor;
    limbs[limb] += low_part & 0xffffffff;
    limbs[limb + 1] += (low_part >> 32) + (high_part & 0xffffffff);
    limbs[limb + 2] += high_part >> 32;
    normalize(limbs, limb, limb + 3);
  }
}

void merge_exact_sums(const int64_t* other, size_t n, int64_t* sums) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t limb = 0; limb < kExactLimbs; ++limb) {
      sums[i * kExactLimbs + limb] += other[i * kExactLimbs + limb];
    }
    normalize(sums + i * kExactLimbs, 0, kExactLimbs);
  }
}

}  // namespace int8x
