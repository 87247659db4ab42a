// L2_NORMALIZATION of int8 rows; the output has scale 1/128 and zero point 0 (docs/numerics.md,
// `l2_normalization_run`).
//
//   x      = input - input_zero_point
//   (m, e) = inverse_square_root(sum of x * x along the row)
//   output = clamp(MBQM(x, {m, e + 7}), -128, 127)

#ifndef INT8X_KERNELS_REDUCE_L2_NORMALIZATION_H_
#define INT8X_KERNELS_REDUCE_L2_NORMALIZATION_H_

#include <cstddef>
#include <cstdint>

namespace int8x {

struct L2NormalizationParams {
  int32_t input_zero_point;
  int64_t rows, depth;
};

// False when rows or depth is not positive, the zero point is no int8, or the sum of depth squares
// could leave int32.
bool make_l2_normalization_params(int32_t input_zero_point, int64_t rows, int64_t depth,
                                  L2NormalizationParams* out);

inline size_t l2_normalization_scratch_bytes(const L2NormalizationParams&) { return 0; }
inline int64_t l2_normalization_tiles(const L2NormalizationParams& params) { return params.rows; }
// output may be input.
void l2_normalization_run(const L2NormalizationParams& params, const int8_t* input, int8_t* output,
                          int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* l2_normalization_kernel_name(const L2NormalizationParams&) {
  return "l2_normalization_s8_s8_reference";
}

}  // namespace int8x

#endif  // INT8X_KERNELS_REDUCE_L2_NORMALIZATION_H_
