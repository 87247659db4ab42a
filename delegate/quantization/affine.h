// Reals to integers of one grid and back: q = round(x / scale) + zero_point, x = scale * (q -
// zero_point).

#ifndef INT8X_QUANTIZATION_AFFINE_H_
#define INT8X_QUANTIZATION_AFFINE_H_

#include <cstddef>
#include <cstdint>

namespace int8x {

// q[i] = clamp(round_half_away(x[i] / scale) + zero_point, lo, hi), the division in double.
// scale > 0; lo and hi lie in int32. NaN becomes zero_point. x and q do not overlap.
void quantize_affine(const float* x, size_t n, double scale, int32_t zero_point, int32_t lo,
                     int32_t hi, int32_t* q);

// x[i] = float(scale * (q[i] - zero_point)): the product in double, one rounding, as DEQUANTIZE
// does.
void dequantize_affine(const int32_t* q, size_t n, double scale, int32_t zero_point, float* x);

}  // namespace int8x

#endif  // INT8X_QUANTIZATION_AFFINE_H_
