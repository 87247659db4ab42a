// 16x8 dot products by smlal, 8 elements at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct V {
  static constexpr int kElements = 8;
  using Sums = int32x4_t;
  using Values = int16x8_t;
  static LEAF_MEMBER Sums zero() { return vdupq_n_s32(0); }
  static LEAF_MEMBER Values load(const int16_t* p) { return vld1q_s16(p); }
  static LEAF_MEMBER Sums add_products(Sums s, Values a, Values b) {
    s = vmlal_s16(s, vget_low_s16(a), vget_low_s16(b));
    return vmlal_high_s16(s, a, b);
  }
  static LEAF_MEMBER int64_t total(Sums s) { return vaddlvq_s32(s); }
};

#include "delegate/kernels/wide/dot_tiles.inc"

struct W {
  static constexpr int kWords = 4;
  using Words = int32x4_t;
  using Rounding = neon::Rounding;
  static LEAF_MEMBER Words load(const int16_t* p) { return vmovl_s16(vld1_s16(p)); }
  static LEAF_MEMBER Words fill(int32_t x) { return vdupq_n_s32(x); }
  static LEAF_MEMBER Words add(Words a, Words b) { return vaddq_s32(a, b); }
  static LEAF_MEMBER Words multiply(Words a, Words b) { return vmulq_s32(a, b); }
  static LEAF_MEMBER Words shift_left_15(Words a) { return vshlq_n_s32(a, 15); }
  static LEAF_MEMBER Rounding rounding(Multiplier m) { return neon::rounding(m); }
  static LEAF_MEMBER Words full(Words x, const Rounding& r) {
    return neon::multiply_by_quantized_multiplier(x, r);
  }
  static LEAF_MEMBER void store(int16_t* p, Words x, int32_t min, int32_t max) {
    vst1_s16(p, vmovn_s32(vminq_s32(vmaxq_s32(x, fill(min)), fill(max))));
  }
};

#include "delegate/kernels/wide/binary_rows.inc"

}  // namespace

void dot_s16_s16_s64_neon(const WideDot& dot) { run(dot); }

void add_s16_s16_s16_neon(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                          const int16_t* rhs, int64_t rhs_step, int16_t* output, int64_t count) {
  binary<false>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void mul_s16_s16_s16_neon(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                          const int16_t* rhs, int64_t rhs_step, int16_t* output, int64_t count) {
  binary<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
