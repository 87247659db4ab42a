// Depthwise layers, matrix products of two activations, and 16x8 convolutions.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "benchmarks/kernels/data.h"
#include "benchmarks/kernels/families.h"
#include "benchmarks/kernels/peak.h"
#include "benchmarks/kernels/timing.h"
#include "delegate/kernels/batch_matmul/batch_matmul.h"
#include "delegate/kernels/depthwise/depthwise.h"
#include "delegate/kernels/wide/wide_conv.h"

namespace int8x {
namespace {

// `size` and `stride` of both axes, SAME padding.
struct Layer {
  const char* name;
  int size, in_c, out_c, kernel, stride;
  int out() const { return (size + stride - 1) / stride; }
  int pad() const {
    const int wanted = (out() - 1) * stride + kernel - size;
    return wanted > 0 ? wanted / 2 : 0;
  }
};

constexpr Layer kDepthwise[] = {
    {"3x3_112x112x32", 112, 32, 32, 3, 1},   {"3x3s2_112x112x96", 112, 96, 96, 3, 2},
    {"3x3_56x56x144", 56, 144, 144, 3, 1},   {"3x3_14x14x512", 14, 512, 512, 3, 1},
    {"3x3_7x7x960", 7, 960, 960, 3, 1},      {"5x5_14x14x480", 14, 480, 480, 5, 1},
    {"5x5s2_28x28x240", 28, 240, 240, 5, 2}, {"3x3_28x28x32_x2", 28, 32, 64, 3, 1},
};

constexpr Layer kWide[] = {
    {"conv_1x1_28x28x192_64", 28, 192, 64, 1, 1},
    {"conv_3x3_28x28x128_128", 28, 128, 128, 3, 1},
    {"conv_3x3s2_224x224x3_32", 224, 3, 32, 3, 2},
};

void depthwise(benchmark::State& state, const Layer& layer, arch::ArchSet archs) {
  const int taps = layer.kernel * layer.kernel, out = layer.out();
  auto weights = bytes(int64_t{taps} * layer.out_c);
  auto input = bytes(int64_t{layer.size} * layer.size * layer.in_c);
  auto output = bytes(int64_t{out} * out * layer.out_c);
  const std::vector<int32_t> bias(layer.out_c, 100);
  const std::vector<float> scales(layer.out_c, 0.01f);
  const DepthwiseSpec spec = {layer.in_c,
                              layer.out_c / layer.in_c,
                              layer.kernel,
                              layer.kernel,
                              layer.stride,
                              layer.stride,
                              1,
                              1,
                              weights.get(),
                              bias.data(),
                              0.02f,
                              0.05f,
                              scales.data(),
                              layer.out_c,
                              -3,
                              4,
                              -128,
                              127};
  const DepthwiseWeightsPtr packed = depthwise_pack(spec, archs);
  DepthwiseParams params;
  make_depthwise_params(*packed, {1, layer.size, layer.size, out, out, layer.pad(), layer.pad()},
                        &params);
  auto scratch = bytes(depthwise_scratch_bytes(params));
  const int64_t tiles = depthwise_tiles(params);
  const double seconds = seconds_of(
      state, [&] { depthwise_run(params, input.get(), output.get(), 0, tiles, scratch.get()); });
  state.SetLabel(depthwise_kernel_name(params));
  count_products(state, seconds, 1.0 * out * out * layer.out_c * taps, archs);
}

void wide_conv(benchmark::State& state, const Layer& layer, bool depthwise, bool in_double,
               arch::ArchSet archs) {
  const int taps = layer.kernel * layer.kernel, out = layer.out();
  const int64_t depth = int64_t{taps} * (depthwise ? 1 : layer.in_c);
  auto weights = bytes(layer.out_c * depth);
  auto input = bytes(int64_t{layer.size} * layer.size * layer.in_c * 2);
  auto output = bytes(int64_t{out} * out * layer.out_c * 2);
  const std::vector<int64_t> bias(layer.out_c, 100);
  const std::vector<double> scales(layer.out_c, 1e-4);
  const WideConvSpec spec = {layer.out_c, layer.kernel,  layer.kernel, layer.in_c,    1,
                             depthwise,   weights.get(), bias.data(),  scales.data(), in_double,
                             -32768,      32767};
  const WideConvGeometry geometry = {1,   layer.size,   layer.size,   out,
                                     out, layer.stride, layer.stride, 1,
                                     1,   layer.pad(),  layer.pad()};
  const WideConvParams params = {wide_conv_pack(spec, archs), geometry};
  auto scratch = bytes(wide_conv_scratch_bytes(params));
  const int64_t tiles = wide_conv_tiles(params);
  const double seconds = seconds_of(state, [&] {
    wide_conv_run(params, reinterpret_cast<int16_t*>(input.get()),
                  reinterpret_cast<int16_t*>(output.get()), 0, tiles, scratch.get());
  });
  state.SetLabel(wide_conv_kernel_name(params));
  count_products(state, seconds, 1.0 * out * out * layer.out_c * depth, archs, Factors::s16);
}

// Attention's products: 8 heads of 64 by 196 positions.
void batch_matmul(benchmark::State& state, bool rhs_transposed, arch::ArchSet archs) {
  constexpr int kHeads = 8, kPositions = 196, kDepth = 64;
  BatchMatmulShape shape = {kPositions, kPositions, kDepth, false, rhs_transposed, {}, {}};
  for (int head = 0; head < kHeads; ++head) {
    shape.lhs_batch.push_back(int64_t{head} * kPositions * kDepth);
    shape.rhs_batch.push_back(int64_t{head} * kPositions * kDepth);
  }
  BatchMatmulParams params;
  make_batch_matmul_params(shape, quantize_multiplier(0.003), 3, -4, 5, archs, &params);
  auto lhs = bytes(int64_t{kHeads} * kPositions * kDepth);
  auto rhs = bytes(int64_t{kHeads} * kPositions * kDepth);
  auto output = bytes(int64_t{kHeads} * kPositions * kPositions);
  auto scratch = bytes(batch_matmul_scratch_bytes(params));
  const int64_t tiles = batch_matmul_tiles(params);
  const double seconds = seconds_of(state, [&] {
    batch_matmul_run(params, lhs.get(), rhs.get(), output.get(), 0, tiles, scratch.get());
  });
  state.SetLabel(batch_matmul_kernel_name(params));
  count_products(state, seconds, 1.0 * kHeads * kPositions * kPositions * kDepth, archs);
}

}  // namespace

void add_layers() {
  for (int a = arch::kArchCount - 1; a > 0; --a) {
    arch::ArchSet archs = 0;
    const std::string arch = std::string("/") + arch::name(static_cast<arch::Arch>(a));
    if (arch::choose(arch.c_str() + 1, &archs) != arch::Choice::ok) continue;
    const auto add = [&](const std::string& name, auto run) {
      benchmark::RegisterBenchmark((name + arch).c_str(), run);
    };
    for (const Layer& layer : kDepthwise) {
      add(std::string("depthwise/") + layer.name,
          [&layer, archs](benchmark::State& s) { depthwise(s, layer, archs); });
      add(std::string("wide/depthwise_") + layer.name,
          [&layer, archs](benchmark::State& s) { wide_conv(s, layer, true, false, archs); });
    }
    for (const Layer& layer : kWide) {
      add(std::string("wide/") + layer.name,
          [&layer, archs](benchmark::State& s) { wide_conv(s, layer, false, false, archs); });
    }
    add("wide/fully_connected_1x1024_1000", [archs](benchmark::State& s) {
      wide_conv(s, {"", 1, 1024, 1000, 1, 1}, false, true, archs);
    });
    for (bool transposed : {false, true}) {
      add(std::string("batch_matmul/8x196x64_196") + (transposed ? "_transposed" : ""),
          [transposed, archs](benchmark::State& s) { batch_matmul(s, transposed, archs); });
    }
  }
}

}  // namespace int8x
