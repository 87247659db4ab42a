// conv_run() with every GEMM kernel equals conv_reference(), which equals a loop over a padded
// copy.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/gemm/gemm.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

constexpr unsigned kSeed = 20240613;

struct Shape {
  int batch, in_h, in_w, in_c, out_c, kernel_h, kernel_w;
  int stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, groups = 1;
  bool same = true;
};

int span(int kernel, int dilation) { return (kernel - 1) * dilation + 1; }

int out_size(int in, int kernel, int stride, int dilation, bool same) {
  return same ? (in + stride - 1) / stride : (in - span(kernel, dilation)) / stride + 1;
}

int pad_before(int in, int out, int kernel, int stride, int dilation) {
  return std::max(0, (out - 1) * stride + span(kernel, dilation) - in) / 2;
}

ConvGeometry geometry_of(const Shape& s) {
  const int out_h = out_size(s.in_h, s.kernel_h, s.stride_h, s.dilation_h, s.same);
  const int out_w = out_size(s.in_w, s.kernel_w, s.stride_w, s.dilation_w, s.same);
  return {s.batch,
          s.in_h,
          s.in_w,
          s.in_c,
          out_h,
          out_w,
          s.out_c,
          s.kernel_h,
          s.kernel_w,
          s.stride_h,
          s.stride_w,
          s.dilation_h,
          s.dilation_w,
          s.same ? pad_before(s.in_h, out_h, s.kernel_h, s.stride_h, s.dilation_h) : 0,
          s.same ? pad_before(s.in_w, out_w, s.kernel_w, s.stride_w, s.dilation_w) : 0,
          s.groups};
}

enum class Values { ordinary, extreme, wide };

struct Problem {
  ConvGeometry geometry;
  ConvSpec spec;
  std::vector<int8_t> input, weights;
  std::vector<int32_t> bias;
  std::vector<Multiplier> multipliers;
};

// `wide` multipliers reach beyond 1 and their left shifts wrap; `extreme` is all -128 and 127.
std::unique_ptr<Problem> make_problem(const Shape& s, Values values) {
  auto p = std::make_unique<Problem>();
  std::mt19937 random(kSeed + s.in_c * 7 + s.out_c * 3 + s.kernel_h + s.in_h * 11);
  p->geometry = geometry_of(s);
  const int depth = s.kernel_h * s.kernel_w * (s.in_c / s.groups);
  p->input.resize(static_cast<size_t>(s.batch) * s.in_h * s.in_w * s.in_c);
  p->weights.resize(static_cast<size_t>(s.out_c) * depth);
  const int lowest = values == Values::ordinary ? -127 : -128;
  for (int8_t& v : p->input) {
    v = values == Values::extreme ? (random() % 8 ? -128 : 127)
                                  : static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
  }
  for (int8_t& v : p->weights) {
    v = values == Values::extreme
            ? (random() % 8 ? -128 : 127)
            : static_cast<int8_t>(static_cast<int>(random() % (128 - lowest)) + lowest);
  }
  const double reals[] = {1.0 / 6 / depth, 1.0 / 1024, 1.0 / 64, 0.37 / depth, 3.0 / 512};
  for (int o = 0; o < s.out_c; ++o) {
    double real = reals[random() % 5] * (random() % 2 ? 1.0 : 0.5 + (random() % 1000) / 1000.0);
    if (values == Values::wide && random() % 3 == 0) real = random() % 2 ? 1.9 : 70000.0;
    p->multipliers.push_back(quantize_multiplier(real));
    p->bias.push_back(values == Values::wide ? static_cast<int32_t>(random())
                                             : static_cast<int>(random() % 20000) - 10000);
  }
  // Not clamped, clamped, and the fused RELU6, which leaves nothing below the zero point.
  const int activation = static_cast<int>(random() % 3);
  const int output_zero_point = static_cast<int>(random() % 256) - 128;
  const int lowest_output = activation == 0 ? -128 : activation == 1 ? -20 : output_zero_point;
  p->spec = {s.out_c,
             s.kernel_h,
             s.kernel_w,
             s.in_c,
             s.groups,
             p->weights.data(),
             random() % 4 ? p->bias.data() : nullptr,
             p->multipliers.data(),
             values == Values::extreme ? 127 : static_cast<int>(random() % 256) - 128,
             output_zero_point,
             lowest_output,
             activation == 0 ? 127 : std::max(lowest_output, 101)};
  return p;
}

