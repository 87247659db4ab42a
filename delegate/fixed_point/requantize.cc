#include "delegate/fixed_point/requantize.h"

#include <cmath>

namespace int8x {

Multiplier quantize_multiplier(double d) {
  if (d == 0.0) return {0, 0};
  int exponent;
  const double fraction = std::frexp(d, &exponent);
  int64_t multiplier = static_cast<int64_t>(std::round(fraction * 2147483648.0));
  if (multiplier == int64_t{1} << 31) {
    multiplier /= 2;
    ++exponent;
  }
  if (exponent < -31) return {0, 0};
  return {static_cast<int32_t>(multiplier), exponent};
}

}  // namespace int8x
