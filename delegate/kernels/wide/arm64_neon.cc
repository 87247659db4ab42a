// 16x8 dot products by smlal, 8 elements at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kElements = 8;
  using Sums = int32x4_t;
  using Values = int16x8_t;
  INT8X_INLINE Sums zero() { return vdupq_n_s32(0); }
  INT8X_INLINE Values load(const int16_t* p) { return vld1q_s16(p); }
  INT8X_INLINE Sums add_products(Sums s, Values a, Values b) {
    s = vmlal_s16(s, vget_low_s16(a), vget_low_s16(b));
    return vmlal_high_s16(s, a, b);
  }
  INT8X_INLINE int64_t total(Sums s) { return vaddlvq_s32(s); }
};

#include "delegate/kernels/wide/dot_tiles.inc"

struct W {
  static constexpr int kWords = 4;
  using Words = int32x4_t;
  using Rounding = neon::Rounding;
  INT8X_INLINE Words load(const int16_t* p) { return vmovl_s16(vld1_s16(p)); }
  INT8X_INLINE Words fill(int32_t x) { return vdupq_n_s32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return vaddq_s32(a, b); }
  INT8X_INLINE Words multiply(Words a, Words b) { return vmulq_s32(a, b); }
  INT8X_INLINE Words shift_left_15(Words a) { return vshlq_n_s32(a, 15); }
  INT8X_INLINE Rounding rounding(Multiplier m) { return neon::rounding(m); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return neon::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int16_t* p, Words x, int32_t min, int32_t max) {
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