size_t output_size(const ConvGeometry& g) {
  return static_cast<size_t>(g.batch) * g.out_h * g.out_w * g.out_c;
}

// The simplest loop: the input is padded with the zero point first.
std::vector<int8_t> padded_loop(const Problem& p) {
  const ConvGeometry& g = p.geometry;
  const int group_in_c = g.in_c / g.groups, group_out_c = g.out_c / g.groups;
  const int high = (g.out_h - 1) * g.stride_h + span(g.kernel_h, g.dilation_h) + g.in_h;
  const int wide = (g.out_w - 1) * g.stride_w + span(g.kernel_w, g.dilation_w) + g.in_w;
  std::vector<int8_t> out;
  for (int b = 0; b < g.batch; ++b) {
    std::vector<int> padded(static_cast<size_t>(high) * wide * g.in_c, p.spec.input_zero_point);
    for (int y = 0; y < g.in_h; ++y)
      for (int x = 0; x < g.in_w; ++x)
        for (int c = 0; c < g.in_c; ++c)
          padded[((y + g.pad_top) * wide + x + g.pad_left) * g.in_c + c] =
              p.input[((b * g.in_h + y) * g.in_w + x) * g.in_c + c];
    for (int y = 0; y < g.out_h; ++y)
      for (int x = 0; x < g.out_w; ++x)
        for (int o = 0; o < g.out_c; ++o) {
          uint32_t sum = p.spec.bias == nullptr ? 0 : static_cast<uint32_t>(p.bias[o]);
          const int8_t* w =
              &p.weights[static_cast<size_t>(o) * g.kernel_h * g.kernel_w * group_in_c];
          for (int ky = 0; ky < g.kernel_h; ++ky)
            for (int kx = 0; kx < g.kernel_w; ++kx)
              for (int c = 0; c < group_in_c; ++c) {
                const int iy = y * g.stride_h + ky * g.dilation_h;
                const int ix = x * g.stride_w + kx * g.dilation_w;
                const int v = padded[(iy * wide + ix) * g.in_c + o / group_out_c * group_in_c + c];
                sum += static_cast<uint32_t>((v - p.spec.input_zero_point) * *w++);
              }
          const int32_t y32 =
              multiply_by_quantized_multiplier(static_cast<int32_t>(sum), p.multipliers[o]);
          out.push_back(static_cast<int8_t>(clamp(wrapping_add(y32, p.spec.output_zero_point),
                                                  p.spec.activation_min, p.spec.activation_max)));
        }
  }
  return out;
}

std::vector<int8_t> reference(const Problem& p) {
  std::vector<int8_t> out(output_size(p.geometry));
  conv_reference(p.spec, p.geometry, p.input.data(), out.data());
  return out;
}

std::vector<int8_t> run(const Problem& p, const ConvWeights& weights, int64_t at_once) {
  // The input ends where its allocation ends, for tools that watch reads.
  const std::vector<int8_t> input(p.input);
  return guarded_run(output_size(p.geometry), conv_scratch_bytes(weights, p.geometry),
                     conv_tiles(weights, p.geometry), at_once,
                     [&](int8_t* out, int64_t begin, int64_t end, void* scratch) {
                       conv_run(weights, p.geometry, input.data(), out, begin, end, scratch);
                     });
}

