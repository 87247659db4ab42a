#include <arm_neon.h>

#include "delegate/kernels/sparse/leaf.h"

// lhs is [blocks][pixels][4]: sdot does four pixels at once.

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 16")  // sums stay in registers only if all is unrolled

// `vectors` x 4 pixels of every channel.
template <int vectors>
void channels(const SparseBlock& b) {
  if constexpr (vectors > 1)
    if (b.pixels < 4 * vectors) return channels<vectors - 1>(b);
  const int32_t* weights = static_cast<const int32_t*>(b.weights);
  for (int j = 0; j < b.channels; ++j) {
    const int at = j * kSparsePixels;
    int32x4_t sum[vectors];
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v)
      sum[v] = b.before == nullptr ? vdupq_n_s32(0) : vld1q_s32(b.before + at + 4 * v);
    for (uint32_t k = b.ends[j]; k < b.ends[j + 1]; ++k) {
      const int8x16_t w = vreinterpretq_s8_s32(vld1q_dup_s32(weights + k));
      const int8_t* x = static_cast<const int8_t*>(b.lhs) + b.blocks[k] * (16 * vectors);
      INT8X_UNROLL
      for (int v = 0; v < vectors; ++v) sum[v] = vdotq_s32(sum[v], vld1q_s8(x + 16 * v), w);
    }
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) vst1q_s32(b.sums + at + 4 * v, sum[v]);
  }
}

}  // namespace

void sparse_s8_s8_s32_64x1x4_neondot(const SparseBlock& b) { channels<16>(b); }

void sparse_s8_s8_s32_64x1x4_neondot_pack(const int8_t* const* pixels, int count, int blocks,
                                          void* lhs) {
  int8_t* to = static_cast<int8_t*>(lhs);
  const int64_t pitch = int64_t{count} * 4;
  for (int p = 0; p < count; p += 4) {
    int b = 0;
    // Four blocks of four pixels, a 4 x 4 tile of dwords, change rows and columns.
    for (; b + 4 <= blocks; b += 4) {
      int32x4_t x[4];
      INT8X_UNROLL
      for (int i = 0; i < 4; ++i) x[i] = vreinterpretq_s32_s8(vld1q_s8(pixels[p + i] + 4 * b));
      const int32x4x2_t low = vzipq_s32(x[0], x[2]), high = vzipq_s32(x[1], x[3]);
      const int32x4x2_t y[2] = {vzipq_s32(low.val[0], high.val[0]),
                                vzipq_s32(low.val[1], high.val[1])};
      INT8X_UNROLL
      for (int i = 0; i < 4; ++i)
        vst1q_s8(to + (b + i) * pitch + 4 * p, vreinterpretq_s8_s32(y[i / 2].val[i % 2]));
    }
    for (; b < blocks; ++b)
      for (int i = 0; i < 4; ++i)
        __builtin_memcpy(to + b * pitch + 4 * (p + i), pixels[p + i] + 4 * b, 4);
  }
}

}  // namespace int8x
