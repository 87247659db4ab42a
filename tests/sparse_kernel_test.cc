// sparse_run() with every sparse kernel equals conv_reference() and fully_connected_reference(),
// whatever the pattern of zeros.

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/fully_connected/fully_connected.h"
#include "delegate/kernels/sparse/leaf.h"
#include "delegate/kernels/sparse/sparse.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

constexpr unsigned kSeed = 20240917;

// `some` keeps every fourth block, `rows` keeps or drops whole output channels.
enum class Zeros { none, some, most, rows, all };
enum class Values { ordinary, extreme, wide };

struct Shape {
  int batch, in_h, in_w, in_c, out_c, kernel_h = 1, kernel_w = 1, stride = 1, dilation = 1;
  bool same = true;
};

int span(const Shape& s, int kernel) { return (kernel - 1) * s.dilation + 1; }

int out_size(const Shape& s, int in, int kernel) {
  return s.same ? (in + s.stride - 1) / s.stride : (in - span(s, kernel)) / s.stride + 1;
}

int pad_before(const Shape& s, int in, int kernel) {
  if (!s.same) return 0;
  return std::max(0, (out_size(s, in, kernel) - 1) * s.stride + span(s, kernel) - in) / 2;
}

std::vector<int8_t> random_weights(std::mt19937& random, int64_t rows, int64_t out_c, int in_c,
                                   Zeros zeros, Values values) {
  std::vector<int8_t> weights(static_cast<size_t>(rows * in_c));
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t channel = r / (rows / out_c);
    for (int c = 0; c < in_c; c += 4) {
      const bool keep = zeros == Zeros::none   ? true
                        : zeros == Zeros::some ? random() % 4 == 0
                        : zeros == Zeros::most ? random() % 16 == 0
                        : zeros == Zeros::rows ? channel % 3 == 1
                                               : false;
      if (!keep) continue;
      for (int i = 0; i < 4; ++i) {
        const int v = values == Values::extreme ? (random() % 8 ? -128 : 127)
                                                : static_cast<int>(random() % 256) - 128;
        weights[static_cast<size_t>(r * in_c + c + i)] = static_cast<int8_t>(v);
      }
      // A kept block may hold zeros too.
      if (random() % 2) weights[static_cast<size_t>(r * in_c + c + random() % 4)] = 0;
    }
  }
  return weights;
}

std::vector<int8_t> random_input(std::mt19937& random, int64_t count, Values values) {
  std::vector<int8_t> input(static_cast<size_t>(count));
  for (int8_t& v : input) {
    v = values == Values::extreme ? (random() % 8 ? -128 : 127)
                                  : static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
  }
  return input;
}

std::vector<int8_t> run(const SparseWeights& weights, const SparseGeometry& geometry,
                        const std::vector<int8_t>& given, size_t size, int64_t at_once) {
  // The input ends where its allocation ends, for tools that watch reads.
  const std::vector<int8_t> input(given);
  return guarded_run(size, sparse_scratch_bytes(weights, geometry), sparse_tiles(weights, geometry),
                     at_once, [&](int8_t* out, int64_t begin, int64_t end, void* scratch) {
                       sparse_run(weights, geometry, input.data(), out, begin, end, scratch);
                     });
}

void check_kernels(const SparseSpec& spec, const SparseGeometry& geometry,
                   const std::vector<int8_t>& input, const std::vector<int8_t>& expected) {
  int count;
  const SparseKernel* kernels = sparse_kernels(&count);
  for (int i = 0; i < count; ++i) {
    if (!arch::has(arch::supported(), kernels[i].arch)) continue;
    arch::ArchSet archs = 0;
    ASSERT_EQ(arch::choose(arch::name(kernels[i].arch), &archs), arch::Choice::ok);
    for (bool by_row : {false, true}) {
      if (by_row && (spec.taps > 1 || sparse_row_kernel(archs) == nullptr)) continue;
      SparseSpec packed = spec;
      packed.by_row = by_row;
      const SparseWeightsPtr weights = sparse_pack(packed, archs);
      ASSERT_NE(weights, nullptr);
      SCOPED_TRACE(sparse_kernel_name(*weights));
      ASSERT_TRUE(!by_row || sparse_kernel_name(*weights) == sparse_row_kernel(archs)->name);
      for (int64_t at_once : {1, 2, 3, 7, 1000}) {
        const std::vector<int8_t> out = run(*weights, geometry, input, expected.size(), at_once);
        ASSERT_FALSE(testing::Test::HasFailure());
        for (size_t at = 0; at < out.size(); ++at) ASSERT_EQ(out[at], expected[at]) << "at " << at;
      }
    }
  }
}

