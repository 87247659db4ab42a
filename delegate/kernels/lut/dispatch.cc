#include <cstring>

#include "delegate/kernels/lut/leaf.h"
#include "delegate/kernels/lut/lut.h"

namespace int8x {
namespace {

constexpr LutKernel kKernels[] = {
#define INT8X_LUT_KERNEL(arch, name, clamps) {arch, #name, clamps, name},
#include "delegate/kernels/lut/kernels.inc"
#undef INT8X_LUT_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

constexpr int64_t kTile = 32768;

// Whether table[q & 255] == clamp(q, min, max) for the table's own least and greatest value.
bool find_clamp(const uint8_t* table, int8_t* min, int8_t* max) {
  *min = static_cast<int8_t>(table[128]);  // of q = -128
  *max = static_cast<int8_t>(table[127]);  // of q = 127
  if (*min > *max) return false;
  for (int32_t q = -128; q <= 127; ++q) {
    const int32_t wanted = q < *min ? *min : q > *max ? *max : q;
    if (static_cast<int8_t>(table[q & 255]) != wanted) return false;
  }
  return true;
}

}  // namespace

LutKernelList lut_kernels() { return {kKernels, kKernelCount}; }

bool make_lut_params(const uint8_t* table, int64_t count, arch::ArchSet archs, LutParams* out) {
  if (count <= 0) return false;
  std::memcpy(out->table, table, kLutSize);
  out->count = count;
  out->is_clamp = find_clamp(table, &out->clamp_min, &out->clamp_max);
  archs |= arch::bit(arch::reference);
  out->kernel = kKernels;
  while (!arch::has(archs, out->kernel->arch) || (out->kernel->clamps && !out->is_clamp))
    ++out->kernel;
  return true;
}

int64_t lut_tiles(const LutParams& params) { return (params.count + kTile - 1) / kTile; }

void lut_run(const LutParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
             int64_t tile_end, void*) {
  const int64_t begin = tile_begin * kTile;
  const int64_t end = tile_end * kTile < params.count ? tile_end * kTile : params.count;
  params.kernel->run(params, reinterpret_cast<const uint8_t*>(input) + begin,
                     reinterpret_cast<uint8_t*>(output) + begin, end - begin);
}

const char* lut_kernel_name(const LutParams& params) { return params.kernel->name; }

}  // namespace int8x
