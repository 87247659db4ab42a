// RESIZE_BILINEAR of int8 NHWC tensors (docs/numerics.md, `resize_bilinear_run`). Along each axis,
// with n inputs and m outputs:
//
//   step   = (1024 * n + m / 2) / m;  align_corners and m > 1: (1024 * (n - 1) + (m - 1) / 2) / (m
//   - 1) at(i)  = i * step, and step / 2 - 512 more with half_pixel_centers low    = max(at / 1024,
//   0); high = min((at + 1023) / 1024, n - 1) weights 1024 - f and f, f = at - 1024 * low
//
//   output = RDBP(sum over the four corners of value * weight_y * weight_x, 20)
//
// Divisions truncate. Values are raw: input and output have one quantization.

#ifndef INT8X_KERNELS_RESIZE_RESIZE_BILINEAR_H_
#define INT8X_KERNELS_RESIZE_RESIZE_BILINEAR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "delegate/base/arch.h"

namespace int8x {

struct ResizeGeometry {
  int32_t batch, in_h, in_w, channels, out_h, out_w;
  bool align_corners, half_pixel_centers;
};

// Where one output of an axis lies between two inputs.
struct ResizePoint {
  int32_t low, high;
  int32_t fraction;  // f: in [-512, 1024]
};

struct ResizeKernel;

struct ResizeParams {
  ResizeGeometry geometry;
  std::vector<ResizePoint> rows, columns;
  const ResizeKernel* kernel;
};

// The four inputs of one output pixel, [y][x], with their weights along each axis.
struct ResizeCorners {
  const int8_t* at[2][2];
  int32_t y[2], x[2];  // in [-512, 1536]
};

struct ResizeKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const ResizeCorners& corners, int64_t channels, int8_t* output);
};

struct ResizeKernelList {
  const ResizeKernel* kernels;  // best first; the last is the reference
  int count;
};
ResizeKernelList resize_kernels();

// False when a size is not positive, both options are set (the reference refuses that), or an
// output lies beyond the last input, where the reference reads past the end.
bool make_resize_params(const ResizeGeometry& geometry, arch::ArchSet archs, ResizeParams* out);

inline size_t resize_bilinear_scratch_bytes(const ResizeParams&) { return 0; }
int64_t resize_bilinear_tiles(const ResizeParams& params);  // output rows
void resize_bilinear_run(const ResizeParams& params, const int8_t* input, int8_t* output,
                         int64_t tile_begin, int64_t tile_end, void* scratch);
const char* resize_bilinear_kernel_name(const ResizeParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_RESIZE_RESIZE_BILINEAR_H_
