#include "delegate/quantization/affine.h"

#include <cmath>

namespace int8x {

void quantize_affine(const float* x, size_t n, double scale, int32_t zero_point, int32_t lo,
                     int32_t hi, int32_t* q) {
  for (size_t i = 0; i < n; ++i) {
    // Clamping as a double keeps huge quotients out of the cast; zero_point is added before it.
    const double real = std::round(static_cast<double>(x[i]) / scale) + zero_point;
    q[i] = std::isnan(real) ? zero_point
           : real < lo      ? lo
           : real > hi      ? hi
                            : static_cast<int32_t>(real);
  }
}

void dequantize_affine(const int32_t* q, size_t n, double scale, int32_t zero_point, float* x) {
  for (size_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(scale * (static_cast<int64_t>(q[i]) - zero_point));
  }
}

}  // namespace int8x
