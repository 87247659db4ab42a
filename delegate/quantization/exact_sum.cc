#include "delegate/quantization/exact_sum.h"

#include <cmath>

namespace int8x {
namespace {

void normalize(int64_t* limbs) {
  for (size_t i = 0; i + 1 < kExactLimbs; ++i) {
    const int64_t carry = limbs[i] >> 32;  // floor, so that the rest is not negative
    limbs[i] -= carry * (int64_t{1} << 32);
    limbs[i + 1] += carry;
  }
}

}  // namespace

void add_exactly(const double* x, size_t n, int64_t* sums) {
  for (size_t i = 0; i < n; ++i) {
    if (x[i] == 0.0) continue;
    int64_t* limbs = sums + i * kExactLimbs;
    int exponent;
    // x = mantissa * 2^(exponent - 53), mantissa an integer of at most 53 bits.
    int64_t mantissa = static_cast<int64_t>(std::ldexp(std::frexp(x[i], &exponent), 53));
    int position = exponent - 53 + 149;
    if (position < 0) {  // the low bits are zero: x is a multiple of 2^-149
      mantissa /= int64_t{1} << -position;
      position = 0;
    }
    const size_t limb = static_cast<size_t>(position) / 32;
    // |mantissa| < 2^53 shifted by less than 32: in two parts, each within 64 bits.
    const int64_t factor = int64_t{1} << (position % 32);
    const int64_t high = mantissa >> 32, low = mantissa - high * (int64_t{1} << 32);
    const int64_t low_part = low * factor, high_part = high * factor;
    limbs[limb] += low_part & 0xffffffff;
    limbs[limb + 1] += (low_part >> 32) + (high_part & 0xffffffff);
    limbs[limb + 2] += high_part >> 32;
    normalize(limbs);
  }
}

void merge_exact_sums(const int64_t* other, size_t n, int64_t* sums) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t limb = 0; limb < kExactLimbs; ++limb) {
      sums[i * kExactLimbs + limb] += other[i * kExactLimbs + limb];
    }
    normalize(sums + i * kExactLimbs);
  }
}

}  // namespace int8x
