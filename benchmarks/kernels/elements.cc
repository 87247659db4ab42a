// What has no products: outputs a second of operators on 56x56x64, and of their int16 forms.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "benchmarks/kernels/data.h"
#include "benchmarks/kernels/families.h"
#include "delegate/kernels/convert/convert.h"
#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/binary.h"
#include "delegate/kernels/elementwise/mul.h"
#include "delegate/kernels/lut/lut.h"
#include "delegate/kernels/pool/pool.h"
#include "delegate/kernels/reduce/mean.h"
#include "delegate/kernels/resize/resize_bilinear.h"
#include "delegate/kernels/softmax/softmax.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

namespace int8x {
namespace {

constexpr int32_t kSize = 56, kChannels = 64;
constexpr int32_t kElements = kSize * kSize * kChannels;
constexpr int32_t kShape[] = {kSize, kSize, kChannels};

// Registers elements/<name>/<arch> for each instruction set of this CPU. `time(state, archs, lhs,
// rhs, output)` runs it and returns its outputs; the buffers hold kElements floats.
template <typename Time>
void add(const char* name, const Time& time) {
  for (int a = arch::kArchCount - 1; a > 0; --a) {
    arch::ArchSet archs = 0;
    const char* arch = arch::name(static_cast<arch::Arch>(a));
    if (arch::choose(arch, &archs) != arch::Choice::ok) continue;
    const std::string title = std::string("elements/") + name + "/" + arch;
    benchmark::RegisterBenchmark(title.c_str(), [time, archs](benchmark::State& state) {
      auto lhs = bytes(kElements * sizeof(float)), rhs = bytes(kElements * sizeof(float));
      auto output = bytes(kElements * sizeof(float));
      const int64_t outputs = time(state, archs, lhs.get(), rhs.get(), output.get());
      state.SetItemsProcessed(state.iterations() * outputs);
    });
  }
}

template <typename Run>
void loop(benchmark::State& state, const char* kernel, const Run& run) {
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetLabel(kernel);
}

template <typename To>
To* as(int8_t* p) {
  return reinterpret_cast<To*>(p);
}

void add_binaries() {
  add("add", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t* b, int8_t* y) {
    AddParams p;
    make_add_params({0.02f, 0.03f, 0.04f, 1, 2, 3, -128, 127}, kShape, 3, kShape, 3, archs, &p);
    loop(s, add_kernel_name(p), [&] { add_run(p, a, b, y, 0, add_tiles(p), nullptr); });
    return kElements;
  });
  add("mul", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t* b, int8_t* y) {
    MulParams p;
    make_mul_params({0.02f, 0.03f, 0.04f, 1, 2, 3, -128, 127}, kShape, 3, kShape, 3, archs, &p);
    loop(s, mul_kernel_name(p), [&] { mul_run(p, a, b, y, 0, mul_tiles(p), nullptr); });
    return kElements;
  });
  const auto binary = [](const char* name, BinaryKind kind, float output_scale) {
    add(name, [=](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t* b, int8_t* y) {
      BinaryParams p;
      make_binary_params(kind, {0.02f, 0.02f, output_scale, 1, 1, 1}, kShape, 3, kShape, 3, archs,
                         &p);
      loop(s, binary_kernel_name(p), [&] { binary_run(p, a, b, y, 0, binary_tiles(p), nullptr); });
      return kElements;
    });
  };
  binary("maximum", BinaryKind::maximum, 0.02f);
  binary("minimum", BinaryKind::minimum, 0.02f);
  binary("squared_difference", BinaryKind::squared_difference, 0.04f);
  binary("prelu", BinaryKind::prelu, 0.04f);
}

void add_unaries() {
  add("lut", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
    uint8_t table[256];
    for (int i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(255 - i);
    LutParams p;
    make_lut_params(table, kElements, archs, &p);
    loop(s, lut_kernel_name(p), [&] { lut_run(p, a, y, 0, lut_tiles(p), nullptr); });
    return kElements;
  });
  add("quantize", [](benchmark::State& s, arch::ArchSet archs, int8_t*, int8_t*, int8_t* y) {
    const std::vector<float> floats(kElements, 0.3f);
    QuantizeParams p;
    make_quantize_params(0.02f, 3, kElements, archs, &p);
    loop(s, quantize_kernel_name(p),
         [&] { quantize_run(p, floats.data(), y, 0, quantize_tiles(p), nullptr); });
    return kElements;
  });
  add("dequantize", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
    DequantizeParams p;
    make_dequantize_params(0.02f, 3, kElements, archs, &p);
    loop(s, dequantize_kernel_name(p),
         [&] { dequantize_run(p, a, as<float>(y), 0, dequantize_tiles(p), nullptr); });
    return kElements;
  });
  add("softmax", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
    SoftmaxParams p;
    make_softmax_params(0.05f, 1.0f, 100, 1001, archs, &p);
    loop(s, softmax_kernel_name(p), [&] { softmax_run(p, a, y, 0, softmax_tiles(p), nullptr); });
    return 100 * 1001;
  });
}