// `wide` multipliers reach beyond 1 and their left shifts wrap; `extreme` is all -128 and 127.
void check_conv(const Shape& s, Zeros zeros, Values values) {
  SCOPED_TRACE(testing::Message() << "batch " << s.batch << " in " << s.in_h << "x" << s.in_w << "x"
                                  << s.in_c << " out_c " << s.out_c << " kernel " << s.kernel_h
                                  << "x" << s.kernel_w << " stride " << s.stride << " dilation "
                                  << s.dilation << (s.same ? " same" : " valid") << " zeros "
                                  << static_cast<int>(zeros) << " values "
                                  << static_cast<int>(values) << " seed " << kSeed);
  std::mt19937 random(kSeed + s.in_c * 7 + s.out_c * 3 + s.kernel_h + s.in_h * 11);
  const int taps = s.kernel_h * s.kernel_w, depth = taps * s.in_c;
  const std::vector<int8_t> weights =
      random_weights(random, int64_t{s.out_c} * taps, s.out_c, s.in_c, zeros, values);
  const std::vector<int8_t> input =
      random_input(random, int64_t{s.batch} * s.in_h * s.in_w * s.in_c, values);
  std::vector<Multiplier> multipliers;
  std::vector<int32_t> bias;
  const double reals[] = {1.0 / 6 / depth, 1.0 / 1024, 1.0 / 64, 0.37 / depth, 3.0 / 512};
  for (int o = 0; o < s.out_c; ++o) {
    double real = reals[random() % 5] * (random() % 2 ? 1.0 : 0.5 + (random() % 1000) / 1000.0);
    if (values == Values::wide && random() % 3 == 0) real = random() % 2 ? 1.9 : 70000.0;
    multipliers.push_back(quantize_multiplier(real));
    bias.push_back(values == Values::wide ? static_cast<int32_t>(random())
                                          : static_cast<int>(random() % 20000) - 10000);
  }
  // Not clamped, clamped, and the fused RELU6, which leaves nothing below the zero point.
  const int activation = static_cast<int>(random() % 3);
  const int output_zero_point = static_cast<int>(random() % 256) - 128;
  const int min = activation == 0 ? -128 : activation == 1 ? -20 : output_zero_point;
  const int max = activation == 0 ? 127 : std::max(min, 101);
  const int input_zero_point =
      values == Values::extreme ? 127 : static_cast<int>(random() % 256) - 128;
  const int32_t* given_bias = random() % 4 ? bias.data() : nullptr;
  const int out_h = out_size(s, s.in_h, s.kernel_h), out_w = out_size(s, s.in_w, s.kernel_w);
  const int pad_top = pad_before(s, s.in_h, s.kernel_h);
  const int pad_left = pad_before(s, s.in_w, s.kernel_w);

  const ConvSpec dense = {s.out_c,
                          s.kernel_h,
                          s.kernel_w,
                          s.in_c,
                          1,
                          weights.data(),
                          given_bias,
                          multipliers.data(),
                          input_zero_point,
                          output_zero_point,
                          min,
                          max};
  const ConvGeometry g = {s.batch,    s.in_h,     s.in_w,     s.in_c,   out_h,    out_w,
                          s.out_c,    s.kernel_h, s.kernel_w, s.stride, s.stride, s.dilation,
                          s.dilation, pad_top,    pad_left,   1};
  std::vector<int8_t> expected(static_cast<size_t>(s.batch) * out_h * out_w * s.out_c);
  conv_reference(dense, g, input.data(), expected.data());

  const SparseSpec sparse = {
      s.out_c, taps, s.in_c,           weights.data(),    given_bias, multipliers.data(),
      nullptr, 0,    input_zero_point, output_zero_point, min,        max};
  check_kernels(sparse,
                {s.batch, s.in_h, s.in_w, out_h, out_w, s.kernel_h, s.kernel_w, s.stride, s.stride,
                 s.dilation, s.dilation, pad_top, pad_left},
                input, expected);
}

