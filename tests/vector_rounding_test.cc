// The vector roundings equal requantize.h in every lane, over edge values (ties first) and at
// random. Each instruction set is compiled here under its own target and run when the CPU has it.

#include <cstdio>
#include <random>
#include <vector>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"
#include "gtest/gtest.h"

#if defined(__x86_64__)
#include <immintrin.h>
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 says so of its own AVX-512 header
#pragma GCC push_options
#pragma GCC target("avx2")
#include "delegate/fixed_point/vector_avx2.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
#include "delegate/fixed_point/vector_avx512.h"
#pragma GCC pop_options
#elif defined(__aarch64__)
#include "delegate/fixed_point/vector_neon.h"
#endif

namespace int8x {
namespace {

// Fills out[0, 16): lane i is the function of x[i] and m[i].
using Lanes = void (*)(const int32_t* x, const Multiplier* m, int32_t* out);

struct Implementation {
  const char* name;
  arch::Arch arch;
  Lanes product, divide, full, narrow, half_up;
};

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
template <__m256i (*function)(__m256i, const avx2::Rounding&)>
void lanes_avx2(const int32_t* x, const Multiplier* m, int32_t* out) {
  for (int i = 0; i < 16; i += 8) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    const __m256i y = function(v, avx2::rounding(m + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), y);
  }
}
__m256i half_up_avx2(__m256i x, const avx2::Rounding& r) {
  const __m256i biased = _mm256_xor_si256(x, _mm256_set1_epi32(INT32_MIN));
  const __m256i y = avx2::multiply_half_up_biased(biased, avx2::half_up(r));
  return _mm256_max_epi32(y, _mm256_setzero_si256());
}
const Implementation kAvx2 = {"avx2",
                              arch::avx2,
                              lanes_avx2<avx2::saturating_rounding_doubling_high_mul>,
                              lanes_avx2<avx2::rounding_divide_by_pot>,
                              lanes_avx2<avx2::multiply_by_quantized_multiplier>,
                              lanes_avx2<avx2::multiply_narrow>,
                              lanes_avx2<half_up_avx2>};
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
template <__m512i (*function)(__m512i, const avx512::Rounding&)>
void lanes_avx512(const int32_t* x, const Multiplier* m, int32_t* out) {
  _mm512_storeu_si512(out, function(_mm512_loadu_si512(x), avx512::rounding(m)));
}
__m512i half_up_avx512(__m512i x, const avx512::Rounding& r) {
  const __m512i biased = _mm512_xor_si512(x, _mm512_set1_epi32(INT32_MIN));
  const __m512i y = avx512::multiply_half_up_biased(biased, avx512::half_up(r));
  return _mm512_max_epi32(y, _mm512_setzero_si512());
}
const Implementation kAvx512 = {"avx512",
                                arch::avx512vnni,
                                lanes_avx512<avx512::saturating_rounding_doubling_high_mul>,
                                lanes_avx512<avx512::rounding_divide_by_pot>,
                                lanes_avx512<avx512::multiply_by_quantized_multiplier>,
                                lanes_avx512<avx512::multiply_narrow>,
                                lanes_avx512<half_up_avx512>};
#pragma GCC pop_options
const Implementation kImplementations[] = {kAvx2, kAvx512};
#elif defined(__aarch64__)
template <int32x4_t (*function)(int32x4_t, const neon::Rounding&)>
void lanes_neon(const int32_t* x, const Multiplier* m, int32_t* out) {
  for (int i = 0; i < 16; i += 4)
    vst1q_s32(out + i, function(vld1q_s32(x + i), neon::rounding(m + i)));
}
int32x4_t half_up_neon(int32x4_t x, const neon::Rounding& r) {
  return vmaxq_s32(neon::multiply_half_up(x, r), vdupq_n_s32(0));
}
const Implementation kImplementations[] = {
    {"neon", arch::neon, lanes_neon<neon::saturating_rounding_doubling_high_mul>,
     lanes_neon<neon::rounding_divide_by_pot>, lanes_neon<neon::multiply_by_quantized_multiplier>,
     lanes_neon<neon::multiply_narrow>, lanes_neon<half_up_neon>}};
#endif

std::vector<int32_t> edge_multipliers() {
  return {0,          1 << 30,    (1 << 30) + 1, 1431655765, 1431655766,
          1717986918, 1717986919, INT32_MAX - 1, INT32_MAX,  1518500250};
}

std::vector<int32_t> edge_values() {
  std::vector<int32_t> values = {0, INT32_MIN, INT32_MAX};
  for (int bit = 0; bit < 31; ++bit) {
    for (int delta = -3; delta <= 3; ++delta) {
      const int32_t v = wrapping_add(int32_t{1} << bit, delta);
      values.push_back(v);
      values.push_back(wrapping_add(0, -v));
      values.push_back(wrapping_add(v, v >> 1));
      values.push_back(wrapping_add(0, -wrapping_add(v, v >> 1)));
    }
  }
  for (int v = -300; v <= 300; ++v) values.push_back(v);
  return values;
}

int32_t product_of(int32_t x, Multiplier m) {
  return saturating_rounding_doubling_high_mul(x, m.multiplier);
}
int32_t quotient_of(int32_t x, Multiplier m) {
  return rounding_divide_by_pot(x, m.shift > 0 ? 0 : -m.shift);
}
int32_t clamped_of(int32_t x, Multiplier m) {
  return clamp(multiply_by_quantized_multiplier(x, m), 0, INT32_MAX);
}
bool any(int32_t, Multiplier) { return true; }
bool inner(int32_t x, Multiplier) { return x != INT32_MIN && x != INT32_MAX; }
bool narrow(int32_t x, Multiplier m) { return m.shift <= 0 && x > -(1 << 30) && x < (1 << 30); }

// Collects lanes and compares sixteen at a time.
class Checker {
 public:
  Checker(Lanes lanes, int32_t (*scalar)(int32_t, Multiplier), bool (*domain)(int32_t, Multiplier))
      : lanes_(lanes), scalar_(scalar), domain_(domain) {}