void add_windows() {
  constexpr int32_t kOut = kSize / 2;
  const auto pool = [](const char* name, PoolKind kind) {
    add(name, [kind](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
      PoolParams p;
      make_pool_params(kind, {1, kSize, kSize, kChannels, kOut, kOut, 2, 2, 2, 2, 0, 0}, -128, 127,
                       archs, &p);
      loop(s, pool_kernel_name(p), [&] { pool_run(p, a, y, 0, pool_tiles(p), nullptr); });
      return kOut * kOut * kChannels;
    });
  };
  pool("average_pool_2x2", PoolKind::average);
  pool("max_pool_2x2", PoolKind::max);
  add("mean", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
    const int32_t dims[] = {1, kSize, kSize, kChannels}, axes[] = {1, 2};
    MeanParams p;
    make_mean_params({0.02f, 0.03f, 1, 2}, dims, 4, axes, 2, archs, &p);
    auto scratch = bytes(mean_scratch_bytes(p));
    loop(s, mean_kernel_name(p), [&] { mean_run(p, a, y, 0, mean_tiles(p), scratch.get()); });
    return kElements;  // inputs: there are few outputs
  });
  add("resize_bilinear",
      [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
        ResizeParams p;
        make_resize_params({1, kOut, kOut, kChannels, kSize, kSize, false, true}, archs, &p);
        loop(s, resize_bilinear_kernel_name(p),
             [&] { resize_bilinear_run(p, a, y, 0, resize_bilinear_tiles(p), nullptr); });
        return kElements;
      });
}

void add_wide() {
  const auto binary = [](const char* name, bool multiply) {
    add(name, [=](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t* b, int8_t* y) {
      WideBinaryParams p;
      make_wide_binary_params(multiply, 2e-4f, 3e-4f, 4e-4f, -32768, 32767, kShape, 3, kShape, 3,
                              archs, &p);
      loop(s, wide_binary_kernel_name(p), [&] {
        wide_binary_run(p, as<int16_t>(a), as<int16_t>(b), as<int16_t>(y), 0, wide_binary_tiles(p),
                        nullptr);
      });
      return kElements;
    });
  };
  binary("wide_add", false);
  binary("wide_mul", true);
  const auto pool = [](const char* name, bool average) {
    add(name, [=](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
      constexpr int32_t kOut = kSize / 2;
      const WidePoolParams p = {wide_pool_kernel(average, archs),
                                1,
                                kSize,
                                kSize,
                                kChannels,
                                kOut,
                                kOut,
                                2,
                                2,
                                2,
                                2,
                                0,
                                0,
                                -32768,
                                32767};
      loop(s, wide_pool_kernel_name(p), [&] {
        wide_pool_run(p, as<int16_t>(a), as<int16_t>(y), 0, wide_pool_tiles(p), nullptr);
      });
      return kOut * kOut * kChannels;
    });
  };
  pool("wide_average_pool_2x2", true);
  pool("wide_max_pool_2x2", false);
  const auto sigmoid = [](const char* name, bool tanh) {
    add(name, [=](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
      WideSigmoidParams p;
      make_wide_sigmoid_params(tanh, 2e-4f, kElements, archs, &p);
      loop(s, wide_sigmoid_kernel_name(p), [&] {
        wide_sigmoid_run(p, as<int16_t>(a), as<int16_t>(y), 0, wide_sigmoid_tiles(p), nullptr);
      });
      return kElements;
    });
  };
  sigmoid("wide_logistic", false);
  sigmoid("wide_tanh", true);
  add("wide_softmax", [](benchmark::State& s, arch::ArchSet archs, int8_t* a, int8_t*, int8_t* y) {
    WideSoftmaxParams p;
    make_wide_softmax_params(2e-4f, 1.0f, 100, 1001, archs, &p);
    loop(s, wide_softmax_kernel_name(p), [&] {
      wide_softmax_run(p, as<int16_t>(a), as<int16_t>(y), 0, wide_softmax_tiles(p), nullptr);
    });
    return 100 * 1001;
  });
}

}  // namespace

void add_elements() {
  add_binaries();
  add_unaries();
  add_windows();
  add_wide();
}

}  // namespace int8x
