// Sums of doubles without rounding, so that order and grouping change no bit.

#ifndef INT8X_QUANTIZATION_EXACT_SUM_H_
#define INT8X_QUANTIZATION_EXACT_SUM_H_

#include <cstddef>
#include <cstdint>

namespace int8x {

// An exact sum is kExactLimbs signed limbs: value = 2^-149 * sum over i of limbs[i] * 2^(32 i).
// Normal form: all but the last limb lie in [0, 2^32); equal values have equal limbs.
constexpr size_t kExactLimbs = 12;

// sums[i] += x[i], i in [0, n); sums is n x kExactLimbs in normal form before and after.
// x[i] is finite, a multiple of 2^-149 and below 2^200 in size, as every sum of floats is.
void add_exactly(const double* x, size_t n, int64_t* sums);

// sums[i] += other[i], both n x kExactLimbs in normal form.
void merge_exact_sums(const int64_t* other, size_t n, int64_t* sums);

}  // namespace int8x

#endif  // INT8X_QUANTIZATION_EXACT_SUM_H_