void check(const Shape& s, Values values) {
  SCOPED_TRACE(testing::Message() << "batch " << s.batch << " in " << s.in_h << "x" << s.in_w << "x"
                                  << s.in_c << " out_c " << s.out_c << " kernel " << s.kernel_h
                                  << "x" << s.kernel_w << " stride " << s.stride_h << "x"
                                  << s.stride_w << " dilation " << s.dilation_h << "x"
                                  << s.dilation_w << " groups " << s.groups
                                  << (s.same ? " same" : " valid") << " values "
                                  << static_cast<int>(values));
  const auto problem = make_problem(s, values);
  const std::vector<int8_t> expected = reference(*problem);
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  for (int i = 0; i < count; ++i) {
    if (!arch::has(arch::supported(), kernels[i].arch)) continue;
    arch::ArchSet archs = 0;
    ASSERT_EQ(arch::choose(arch::name(kernels[i].arch), &archs), arch::Choice::ok);
    const ConvWeightsPtr weights = conv_pack(problem->spec, archs);
    ASSERT_NE(weights, nullptr);
    SCOPED_TRACE(conv_kernel_name(*weights));
    for (int64_t at_once : {1, 3, 1000}) {
      const std::vector<int8_t> out = run(*problem, *weights, at_once);
      ASSERT_FALSE(testing::Test::HasFailure());
      for (size_t at = 0; at < out.size(); ++at) ASSERT_EQ(out[at], expected[at]) << "at " << at;
    }
  }
}

void check_all_values(const Shape& shape) {
  for (Values values : {Values::ordinary, Values::extreme, Values::wide})
    ASSERT_NO_FATAL_FAILURE(check(shape, values));
}

TEST(ConvKernel, ReferenceEqualsALoopOverAPaddedCopy) {
  for (const Shape& s : {Shape{2, 7, 6, 6, 4, 3, 3}, Shape{1, 9, 9, 4, 6, 3, 2, 2, 2, 1, 1, 2},
                         Shape{1, 9, 8, 3, 5, 2, 3, 1, 2, 2, 1}, Shape{1, 5, 5, 3, 2, 5, 5}}) {
    for (Values values : {Values::ordinary, Values::extreme, Values::wide}) {
      const auto problem = make_problem(s, values);
      ASSERT_EQ(reference(*problem), padded_loop(*problem));
    }
  }
}

TEST(ConvKernel, PointwiseEqualsReferenceForEveryChannelCount) {
  for (int in_c = 1; in_c <= 70; ++in_c)
    ASSERT_NO_FATAL_FAILURE(check({1, 5, 7, in_c, 19, 1, 1}, Values::ordinary));
  for (int out_c = 1; out_c <= 70; ++out_c)
    ASSERT_NO_FATAL_FAILURE(check({1, 5, 7, 20, out_c, 1, 1}, Values::ordinary));
}

TEST(ConvKernel, PointwiseEqualsReferenceForEveryPixelCount) {
  for (int w = 1; w <= 67; ++w)
    ASSERT_NO_FATAL_FAILURE(check({1, 1, w, 64, 33, 1, 1}, Values::ordinary));
}

TEST(ConvKernel, PointwiseEqualsReferenceOnAllValues) {
  for (int in_c : {3, 16, 64, 100, 512})
    for (int out_c : {8, 31, 130})
      ASSERT_NO_FATAL_FAILURE(check_all_values({2, 6, 5, in_c, out_c, 1, 1}));
}

TEST(ConvKernel, WindowsEqualReferenceForEveryWidth) {
  for (int w = 1; w <= 36; ++w) {
    ASSERT_NO_FATAL_FAILURE(check({1, 4, w, 5, 20, 3, 3}, Values::ordinary));
    ASSERT_NO_FATAL_FAILURE(check({1, 5, w, 3, 9, 3, 3, 2, 2}, Values::ordinary));
  }
}

// Pixels under a window of three are read for three outputs at once where channels are few.
TEST(ConvKernel, WindowsOfThreeEqualReferenceForEveryWidth) {
  for (int w = 1; w <= 36; ++w) {
    for (int out_c : {7, 16, 27, 32, 50}) {
      ASSERT_NO_FATAL_FAILURE(check({1, 4, w, 8, out_c, 3, 3}, Values::ordinary));
    }
    ASSERT_NO_FATAL_FAILURE(check_all_values({2, 3, w, 4, 12, 1, 3}));
    ASSERT_NO_FATAL_FAILURE(check_all_values({1, 7, w, 12, 30, 3, 6, 2, 2}));
  }
  ASSERT_NO_FATAL_FAILURE(check_all_values({2, 9, 33, 24, 32, 3, 3, 2, 1, 2, 1, 2}));
}

