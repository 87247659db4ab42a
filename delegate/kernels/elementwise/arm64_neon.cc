// ADD, MUL and their kin on 16 bytes at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct V {
  static constexpr int kWords = 4;
  using Words = int32x4_t;
  using Rounding = neon::Rounding;
  static LEAF_MEMBER Words load(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)))));
  }
  static LEAF_MEMBER Words fill(int32_t x) { return vdupq_n_s32(x); }
  static LEAF_MEMBER Words add(Words a, Words b) { return vaddq_s32(a, b); }
  static LEAF_MEMBER Words subtract(Words a, Words b) { return vsubq_s32(a, b); }
  static LEAF_MEMBER Words multiply(Words a, Words b) { return vmulq_s32(a, b); }
  template <int n>
  static LEAF_MEMBER Words shift_left(Words a) {
    return vshlq_n_s32(a, n);
  }
  static LEAF_MEMBER Rounding rounding(Multiplier m) { return neon::rounding(m); }
  static LEAF_MEMBER Words narrow(Words x, const Rounding& r) {
    return neon::multiply_narrow(x, r);
  }
  static LEAF_MEMBER Rounding half_up(const Rounding& r) { return r; }
  static LEAF_MEMBER Words narrow_half_up(Words x, const Rounding& r) {
    return neon::multiply_half_up(x, r);
  }
  static LEAF_MEMBER Words product(Words x, Words y) { return vmulq_s32(x, y); }
  template <int n>
  static LEAF_MEMBER Words shift_right(Words x) {
    return vshrq_n_s32(x, n);
  }
  static LEAF_MEMBER Words shift_right_by(Words x, Words n) { return vshlq_s32(x, vnegq_s32(n)); }
  static LEAF_MEMBER Words full(Words x, const Rounding& r) {
    return neon::multiply_by_quantized_multiplier(x, r);
  }
  static LEAF_MEMBER void store(int8_t* p, const Words w[4], int32_t min, int32_t max) {
    const int8x16_t bytes = neon::pack_s8(w[0], w[1], w[2], w[3]);
    const int8x16_t low = vdupq_n_s8(static_cast<int8_t>(min));
    vst1q_s8(p, vminq_s8(vmaxq_s8(bytes, low), vdupq_n_s8(static_cast<int8_t>(max))));
  }
  static LEAF_MEMBER Words square(Words a) { return vmulq_s32(a, a); }
  static LEAF_MEMBER Words select_negative(Words x, Words a, Words b) {
    return vbslq_s32(vcltzq_s32(x), a, b);
  }
  using Bytes = int8x16_t;
  static LEAF_MEMBER Bytes load_bytes(const int8_t* p) { return vld1q_s8(p); }
  static LEAF_MEMBER Bytes fill_bytes(int8_t x) { return vdupq_n_s8(x); }
  static LEAF_MEMBER Bytes max_bytes(Bytes a, Bytes b) { return vmaxq_s8(a, b); }
  static LEAF_MEMBER Bytes min_bytes(Bytes a, Bytes b) { return vminq_s8(a, b); }
  static LEAF_MEMBER void store_bytes(int8_t* p, Bytes x) { vst1q_s8(p, x); }
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
