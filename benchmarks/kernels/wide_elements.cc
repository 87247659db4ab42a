// int16 operators element by element and window by window.

#include "benchmarks/kernels/elements.h"
#include "benchmarks/kernels/families.h"
#include "delegate/kernels/wide/convert.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

namespace int8x {
namespace {

using benchmark::State;

// Bytes of int16.
constexpr int64_t kTensor = 2 * kElements;
constexpr Traffic kUnary = {kElements, kTensor, kTensor};
constexpr Traffic kBinary = {kElements, 2 * kTensor, kTensor};

void add_binaries() {
  const auto binary = [](const char* name, bool multiply, float output_scale) {
    add_element_lines(name, [=](State& s, arch::ArchSet archs, const Buffers& b) {
      WideBinaryParams p;
      make_wide_binary_params(multiply, 2e-4f, 3e-4f, output_scale, -32768, 32767, kShape, 3,
                              kShape, 3, archs, &p);
      return time_kernel(s, wide_binary_kernel_name(p), kBinary, [&] {
        wide_binary_run(p, as<int16_t>(b.lhs), as<int16_t>(b.rhs), as<int16_t>(b.output), 0,
                        wide_binary_tiles(p), nullptr);
      });
    });
  };
  binary("add_16x8", false, 4.321e-4f);
  binary("add_with_ties_16x8", false, 4e-4f);  // a quarter of all sums
  binary("mul_16x8", true, 4e-4f);
}

void add_pools() {
  const auto pool = [](const char* name, bool average) {
    add_element_lines(name, [=](State& s, arch::ArchSet archs, const Buffers& b) {
      constexpr int32_t kHalf = kSize / 2;
      WidePoolParams p = {};
      p.kernel = wide_pool_kernel(average, archs);
      p.batch = 1;
      p.in_h = p.in_w = kSize;
      p.channels = kChannels;
      p.out_h = p.out_w = kHalf;
      p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2;
      p.activation_min = INT16_MIN;
      p.activation_max = INT16_MAX;
      return time_kernel(s, wide_pool_kernel_name(p), Traffic{kElements / 4, kTensor, kTensor / 4},
                         [&] {
                           wide_pool_run(p, as<int16_t>(b.lhs), as<int16_t>(b.output), 0,
                                         wide_pool_tiles(p), nullptr);
                         });
    });
  };
  pool("average_pool_2x2_16x8", true);
  pool("max_pool_2x2_16x8", false);
}

void add_functions() {
  const auto sigmoid = [](const char* name, bool tanh) {
    add_element_lines(name, [=](State& s, arch::ArchSet archs, const Buffers& b) {
      WideSigmoidParams p;
      make_wide_sigmoid_params(tanh, 2e-4f, kElements, archs, &p);
      return time_kernel(s, wide_sigmoid_kernel_name(p), kUnary, [&] {
        wide_sigmoid_run(p, as<int16_t>(b.lhs), as<int16_t>(b.output), 0, wide_sigmoid_tiles(p),
                         nullptr);
      });
    });
  };
  sigmoid("logistic_16x8", false);
  sigmoid("tanh_16x8", true);
  add_element_lines("softmax_16x8", [](State& s, arch::ArchSet archs, const Buffers& b) {
    constexpr int64_t kRows = 100, kDepth = 1001;
    WideSoftmaxParams p;
    make_wide_softmax_params(2e-4f, 1.0f, kRows, kDepth, archs, &p);
    return time_kernel(s, wide_softmax_kernel_name(p),
                       Traffic{kRows * kDepth, 2 * kRows * kDepth, 2 * kRows * kDepth}, [&] {
                         wide_softmax_run(p, as<int16_t>(b.lhs), as<int16_t>(b.output), 0,
                                          wide_softmax_tiles(p), nullptr);
                       });
  });
}

void add_conversions() {
  constexpr RescaleTensor kFloat = {ElementType::f32, 0, 0}, kByte = {ElementType::s8, 0.02f, 3};
  constexpr RescaleTensor kWord = {ElementType::s16, 1e-4f, 0};
  const auto rescale = [](const char* name, RescaleTensor from, RescaleTensor to) {
    add_element_lines(name, [=](State& s, arch::ArchSet, const Buffers& b) {
      if (from.type == ElementType::f32) std::fill_n(as<float>(b.lhs), kElements, 0.3f);
      RescaleParams p;
      make_rescale_params(from, to, kElements, &p);
      return time_kernel(
          s, rescale_kernel_name(p),
          Traffic{kElements, int64_t{kElements} * static_cast<int64_t>(element_size(from.type)),
                  int64_t{kElements} * static_cast<int64_t>(element_size(to.type))},
          [&] { rescale_run(p, b.lhs, b.output, 0, rescale_tiles(p), nullptr); });
    });
  };
  rescale("quantize_f32_s16", kFloat, kWord);
  rescale("quantize_s16_s8", kWord, kByte);
  rescale("dequantize_s16_f32", kWord, kFloat);
}

}  // namespace

void add_wide_elements() {
  add_binaries();
  add_pools();
  add_functions();
  add_conversions();
}

}  // namespace int8x
