#include <cmath>

#include "delegate/kernels/convert/convert.h"
#include "delegate/kernels/convert/leaf.h"

namespace int8x {
namespace {

constexpr QuantizeKernel kQuantize[] = {
#define INT8X_QUANTIZE_KERNEL(arch, name) {arch, #name, name},
#define INT8X_DEQUANTIZE_KERNEL(arch, name)
#include "delegate/kernels/convert/kernels.inc"
#undef INT8X_QUANTIZE_KERNEL
#undef INT8X_DEQUANTIZE_KERNEL
};
constexpr DequantizeKernel kDequantize[] = {
#define INT8X_QUANTIZE_KERNEL(arch, name)
#define INT8X_DEQUANTIZE_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/convert/kernels.inc"
#undef INT8X_QUANTIZE_KERNEL
#undef INT8X_DEQUANTIZE_KERNEL
};

constexpr int64_t kTile = 16384;

template <typename Params, typename Kernel>
bool make(float scale, int32_t zero_point, int64_t count, const Kernel* kernel, arch::ArchSet archs,
          Params* out) {
  if (!std::isfinite(scale) || scale <= 0 || zero_point < -128 || zero_point > 127 || count <= 0)
    return false;
  while (!arch::has(archs | arch::bit(arch::reference), kernel->arch)) ++kernel;
  *out = {scale, zero_point, count, kernel};
  return true;
}

template <typename Params, typename From, typename To>
void run(const Params& params, const From* input, To* output, int64_t tile_begin,
         int64_t tile_end) {
  const int64_t begin = tile_begin * kTile;
  const int64_t end = tile_end * kTile < params.count ? tile_end * kTile : params.count;
  params.kernel->run(params, input + begin, output + begin, end - begin);
}

}  // namespace

QuantizeKernelList quantize_kernels() {
  return {kQuantize, sizeof(kQuantize) / sizeof(*kQuantize)};
}
DequantizeKernelList dequantize_kernels() {
  return {kDequantize, sizeof(kDequantize) / sizeof(*kDequantize)};
}

bool make_quantize_params(float scale, int32_t zero_point, int64_t count, arch::ArchSet archs,
                          QuantizeParams* out) {
  return make(scale, zero_point, count, kQuantize, archs, out);
}

bool make_dequantize_params(float scale, int32_t zero_point, int64_t count, arch::ArchSet archs,
                            DequantizeParams* out) {
  return make(scale, zero_point, count, kDequantize, archs, out);
}

int64_t quantize_tiles(const QuantizeParams& params) { return (params.count + kTile - 1) / kTile; }
int64_t dequantize_tiles(const DequantizeParams& params) {
  return (params.count + kTile - 1) / kTile;
}

void quantize_run(const QuantizeParams& params, const float* input, int8_t* output,
                  int64_t tile_begin, int64_t tile_end, void*) {
  run(params, input, output, tile_begin, tile_end);
}

void dequantize_run(const DequantizeParams& params, const int8_t* input, float* output,
                    int64_t tile_begin, int64_t tile_end, void*) {
  run(params, input, output, tile_begin, tile_end);
}

const char* quantize_kernel_name(const QuantizeParams& params) { return params.kernel->name; }
const char* dequantize_kernel_name(const DequantizeParams& params) { return params.kernel->name; }

}  // namespace int8x
