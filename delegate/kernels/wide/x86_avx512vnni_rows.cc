// int16 pools, LOGISTIC, TANH and SOFTMAX, 16 elements at a time.

// GCC 12 says so of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include <cstring>

#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"
#include "delegate/kernels/wide/x86_avx512vnni_words.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct W : avx512::WideWords {
  static LEAF_MEMBER Words sub(Words a, Words b) { return _mm512_sub_epi32(a, b); }
  static LEAF_MEMBER Words min(Words a, Words b) { return _mm512_min_epi32(a, b); }
  static LEAF_MEMBER Words max(Words a, Words b) { return _mm512_max_epi32(a, b); }
  static LEAF_MEMBER Words bit_and(Words a, Words b) { return _mm512_and_si512(a, b); }
  static LEAF_MEMBER Words bit_xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
  static LEAF_MEMBER Words abs(Words a) { return _mm512_abs_epi32(a); }
  static LEAF_MEMBER Words shift_left(Words a, int n) {
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words shift_right(Words a, int n) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words arithmetic_right(Words a, int n) {
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words low_product(Words a, Words b) {
    return _mm512_madd_epi16(a, _mm512_maskz_mov_epi16(0x55555555, b));
  }
  static LEAF_MEMBER Words gather32(const uint32_t* table, Words index) {
    return _mm512_i32gather_epi32(index, table, 4);
  }
  static LEAF_MEMBER Words gather16(const int16_t* table, Words index) {
    return _mm512_i32gather_epi32(index, table, 2);
  }
  static LEAF_MEMBER __m256i mean8(__m256i sum, double half, double inverse) {
    const __m512d x = _mm512_cvtepi32_pd(sum);
    const __m512d sign = _mm512_and_pd(x, _mm512_set1_pd(-0.0));
    const __m512d raised = _mm512_add_pd(x, _mm512_or_pd(_mm512_set1_pd(half), sign));
    return _mm512_cvttpd_epi32(_mm512_mul_pd(raised, _mm512_set1_pd(inverse)));
  }
  static LEAF_MEMBER Words mean(Words sum, double half, double inverse) {
    const Words low = _mm512_castsi256_si512(mean8(_mm512_castsi512_si256(sum), half, inverse));
    return _mm512_inserti64x4(low, mean8(_mm512_extracti64x4_epi64(sum, 1), half, inverse), 1);
  }
  static LEAF_MEMBER int32_t sum(Words x) { return _mm512_reduce_add_epi32(x); }
};

#include "delegate/kernels/wide/rows.inc"

// 256 int16 in registers: vpermi2w finds one of 64 in two of them by the six
// low bits of an index.
struct Table {
  __m512i part[8];
};

LEAF_INLINE __m512i look_up(const Table& t, __m512i index) {
  const __mmask32 bit6 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
  const __mmask32 bit7 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(128));
  const __m512i a = _mm512_permutex2var_epi16(t.part[0], index, t.part[1]);
  const __m512i b = _mm512_permutex2var_epi16(t.part[2], index, t.part[3]);
  const __m512i c = _mm512_permutex2var_epi16(t.part[4], index, t.part[5]);
  const __m512i d = _mm512_permutex2var_epi16(t.part[6], index, t.part[7]);
  return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(a, bit6, b), bit7,
                               _mm512_mask_mov_epi16(c, bit6, d));
}

// One half of each entry, of which the table has 256.
LEAF_INLINE Table load_table(const uint32_t* entries, int shift) {
  Table t;
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512i low = _mm512_srli_epi32(_mm512_loadu_si512(entries + 32 * i), shift);
    const __m512i high = _mm512_srli_epi32(_mm512_loadu_si512(entries + 32 * i + 16), shift);
    t.part[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(low)),
                                   _mm512_cvtepi32_epi16(high), 1);
  }
  return t;
}

// sigmoid() of rows.inc on 32 elements, looked up at once: the int16 pairs of a
// lane go apart into two registers of int32 and come together again.
LEAF_INLINE void sigmoid32(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                           int64_t count) {
  const int bits = p.tanh ? 8 : 9, out_bits = p.tanh ? 8 : 10;
  const Table values = load_table(p.table, 16), steps = load_table(p.table, 0);
  const __m512i multiplier = W::fill(p.multiplier), zero = W::fill(0);
  const __m512i nudge = W::fill(p.shift > 0 ? 1 << (p.shift - 1) : 0);
  const __m512i mask = W::fill((1 << bits) - 1), high = W::fill(static_cast<int32_t>(0xffff0000));
  const int32_t positive = p.tanh ? 128 - (1 << 23) : 512;
  const int32_t negative = p.tanh ? 128 + (1 << 23) : (1 << 25) + 512;
  const __m512i plus = W::fill(positive), change = W::fill(positive ^ negative);
  const auto scale = [&](__m512i q) LEAF_LAMBDA {
    return W::arithmetic_right(W::add(_mm512_madd_epi16(q, multiplier), nudge), p.shift);
  };
  const auto finish = [&](__m512i x, __m512i entry) LEAF_LAMBDA {
    const __m512i sign = _mm512_srai_epi32(x, 31), fraction = W::bit_and(W::abs(x), mask);
    const __m512i value = W::shift_right(W::bit_and(entry, high), 16 - bits);
    const __m512i r = W::add(value, _mm512_madd_epi16(entry, fraction));
    const __m512i nudges = W::bit_xor(plus, W::bit_and(sign, change));
    return W::arithmetic_right(W::add(W::bit_xor(r, sign), nudges), out_bits);
  };
  for (int64_t i = 0; i < count; i += 32) {
    const __mmask32 some = count - i < 32 ? (__mmask32{1} << (count - i)) - 1 : ~__mmask32{0};
    const __m512i q = _mm512_maskz_loadu_epi16(some, input + i);
    const __m512i a = scale(_mm512_unpacklo_epi16(q, zero));
    const __m512i b = scale(_mm512_unpackhi_epi16(q, zero));
    const __m512i places =
        _mm512_packus_epi32(W::shift_right(W::abs(a), bits), W::shift_right(W::abs(b), bits));
    const __m512i index = _mm512_min_epu16(places, _mm512_set1_epi16(255));
    const __m512i value = look_up(values, index), step = look_up(steps, index);
    const __m512i y = _mm512_packs_epi32(finish(a, _mm512_unpacklo_epi16(step, value)),
                                         finish(b, _mm512_unpackhi_epi16(step, value)));
    _mm512_mask_storeu_epi16(output + i, some, y);
  }
}

}  // namespace

void average_pool_s16_s16_avx512vnni(const WidePoolWindow& w) {
  pool<true>(w, average_pool_s16_s16_avx2);
}
void max_pool_s16_s16_avx512vnni(const WidePoolWindow& w) { pool<false>(w, max_pool_s16_s16_avx2); }

void sigmoid_s16_s16_avx512vnni(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                                int64_t count) {
  sigmoid32(p, input, output, count);
}

int32_t softmax_s16_s16_avx512vnni(const WideSoftmaxParams& p, const int16_t* input, int32_t max,
                                   int64_t count, int16_t* output) {
  return exponentials(p, input, max, count, output);
}

}  // namespace int8x
