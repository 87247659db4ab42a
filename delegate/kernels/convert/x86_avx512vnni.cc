// float32 and int8, 16 values at a time; x86_avx2.cc says how a value is rounded.

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/convert/leaf.h"

namespace int8x {
namespace {

INT8X_INLINE __m128i quantize16(__m512 x, __m512 scale, __m512i zero_point) {
  const __m512 steps = _mm512_div_ps(x, scale);
  const __m512 sign = _mm512_and_ps(steps, _mm512_set1_ps(-0.0f));
  const __m512 almost_half = _mm512_or_ps(_mm512_set1_ps(0x1.fffffep-2f), sign);
  const __m512i whole = _mm512_cvttps_epi32(_mm512_add_ps(steps, almost_half));
  return _mm512_cvtsepi32_epi8(_mm512_add_epi32(whole, zero_point));
}

// The mask of the last, short step.
INT8X_INLINE __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }

}  // namespace

void quantize_f32_s8_avx512vnni(const QuantizeParams& params, const float* input, int8_t* output,
                                int64_t count) {
  const __m512 scale = _mm512_set1_ps(params.scale);
  const __m512i zero_point = _mm512_set1_epi32(params.zero_point);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i bytes = quantize16(_mm512_loadu_ps(input + i), scale, zero_point);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output + i), bytes);
  }
  if (i == count) return;
  const __mmask16 mask = first(count - i);
  const __m128i bytes = quantize16(_mm512_maskz_loadu_ps(mask, input + i), scale, zero_point);
  _mm_mask_storeu_epi8(output + i, mask, bytes);
}

void dequantize_s8_f32_avx512vnni(const DequantizeParams& params, const int8_t* input,
                                  float* output, int64_t count) {
  const __m512 scale = _mm512_set1_ps(params.scale);
  const __m512i zero_point = _mm512_set1_epi32(params.zero_point);
  int64_t i = 0;
  for (; i < count; i += 16) {
    const __mmask16 mask = count - i >= 16 ? __mmask16{0xffff} : first(count - i);
    const __m512i x = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, input + i));
    const __m512 centred = _mm512_cvtepi32_ps(_mm512_sub_epi32(x, zero_point));
    _mm512_mask_storeu_ps(output + i, mask, _mm512_mul_ps(scale, centred));
  }
}

}  // namespace int8x
