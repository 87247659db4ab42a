// The matrix kernels, alone and in whole layers.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "benchmarks/kernels/data.h"
#include "benchmarks/kernels/families.h"
#include "benchmarks/kernels/peak.h"
#include "benchmarks/kernels/timing.h"
#include "delegate/base/arch.h"
#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/fully_connected/fully_connected.h"
#include "delegate/kernels/gemm/gemm.h"
#include "delegate/kernels/sparse/sparse.h"

namespace int8x {
namespace {

void gemm(benchmark::State& state, const GemmKernel& kernel, int k) {
  const int m = (47 + kernel.mr) / kernel.mr * kernel.mr;
  const int n = 64, padded_k = gemm_padded_k(kernel, k);
  const int64_t stride = int64_t{padded_k} * bytes_of(kernel.lhs), offset = 0;
  auto lhs = bytes(m * stride), rhs = bytes(gemm_packed_rhs_bytes(kernel, n, 1, k));
  auto c = bytes(int64_t{m} * n * 4);
  const GemmBlock block = {
      m, n, 1, padded_k, lhs.get(), stride, &offset, rhs.get(), reinterpret_cast<int32_t*>(c.get()),
      n};
  const double seconds = seconds_of(state, [&] { kernel.run(block); });
  count_products(state, seconds, 1.0 * m * n * k, arch::bit(kernel.arch));
}

struct Layer {
  const char* name;
  int size, in_c, out_c, kernel, stride;
};

// Layers of MobileNet and ResNet, from those bound by products to those bound by bytes.
constexpr Layer kLayers[] = {
    {"1x1_14x14x512_512", 14, 512, 512, 1, 1},   {"1x1_28x28x256_256", 28, 256, 256, 1, 1},
    {"1x1_7x7x1024_1024", 7, 1024, 1024, 1, 1},  {"1x1_56x56x64_128", 56, 64, 128, 1, 1},
    {"3x3_56x56x64_64", 56, 64, 64, 3, 1},       {"3x3_28x28x128_128", 28, 128, 128, 3, 1},
    {"3x3_14x14x256_256", 14, 256, 256, 3, 1},   {"3x3_7x7x512_512", 7, 512, 512, 3, 1},
    {"3x3s2_14x14x512_512", 14, 512, 512, 3, 2}, {"3x3s2_224x224x3_32", 224, 3, 32, 3, 2},
    {"1x1_56x56x144_24", 56, 144, 24, 1, 1},     {"1x1_56x56x24_144", 56, 24, 144, 1, 1},
    {"1x1_112x112x16_96", 112, 16, 96, 1, 1},    {"3x3_32x32x16_16", 32, 16, 16, 3, 1},
    {"3x3_16x16x32_32", 16, 32, 32, 3, 1},       {"3x3_8x8x64_64", 8, 64, 64, 3, 1},
    {"1x1_112x112x32_16", 112, 32, 16, 1, 1},    {"1x1_1x1x1024_1000", 1, 1024, 1000, 1, 1},
};

void conv(benchmark::State& state, const Layer& layer, arch::ArchSet archs) {
  const int out = (layer.size + layer.stride - 1) / layer.stride, k = layer.kernel;
  const int wanted = (out - 1) * layer.stride + k - layer.size, pad = wanted > 0 ? wanted / 2 : 0;
  const ConvGeometry geometry = {1,   layer.size, layer.size,   layer.in_c,   out, out, layer.out_c,
                                 k,   k,          layer.stride, layer.stride, 1,   1,   pad,
                                 pad, 1};
  const int64_t depth = int64_t{k} * k * layer.in_c;
  auto weights = bytes(layer.out_c * depth);
  auto input = bytes(int64_t{layer.size} * layer.size * layer.in_c);
  auto output = bytes(int64_t{out} * out * layer.out_c);
  const std::vector<int32_t> bias(layer.out_c, 100);
  const std::vector<Multiplier> multipliers(layer.out_c, quantize_multiplier(0.7 / (70 * depth)));
  const ConvSpec spec = {layer.out_c,        k,  k, layer.in_c, 1,  weights.get(), bias.data(),
                         multipliers.data(), -3, 4, -128,       127};
  const ConvWeightsPtr packed = conv_pack(spec, archs);
  auto scratch = bytes(conv_scratch_bytes(*packed, geometry));
  const int64_t tiles = conv_tiles(*packed, geometry);
  const double seconds = seconds_of(state, [&] {
    conv_run(*packed, geometry, input.get(), output.get(), 0, tiles, scratch.get());
  });
  state.SetLabel(conv_kernel_name(*packed));
  count_products(state, seconds, 1.0 * out * out * layer.out_c * depth, archs);
}

void sparse(benchmark::State& state, const Layer& layer, double zeros, arch::ArchSet archs) {
  const int out = (layer.size + layer.stride - 1) / layer.stride, k = layer.kernel;
  const int wanted = (out - 1) * layer.stride + k - layer.size, pad = wanted > 0 ? wanted / 2 : 0;
  const SparseGeometry geometry = {
      1, layer.size, layer.size, out, out, k, k, layer.stride, layer.stride, 1, 1, pad, pad};
  const int64_t rows = int64_t{layer.out_c} * k * k, count = rows * layer.in_c;
  auto weights = bytes(count);
  std::mt19937 random(2);
  for (int64_t b = 0; b < count / 4; ++b)
    if (random() < zeros * 4294967296.0) std::fill_n(weights.get() + 4 * b, 4, int8_t{0});
  auto input = bytes(int64_t{layer.size} * layer.size * layer.in_c);
  auto output = bytes(int64_t{out} * out * layer.out_c);
  const std::vector<int32_t> bias(layer.out_c, 100);
  const std::vector<Multiplier> multipliers(layer.out_c,
                                            quantize_multiplier(0.01 / (k * k * layer.in_c)));
  const SparseSpec spec = {
      layer.out_c, k * k, layer.in_c, weights.get(), bias.data(), multipliers.data(), nullptr,
      0,           -3,    4,          -128,          127,         layer.size == 1};
  const SparseWeightsPtr packed = sparse_pack(spec, archs);
  auto scratch = bytes(sparse_scratch_bytes(*packed, geometry));
  const int64_t tiles = sparse_tiles(*packed, geometry);
  const double seconds = seconds_of(state, [&] {
    sparse_run(*packed, geometry, input.get(), output.get(), 0, tiles, scratch.get());
  });
  state.SetLabel(sparse_kernel_name(*packed));
  count_products(state, seconds, 1.0 * out * out * count, archs);
  const int64_t kept = sparse_kept_blocks(weights.get(), rows, layer.in_c);
  state.counters["kept GMAC/s"] = 4e-9 * out * out * static_cast<double>(kept) / seconds;
}

void fully_connected(benchmark::State& state, int rows, int in_c, int out_c, arch::ArchSet archs) {
  auto weights = bytes(int64_t{out_c} * in_c), input = bytes(int64_t{rows} * in_c);
  auto output = bytes(int64_t{rows} * out_c);
  const std::vector<int32_t> bias(out_c, 100);
  const double scale = 0.0003;
  const FullyConnectedSpec spec = {out_c, in_c, weights.get(), bias.data(), &scale, 1, 0,
                                   -3,    4,    -128,          127};
  const FullyConnectedWeightsPtr packed = fully_connected_pack(spec, archs);
  auto scratch = bytes(fully_connected_scratch_bytes(*packed, rows));
  const int64_t tiles = fully_connected_tiles(*packed, rows);
  const double seconds = seconds_of(state, [&] {
    fully_connected_run(*packed, rows, input.get(), output.get(), 0, tiles, scratch.get());
  });
  state.SetLabel(fully_connected_kernel_name(*packed));
  count_products(state, seconds, 1.0 * rows * out_c * in_c, archs);
}

}  // namespace

void add_products() {
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  for (int i = 0; i < count; ++i) {
    if (!arch::has(arch::supported(), kernels[i].arch)) continue;
    for (int k : {16, 64, 512, 2048}) {
      const std::string name = std::string("gemm/") + kernels[i].name + "/" + std::to_string(k);
      const GemmKernel& kernel = kernels[i];
      benchmark::RegisterBenchmark(name.c_str(),
                                   [&kernel, k](benchmark::State& s) { gemm(s, kernel, k); });
    }
  }
  for (int a = arch::kArchCount - 1; a > 0; --a) {
    arch::ArchSet archs = 0;
    const char* name = arch::name(static_cast<arch::Arch>(a));
    if (arch::choose(name, &archs) != arch::Choice::ok) continue;
    for (const Layer& layer : kLayers) {
      benchmark::RegisterBenchmark((std::string("conv/") + layer.name + "/" + name).c_str(),
                                   [&layer, archs](benchmark::State& s) { conv(s, layer, archs); });
      if (layer.in_c % 4 != 0) continue;
      for (double zeros : {0.5, 0.75, 0.875}) {
        const std::string title = std::string("sparse/") + layer.name + "/" +
                                  std::to_string(zeros).substr(0, 5) + "/" + name;
        benchmark::RegisterBenchmark(title.c_str(), [&layer, zeros, archs](benchmark::State& s) {
          sparse(s, layer, zeros, archs);
        });
      }
    }
    for (int rows : {1, 32}) {
      const std::string title = "fully_connected/" + std::to_string(rows) + "x1024_1000/" + name;
      benchmark::RegisterBenchmark(title.c_str(), [rows, archs](benchmark::State& s) {
        fully_connected(s, rows, 1024, 1000, archs);
      });
    }
  }
}

}  // namespace int8x
