#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/resize/leaf.h"

namespace int8x {

void resize_bilinear_s8_s8_reference(const ResizeCorners& c, int64_t channels, int8_t* output) {
  for (int64_t i = 0; i < channels; ++i) {
    const int32_t top = c.at[0][0][i] * c.x[0] + c.at[0][1][i] * c.x[1];
    const int32_t bottom = c.at[1][0][i] * c.x[0] + c.at[1][1][i] * c.x[1];
    // Below 2^30 even where weights are negative.
    output[i] = static_cast<int8_t>(rounding_divide_by_pot(top * c.y[0] + bottom * c.y[1], 20));
  }
}

}  // namespace int8x
