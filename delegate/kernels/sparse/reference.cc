#include "delegate/kernels/sparse/leaf.h"

namespace int8x {

// lhs is [blocks][count][4].
void sparse_s8_s8_s32_1x1x4_reference(const SparseBlock& b) {
  const int8_t* lhs = static_cast<const int8_t*>(b.lhs);
  const int8_t* weights = static_cast<const int8_t*>(b.weights);
  for (int j = 0; j < b.channels; ++j) {
    for (int p = 0; p < b.pixels; ++p) {
      const int at = j * kSparsePixels + p;
      uint32_t sum = b.before == nullptr ? 0 : static_cast<uint32_t>(b.before[at]);
      for (uint32_t k = b.ends[j]; k < b.ends[j + 1]; ++k) {
        const int8_t* four = lhs + (int64_t{b.blocks[k]} * b.pixels + p) * 4;
        for (int i = 0; i < 4; ++i) sum += static_cast<uint32_t>(four[i] * weights[4 * k + i]);
      }
      b.sums[at] = static_cast<int32_t>(sum);
    }
  }
}

void sparse_s8_s8_s32_1x1x4_reference_pack(const int8_t* const* pixels, int count, int blocks,
                                           void* lhs) {
  int8_t* to = static_cast<int8_t*>(lhs);
  for (int b = 0; b < blocks; ++b)
    for (int p = 0; p < count; ++p)
      for (int i = 0; i < 4; ++i) *to++ = pixels[p][4 * b + i];
}

}  // namespace int8x
