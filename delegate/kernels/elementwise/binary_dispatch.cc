#include <cmath>

#include "delegate/kernels/elementwise/binary.h"
#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {
namespace {

constexpr BinaryKernel kKernels[] = {
#define INT8X_ADD_KERNEL(arch, name, takes_line)
#define INT8X_MUL_KERNEL(arch, name)
#define INT8X_BINARY_KERNEL(arch, name, kind) {arch, kind, #name, name},
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

bool smaller_than_one(double d, Multiplier* out) {
  if (!(d > 0.0 && d < 1.0)) return false;
  *out = quantize_multiplier(d);
  return out->shift <= 0;
}

bool fits(float scale, Multiplier* out) {
  if (!std::isfinite(scale)) return false;
  *out = quantize_multiplier(scale);
  return out->shift <= 30;
}

bool find_multipliers(BinaryKind kind, const BinaryQuantization& q, BinaryParams* p) {
  switch (kind) {
    case BinaryKind::maximum:
    case BinaryKind::minimum:
      return q.lhs_scale == q.output_scale && q.rhs_scale == q.output_scale &&
             q.lhs_zero_point == q.output_zero_point && q.rhs_zero_point == q.output_zero_point;
    case BinaryKind::squared_difference: {
      const double twice = 2.0f * (q.lhs_scale > q.rhs_scale ? q.lhs_scale : q.rhs_scale);
      const float shifted_output = static_cast<float>(1 << 14) * q.output_scale;
      return std::isfinite(twice) && std::isfinite(shifted_output) &&
             smaller_than_one(q.lhs_scale / twice, &p->lhs) &&
             smaller_than_one(q.rhs_scale / twice, &p->rhs) &&
             smaller_than_one(twice * twice / shifted_output, &p->output);
    }
    case BinaryKind::prelu: {
      const float product = q.lhs_scale * q.rhs_scale;
      return fits(q.lhs_scale / q.output_scale, &p->lhs) && fits(product / q.output_scale, &p->rhs);
    }
  }
  return false;
}

}  // namespace

BinaryKernelList binary_kernels() { return {kKernels, kKernelCount}; }

bool make_binary_params(BinaryKind kind, const BinaryQuantization& q, const int32_t* lhs_dims,
                        int lhs_rank, const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs,
                        BinaryParams* out) {
  if (!usable(q.lhs_scale) || !usable(q.rhs_scale) || !usable(q.output_scale)) return false;
  BinaryParams params = {};
  if (!find_multipliers(kind, q, &params) ||
      !make_broadcast(lhs_dims, lhs_rank, rhs_dims, rhs_rank, &params.shape)) {
    return false;
  }
  params.lhs_zero_point = q.lhs_zero_point;
  params.rhs_zero_point = q.rhs_zero_point;
  params.output_zero_point = q.output_zero_point;
  params.kernel = kKernels;
  archs |= arch::bit(arch::reference);
  while (params.kernel->kind != kind || !arch::has(archs, params.kernel->arch)) ++params.kernel;
  *out = params;
  return true;
}

int64_t binary_tiles(const BinaryParams& params) {
  return (params.shape.size + kElementwiseTile - 1) / kElementwiseTile;
}

void binary_run(const BinaryParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
                int64_t tile_begin, int64_t tile_end, void*) {
  int64_t end = tile_end * kElementwiseTile;
  if (end > params.shape.size) end = params.shape.size;
  for_each_row(params.shape, lhs, rhs, output, tile_begin * kElementwiseTile, end,
               [&](const int8_t* a, int64_t a_step, const int8_t* b, int64_t b_step, int8_t* y,
                   int64_t count) { params.kernel->run(params, a, a_step, b, b_step, y, count); });
}

const char* binary_kernel_name(const BinaryParams& params) { return params.kernel->name; }

}  // namespace int8x
