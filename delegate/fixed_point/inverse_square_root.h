// 1 / sqrt(x) as a Multiplier, exactly as TFLite's reference kernels find it.

#ifndef INT8X_FIXED_POINT_INVERSE_SQUARE_ROOT_H_
#define INT8X_FIXED_POINT_INVERSE_SQUARE_ROOT_H_

#include <cstdint>

#include "delegate/fixed_point/requantize.h"

namespace int8x {

// multiplier * 2^(shift - 31) ~= 1 / sqrt(x), shift <= 0: five Newton steps in Q3.28 on x scaled by
// a power of four into [1/2, 2). x >= 0; 0 and 1 give {2^31 - 1, 0}.
Multiplier inverse_square_root(int32_t x);

}  // namespace int8x

#endif  // INT8X_FIXED_POINT_INVERSE_SQUARE_ROOT_H_
