// Sums for MEAN, 16 columns at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/reduce/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kColumns = 16, kNeighbours = 16, kWords = 4;
  struct Halves {
    int16x8_t low, high;
  };
  using Words = int32x4_t;
  using Rounding = neon::Rounding;
  INT8X_INLINE Halves zero_halves() { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
  INT8X_INLINE Halves add(Halves sum, const int8_t* p) {
    const int8x16_t x = vld1q_s8(p);
    return {vaddw_s8(sum.low, vget_low_s8(x)), vaddw_high_s8(sum.high, x)};
  }
  INT8X_INLINE void flush(Halves x, int32_t* sums) {
    vst1q_s32(sums, vaddw_s16(vld1q_s32(sums), vget_low_s16(x.low)));
    vst1q_s32(sums + 4, vaddw_high_s16(vld1q_s32(sums + 4), x.low));
    vst1q_s32(sums + 8, vaddw_s16(vld1q_s32(sums + 8), vget_low_s16(x.high)));
    vst1q_s32(sums + 12, vaddw_high_s16(vld1q_s32(sums + 12), x.high));
  }

  using Total = int32x4_t;
  INT8X_INLINE Total zero_total() { return vdupq_n_s32(0); }
  INT8X_INLINE Total add_total(Total t, const int8_t* p) {
    return vpadalq_s16(t, vpaddlq_s8(vld1q_s8(p)));
  }
  INT8X_INLINE int32_t reduce(Total t) { return vaddvq_s32(t); }

  INT8X_INLINE Words load_words(const int32_t* p) { return vld1q_s32(p); }
  INT8X_INLINE Words fill(int32_t x) { return vdupq_n_s32(x); }
  INT8X_INLINE Words plus(Words a, Words b) { return vaddq_s32(a, b); }
  INT8X_INLINE Rounding rounding(Multiplier m) { return neon::rounding(m); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return neon::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4]) {
    vst1q_s8(p, neon::pack_s8(w[0], w[1], w[2], w[3]));
  }
};

#include "delegate/kernels/reduce/sums.inc"

}  // namespace

void mean_s8_s8_neon_add_rows(const int8_t* input, int64_t rows, int64_t row_stride, int64_t count,
                              int32_t* sums) {
  add_rows(input, rows, row_stride, count, sums);
}

int32_t mean_s8_s8_neon_sum(const int8_t* input, int64_t count) { return sum(input, count); }

void mean_s8_s8_neon_finish(const MeanParams& params, const int32_t* sums, int64_t count,
                            int8_t* output) {
  finish(params, sums, count, output);
}

}  // namespace int8x
