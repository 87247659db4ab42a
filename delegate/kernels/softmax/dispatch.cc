#include <cmath>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/softmax/exponential.h"
#include "delegate/kernels/softmax/leaf.h"
#include "delegate/kernels/softmax/softmax.h"

namespace int8x {
namespace {

constexpr SoftmaxKernel kKernels[] = {
#define INT8X_SOFTMAX_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/softmax/kernels.inc"
#undef INT8X_SOFTMAX_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

constexpr int kIntegerBits = 5;  // of the exponential's argument

}  // namespace

SoftmaxKernelList softmax_kernels() { return {kKernels, kKernelCount}; }

bool make_softmax_params(float input_scale, float beta, int64_t rows, int64_t depth,
                         arch::ArchSet archs, SoftmaxParams* out) {
  if (rows <= 0 || depth <= 0 || depth > INT32_MAX) return false;
  const double product = static_cast<double>(beta) * static_cast<double>(input_scale);
  double real = product * (1 << (31 - kIntegerBits));
  if (!std::isfinite(input_scale) || !std::isfinite(beta) || !(real > 1.0)) return false;
  if (real > 2147483647.0) real = 2147483647.0;
  const Multiplier multiplier = quantize_multiplier(real);
  const double radius = std::floor(31.0 * (1 << (31 - kIntegerBits)) /
                                   static_cast<double>(int64_t{1} << multiplier.shift));

  out->terms = radius >= 255 ? 256 : static_cast<int32_t>(radius) + 1;
  for (int32_t d = 0; d < 256; ++d) {
    out->exponential[d] = out->term[d] = 0;
    if (d >= out->terms) continue;
    const int32_t scaled = static_cast<int32_t>(static_cast<uint32_t>(-d) << multiplier.shift);
    out->exponential[d] = exp_on_negative_values(
        saturating_rounding_doubling_high_mul(scaled, multiplier.multiplier));
    out->term[d] = rounding_divide_by_pot(out->exponential[d], 12);
  }
  out->rows = rows;
  out->depth = depth;
  out->kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), out->kernel->arch)) ++out->kernel;
  return true;
}

int64_t softmax_tiles(const SoftmaxParams& params) { return params.rows; }

void softmax_run(const SoftmaxParams& params, const int8_t* input, int8_t* output,
                 int64_t tile_begin, int64_t tile_end, void*) {
  for (int64_t row = tile_begin; row < tile_end; ++row) {
    params.kernel->run(params, input + row * params.depth, output + row * params.depth);
  }
}

const char* softmax_kernel_name(const SoftmaxParams& params) { return params.kernel->name; }

}  // namespace int8x
