#include "delegate/kernels/conv/conv.h"

namespace int8x {

void conv_reference(const ConvSpec& spec, const ConvGeometry& g, const int8_t* input,
                    int8_t* output) {
  const int group_in_c = g.in_c / g.groups, group_out_c = g.out_c / g.groups;
  for (int b = 0; b < g.batch; ++b) {
    for (int y = 0; y < g.out_h; ++y) {
      for (int x = 0; x < g.out_w; ++x) {
        for (int o = 0; o < g.out_c; ++o) {
          uint32_t sum = spec.bias == nullptr ? 0 : static_cast<uint32_t>(spec.bias[o]);
          for (int ky = 0; ky < g.kernel_h; ++ky) {
            const int iy = y * g.stride_h + ky * g.dilation_h - g.pad_top;
            if (iy < 0 || iy >= g.in_h) continue;
            for (int kx = 0; kx < g.kernel_w; ++kx) {
              const int ix = x * g.stride_w + kx * g.dilation_w - g.pad_left;
              if (ix < 0 || ix >= g.in_w) continue;
              const int8_t* pixel = input + ((int64_t{b} * g.in_h + iy) * g.in_w + ix) * g.in_c +
                                    o / group_out_c * group_in_c;
              const int8_t* weights =
                  spec.weights + ((int64_t{o} * g.kernel_h + ky) * g.kernel_w + kx) * group_in_c;
              for (int c = 0; c < group_in_c; ++c)
                sum += static_cast<uint32_t>((pixel[c] - spec.input_zero_point) * weights[c]);
            }
          }
          const int32_t scaled =
              multiply_by_quantized_multiplier(static_cast<int32_t>(sum), spec.multipliers[o]);
          *output++ = static_cast<int8_t>(clamp(wrapping_add(scaled, spec.output_zero_point),
                                                spec.activation_min, spec.activation_max));
        }
      }
    }
  }
}

}  // namespace int8x
