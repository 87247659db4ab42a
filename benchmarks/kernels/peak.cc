#include "benchmarks/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "benchmarks/kernels/timing.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace int8x {
namespace {

// Each loop keeps enough independent sums in flight to hide the latency of its instruction; it
// returns its products.
constexpr int kPeakRounds = 1000;

#if defined(__x86_64__)
#define INT8X_UNROLL _Pragma("GCC unroll 16")

__attribute__((target("avx512f,avx512vnni"))) double peak_avx512vnni() {
  __m512i sums[16] = {}, a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 16; ++j) {
      sums[j] = _mm512_dpbusd_epi32(sums[j], a, b);
      asm volatile("" : "+v"(sums[j]));
    }
  }
  return kPeakRounds * 16.0 * 64;
}

__attribute__((target("avx512f,avx512vnni"))) double peak_s16_avx512vnni() {
  __m512i sums[16] = {}, a = _mm512_set1_epi16(3), b = _mm512_set1_epi16(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 16; ++j) {
      sums[j] = _mm512_dpwssd_epi32(sums[j], a, b);
      asm volatile("" : "+v"(sums[j]));
    }
  }
  return kPeakRounds * 16.0 * 32;
}

__attribute__((target("avx2,avxvnni"))) double peak_avxvnni() {
  __m256i sums[12] = {}, a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 12; ++j) {
      sums[j] = _mm256_dpbusd_avx_epi32(sums[j], a, b);
      asm volatile("" : "+x"(sums[j]));
    }
  }
  return kPeakRounds * 12.0 * 32;
}

__attribute__((target("avx2,avxvnni"))) double peak_s16_avxvnni() {
  __m256i sums[12] = {}, a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 12; ++j) {
      sums[j] = _mm256_dpwssd_avx_epi32(sums[j], a, b);
      asm volatile("" : "+x"(sums[j]));
    }
  }
  return kPeakRounds * 12.0 * 16;
}

// There is no dot product of int8 here: it is that of int16.
__attribute__((target("avx2"))) double peak_avx2() {
  __m256i sums[12] = {}, a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 12; ++j) {
      asm volatile("" : "+x"(a));
      sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(a, b));
      asm volatile("" : "+x"(sums[j]));
    }
  }
  return kPeakRounds * 12.0 * 16;
}

__attribute__((target("amx-tile,amx-int8"))) double peak_avx512amx() {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  asm volatile("" : : "r"(&config) : "memory");  // GCC does not know that all of it is read
  _tile_loadconfig(&config);
  for (int i = 0; i < kPeakRounds; ++i) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
  return kPeakRounds * 4.0 * 16 * 16 * 64;
}

#elif defined(__aarch64__)
#define INT8X_UNROLL _Pragma("GCC unroll 16")

double peak_neon() {
  int32x4_t sums[16] = {};
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 16; ++j) {
      asm volatile("" : "+w"(a));
      const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
      sums[j] = vpadalq_s16(sums[j], vmlal_high_s8(low, a, b));
      asm volatile("" : "+w"(sums[j]));
    }
  }
  return kPeakRounds * 16.0 * 16;
}

double peak_s16_neon() {
  int32x4_t sums[16] = {};
  int16x8_t a = vdupq_n_s16(3), b = vdupq_n_s16(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 16; j += 2) {
      asm volatile("" : "+w"(a));
      sums[j] = vmlal_s16(sums[j], vget_low_s16(a), vget_low_s16(b));
      sums[j + 1] = vmlal_high_s16(sums[j + 1], a, b);
      asm volatile("" : "+w"(sums[j]), "+w"(sums[j + 1]));
    }
  }
  return kPeakRounds * 16.0 * 4;
}

__attribute__((target("arch=armv8.2-a+dotprod"))) double peak_neondot() {
  int32x4_t sums[16] = {};
  const int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(5);
  for (int i = 0; i < kPeakRounds; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 16; ++j) {
      sums[j] = vdotq_s32(sums[j], a, b);
      asm volatile("" : "+w"(sums[j]));
    }
  }
  return kPeakRounds * 16.0 * 16;
}
#endif

struct Peak {
  Factors factors;
  arch::Arch arch;
  double (*loop)();
};

constexpr Peak kPeaks[] = {
#if defined(__x86_64__)
    {Factors::s8, arch::avx512amx, peak_avx512amx},
    {Factors::s8, arch::avx512vnni, peak_avx512vnni},
    {Factors::s8, arch::avxvnni, peak_avxvnni},
    {Factors::s8, arch::avx2, peak_avx2},
    {Factors::s16, arch::avx512vnni, peak_s16_avx512vnni},
    {Factors::s16, arch::avxvnni, peak_s16_avxvnni},
    {Factors::s16, arch::avx2, peak_avx2},
#elif defined(__aarch64__)
    {Factors::s8, arch::neondot, peak_neondot},
    {Factors::s8, arch::neon, peak_neon},
    {Factors::s16, arch::neon, peak_s16_neon},
#endif
};
constexpr int kPeakCount = sizeof(kPeaks) / sizeof(*kPeaks);

// The best of 20 goes of a millisecond or so.
double rate(double (*loop)()) {
  double best = 0;
  for (int go = 0; go < 20; ++go) {
    double products = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) products += loop();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::max(best, products / spent.count());
  }
  return best;
}

}  // namespace

void count_products(benchmark::State& state, double seconds, double products, arch::ArchSet archs,
                    Factors factors) {
  state.counters["GMAC/s"] = products / seconds / 1e9;
  if (const double peak = peak_of(factors, archs)) {
    state.counters["of peak"] = products / seconds / peak;
  }
}

double peak_of(Factors factors, arch::ArchSet archs) {
  static double measured[kPeakCount] = {};
  for (int i = 0; i < kPeakCount; ++i) {
    const Peak& peak = kPeaks[i];
    if (peak.factors != factors || !arch::has(archs & arch::supported(), peak.arch)) continue;
    if (measured[i] == 0) measured[i] = rate(peak.loop);
    return measured[i];
  }
  return 0;
}

void add_peaks() {
  for (const Peak& peak : kPeaks) {
    if (!arch::has(arch::supported(), peak.arch)) continue;
    const std::string factors = peak.factors == Factors::s8 ? "s8/" : "s16/";
    const std::string name = "peak/" + factors + arch::name(peak.arch);
    benchmark::RegisterBenchmark(name.c_str(), [&peak](benchmark::State& state) {
      double products = 0;
      const double seconds = seconds_of(state, [&] { products = peak.loop(); });
      count_products(state, seconds, products, arch::bit(peak.arch), peak.factors);
    });
  }
}

}  // namespace int8x
