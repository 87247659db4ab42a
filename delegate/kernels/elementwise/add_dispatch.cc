#include <cmath>

#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {
namespace {

constexpr AddKernel kKernels[] = {
#define INT8X_ADD_KERNEL(arch, name, takes_line) {arch, #name, takes_line, name},
#define INT8X_MUL_KERNEL(arch, name)
#define INT8X_BINARY_KERNEL(arch, name, kind)
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

constexpr int kLeftShift = 20;

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

// The reference checks 0 < d < 1, and that rounding has not made it 1.
bool smaller_than_one(double d, Multiplier* out) {
  if (!(d > 0.0 && d < 1.0)) return false;
  *out = quantize_multiplier(d);
  return out->shift <= 0;
}

}  // namespace

AddKernelList add_kernels() { return {kKernels, kKernelCount}; }

bool make_add_params(const AddQuantization& q, const int32_t* lhs_dims, int lhs_rank,
                     const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs, AddParams* out) {
  if (!usable(q.lhs_scale) || !usable(q.rhs_scale) || !usable(q.output_scale)) return false;
  if (q.activation_min > q.activation_max) return false;
  const float larger = q.lhs_scale > q.rhs_scale ? q.lhs_scale : q.rhs_scale;
  const double twice = static_cast<float>(2.0f * larger);
  const float shifted_output = static_cast<float>(1 << kLeftShift) * q.output_scale;
  AddParams params = {};
  if (!std::isfinite(twice) || !std::isfinite(shifted_output) ||
      !smaller_than_one(q.lhs_scale / twice, &params.lhs) ||
      !smaller_than_one(q.rhs_scale / twice, &params.rhs) ||
      !smaller_than_one(twice / shifted_output, &params.output) ||
      !make_broadcast(lhs_dims, lhs_rank, rhs_dims, rhs_rank, &params.shape)) {
    return false;
  }
  params.lhs_zero_point = q.lhs_zero_point;
  params.rhs_zero_point = q.rhs_zero_point;
  params.output_zero_point = q.output_zero_point;
  params.activation_min = q.activation_min;
  params.activation_max = q.activation_max;
  params.subtract = q.subtract;
  params.kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), params.kernel->arch)) ++params.kernel;
  if (params.kernel->takes_line) params.line = add_line_of(params);
  *out = params;
  return true;
}

int64_t add_tiles(const AddParams& params) {
  return (params.shape.size + kElementwiseTile - 1) / kElementwiseTile;
}

void add_run(const AddParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
             int64_t tile_begin, int64_t tile_end, void*) {
  int64_t end = tile_end * kElementwiseTile;
  if (end > params.shape.size) end = params.shape.size;
  for_each_row(params.shape, lhs, rhs, output, tile_begin * kElementwiseTile, end,
               [&](const int8_t* a, int64_t a_step, const int8_t* b, int64_t b_step, int8_t* y,
                   int64_t count) { params.kernel->run(params, a, a_step, b, b_step, y, count); });
}

const char* add_kernel_name(const AddParams& params) { return params.kernel->name; }

}  // namespace int8x
