#include <cmath>

#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/binary.h"
#include "delegate/kernels/elementwise/leaf.h"
#include "delegate/kernels/elementwise/mul.h"

namespace int8x {
namespace {

constexpr AddKernel kAddKernels[] = {
#define INT8X_ADD_KERNEL(arch, name, takes_line) {arch, #name, takes_line, name},
#define INT8X_MUL_KERNEL(arch, name)
#define INT8X_BINARY_KERNEL(arch, name, kind)
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL
};

constexpr MulKernel kMulKernels[] = {
#define INT8X_ADD_KERNEL(arch, name, takes_line)
#define INT8X_MUL_KERNEL(arch, name) {arch, #name, name},
#define INT8X_BINARY_KERNEL(arch, name, kind)
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL
};

constexpr BinaryKernel kBinaryKernels[] = {
#define INT8X_ADD_KERNEL(arch, name, takes_line)
#define INT8X_MUL_KERNEL(arch, name)
#define INT8X_BINARY_KERNEL(arch, name, kind) {arch, kind, #name, name},
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL
};

template <typename Kernel, size_t count>
constexpr int length(const Kernel (&)[count]) {
  return static_cast<int>(count);
}

constexpr int kLeftShift = 20;

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

template <typename Quantization>
bool usable_scales(const Quantization& q) {
  return usable(q.lhs_scale) && usable(q.rhs_scale) && usable(q.output_scale);
}

template <typename Quantization, typename Params>
void set_zero_points(const Quantization& q, Params* p) {
  p->lhs_zero_point = q.lhs_zero_point;
  p->rhs_zero_point = q.rhs_zero_point;
  p->output_zero_point = q.output_zero_point;
}

// The best of a list that `archs` may run and that `fits`; the reference at the latest.
template <typename Kernel, typename Fits>
const Kernel* first_allowed(const Kernel* kernel, arch::ArchSet archs, const Fits& fits) {
  archs |= arch::bit(arch::reference);
  while (!fits(*kernel) || !arch::has(archs, kernel->arch)) ++kernel;
  return kernel;
}

// The reference checks 0 < d < 1, and that rounding has not made it 1.
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

template <typename Params>
int64_t tiles(const Params& params) {
  return (params.shape.size + kElementwiseTile - 1) / kElementwiseTile;
}

template <typename Params>
void run(const Params& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
         int64_t tile_begin, int64_t tile_end) {
  int64_t end = tile_end * kElementwiseTile;
  if (end > params.shape.size) end = params.shape.size;
  for_each_row(params.shape, lhs, rhs, output, tile_begin * kElementwiseTile, end,
               [&](const int8_t* a, int64_t a_step, const int8_t* b, int64_t b_step, int8_t* y,
                   int64_t count) { params.kernel->run(params, a, a_step, b, b_step, y, count); });
}

}  // namespace

AddKernelList add_kernels() { return {kAddKernels, length(kAddKernels)}; }
MulKernelList mul_kernels() { return {kMulKernels, length(kMulKernels)}; }
BinaryKernelList binary_kernels() { return {kBinaryKernels, length(kBinaryKernels)}; }

bool make_add_params(const AddQuantization& q, const int32_t* lhs_dims, int lhs_rank,
                     const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs, AddParams* out) {
  if (!usable_scales(q)) return false;
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
  set_zero_points(q, &params);
  params.activation_min = q.activation_min;
  params.activation_max = q.activation_max;
  params.subtract = q.subtract;
  params.kernel = first_allowed(kAddKernels, archs, [](const AddKernel&) { return true; });
  if (params.kernel->takes_line) params.line = add_line_of(params);
  *out = params;
  return true;
}

bool make_mul_params(const MulQuantization& q, const int32_t* lhs_dims, int lhs_rank,
                     const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs, MulParams* out) {
  if (!usable_scales(q)) return false;
  if (q.activation_min > q.activation_max) return false;
  const float product = q.lhs_scale * q.rhs_scale;
  MulParams params = {};
  if (!fits(product / q.output_scale, &params.output) ||
      !make_broadcast(lhs_dims, lhs_rank, rhs_dims, rhs_rank, &params.shape)) {
    return false;
  }
  set_zero_points(q, &params);
  params.activation_min = q.activation_min;
  params.activation_max = q.activation_max;
  params.kernel = first_allowed(kMulKernels, archs, [](const MulKernel&) { return true; });
  *out = params;
  return true;
}

bool make_binary_params(BinaryKind kind, const BinaryQuantization& q, const int32_t* lhs_dims,
                        int lhs_rank, const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs,
                        BinaryParams* out) {
  if (!usable_scales(q)) return false;
  BinaryParams params = {};
  if (!find_multipliers(kind, q, &params) ||
      !make_broadcast(lhs_dims, lhs_rank, rhs_dims, rhs_rank, &params.shape)) {
    return false;
  }
  set_zero_points(q, &params);
  params.kernel = first_allowed(kBinaryKernels, archs,
                                [kind](const BinaryKernel& kernel) { return kernel.kind == kind; });
  *out = params;
  return true;
}

int64_t add_tiles(const AddParams& params) { return tiles(params); }

void add_run(const AddParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
             int64_t tile_begin, int64_t tile_end, void*) {
  run(params, lhs, rhs, output, tile_begin, tile_end);
}

const char* add_kernel_name(const AddParams& params) { return params.kernel->name; }

int64_t mul_tiles(const MulParams& params) { return tiles(params); }

void mul_run(const MulParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
             int64_t tile_begin, int64_t tile_end, void*) {
  run(params, lhs, rhs, output, tile_begin, tile_end);
}

const char* mul_kernel_name(const MulParams& params) { return params.kernel->name; }

int64_t binary_tiles(const BinaryParams& params) { return tiles(params); }

void binary_run(const BinaryParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
                int64_t tile_begin, int64_t tile_end, void*) {
  run(params, lhs, rhs, output, tile_begin, tile_end);
}

const char* binary_kernel_name(const BinaryParams& params) { return params.kernel->name; }

}  // namespace int8x