void check_fully_connected(int rows, int in_c, int out_c, bool per_channel, Zeros zeros) {
  SCOPED_TRACE(testing::Message() << rows << " rows, " << in_c << " to " << out_c << ", zeros "
                                  << static_cast<int>(zeros) << " seed " << kSeed);
  std::mt19937 random(kSeed + rows * 7 + in_c * 3 + out_c);
  const std::vector<int8_t> weights =
      random_weights(random, out_c, out_c, in_c, zeros, Values::ordinary);
  const std::vector<int8_t> input = random_input(random, int64_t{rows} * in_c, Values::ordinary);
  std::vector<double> scales;
  std::vector<int32_t> bias;
  for (int o = 0; o < (per_channel ? out_c : 1); ++o)
    scales.push_back((1 + random() % 100) * (random() % 10 ? 1e-5 : 3.0));
  for (int o = 0; o < out_c; ++o) bias.push_back(static_cast<int>(random() % 20000) - 10000);
  const int scale_count = static_cast<int>(scales.size());
  const FullyConnectedSpec dense = {
      out_c, in_c, weights.data(), bias.data(), scales.data(), scale_count, 0, -7, 5, -128, 120};
  std::vector<int8_t> expected(static_cast<size_t>(rows) * out_c);
  fully_connected_reference(dense, rows, input.data(), expected.data());
  const SparseSpec sparse = {out_c,       1,       in_c,          weights.data(),
                             bias.data(), nullptr, scales.data(), scale_count,
                             -7,          5,       -128,          120};
  check_kernels(sparse, {1, 1, rows, 1, rows, 1, 1, 1, 1, 1, 1, 0, 0}, input, expected);
}

constexpr Zeros kZeros[] = {Zeros::none, Zeros::some, Zeros::most, Zeros::rows, Zeros::all};

TEST(SparseKernel, EveryPatternOfZerosEqualsReferenceOnAllValues) {
  for (Zeros zeros : kZeros) {
    for (Values values : {Values::ordinary, Values::extreme, Values::wide}) {
      ASSERT_NO_FATAL_FAILURE(check_conv({2, 6, 5, 64, 31}, zeros, values));
      ASSERT_NO_FATAL_FAILURE(check_conv({1, 7, 9, 12, 18, 3, 3}, zeros, values));
      ASSERT_NO_FATAL_FAILURE(check_conv({1, 12, 13, 40, 70, 3, 2}, zeros, values));
    }
  }
}

