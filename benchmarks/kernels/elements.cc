// int8 operators element by element: two tensors, tables, QUANTIZE and DEQUANTIZE, SOFTMAX.

#include "benchmarks/kernels/elements.h"

#include <algorithm>

#include "benchmarks/kernels/families.h"
#include "delegate/kernels/convert/convert.h"
#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/binary.h"
#include "delegate/kernels/elementwise/mul.h"
#include "delegate/kernels/lut/lut.h"
#include "delegate/kernels/softmax/log_softmax.h"
#include "delegate/kernels/softmax/softmax.h"

namespace int8x {
namespace {

constexpr Traffic kUnary = {kElements, kElements, kElements};
constexpr int64_t kRows = 100, kDepth = 1001;
constexpr Traffic kRowsOfSoftmax = {kRows * kDepth, kRows* kDepth, kRows* kDepth};
constexpr Traffic kBinary = {kElements, 2 * kElements, kElements};

using benchmark::State;

void add_binaries() {
  // The scales of the second have ties, which the line over both operands does not hold.
  const auto sum = [](const char* name, AddQuantization q) {
    add_element_lines(name, [q](State& s, arch::ArchSet archs, const Buffers& b) {
      AddParams p;
      make_add_params(q, kShape, 3, kShape, 3, archs, &p);
      return time_kernel(s, add_kernel_name(p), kBinary,
                         [&] { add_run(p, b.lhs, b.rhs, b.output, 0, add_tiles(p), nullptr); });
    });
  };
  sum("add", {0.0217f, 0.0331f, 0.0473f, 1, 2, 3, -128, 127});
  sum("add_with_ties", {0.02f, 0.03f, 0.04f, 1, 2, 3, -128, 127});
  add_element_lines("mul", [](State& s, arch::ArchSet archs, const Buffers& b) {
    MulParams p;
    make_mul_params({0.02f, 0.03f, 0.04f, 1, 2, 3, -128, 127}, kShape, 3, kShape, 3, archs, &p);
    return time_kernel(s, mul_kernel_name(p), kBinary,
                       [&] { mul_run(p, b.lhs, b.rhs, b.output, 0, mul_tiles(p), nullptr); });
  });
  const auto binary = [](const char* name, BinaryKind kind, float output_scale) {
    add_element_lines(name, [=](State& s, arch::ArchSet archs, const Buffers& b) {
      BinaryParams p;
      make_binary_params(kind, {0.02f, 0.02f, output_scale, 1, 1, 1}, kShape, 3, kShape, 3, archs,
                         &p);
      return time_kernel(s, binary_kernel_name(p), kBinary, [&] {
        binary_run(p, b.lhs, b.rhs, b.output, 0, binary_tiles(p), nullptr);
      });
    });
  };
  binary("maximum", BinaryKind::maximum, 0.02f);
  binary("minimum", BinaryKind::minimum, 0.02f);
  binary("squared_difference", BinaryKind::squared_difference, 0.04f);
  binary("prelu", BinaryKind::prelu, 0.04f);
}

void add_tables() {
  const auto table = [](const char* name, int lowest) {
    add_element_lines(name, [=](State& s, arch::ArchSet archs, const Buffers& b) {
      uint8_t entries[kLutSize];
      for (int q = -128; q < 128; ++q) {
        const int value = lowest == -128 ? 127 - q : q < lowest ? lowest : q;
        entries[q & 255] = static_cast<uint8_t>(value);
      }
      LutParams p;
      make_lut_params(entries, kElements, archs, &p);
      return time_kernel(s, lut_kernel_name(p), kUnary,
                         [&] { lut_run(p, b.lhs, b.output, 0, lut_tiles(p), nullptr); });
    });
  };
  table("table", -128);
  table("table_that_clamps", 0);
}

void add_conversions() {
  add_element_lines("quantize", [](State& s, arch::ArchSet archs, const Buffers& b) {
    std::fill_n(as<float>(b.lhs), kElements, 0.3f);
    QuantizeParams p;
    make_quantize_params(0.02f, 3, kElements, archs, &p);
    return time_kernel(
        s, quantize_kernel_name(p), Traffic{kElements, 4 * kElements, kElements},
        [&] { quantize_run(p, as<float>(b.lhs), b.output, 0, quantize_tiles(p), nullptr); });
  });
  add_element_lines("dequantize", [](State& s, arch::ArchSet archs, const Buffers& b) {
    DequantizeParams p;
    make_dequantize_params(0.02f, 3, kElements, archs, &p);
    return time_kernel(
        s, dequantize_kernel_name(p), Traffic{kElements, kElements, 4 * kElements},
        [&] { dequantize_run(p, b.lhs, as<float>(b.output), 0, dequantize_tiles(p), nullptr); });
  });
}

void add_softmaxes() {
  add_element_lines("softmax", [](State& s, arch::ArchSet archs, const Buffers& b) {
    SoftmaxParams p;
    make_softmax_params(0.05f, 1.0f, kRows, kDepth, archs, &p);
    return time_kernel(s, softmax_kernel_name(p), kRowsOfSoftmax,
                       [&] { softmax_run(p, b.lhs, b.output, 0, softmax_tiles(p), nullptr); });
  });
  add_element_lines("log_softmax", [](State& s, arch::ArchSet, const Buffers& b) {
    LogSoftmaxParams p;
    make_log_softmax_params(0.05f, kRows, kDepth, &p);
    return time_kernel(s, log_softmax_kernel_name(p), kRowsOfSoftmax, [&] {
      log_softmax_run(p, b.lhs, b.output, 0, log_softmax_tiles(p), nullptr);
    });
  });
}

}  // namespace

void add_elements() {
  add_binaries();
  add_tables();
  add_conversions();
  add_softmaxes();
}

}  // namespace int8x
