// 16x8 dot products by smlal, 8 elements at a time.

#include <arm_neon.h>

#include "delegate/kernels/wide/dot.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))

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

}  // namespace

void dot_s16_s16_s64_neon(const WideDot& dot) { run(dot); }

}  // namespace int8x
