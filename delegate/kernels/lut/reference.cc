#include "delegate/kernels/lut/leaf.h"

namespace int8x {

void lut_x8_x8_reference(const LutParams& params, const uint8_t* input, uint8_t* output,
                         int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = params.table[input[i]];
}

}  // namespace int8x
