#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/fully_connected/fully_connected.h"
#include "delegate/kernels/requantize/requantize.h"

namespace int8x {

void fully_connected_reference(const FullyConnectedSpec& spec, int64_t rows, const int8_t* input,
                               int8_t* output) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int o = 0; o < spec.out_c; ++o) {
      const int8_t* weights = spec.weights + int64_t{o} * spec.in_c;
      uint32_t sum = spec.bias == nullptr ? 0 : static_cast<uint32_t>(spec.bias[o]);
      for (int k = 0; k < spec.in_c; ++k)
        sum += static_cast<uint32_t>((input[r * spec.in_c + k] - spec.input_zero_point) *
                                     (weights[k] - spec.weights_zero_point));
      const double scale = spec.scales[spec.scale_count == 1 ? 0 : o];
      const int32_t scaled = round_to_int32(static_cast<double>(static_cast<int32_t>(sum)) * scale);
      *output++ = static_cast<int8_t>(clamp(wrapping_add(scaled, spec.output_zero_point),
                                            spec.activation_min, spec.activation_max));
    }
  }
}

}  // namespace int8x
