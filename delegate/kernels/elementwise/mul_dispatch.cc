#include <cmath>

#include "delegate/kernels/elementwise/leaf.h"
#include "delegate/kernels/elementwise/mul.h"

namespace int8x {
namespace {

constexpr MulKernel kKernels[] = {
#define INT8X_ADD_KERNEL(arch, name, takes_line)
#define INT8X_BINARY_KERNEL(arch, name, kind)
#define INT8X_MUL_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

}  // namespace

MulKernelList mul_kernels() { return {kKernels, kKernelCount}; }

bool make_mul_params(const MulQuantization& q, const int32_t* lhs_dims, int lhs_rank,
                     const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs, MulParams* out) {
  if (!usable(q.lhs_scale) || !usable(q.rhs_scale) || !usable(q.output_scale)) return false;
  if (q.activation_min > q.activation_max) return false;
  const float product = q.lhs_scale * q.rhs_scale;
  const float scale = product / q.output_scale;
  MulParams params = {};
  if (!std::isfinite(scale)) return false;
  params.output = quantize_multiplier(scale);
  if (params.output.shift > 30 ||
      !make_broadcast(lhs_dims, lhs_rank, rhs_dims, rhs_rank, &params.shape)) {
    return false;
  }
  params.lhs_zero_point = q.lhs_zero_point;
  params.rhs_zero_point = q.rhs_zero_point;
  params.output_zero_point = q.output_zero_point;
  params.activation_min = q.activation_min;
  params.activation_max = q.activation_max;
  params.kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), params.kernel->arch)) ++params.kernel;
  *out = params;
  return true;
}

int64_t mul_tiles(const MulParams& params) {
  return (params.shape.size + kElementwiseTile - 1) / kElementwiseTile;
}

void mul_run(const MulParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
             int64_t tile_begin, int64_t tile_end, void*) {
  int64_t end = tile_end * kElementwiseTile;
  if (end > params.shape.size) end = params.shape.size;
  for_each_row(params.shape, lhs, rhs, output, tile_begin * kElementwiseTile, end,
               [&](const int8_t* a, int64_t a_step, const int8_t* b, int64_t b_step, int8_t* y,
                   int64_t count) { params.kernel->run(params, a, a_step, b, b_step, y, count); });
}

const char* mul_kernel_name(const MulParams& params) { return params.kernel->name; }

}  // namespace int8x
