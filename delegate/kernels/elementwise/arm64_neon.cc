// ADD, MUL and their kin on 16 bytes at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kWords = 4;
  using Words = int32x4_t;
  using Rounding = neon::Rounding;
  INT8X_INLINE Words load(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)))));
  }
  INT8X_INLINE Words fill(int32_t x) { return vdupq_n_s32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return vaddq_s32(a, b); }
  INT8X_INLINE Words subtract(Words a, Words b) { return vsubq_s32(a, b); }
  INT8X_INLINE Words multiply(Words a, Words b) { return vmulq_s32(a, b); }
  template <int n>
  INT8X_INLINE Words shift_left(Words a) {
    return vshlq_n_s32(a, n);
  }
  INT8X_INLINE Rounding rounding(Multiplier m) { return neon::rounding(m); }
  INT8X_INLINE Words narrow(Words x, const Rounding& r) { return neon::multiply_narrow(x, r); }
  INT8X_INLINE Rounding half_up(const Rounding& r) { return r; }
  INT8X_INLINE Words narrow_half_up(Words x, const Rounding& r) {
    return neon::multiply_half_up(x, r);
  }
  INT8X_INLINE Words product(Words x, Words y) { return vmulq_s32(x, y); }
  template <int n>
  INT8X_INLINE Words shift_right(Words x) {
    return vshrq_n_s32(x, n);
  }
  INT8X_INLINE Words shift_right_by(Words x, Words n) { return vshlq_s32(x, vnegq_s32(n)); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return neon::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4], int32_t min, int32_t max) {
    const int8x16_t bytes = neon::pack_s8(w[0], w[1], w[2], w[3]);
    const int8x16_t low = vdupq_n_s8(static_cast<int8_t>(min));
    vst1q_s8(p, vminq_s8(vmaxq_s8(bytes, low), vdupq_n_s8(static_cast<int8_t>(max))));
  }
  INT8X_INLINE Words square(Words a) { return vmulq_s32(a, a); }
  INT8X_INLINE Words select_negative(Words x, Words a, Words b) {
    return vbslq_s32(vcltzq_s32(x), a, b);
  }
  using Bytes = int8x16_t;
  INT8X_INLINE Bytes load_bytes(const int8_t* p) { return vld1q_s8(p); }
  INT8X_INLINE Bytes fill_bytes(int8_t x) { return vdupq_n_s8(x); }
  INT8X_INLINE Bytes max_bytes(Bytes a, Bytes b) { return vmaxq_s8(a, b); }
  INT8X_INLINE Bytes min_bytes(Bytes a, Bytes b) { return vminq_s8(a, b); }
  INT8X_INLINE void store_bytes(int8_t* p, Bytes x) { vst1q_s8(p, x); }
};

#include "delegate/kernels/elementwise/rows.inc"
// builds on it:
#include "delegate/kernels/elementwise/binary_rows.inc"

}  // namespace

void add_s8_s8_s8_neon(const AddParams& p, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
                       int64_t rhs_step, int8_t* output, int64_t count) {
  add(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void mul_s8_s8_s8_neon(const MulParams& p, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
                       int64_t rhs_step, int8_t* output, int64_t count) {
  mul(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void maximum_s8_s8_s8_neon(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                           const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  extremum<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void minimum_s8_s8_s8_neon(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                           const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  extremum<false>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void squared_difference_s8_s8_s8_neon(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                                      const int8_t* rhs, int64_t rhs_step, int8_t* output,
                                      int64_t count) {
  squared_difference(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void prelu_s8_s8_s8_neon(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                         const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  prelu(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
