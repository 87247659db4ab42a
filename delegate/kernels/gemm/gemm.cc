#include "delegate/kernels/gemm/gemm.h"

#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace int8x {
namespace {

#define INT8X_GEMM_KERNEL(arch, name, lhs, weights_above_minus_128, mr, nr, panel, kr, k_step) \
  {#name, arch, LhsFormat::lhs, weights_above_minus_128, mr, nr, panel, kr, k_step, name},
#define INT8X_GEMM_REQUANTIZE_KERNEL(...)
#define INT8X_GEMV_REQUANTIZE_KERNEL(...)
constexpr GemmKernel kKernels[] = {
#include "delegate/kernels/gemm/kernels.inc"
};
#undef INT8X_GEMV_REQUANTIZE_KERNEL
#undef INT8X_GEMM_REQUANTIZE_KERNEL
#undef INT8X_GEMM_KERNEL

constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace

const GemmKernel& gemm_kernel(arch::ArchSet archs, bool has_minus_128) {
  for (const GemmKernel& kernel : kKernels) {
    if (!arch::has(archs, kernel.arch)) continue;
    if (kernel.weights_above_minus_128 && has_minus_128) continue;
    return kernel;
  }
  return kKernels[kKernelCount - 1];
}

const GemmKernel* gemm_kernels(int* count) {
  *count = kKernelCount;
  return kKernels;
}

int64_t gemm_packed_rhs_bytes(const GemmKernel& kernel, int64_t n, int taps, int k) {
  const int64_t columns = (n + kernel.panel - 1) / kernel.panel * kernel.panel;
  return columns * taps * gemm_padded_k(kernel, k);
}

void gemm_pack_rhs(const GemmKernel& kernel, int n, int taps, int k, const int8_t* weights,
                   int8_t* packed) {
  const int panel = kernel.panel, kr = kernel.kr;
  const int padded_k = gemm_padded_k(kernel, k);
  std::memset(packed, 0, static_cast<size_t>(gemm_packed_rhs_bytes(kernel, n, taps, k)));
  for (int j = 0; j < n; ++j) {
    int8_t* column = packed + int64_t{j / panel} * panel * taps * padded_k + j % panel * kr;
    for (int t = 0; t < taps; ++t) {
      for (int i = 0; i < k; ++i) column[int64_t{i / kr} * panel * kr + i % kr] = weights[i];
      weights += k;
      column += int64_t{padded_k} * panel;
    }
  }
}

void gemm_copy_lhs(LhsFormat format, void* to, const int8_t* from, int64_t count) {
  if (reads_s8(format)) {
    std::memcpy(to, from, static_cast<size_t>(count));
  } else if (format == LhsFormat::u8) {
    uint8_t* bytes = static_cast<uint8_t*>(to);
    int64_t i = 0;
#if defined(__x86_64__)
    const __m128i sign = _mm_set1_epi8(-128);
    for (; i + 16 <= count; i += 16) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + i), _mm_xor_si128(v, sign));
    }
#endif
    for (; i < count; ++i) bytes[i] = static_cast<uint8_t>(from[i] ^ 0x80);
  } else {
    int16_t* words = static_cast<int16_t*>(to);
    int64_t i = 0;
#if defined(__x86_64__)
    for (; i + 16 <= count; i += 16) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
      __m128i* out = reinterpret_cast<__m128i*>(words + i);
      _mm_storeu_si128(out, _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8));
      _mm_storeu_si128(out + 1, _mm_srai_epi16(_mm_unpackhi_epi8(v, v), 8));
    }
#endif
    for (; i < count; ++i) words[i] = from[i];
  }
}

void gemm_fill_lhs(LhsFormat format, void* to, int8_t value, int64_t count) {
  if (format == LhsFormat::s16) {
    int16_t* words = static_cast<int16_t*>(to);
    for (int64_t i = 0; i < count; ++i) words[i] = value;
  } else {
    const int flip = format == LhsFormat::u8 ? 0x80 : 0;
    std::memset(to, (value ^ flip) & 0xff, static_cast<size_t>(count));
  }
}

}  // namespace int8x
