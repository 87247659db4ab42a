#include <algorithm>
#include <cstring>
#include <limits>

#include "delegate/kernels/observe/leaf.h"
#include "delegate/kernels/observe/observe.h"

namespace int8x {
namespace {

constexpr SummarizeKernel kSummarize[] = {
#define INT8X_SUMMARIZE_KERNEL(arch, name) {arch, #name, name},
#define INT8X_UPPER_HALVES_KERNEL(arch, name)
#include "delegate/kernels/observe/kernels.inc"
#undef INT8X_SUMMARIZE_KERNEL
#undef INT8X_UPPER_HALVES_KERNEL
};
constexpr UpperHalvesKernel kUpperHalves[] = {
#define INT8X_SUMMARIZE_KERNEL(arch, name)
#define INT8X_UPPER_HALVES_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/observe/kernels.inc"
#undef INT8X_SUMMARIZE_KERNEL
#undef INT8X_UPPER_HALVES_KERNEL
};

// So many elements are read twice in a row, from a near cache the second time.
constexpr size_t kChunk = 16384;

constexpr size_t kLine = 64;  // bytes of a cache line
// Elements that 32 bits surely count; a multiple of any chunk would do as well.
constexpr size_t kMostCounted = size_t{1} << 30;

// Zeros are left out of `halves` and counted at once: ReLU's would otherwise make each increment
// wait for the store of the last one.
void count(const UpperHalvesKernel& kernel, const float* x, size_t n, uint32_t* counts) {
  uint16_t halves[kChunk + 15];
  for (size_t begin = 0; begin < n; begin += kChunk) {
    const size_t length = std::min(kChunk, n - begin);
    const size_t kept = kernel.run(x + begin, length, halves);
    // Counting leaves the way to memory idle: the next chunk is fetched meanwhile.
    const char* ahead = reinterpret_cast<const char*>(x + begin + length);
    size_t i = 0;
    for (; i + 8 <= kept; i += 8, ahead += 2 * kLine) {
      __builtin_prefetch(ahead, 0, 2);
      __builtin_prefetch(ahead + kLine, 0, 2);
      for (size_t k = 0; k < 8; ++k) ++counts[halves[i + k]];
    }
    for (; i < kept; ++i) ++counts[halves[i]];
    counts[0] += static_cast<uint32_t>(length - kept);
  }
}

// Adds counts[first, last) to the bins and zeroes them; most are zero, and their bins not touched.
void move(uint32_t* counts, size_t first, size_t last, int64_t* bins) {
  constexpr size_t kGroup = 32;
  for (size_t group = first / kGroup * kGroup; group < last; group += kGroup) {
    uint32_t any = 0;
    for (size_t b = group; b < group + kGroup; ++b) any |= counts[b];
    if (any == 0) continue;
    for (size_t b = group; b < group + kGroup; ++b) bins[b] += counts[b], counts[b] = 0;
  }
}

size_t bin(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits >> 16;
}

// As move(), of all bins between those of min and max.
void move_between(float min, float max, uint32_t* counts, int64_t* bins) {
  constexpr size_t kMinusZero = 0x8000;
  move(counts, 0, max > 0 ? bin(max) + 1 : 1, bins);
  move(counts, kMinusZero, min < 0 ? bin(min) + 1 : kMinusZero + 1, bins);
}

int64_t non_finite(const uint32_t* counts) {
  int64_t found = 0;
  for (int b = 0x7f80; b < 0x8000; ++b) found += int64_t{counts[b]} + counts[0x8000 + b];
  return found;
}

template <typename Kernel>
const Kernel* first(const Kernel* kernel, arch::ArchSet archs) {
  while (!arch::has(archs | arch::bit(arch::reference), kernel->arch)) ++kernel;
  return kernel;
}

}  // namespace

SummarizeKernelList summarize_kernels() {
  return {kSummarize, sizeof(kSummarize) / sizeof(*kSummarize)};
}
UpperHalvesKernelList upper_halves_kernels() {
  return {kUpperHalves, sizeof(kUpperHalves) / sizeof(*kUpperHalves)};
}

ObserveParams make_observe_params(arch::ArchSet archs) {
  return {first(kSummarize, archs), first(kUpperHalves, archs)};
}

ObserveSummary observe_run(const ObserveParams& params, const float* x, size_t rows,
                           size_t channels, uint32_t* counts, int64_t* bins, float* channel_min,
                           float* channel_max, double* channel_sum) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::fill(channel_min, channel_min + channels, kInfinity);
  std::fill(channel_max, channel_max + channels, -kInfinity);
  std::fill(channel_sum, channel_sum + channels, 0.0);
  int64_t bad = 0;
  const size_t chunk_rows = std::max<size_t>(1, kChunk / std::max<size_t>(channels, 1));
  size_t counted = 0;
  for (size_t begin = 0; begin < rows && channels > 0; begin += chunk_rows) {
    const float* chunk = x + begin * channels;
    const size_t count_rows = std::min(chunk_rows, rows - begin);
    // The histogram first: it reads in order, which is what the prefetcher of memory follows.
    count(*params.upper_halves, chunk, count_rows * channels, counts);
    params.summarize->run(chunk, count_rows, channels, channel_min, channel_max, channel_sum);
    counted += count_rows * channels;
    if (counted < kMostCounted) continue;
    bad += non_finite(counts);
    move(counts, 0, kHistogramBins, bins);
    counted = 0;
  }
  ObserveSummary summary = {kInfinity, -kInfinity, bad + non_finite(counts)};
  for (size_t c = 0; c < channels; ++c) {
    channel_min[c] += 0.0f;  // -0 becomes 0: which of the two came first must not matter
    channel_max[c] += 0.0f;
    summary.min = std::min(summary.min, channel_min[c]);
    summary.max = std::max(summary.max, channel_max[c]);
  }
  if (summary.non_finite == 0) {
    move_between(summary.min, summary.max, counts, bins);
  } else {
    move(counts, 0, kHistogramBins, bins);
  }
  return summary;
}

}  // namespace int8x
