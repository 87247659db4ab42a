#include <cmath>

#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

constexpr WideBinaryKernel kKernels[] = {
#define INT8X_WIDE_BINARY_KERNEL(arch, name, multiply, takes_line) \
  {arch, #name, multiply, takes_line, name},
#include "delegate/kernels/wide/kernels.inc"
};

constexpr int64_t kTile = 4096;
constexpr int kLeftShift = 15;

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

bool smaller_than_one(double d, Multiplier* out) {
  if (!(d > 0.0 && d < 1.0)) return false;
  *out = quantize_multiplier(d);
  return out->shift <= 0;
}

bool find_multipliers(float lhs, float rhs, float output, WideBinaryParams* p) {
  if (p->multiply) {
    const float product = lhs * rhs;
    const float scale = product / output;
    if (!std::isfinite(scale)) return false;
    p->output = quantize_multiplier(scale);
    return p->output.shift <= 30;
  }
  const double twice = 2.0f * (lhs > rhs ? lhs : rhs);
  const float shifted_output = static_cast<float>(1 << kLeftShift) * output;
  return std::isfinite(twice) && std::isfinite(shifted_output) &&
         smaller_than_one(lhs / twice, &p->lhs) && smaller_than_one(rhs / twice, &p->rhs) &&
         smaller_than_one(twice / shifted_output, &p->output);
}

int32_t extent_of(const int32_t* dims, int rank, int axis, int out_rank) {
  return axis < out_rank - rank ? 1 : dims[axis - (out_rank - rank)];
}

// Takes an axis outside those that are there.
void add_axis(int64_t extent, int64_t lhs_stride, int64_t rhs_stride, WideBinaryParams* p) {
  if (p->rank > 0) {
    int64_t& inner = p->extent[0];
    if (lhs_stride == p->lhs_stride[0] * inner && rhs_stride == p->rhs_stride[0] * inner) {
      inner *= extent;
      return;
    }
  }
  for (int axis = p->rank; axis > 0; --axis) {
    p->extent[axis] = p->extent[axis - 1];
    p->lhs_stride[axis] = p->lhs_stride[axis - 1];
    p->rhs_stride[axis] = p->rhs_stride[axis - 1];
  }
  ++p->rank;
  p->extent[0] = extent;
  p->lhs_stride[0] = lhs_stride;
  p->rhs_stride[0] = rhs_stride;
}

bool broadcast(const int32_t* lhs, int lhs_rank, const int32_t* rhs, int rhs_rank,
               WideBinaryParams* p) {
  const int rank = lhs_rank > rhs_rank ? lhs_rank : rhs_rank;
  if (lhs_rank < 0 || rhs_rank < 0 || rank > kMaxWideRank) return false;
  p->out_rank = rank;
  p->size = 1;
  int64_t lhs_stride = 1, rhs_stride = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int32_t a = extent_of(lhs, lhs_rank, axis, rank);
    const int32_t b = extent_of(rhs, rhs_rank, axis, rank);
    if (a < 1 || b < 1 || (a != b && a != 1 && b != 1)) return false;
    p->out_dims[axis] = a > b ? a : b;
    if (__builtin_mul_overflow(p->size, int64_t{p->out_dims[axis]}, &p->size)) return false;
    if (p->out_dims[axis] != 1) {
      add_axis(p->out_dims[axis], a == 1 ? 0 : lhs_stride, b == 1 ? 0 : rhs_stride, p);
    }
    lhs_stride *= a;
    rhs_stride *= b;
  }
  return true;
}

}  // namespace

WideBinaryKernelList wide_binary_kernels() {
  return {kKernels, sizeof(kKernels) / sizeof(*kKernels)};
}

bool make_wide_binary_params(bool multiply, float lhs_scale, float rhs_scale, float output_scale,
                             int32_t activation_min, int32_t activation_max,
                             const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims,
                             int rhs_rank, arch::ArchSet archs, WideBinaryParams* out) {
  if (!usable(lhs_scale) || !usable(rhs_scale) || !usable(output_scale)) return false;
  if (activation_min > activation_max) return false;
  WideBinaryParams p = {};
  p.multiply = multiply;
  p.activation_min = activation_min;
  p.activation_max = activation_max;
  if (!find_multipliers(lhs_scale, rhs_scale, output_scale, &p)) return false;
  if (!broadcast(lhs_dims, lhs_rank, rhs_dims, rhs_rank, &p)) return false;
  p.kernel = kKernels;
  archs |= arch::bit(arch::reference);
  while (p.kernel->multiply != multiply || !arch::has(archs, p.kernel->arch)) ++p.kernel;
  if (p.kernel->takes_line) p.line = wide_add_line_of(p);
  *out = p;
  return true;
}

int64_t wide_binary_tiles(const WideBinaryParams& p) { return (p.size + kTile - 1) / kTile; }

void wide_binary_run(const WideBinaryParams& p, const int16_t* lhs, const int16_t* rhs,
                     int16_t* output, int64_t tile_begin, int64_t tile_end, void*) {
  const int64_t end = tile_end * kTile < p.size ? tile_end * kTile : p.size;
  const int last = p.rank - 1;
  for (int64_t at = tile_begin * kTile; at < end;) {
    // A run along the last axis.
    int64_t rest = at, a = 0, b = 0, count = 1;
    for (int axis = last; axis >= 0; --axis) {
      const int64_t i = rest % p.extent[axis];
      rest /= p.extent[axis];
      a += i * p.lhs_stride[axis];
      b += i * p.rhs_stride[axis];
      if (axis == last) count = p.extent[axis] - i;
    }
    if (count > end - at) count = end - at;
    const int64_t a_step = last < 0 ? 0 : p.lhs_stride[last];
    const int64_t b_step = last < 0 ? 0 : p.rhs_stride[last];
    p.kernel->run(p, lhs + a, a_step, rhs + b, b_step, output + at, count);
    at += count;
  }
}

}  // namespace int8x
