// 16x8 convolutions whose sums stay in 32 bits: |32768 * sum of |weights| + |bias|| < 2^31 for
// every output channel, which the packing proves. Then
//
//   output[i, o] = clamp(MBQM64(sum over k of lhs[i, k] * rhs[o, k] + bias[o], multiplier[o]))
//
// is done in registers from the first product to the int16 result.

#ifndef INT8X_KERNELS_WIDE_NARROW_H_
#define INT8X_KERNELS_WIDE_NARROW_H_

#include <stdint.h>

#include "delegate/base/arch.h"

namespace int8x {

constexpr int kWidePanel = 16;      // columns of packed weights
constexpr int kMostWideTaps = 511;  // of a depthwise window

// MBQM64 of 16 channels: floor((x * half + 2^(right - 1)) / 2^right), with 2^62 added before a
// logical shift and taken off after it, as AVX2 has no arithmetic one of 64 bits.
struct WideRounding {
  int32_t bias[kWidePanel], half[kWidePanel], right[kWidePanel];
  int64_t nudge_even[kWidePanel / 2], nudge_odd[kWidePanel / 2];  // 2^(right - 1) + 2^62
  int32_t offset[kWidePanel];                                     // 2^(62 - right), modulo 2^32
};

struct WideGemm {
  int m, n, pairs;               // rows, columns, k / 2
  const int16_t* lhs;            // row i starts at i * lhs_stride
  int64_t lhs_stride;            // elements
  const int16_t* rhs;            // [n / 16][pairs][16][2]
  const WideRounding* rounding;  // [n / 16]
  int32_t min, max;
  int16_t* output;  // row i starts at i * output_stride
  int64_t output_stride;
};

// One output pixel. Channels go in blocks of the kernel's width; the last block ends at the last
// channel and may overlap the one before it.
struct WideDepthwise {
  int taps, channels;          // taps even
  const int16_t* const* rows;  // of each tap, the input's channels
  const int16_t* weights;      // [blocks][taps / 2][register][lane][2], see depthwise_channel()
  const WideRounding* rounding;
  int32_t min, max;
  int16_t* output;
};

// Interleaving two taps leaves channels 0-3, 8-11, ... in the first of two registers, 4-7, 12-15,
// ... in the second: the channel of each slot of a block.
static inline int depthwise_channel(int block, int slot) {
  const int lane = slot % (block / 2), second = slot / (block / 2);
  return lane / 4 * 8 + second * 4 + lane % 4;
}

struct WideGemmKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const WideGemm&);
};

struct WideDepthwiseKernel {
  arch::Arch arch;
  const char* name;
  int block;  // channels
  void (*run)(const WideDepthwise&);
};

// Null where no kernel of the set does this: the portable sums do.
const WideGemmKernel* wide_gemm_kernel(arch::ArchSet archs);
const WideDepthwiseKernel* wide_depthwise_kernel(arch::ArchSet archs);

#define INT8X_WIDE_GEMM_KERNEL(arch, name) void name(const WideGemm&);
#define INT8X_WIDE_DEPTHWISE_KERNEL(arch, name, block) void name(const WideDepthwise&);
#include "delegate/kernels/wide/kernels.inc"

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_NARROW_H_