TEST(SparseKernel, EveryPixelCountEqualsReference) {
  for (int w = 1; w <= 140; ++w)
    ASSERT_NO_FATAL_FAILURE(check_conv({1, 1, w, 20, 33}, Zeros::some, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check_conv({1, 17, 31, 20, 33}, Zeros::some, Values::ordinary));
}

TEST(SparseKernel, EveryChannelCountEqualsReference) {
  for (int in_c = 4; in_c <= 136; in_c += 4)
    ASSERT_NO_FATAL_FAILURE(check_conv({1, 5, 7, in_c, 19}, Zeros::some, Values::ordinary));
  for (int out_c = 1; out_c <= 70; ++out_c)
    ASSERT_NO_FATAL_FAILURE(check_conv({1, 5, 7, 20, out_c}, Zeros::some, Values::ordinary));
}

TEST(SparseKernel, ManyBlocksGoThroughSeveralChunks) {
  for (int in_c : {252, 256, 260, 512, 1024})
    ASSERT_NO_FATAL_FAILURE(check_conv({1, 5, 7, in_c, 19}, Zeros::some, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check_conv({1, 5, 5, 1024, 19}, Zeros::rows, Values::extreme));
  ASSERT_NO_FATAL_FAILURE(check_conv({1, 8, 8, 512, 40, 3, 3}, Zeros::most, Values::wide));
}

TEST(SparseKernel, StridesDilationsAndPaddingsEqualReference) {
  for (bool same : {true, false}) {
    for (int kernel : {1, 2, 3, 5}) {
      for (int stride : {1, 2, 3})
        ASSERT_NO_FATAL_FAILURE(check_conv({2, 11, 17, 8, 18, kernel, kernel, stride, 1, same},
                                           Zeros::some, Values::ordinary));
      ASSERT_NO_FATAL_FAILURE(check_conv({1, 13, 14, 8, 10, kernel, kernel, 1, 2, same},
                                         Zeros::some, Values::ordinary));
    }
  }
  ASSERT_NO_FATAL_FAILURE(check_conv({1, 2, 3, 4, 5, 7, 7}, Zeros::some, Values::ordinary));
}

TEST(SparseKernel, LayersOfManyTilesEqualReference) {
  ASSERT_NO_FATAL_FAILURE(check_conv({1, 14, 14, 256, 512}, Zeros::some, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check_conv({1, 20, 21, 64, 96, 3, 3}, Zeros::some, Values::ordinary));
  ASSERT_NO_FATAL_FAILURE(check_conv({4, 7, 7, 96, 300}, Zeros::some, Values::ordinary));
}

// Cut by pixels, by channels, and by channels where one vector has all pixels. What follows each
// other is worked through as one, from wherever a thread starts.
TEST(SparseKernel, SmallLayersAreCutForThreadsAndEqualReferenceHoweverTheyAreShared) {
  for (const Shape& s :
       {Shape{1, 8, 8, 64, 64, 3, 3}, Shape{1, 6, 6, 128, 128}, Shape{1, 3, 3, 256, 200},
        Shape{1, 12, 12, 64, 72}, Shape{3, 5, 5, 32, 96}})
    ASSERT_NO_FATAL_FAILURE(check_conv(s, Zeros::some, Values::ordinary));
  const std::vector<int8_t> weights(128 * 128, 1);
  const std::vector<Multiplier> multipliers(128, quantize_multiplier(0.01));
  const SparseWeightsPtr packed = sparse_pack(
      {128, 1, 128, weights.data(), nullptr, multipliers.data(), nullptr, 0, 0, 0, -128, 127},
      arch::supported());
  for (int size : {1, 2, 6, 8, 12})
    EXPECT_GE(sparse_tiles(*packed, {1, size, size, size, size, 1, 1, 1, 1, 1, 1, 0, 0}), 2);
}

TEST(SparseKernel, FullyConnectedEqualsReference) {
  for (Zeros zeros : kZeros)
    for (bool per_channel : {false, true})
      for (int rows : {1, 7, 16, 33, 130})
        ASSERT_NO_FATAL_FAILURE(check_fully_connected(rows, 264, 71, per_channel, zeros));
}

TEST(SparseKernel, BlocksAreCountedWhereTheyStand) {
  std::vector<int8_t> weights(2 * 8, 0);
  EXPECT_EQ(sparse_kept_blocks(weights.data(), 2, 8), 0);
  weights[7] = -1;  // the last weight of block 1 of row 0
  weights[8] = 3;   // the first of block 0 of row 1
  weights[11] = -128;
  EXPECT_EQ(sparse_kept_blocks(weights.data(), 2, 8), 2);
}

TEST(SparseKernel, TheForcedKernelIsTheOneThatRuns) {
  const std::vector<int8_t> weights(16, 1);
  const std::vector<Multiplier> multipliers(4, quantize_multiplier(0.01));
  const SparseSpec spec = {4, 1, 4, weights.data(), nullptr, multipliers.data(), nullptr,
                           0, 0, 0, -128,           127};
  int count;
  const SparseKernel* kernels = sparse_kernels(&count);
  for (int i = 0; i < count; ++i) {
    arch::ArchSet archs = 0;
    const char* name = arch::name(kernels[i].arch);
    if (arch::choose(name, &archs) != arch::Choice::ok) {
      std::printf("not run on this CPU: %s\n", kernels[i].name);
      continue;
    }
    const std::string ran = sparse_kernel_name(*sparse_pack(spec, archs));
    EXPECT_EQ(ran.substr(ran.rfind('_') + 1), name);
  }
}

TEST(SparseKernel, AnEmptyOutputHasNoTiles) {
  const std::vector<int8_t> weights(16, 1);
  const std::vector<Multiplier> multipliers(4, quantize_multiplier(0.01));
  const SparseWeightsPtr packed = sparse_pack(
      {4, 1, 4, weights.data(), nullptr, multipliers.data(), nullptr, 0, 0, 0, -128, 127},
      arch::supported());
  EXPECT_EQ(sparse_tiles(*packed, {0, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 0, 0}), 0);
  EXPECT_EQ(sparse_tiles(*packed, {1, 4, 4, 0, 4, 1, 1, 1, 1, 1, 1, 0, 0}), 0);
}

}  // namespace
}  // namespace int8x