TEST(ConvKernel, WindowsEqualReferenceOnAllValues) {
  for (bool same : {true, false}) {
    for (int kernel : {2, 3, 5}) {
      for (int stride : {1, 2, 3}) {
        ASSERT_NO_FATAL_FAILURE(
            check_all_values({2, 11, 17, 6, 18, kernel, kernel, stride, stride, 1, 1, 1, same}));
        ASSERT_NO_FATAL_FAILURE(
            check_all_values({1, 12, 15, 32, 40, kernel, 1, 1, stride, 1, 1, 1, same}));
      }
    }
  }
}

TEST(ConvKernel, DilationEqualsReference) {
  for (bool same : {true, false}) {
    for (int dilation : {2, 3}) {
      ASSERT_NO_FATAL_FAILURE(
          check_all_values({1, 13, 14, 7, 10, 3, 3, 1, 1, dilation, dilation, 1, same}));
      ASSERT_NO_FATAL_FAILURE(
          check_all_values({1, 13, 14, 7, 10, 3, 3, 2, 1, dilation, 1, 1, same}));
      ASSERT_NO_FATAL_FAILURE(
          check_all_values({1, 13, 14, 7, 10, 3, 3, 1, 2, 1, dilation, 1, same}));
    }
  }
}

TEST(ConvKernel, GroupsEqualReference) {
  for (int groups : {2, 3, 6}) {
    ASSERT_NO_FATAL_FAILURE(check_all_values({2, 7, 8, 12, 18, 3, 3, 1, 1, 1, 1, groups}));
    ASSERT_NO_FATAL_FAILURE(check_all_values({1, 7, 8, 12, 18, 1, 1, 1, 1, 1, 1, groups}));
    ASSERT_NO_FATAL_FAILURE(check_all_values({1, 7, 8, 64 * groups, 18, 1, 1, 1, 1, 1, 1, groups}));
  }
  ASSERT_NO_FATAL_FAILURE(check_all_values({1, 7, 8, 12, 12, 3, 3, 2, 2, 1, 1, 12}));
}

TEST(ConvKernel, LayersOfManyTilesEqualReference) {
  ASSERT_NO_FATAL_FAILURE(check({1, 14, 14, 256, 512, 1, 1}, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check({1, 20, 21, 64, 96, 3, 3}, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check({1, 64, 64, 3, 32, 3, 3, 2, 2}, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check({4, 7, 7, 96, 300, 1, 1}, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check({1, 14, 14, 64, 64, 3, 3, 2, 2}, Values::ordinary));
}

TEST(ConvKernel, AKernelLargerThanTheInputEqualsReference) {
  ASSERT_NO_FATAL_FAILURE(check_all_values({1, 2, 3, 4, 5, 7, 7}));
  ASSERT_NO_FATAL_FAILURE(check_all_values({1, 1, 1, 40, 17, 3, 3}));
}

TEST(ConvKernel, TheForcedKernelIsTheOneThatRuns) {
  const auto problem = make_problem({1, 4, 4, 8, 8, 1, 1}, Values::ordinary);
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  for (int i = 0; i < count; ++i) {
    arch::ArchSet archs = 0;
    const char* name = arch::name(kernels[i].arch);
    if (arch::choose(name, &archs) != arch::Choice::ok) {
      std::printf("not run on this CPU: %s\n", kernels[i].name);
      continue;
    }
    const std::string ran = conv_kernel_name(*conv_pack(problem->spec, archs));
    EXPECT_EQ(ran.substr(ran.rfind('_') + 1), name);
  }
}

TEST(ConvKernel, AnEmptyOutputHasNoTiles) {
  for (int kernel : {1, 3}) {
    const auto problem = make_problem({1, 4, 4, 8, 8, kernel, kernel}, Values::ordinary);
    const ConvWeightsPtr weights = conv_pack(problem->spec, arch::supported());
    for (int ConvGeometry::*size :
         {&ConvGeometry::batch, &ConvGeometry::out_h, &ConvGeometry::out_w}) {
      ConvGeometry empty = problem->geometry;
      empty.*size = 0;
      EXPECT_EQ(conv_tiles(*weights, empty), 0);
    }
  }
}

}  // namespace
}  // namespace int8x
