// RESIZE_BILINEAR on 16 channels at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/resize/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kWords = 4;
  using Words = int32x4_t;
  INT8X_INLINE Words load(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)))));
  }
  INT8X_INLINE Words fill(int32_t x) { return vdupq_n_s32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return vaddq_s32(a, b); }
  INT8X_INLINE Words multiply(Words a, Words w) { return vmulq_s32(a, w); }
  INT8X_INLINE Words multiply_words(Words a, Words b) { return vmulq_s32(a, b); }
  INT8X_INLINE Words round(Words x) { return vrshrq_n_s32(vaddq_s32(x, vshrq_n_s32(x, 31)), 20); }
  INT8X_INLINE void store(int8_t* p, const Words w[4]) {
    vst1q_s8(p, neon::pack_s8(w[0], w[1], w[2], w[3]));
  }
};

#include "delegate/kernels/resize/pixel.inc"

}  // namespace

void resize_bilinear_s8_s8_neon(const ResizeCorners& corners, int64_t channels, int8_t* output) {
  pixel(corners, channels, output);
}

}  // namespace int8x
