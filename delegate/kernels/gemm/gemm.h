// c[i, j] = sum over taps t and k of lhs[i, t, k] * rhs[t, k, j], wrapping in int32.
//
// The building block of CONV_2D and FULLY_CONNECTED. The right side (weights) is packed once by
// gemm_pack_rhs(); the left side (activations) is read row by row where it lies, once in the
// kernel's format. Several taps let a convolution read its window without an im2col copy: each tap
// is a run of k consecutive elements at its own offset from the row's begin.

#ifndef INT8X_KERNELS_GEMM_GEMM_H_
#define INT8X_KERNELS_GEMM_GEMM_H_

#include <stdint.h>

#include "delegate/base/arch.h"

namespace int8x {

// How a kernel wants the left side.
//   s8        as it is
//   s8_to_u8  as it is, and the kernel adds 128 itself
//   u8        v + 128
//   s16       widened
enum class LhsFormat : uint8_t { s8, s8_to_u8, u8, s16 };

constexpr int bytes_of(LhsFormat format) { return format == LhsFormat::s16 ? 2 : 1; }

// Whether the kernel reads int8 where they lie.
constexpr bool reads_s8(LhsFormat format) {
  return format == LhsFormat::s8 || format == LhsFormat::s8_to_u8;
}

// What is added to every v: c grows by this times the sum of its column of weights, which the
// caller takes back off.
constexpr int lhs_offset(LhsFormat format) {
  return format == LhsFormat::u8 || format == LhsFormat::s8_to_u8 ? 128 : 0;
}

// One call. Rows are those of lhs and c, columns those of rhs and c.
struct GemmBlock {
  int m, n;                    // any number of rows and columns, >= 1
  int taps, k;                 // k as gemm_padded_k() gives it
  const void* lhs;             // row i, tap t starts at byte i * lhs_stride + tap_offsets[t]
  int64_t lhs_stride;          //
  const int64_t* tap_offsets;  //
  const int8_t* rhs;           // packed, from a column that is a multiple of `panel`
  int32_t* c;                  // row i starts at element i * c_stride
  int64_t c_stride;            //

  // Rows of lhs may lie in lines of so many: row i then starts at byte i / line * line_stride +
  // i % line * lhs_stride. 0: all in one. Only kernels that say so take lines.
  int line = 0;
  int64_t line_stride = 0;
};

struct GemmKernel {
  const char* name;
  arch::Arch arch;
  LhsFormat lhs;
  bool weights_above_minus_128;  // wrong results if a weight is -128
  int mr, nr;                    // the tile kept in registers: m and n are best multiples of them
  int panel;                     // rhs columns packed together; c is written up to n rounded up
  int kr;                        // consecutive k packed together
  int k_step;                    // most k taken at once, a multiple of kr
  void (*run)(const GemmBlock& block);
};

// The best kernel for these instruction sets; `has_minus_128` tells whether a weight is -128.
const GemmKernel& gemm_kernel(arch::ArchSet archs, bool has_minus_128);

// All kernels of this platform, best first; the last is the reference.
const GemmKernel* gemm_kernels(int* count);

// k rounded up to what the kernel takes: equal steps of at most k_step, each a multiple of kr.
// Weights beyond the true k are packed as 0, so the lhs may hold anything there.
inline int gemm_padded_k(const GemmKernel& kernel, int k) {
  const int steps = (k + kernel.k_step - 1) / kernel.k_step;
  const int step = (k + steps - 1) / steps;
  return steps * ((step + kernel.kr - 1) / kernel.kr * kernel.kr);
}

// Bytes of n packed columns of taps * k weights each.
int64_t gemm_packed_rhs_bytes(const GemmKernel& kernel, int64_t n, int taps, int k);

// Packs weights[n][taps][k] to [ceil(n / panel)][taps][padded k / kr][panel][kr], zero filled.
void gemm_pack_rhs(const GemmKernel& kernel, int n, int taps, int k, const int8_t* weights,
                   int8_t* packed);

// Copies `count` int8 into the kernel's lhs format.
void gemm_copy_lhs(LhsFormat format, void* to, const int8_t* from, int64_t count);

// Fills `count` elements with `value`.
void gemm_fill_lhs(LhsFormat format, void* to, int8_t value, int64_t count);

#define INT8X_GEMM_KERNEL(arch, name, ...) void name(const GemmBlock& block);
#define INT8X_GEMM_REQUANTIZE_KERNEL(...)
#define INT8X_GEMV_REQUANTIZE_KERNEL(...)
#include "delegate/kernels/gemm/kernels.inc"
#undef INT8X_GEMV_REQUANTIZE_KERNEL
#undef INT8X_GEMM_REQUANTIZE_KERNEL
#undef INT8X_GEMM_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_GEMM_GEMM_H_
