// What calibration keeps of one activation's values (docs/numerics.md, section 2): a histogram that
// needs no range, and each channel's extremes and sum.
//
// Bin b counts the x whose upper 16 bits, as float32, are b: sign, exponent and the first 7 bits of
// the mantissa. A bin is [v, v (1 + 2^-7)) or narrower, whatever the other values are; two
// histograms merge by addition. 0 and 0x8000 hold the zeros and what lies below 2^-133.

#ifndef INT8X_KERNELS_OBSERVE_OBSERVE_H_
#define INT8X_KERNELS_OBSERVE_OBSERVE_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

constexpr int kHistogramBins = 65536;

// For x of rows x channels, row-major, and each channel c:
//   min[c] = x[r][c] < min[c] ? x[r][c] : min[c], max likewise, sum[c] += double(x[r][c]),
// r ascending; of zeros of both signs either one may be the extreme.
struct SummarizeKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const float* x, size_t rows, size_t channels, float* min, float* max, double* sum);
};

// Writes the upper halves of those of the n elements of x whose upper half is not 0 to `halves`, in
// order, and returns their number. `halves` has room for n + 15.
struct UpperHalvesKernel {
  arch::Arch arch;
  const char* name;
  size_t (*run)(const float* x, size_t n, uint16_t* halves);
};

struct SummarizeKernelList {
  const SummarizeKernel* kernels;  // best first; the last is the reference
  int count;
};
struct UpperHalvesKernelList {
  const UpperHalvesKernel* kernels;  // best first; the last is the reference
  int count;
};
SummarizeKernelList summarize_kernels();
UpperHalvesKernelList upper_halves_kernels();

struct ObserveParams {
  const SummarizeKernel* summarize;
  const UpperHalvesKernel* upper_halves;
};
ObserveParams make_observe_params(arch::ArchSet archs);

struct ObserveSummary {
  float min, max;      // over all elements, never -0; +inf, -inf when there are none
  int64_t non_finite;  // NaN and infinities seen; when not 0, nothing else is valid
};

// Adds the rows x channels elements of x to `bins` and summarizes each channel over this call's
// rows alone: channel_min and channel_max (never -0) and channel_sum [channels]. counts:
// kHistogramBins zeros, and zeros again afterwards; the same ones for all tensors, since they are
// hot in the cache where each tensor's own bins are not.
ObserveSummary observe_run(const ObserveParams& params, const float* x, size_t rows,
                           size_t channels, uint32_t* counts, int64_t* bins, float* channel_min,
                           float* channel_max, double* channel_sum);

}  // namespace int8x

#endif  // INT8X_KERNELS_OBSERVE_OBSERVE_H_
