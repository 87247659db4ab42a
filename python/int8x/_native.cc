// The C++ that Python uses: fixed point and the statistics of calibration, numpy in, numpy out.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/observe/observe.h"
#include "delegate/quantization/affine.h"
#include "delegate/quantization/exact_sum.h"

namespace py = pybind11;

namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Ints = py::array_t<int32_t, py::array::c_style | py::array::forcecast>;
using Longs = py::array_t<int64_t, py::array::c_style>;

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

template <typename F>
Ints map_ints(const Ints& x, F f) {
  Ints result(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  const int32_t* from = x.data();
  int32_t* to = result.mutable_data();
  for (py::ssize_t i = 0; i < x.size(); ++i) to[i] = f(from[i]);
  return result;
}

Ints quantize(const Floats& x, double scale, int32_t zero_point, int32_t lo, int32_t hi) {
  require(scale > 0, "quantize: scale must be positive");
  Ints result(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  int8x::quantize_affine(x.data(), static_cast<size_t>(x.size()), scale, zero_point, lo, hi,
                         result.mutable_data());
  return result;
}

Floats dequantize(const Ints& q, double scale, int32_t zero_point) {
  Floats result(std::vector<py::ssize_t>(q.shape(), q.shape() + q.ndim()));
  int8x::dequantize_affine(q.data(), static_cast<size_t>(q.size()), scale, zero_point,
                           result.mutable_data());
  return result;
}

py::tuple observe(const Floats& x, Longs bins, Floats channel_min, Floats channel_max,
                  Longs channel_sums, Longs sample_sums) {
  const auto channels = static_cast<size_t>(channel_min.size());
  const auto limbs = static_cast<py::ssize_t>(int8x::kExactLimbs);
  require(bins.size() == int8x::kHistogramBins, "observe: bins must have HISTOGRAM_BINS elements");
  require(channels > 0 && static_cast<size_t>(x.size()) % channels == 0 && x.size() > 0,
          "observe: the number of elements must be a positive multiple of the channels'");
  require(
      channel_max.size() == channel_min.size() && channel_sums.size() == channel_min.size() * limbs,
      "observe: channel_max and channel_sums must have as many channels as channel_min");
  require(sample_sums.size() == 2 * limbs, "observe: sample_sums must have 2 x EXACT_LIMBS");
  const float* data = x.data();
  const size_t rows = static_cast<size_t>(x.size()) / channels;
  int64_t *counts = bins.mutable_data(), *sums = channel_sums.mutable_data();
  int64_t* ends = sample_sums.mutable_data();
  float *low = channel_min.mutable_data(), *high = channel_max.mutable_data();
  int8x::ObserveSummary summary;
  {
    py::gil_scoped_release unlocked;
    static const int8x::ObserveParams params = int8x::make_observe_params(int8x::arch::supported());
    thread_local std::vector<float> min, max;
    thread_local std::vector<double> sum;
    thread_local std::vector<uint32_t> hot(int8x::kHistogramBins);
    min.resize(channels);
    max.resize(channels);
    sum.resize(channels);
    summary = int8x::observe_run(params, data, rows, channels, hot.data(), counts, min.data(),
                                 max.data(), sum.data());
    if (summary.non_finite == 0) {
      for (size_t c = 0; c < channels; ++c) {
        low[c] = std::min(low[c], min[c]);
        high[c] = std::max(high[c], max[c]);
      }
      int8x::add_exactly(sum.data(), channels, sums);
      const double sample[] = {summary.min, summary.max};
      int8x::add_exactly(sample, 2, ends);
    }
  }
  return py::make_tuple(summary.min, summary.max, summary.non_finite);
}

void merge_exact_sums(const Longs& other, Longs sums) {
  require(other.size() == sums.size() && sums.size() % int8x::kExactLimbs == 0,
          "merge_exact_sums: both must have EXACT_LIMBS elements for each sum");
  int8x::merge_exact_sums(other.data(), static_cast<size_t>(sums.size()) / int8x::kExactLimbs,
                          sums.mutable_data());
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> names;
  for (int a = 0; a < int8x::arch::kArchCount; ++a) {
    const auto arch = static_cast<int8x::arch::Arch>(a);
    if (int8x::arch::has(int8x::arch::supported(), arch)) names.push_back(int8x::arch::name(arch));
  }
  return names;
}

}  // namespace

PYBIND11_MODULE(_native, m) {
  m.doc() = "Fixed point and calibration statistics in C++.";

  m.def("cpu_features", &cpu_features, "The names of the kernel archs that this CPU can run.");

  m.def(
      "quantize_multiplier",
      [](double d) {
        const int8x::Multiplier result = int8x::quantize_multiplier(d);
        return py::make_tuple(result.multiplier, result.shift);
      },
      py::arg("d"), "(multiplier, shift) of the real multiplier d >= 0.");
  m.def("saturating_rounding_doubling_high_mul", &int8x::saturating_rounding_doubling_high_mul,
        py::arg("a"), py::arg("b"), "floor((a * b + 2^30) / 2^31) on int32.");
  m.def("rounding_divide_by_pot", &int8x::rounding_divide_by_pot, py::arg("x"), py::arg("exponent"),
        "x / 2^exponent, ties away from zero.");
  m.def(
      "multiply_by_quantized_multiplier",
      [](const Ints& x, int32_t multiplier, int32_t shift) {
        require(shift >= -31 && shift <= 30,
                "multiply_by_quantized_multiplier: shift must lie in [-31, 30]");
        return map_ints(x, [=](int32_t v) {
          return int8x::multiply_by_quantized_multiplier(v, {multiplier, shift});
        });
      },
      py::arg("x"), py::arg("multiplier"), py::arg("shift"),
      "The reference's requantization of int32 accumulators, element by element.");

  m.def("quantize", &quantize, py::arg("x"), py::arg("scale"), py::arg("zero_point"), py::arg("lo"),
        py::arg("hi"), "clamp(round_half_away(x / scale) + zero_point, lo, hi) as int32.");
  m.def("dequantize", &dequantize, py::arg("q"), py::arg("scale"), py::arg("zero_point"),
        "float32(scale * (q - zero_point)).");

  m.attr("HISTOGRAM_BINS") = int8x::kHistogramBins;
  m.attr("EXACT_LIMBS") = int8x::kExactLimbs;
  m.def("observe", &observe, py::arg("x"), py::arg("bins").noconvert(),
        py::arg("channel_min").noconvert(), py::arg("channel_max").noconvert(),
        py::arg("channel_sums").noconvert(), py::arg("sample_sums").noconvert(),
        "Adds one sample to the statistics, in place; (min, max, non_finite) of the sample.");
  m.def("merge_exact_sums", &merge_exact_sums, py::arg("other"), py::arg("sums").noconvert(),
        "sums += other without rounding, in place.");
}
