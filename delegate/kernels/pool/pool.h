// AVERAGE_POOL_2D and MAX_POOL_2D of int8 NHWC tensors (docs/numerics.md, `pool_run`). Taps outside
// the input do not exist; input and output share scale and zero point, so neither appears.
//
//   average: s = sum of the n taps inside the input
//            output = clamp((s > 0 ? s + n / 2 : s - n / 2) / n, activation_min, activation_max)
//            with integer divisions that truncate
//   max:     output = clamp(max of the taps inside the input, activation_min, activation_max)

#ifndef INT8X_KERNELS_POOL_POOL_H_
#define INT8X_KERNELS_POOL_POOL_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

enum class PoolKind : uint8_t { average, max };

struct PoolGeometry {
  int32_t batch;
  int32_t in_h, in_w, channels;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_top, pad_left;
};

struct PoolKernel;

struct PoolParams {
  PoolKind kind;
  PoolGeometry geometry;
  int32_t activation_min, activation_max;  // the fused activation, within [-128, 127]
  const PoolKernel* kernel;
};

// The taps of one output pixel: rows x columns pixels, neighbours `row_stride` and `channels`
// apart.
struct PoolWindow {
  const int8_t* input;
  int64_t row_stride;
  int32_t rows, columns;  // both at least 1
};

struct PoolKernel {
  arch::Arch arch;
  const char* name;
  PoolKind kind;
  void (*run)(const PoolParams&, const PoolWindow&, int8_t* output);  // all channels of a pixel
};

struct PoolKernelList {
  const PoolKernel* kernels;  // best first; the last of each kind is the reference
  int count;
};
PoolKernelList pool_kernels();

// False when a size or stride is not positive, a pad is negative, a window has no tap inside the
// input, or a window has 2^23 taps and more.
bool make_pool_params(PoolKind kind, const PoolGeometry& geometry, int32_t activation_min,
                      int32_t activation_max, arch::ArchSet archs, PoolParams* out);

inline size_t pool_scratch_bytes(const PoolParams&) { return 0; }
int64_t pool_tiles(const PoolParams& params);  // rows of the output
void pool_run(const PoolParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
              int64_t tile_end, void* scratch);
const char* pool_kernel_name(const PoolParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_POOL_POOL_H_
