// The kernels that work on rows of sums and of floats: requantize and observe.

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "benchmarks/kernels/bandwidth.h"
#include "benchmarks/kernels/data.h"
#include "benchmarks/kernels/families.h"
#include "benchmarks/kernels/timing.h"
#include "delegate/kernels/observe/observe.h"
#include "delegate/kernels/requantize/requantize.h"

namespace int8x {
namespace {

constexpr int kRows = 196, kColumns = 512;
constexpr int64_t kCount = kRows * kColumns;

void requantize(benchmark::State& state, const RequantizeKernel& kernel, bool narrow) {
  auto sums = bytes(kCount * 4), output = bytes(kCount);
  auto* c = reinterpret_cast<int32_t*>(sums.get());
  for (int64_t i = 0; i < kCount; ++i) c[i] /= 1 << 12;
  const std::vector<int32_t> bias(kColumns, 100);
  const std::vector<Multiplier> multipliers(kColumns, quantize_multiplier(0.0003));
  const std::vector<double> scales(kColumns, 0.0003);
  const RequantizeBlock block = {
      kRows, kColumns, c,   kColumns,     bias.data(), multipliers.data(), scales.data(), narrow,
      3,     -128,     127, output.get(), kColumns};
  const double seconds = seconds_of(state, [&] { kernel.run(block); });
  count_bytes(state, seconds, {kCount, 4 * kCount, kCount}, arch::bit(kernel.arch));
}

// Numbers as activations are: half of them zero.
std::vector<float> activations() {
  auto random = bytes(kCount);
  std::vector<float> out(kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    out[static_cast<size_t>(i)] = std::max(0.01f * static_cast<float>(random.get()[i]), 0.0f);
  }
  return out;
}

void summarize(benchmark::State& state, const SummarizeKernel& kernel) {
  const std::vector<float> x = activations();
  std::vector<float> min(kColumns, std::numeric_limits<float>::infinity());
  std::vector<float> max(kColumns, -std::numeric_limits<float>::infinity());
  std::vector<double> sum(kColumns, 0.0);
  const double seconds = seconds_of(state, [&] {
    std::fill(sum.begin(), sum.end(), 0.0);
    kernel.run(x.data(), kRows, kColumns, min.data(), max.data(), sum.data());
  });
  count_bytes(state, seconds, {kCount, 4 * kCount, 0}, arch::bit(kernel.arch));
}

void upper_halves(benchmark::State& state, const UpperHalvesKernel& kernel) {
  const std::vector<float> x = activations();
  std::vector<uint16_t> halves(kCount + 15);
  size_t kept = 0;
  const double seconds =
      seconds_of(state, [&] { kept = kernel.run(x.data(), kCount, halves.data()); });
  count_bytes(state, seconds, {kCount, 4 * kCount, static_cast<int64_t>(2 * kept)},
              arch::bit(kernel.arch));
}

template <typename Kernel, typename Time>
void add_lines(const std::string& family, const Kernel* kernels, int count, const Time& time) {
  for (const Kernel* kernel = kernels; kernel < kernels + count; ++kernel) {
    if (!arch::has(arch::supported(), kernel->arch)) continue;
    benchmark::RegisterBenchmark((family + kernel->name).c_str(),
                                 [=](benchmark::State& s) { time(s, *kernel); });
  }
}

}  // namespace

void add_rows() {
  int count;
  const RequantizeKernel* kernels = requantize_kernels(&count);
  for (bool narrow : {true, false}) {
    const std::string family = narrow ? "requantize/narrow/" : "requantize/wide/";
    add_lines(family, kernels, count, [narrow](benchmark::State& s, const RequantizeKernel& k) {
      requantize(s, k, narrow);
    });
  }
  kernels = requantize_double_kernels(&count);
  add_lines("requantize/", kernels, count,
            [](benchmark::State& s, const RequantizeKernel& k) { requantize(s, k, false); });
  const SummarizeKernelList summaries = summarize_kernels();
  add_lines("observe/", summaries.kernels, summaries.count, summarize);
  const UpperHalvesKernelList halves = upper_halves_kernels();
  add_lines("observe/", halves.kernels, halves.count, upper_halves);
}

}  // namespace int8x
