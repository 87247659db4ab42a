// fully_connected_run() with every GEMM kernel equals fully_connected_reference(), which equals a
// loop in 64 bits.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/fully_connected/fully_connected.h"
#include "delegate/kernels/gemm/gemm.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

constexpr unsigned kSeed = 20240614;

struct Shape {
  int rows, in_c, out_c;
  bool per_channel = true;
  int weights_zero_point = 0;
};

enum class Values { ordinary, extreme, overflowing };

struct Problem {
  int rows;
  FullyConnectedSpec spec;
  std::vector<int8_t> input, weights;
  std::vector<int32_t> bias;
  std::vector<double> scales;
};

std::unique_ptr<Problem> make_problem(const Shape& s, Values values) {
  auto p = std::make_unique<Problem>();
  std::mt19937 random(kSeed + s.rows * 31 + s.in_c * 7 + s.out_c);
  p->rows = s.rows;
  p->input.resize(static_cast<size_t>(s.rows) * s.in_c);
  p->weights.resize(static_cast<size_t>(s.out_c) * s.in_c);
  const bool extreme = values == Values::extreme;
  for (auto* all : {&p->input, &p->weights})
    for (int8_t& v : *all)
      v = extreme ? (random() % 8 ? -128 : 127)
                  : static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
  // Halves and quarters tie often; the last of all leave int32.
  const double reals[] = {0.5 / s.in_c, 1.0 / 64, 0.25, 1.0 / 1024, 0.0371 / s.in_c, 3e5};
  const int choices = values == Values::overflowing ? 6 : 5;
  for (int o = 0; o < s.out_c; ++o) {
    p->scales.push_back(reals[random() % choices]);
    p->bias.push_back(values == Values::overflowing ? static_cast<int32_t>(random())
                                                    : static_cast<int>(random() % 4000) - 2000);
  }
  const bool clamped = random() % 2;
  p->spec = {s.out_c,
             s.in_c,
             p->weights.data(),
             random() % 4 ? p->bias.data() : nullptr,
             p->scales.data(),
             s.per_channel ? s.out_c : 1,
             s.weights_zero_point,
             static_cast<int>(random() % 256) - 128,
             static_cast<int>(random() % 256) - 128,
             clamped ? -100 : -128,
             clamped ? 20 : 127};
  return p;
}

std::vector<int8_t> reference(const Problem& p) {
  std::vector<int8_t> out(static_cast<size_t>(p.rows) * p.spec.out_c);
  fully_connected_reference(p.spec, p.rows, p.input.data(), out.data());
  return out;
}

std::vector<int8_t> run(const Problem& p, const FullyConnectedWeights& weights, int64_t at_once) {
  return guarded_run(
      static_cast<size_t>(p.rows) * p.spec.out_c, fully_connected_scratch_bytes(weights, p.rows),
      fully_connected_tiles(weights, p.rows), at_once,
      [&](int8_t* out, int64_t begin, int64_t end, void* scratch) {
        fully_connected_run(weights, p.rows, p.input.data(), out, begin, end, scratch);
      });
}

void check(const Shape& s, Values values) {
  SCOPED_TRACE(testing::Message() << s.rows << " x " << s.in_c << " -> " << s.out_c
                                  << " weights_zero_point " << s.weights_zero_point << " values "
                                  << static_cast<int>(values));
  const auto problem = make_problem(s, values);
  const std::vector<int8_t> expected = reference(*problem);
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  for (int i = 0; i < count; ++i) {
    arch::ArchSet archs = 0;
    if (arch::choose(arch::name(kernels[i].arch), &archs) != arch::Choice::ok) continue;
    const FullyConnectedWeightsPtr weights = fully_connected_pack(problem->spec, archs);
    ASSERT_NE(weights, nullptr);
    SCOPED_TRACE(fully_connected_kernel_name(*weights));
    for (int64_t at_once : {1, 3, 1000}) {
      const std::vector<int8_t> out = run(*problem, *weights, at_once);
      ASSERT_FALSE(testing::Test::HasFailure());
      for (size_t at = 0; at < out.size(); ++at) ASSERT_EQ(out[at], expected[at]) << "at " << at;
    }
  }
}

TEST(FullyConnectedKernel, ReferenceEqualsALoopIn64Bits) {
  for (int zero_point : {0, -7, 127}) {
    const auto p = make_problem({3, 50, 9, true, zero_point}, Values::ordinary);
    const std::vector<int8_t> out = reference(*p);
    for (int r = 0; r < 3; ++r) {
      for (int o = 0; o < 9; ++o) {
        int64_t sum = p->spec.bias == nullptr ? 0 : p->bias[o];
        for (int k = 0; k < 50; ++k)
          sum += (p->input[r * 50 + k] - p->spec.input_zero_point) *
                 (p->weights[o * 50 + k] - zero_point);
        const double y = std::round(static_cast<double>(sum) * p->scales[o]);
        const double shifted = y + p->spec.output_zero_point;
        ASSERT_EQ(out[r * 9 + o],
                  std::min<double>(std::max<double>(shifted, p->spec.activation_min),
                                   p->spec.activation_max));
      }
    }
  }
}

TEST(FullyConnectedKernel, EqualsReferenceForEveryDepth) {
  for (int in_c = 1; in_c <= 140; ++in_c) {
    ASSERT_NO_FATAL_FAILURE(check({1, in_c, 20}, Values::ordinary));
    ASSERT_NO_FATAL_FAILURE(check({5, in_c, 7}, Values::ordinary));
  }
}

TEST(FullyConnectedKernel, EqualsReferenceForEveryRowCount) {
  for (int rows = 1; rows <= 70; ++rows)
    ASSERT_NO_FATAL_FAILURE(check({rows, 64, 33}, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check({300, 40, 70}, Values::ordinary));
}

TEST(FullyConnectedKernel, EqualsReferenceForEveryColumnCount) {
  for (int out_c = 1; out_c <= 140; ++out_c)
    ASSERT_NO_FATAL_FAILURE(check({2, 24, out_c}, Values::ordinary));
}

TEST(FullyConnectedKernel, EqualsReferenceOnAllValuesAndZeroPoints) {
  for (Values values : {Values::ordinary, Values::extreme, Values::overflowing}) {
    for (int zero_point : {0, 3, -128, 127}) {
      for (bool per_channel : {true, false}) {
        ASSERT_NO_FATAL_FAILURE(check({1, 128, 40, per_channel, zero_point}, values));
        ASSERT_NO_FATAL_FAILURE(check({19, 67, 70, per_channel, zero_point}, values));
        ASSERT_NO_FATAL_FAILURE(check({33, 256, 35, per_channel, zero_point}, values));
      }
    }
  }
}

TEST(FullyConnectedKernel, LayersOfManyTilesEqualReference) {
  ASSERT_NO_FATAL_FAILURE(check({1, 1024, 1000}, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check({64, 640, 128}, Values::ordinary));
}

TEST(FullyConnectedKernel, TheForcedKernelIsTheOneThatRuns) {
  const auto problem = make_problem({1, 8, 8}, Values::ordinary);
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  for (int i = 0; i < count; ++i) {
    arch::ArchSet archs = 0;
    const char* name = arch::name(kernels[i].arch);
    if (arch::choose(name, &archs) != arch::Choice::ok) {
      std::printf("not run on this CPU: %s\n", kernels[i].name);
      continue;
    }
    const std::string ran =
        fully_connected_kernel_name(*fully_connected_pack(problem->spec, archs));
    EXPECT_EQ(ran.substr(ran.rfind('_') + 1), name);
  }
}

}  // namespace
}  // namespace int8x
