// float32 and int8, 32 and 8 values at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/convert/leaf.h"

namespace int8x {
namespace {

// round_half_away(x / scale) + zero_point. The largest float below 1/2, added away from zero before
// truncation, carries exactly those fractions over that are 1/2 and more. vcvttps gives INT32_MIN
// for NaN and for what no int32 holds.
INT8X_INLINE __m256i quantize8(const float* p, __m256 scale, __m256i zero_point) {
  const __m256 steps = _mm256_div_ps(_mm256_loadu_ps(p), scale);
  const __m256 sign = _mm256_and_ps(steps, _mm256_set1_ps(-0.0f));
  const __m256 almost_half = _mm256_or_ps(_mm256_set1_ps(0x1.fffffep-2f), sign);
  return _mm256_add_epi32(_mm256_cvttps_epi32(_mm256_add_ps(steps, almost_half)), zero_point);
}

INT8X_INLINE void quantize32(const float* p, __m256 scale, __m256i zero_point, int8_t* to) {
  const __m256i ab =
      _mm256_packs_epi32(quantize8(p, scale, zero_point), quantize8(p + 8, scale, zero_point));
  const __m256i cd = _mm256_packs_epi32(quantize8(p + 16, scale, zero_point),
                                        quantize8(p + 24, scale, zero_point));
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd),
                                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
}

}  // namespace

void quantize_f32_s8_avx2(const QuantizeParams& params, const float* input, int8_t* output,
                          int64_t count) {
  const __m256 scale = _mm256_set1_ps(params.scale);
  const __m256i zero_point = _mm256_set1_epi32(params.zero_point);
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) quantize32(input + i, scale, zero_point, output + i);
  if (i == count) return;
  float rest[32] = {};
  int8_t bytes[32];
  std::memcpy(rest, input + i, static_cast<size_t>(count - i) * sizeof(float));
  quantize32(rest, scale, zero_point, bytes);
  std::memcpy(output + i, bytes, static_cast<size_t>(count - i));
}

void dequantize_s8_f32_avx2(const DequantizeParams& params, const int8_t* input, float* output,
                            int64_t count) {
  const __m256 scale = _mm256_set1_ps(params.scale);
  const __m256i zero_point = _mm256_set1_epi32(params.zero_point);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i x =
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(input + i)));
    const __m256 centred = _mm256_cvtepi32_ps(_mm256_sub_epi32(x, zero_point));
    _mm256_storeu_ps(output + i, _mm256_mul_ps(scale, centred));
  }
  for (; i < count; ++i) {
    output[i] = params.scale * static_cast<float>(input[i] - params.zero_point);
  }
}

}  // namespace int8x