  void add(int32_t x, Multiplier m) {
    if (!domain_(x, m)) return;
    x_[count_] = x;
    m_[count_] = m;
    if (++count_ == 16) flush();
  }

  void flush() {
    int32_t out[16];
    lanes_(x_, m_, out);
    for (int i = 0; i < count_; ++i)
      ASSERT_EQ(out[i], scalar_(x_[i], m_[i]))
          << "x " << x_[i] << " multiplier " << m_[i].multiplier << " shift " << m_[i].shift;
    count_ = 0;
  }

 private:
  Lanes lanes_;
  int32_t (*scalar_)(int32_t, Multiplier);
  bool (*domain_)(int32_t, Multiplier);
  int32_t x_[16] = {};
  Multiplier m_[16] = {};
  int count_ = 0;
};

void compare_everywhere(Lanes lanes, int32_t (*scalar)(int32_t, Multiplier),
                        bool (*domain)(int32_t, Multiplier)) {
  Checker checker(lanes, scalar, domain);
  for (int32_t m : edge_multipliers())
    for (int shift = -31; shift <= 30; ++shift)
      for (int32_t x : edge_values()) checker.add(x, {m, shift});
  const unsigned seed = 20240607;
  std::mt19937 random(seed);
  for (int i = 0; i < 2000000; ++i) {
    const int32_t multiplier = static_cast<int32_t>((random() >> 2) | (1u << 30));
    const int shift = static_cast<int>(random() % 62) - 31;
    const int32_t x = static_cast<int32_t>(random()) >> (random() % 31);
    checker.add(x, {multiplier, shift});
  }
  checker.flush();
}

template <typename Check>
void on_each_implementation(Check check) {
  for (const Implementation& implementation : kImplementations) {
    if (!arch::has(arch::supported(), implementation.arch)) {
      std::printf("not run on this CPU: %s\n", implementation.name);
      continue;
    }
    SCOPED_TRACE(implementation.name);
    check(implementation);
  }
}

TEST(VectorRounding, ProductEqualsTheScalarOne) {
  on_each_implementation(
      [](const Implementation& i) { compare_everywhere(i.product, product_of, any); });
}

TEST(VectorRounding, DivisionByAPowerOfTwoEqualsTheScalarOne) {
  on_each_implementation(
      [](const Implementation& i) { compare_everywhere(i.divide, quotient_of, inner); });
}

TEST(VectorRounding, FullMultiplyEqualsTheScalarOneAlsoWhereTheLeftShiftWraps) {
  on_each_implementation([](const Implementation& i) {
    compare_everywhere(i.full, multiply_by_quantized_multiplier, any);
  });
}

TEST(VectorRounding, NarrowMultiplyEqualsTheScalarOneInItsDomain) {
  on_each_implementation([](const Implementation& i) {
    compare_everywhere(i.narrow, multiply_by_quantized_multiplier, narrow);
  });
}

TEST(VectorRounding, HalfUpMultiplyEqualsTheScalarOneOnceBothAreClampedToZero) {
  on_each_implementation(
      [](const Implementation& i) { compare_everywhere(i.half_up, clamped_of, narrow); });
}

}  // namespace
}  // namespace int8x
