// REDUCE_MAX and REDUCE_MIN of an int8 tensor over any axes: raw, of one quantization
// (docs/numerics.md, `extremum_run`).

#ifndef INT8X_KERNELS_REDUCE_EXTREMUM_H_
#define INT8X_KERNELS_REDUCE_EXTREMUM_H_

#include <cstddef>
#include <cstdint>

#include "delegate/kernels/reduce/axes.h"

namespace int8x {

struct ExtremumParams : ReduceAxes {
  bool maximum;  // else the minimum
};

// False where make_reduce_axes() is.
bool make_extremum_params(bool maximum, const int32_t* dims, int rank, const int32_t* axes,
                          int axis_count, ExtremumParams* out);

inline size_t extremum_scratch_bytes(const ExtremumParams&) { return 0; }
int64_t extremum_tiles(const ExtremumParams& params);
void extremum_run(const ExtremumParams& params, const int8_t* input, int8_t* output,
                  int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* extremum_kernel_name(const ExtremumParams&) {
  return "extremum_s8_s8_reference";
}

}  // namespace int8x

#endif  // INT8X_KERNELS_REDUCE_EXTREMUM_H_
