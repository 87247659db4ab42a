// int16 operators element by element: every kernel equals the reference, and the functions stay
// near the real ones.

#include <algorithm>
#include <cstring>

#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

TEST(WideBinary, EveryKernelEqualsTheReference) {
  Random random;
  runnable(wide_binary_kernels());
  for (int32_t n : {1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 5000}) {
    for (bool multiply : {false, true}) {
      for (const std::vector<int32_t>& rhs_dims :
           {std::vector<int32_t>{3, n}, std::vector<int32_t>{n}, std::vector<int32_t>{3, 1}}) {
        const int32_t dims[] = {3, n};
        WideBinaryParams params;
        const float lhs_scale = random.scale(-12, -3), rhs_scale = random.scale(-12, -3);
        const float output_scale = multiply ? lhs_scale * rhs_scale * random.real(5e3f, 1e5f)
                                            : std::max(lhs_scale, rhs_scale);
        ASSERT_TRUE(make_wide_binary_params(
            multiply, lhs_scale, rhs_scale, output_scale, -32768, 32000, dims, 2, rhs_dims.data(),
            static_cast<int>(rhs_dims.size()), arch::supported(), &params));
        const std::vector<int16_t> lhs = random.words(3 * n), rhs = random.words(3 * n);
        std::vector<std::vector<int16_t>> outputs;
        for (int i = wide_binary_kernels().count - 1; i >= 0; --i) {  // the reference first
          const WideBinaryKernel& kernel = wide_binary_kernels().kernels[i];
          if (kernel.multiply != multiply || !arch::has(arch::supported(), kernel.arch)) continue;
          params.kernel = &kernel;
          outputs.emplace_back(static_cast<size_t>(3 * n) + 16, 85);
          for (int64_t tile = wide_binary_tiles(params) - 1; tile >= 0; --tile) {
            wide_binary_run(params, lhs.data(), rhs.data(), outputs.back().data(), tile, tile + 1,
                            nullptr);
          }
          ASSERT_EQ(outputs.back(), outputs.front()) << kernel.name << " " << n;
        }
        for (size_t k = static_cast<size_t>(3 * n); k < outputs[0].size(); ++k) {
          ASSERT_EQ(outputs[0][k], 85);
        }
      }
    }
  }
}

// Shapes that broadcast, by the definition of broadcasting.
TEST(WideBinary, BroadcastsAsShapesSay) {
  Random random;
  const int32_t dims[] = {2, 3, 4, 5};
  const std::vector<int16_t> lhs = random.words(120), rhs = random.words(120);
  for (const std::vector<int32_t>& rhs_dims : {std::vector<int32_t>{2, 3, 4, 5},
                                               {3, 4, 5},
                                               {5},
                                               {1},
                                               {},
                                               {2, 1, 1, 5},
                                               {3, 1, 1},
                                               {2, 1, 4, 1},
                                               {1, 3, 4, 1}}) {
    WideBinaryParams params;
    ASSERT_TRUE(make_wide_binary_params(false, 1, 1, 2, -32768, 32767, dims, 4, rhs_dims.data(),
                                        static_cast<int>(rhs_dims.size()), 0, &params));
    std::vector<int16_t> wanted, output(120);
    for (int32_t i = 0; i < 120; ++i) {
      const int32_t at[] = {i / 60, i / 20 % 3, i / 5 % 4, i % 5};
      size_t from = 0;
      for (size_t axis = 0; axis < rhs_dims.size(); ++axis) {
        const int32_t place = at[4 - rhs_dims.size() + axis];
        from = from * static_cast<size_t>(rhs_dims[axis]) +
               static_cast<size_t>(rhs_dims[axis] == 1 ? 0 : place);
      }
      const int32_t sum = lhs[static_cast<size_t>(i)] + rhs[from];
      wanted.push_back(static_cast<int16_t>(sum < 0 ? -((1 - sum) / 2) : (sum + 1) / 2));
    }
    wide_binary_run(params, lhs.data(), rhs.data(), output.data(), 0, wide_binary_tiles(params),
                    nullptr);
    ASSERT_EQ(output, wanted) << rhs_dims.size();
    EXPECT_EQ(params.out_rank, 4);
  }
}

// Every lhs against some rhs, where the line is taken. Some pairs lie so near a tie that the line
// alone would be wrong.
TEST(WideAddLine, EqualsTheDefinitionForEveryLhs) {
  Random random;
  const auto kernels = runnable(wide_binary_kernels());
  const int32_t dims[] = {65536};
  std::vector<int16_t> lhs, rhs(65536), wanted(65536), output(65536);
  for (int32_t q = INT16_MIN; q <= INT16_MAX; ++q) lhs.push_back(static_cast<int16_t>(q));
  int lines = 0, needed = 0;
  for (int round = 0; round < 24; ++round) {
    const float lhs_scale = 1e-4f * random.real(0.2f, 1.0f);
    const float rhs_scale = round % 4 == 0 ? lhs_scale : 1e-4f * random.real(1e-3f, 1.0f);
    WideBinaryParams params;
    ASSERT_TRUE(make_wide_binary_params(false, lhs_scale, rhs_scale, 1e-4f * random.real(0.3f, 2),
                                        -32768, 30000, dims, 1, dims, 1, arch::supported(),
                                        &params));
    const WideAddLine line = wide_add_line_of(params);
    if (!line.pays) continue;
    params.line = line;
    ++lines;
    for (int32_t value : {-32768, 32767, 0, -1, random.integer(INT16_MIN, INT16_MAX),
                          random.integer(INT16_MIN, INT16_MAX), random.integer(-99, 99)}) {
      std::fill(rhs.begin(), rhs.end(), static_cast<int16_t>(value));
      add_s16_s16_s16_reference(params, lhs.data(), 1, rhs.data(), 1, wanted.data(), 65536);
      for (const WideBinaryKernel* kernel : kernels) {
        if (kernel->multiply) continue;
        for (int64_t rhs_step : {0, 1}) {
          kernel->run(params, lhs.data(), 1, rhs.data(), rhs_step, output.data(), 65536);
          ASSERT_EQ(output, wanted) << kernel->name << " " << lhs_scale << " " << rhs_scale;
          kernel->run(params, rhs.data(), rhs_step, lhs.data(), 1, output.data(), 65536);
          std::vector<int16_t> turned(65536);
          add_s16_s16_s16_reference(params, rhs.data(), 1, lhs.data(), 1, turned.data(), 65536);
          ASSERT_EQ(output, turned) << kernel->name << " " << lhs_scale << " " << rhs_scale;
        }
      }
      for (size_t i = 0; i < lhs.size(); ++i) {
        const int64_t low = int64_t{lhs[i]} * line.lhs_low + int64_t{value} * line.rhs_low;
        const int64_t v = int64_t{lhs[i]} * line.lhs_high + int64_t{value} * line.rhs_high +
                          (low >> 15) + line.constant;
        const int32_t y = clamp(static_cast<int32_t>(v >> line.shift), -32768, 30000);
        needed += y != wanted[i];
      }
    }
  }
  EXPECT_GE(lines, 20);
  EXPECT_GE(needed, 100);
}

// Half of all sums of equal scales are ties where the output's is twice theirs.
TEST(WideAddLine, DoesNotPayWhereTiesAreMany) {
  const int32_t dims[] = {4};
  for (float output : {2.0f, 1.0f, 1.9f}) {
    WideBinaryParams params;
    ASSERT_TRUE(make_wide_binary_params(false, 1, 1, output, -32768, 32767, dims, 1, dims, 1,
                                        arch::supported(), &params));
    EXPECT_EQ(wide_add_line_of(params).pays, output != 2.0f) << output;
  }
}

TEST(WidePool, EveryKernelEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_pool_kernels());
  for (int32_t channels : {1, 7, 8, 9, 15, 16, 17, 40}) {
    for (int round = 0; round < 60; ++round) {
      const int32_t rows = random.integer(1, 4), columns = random.pick({1, 2, 3, 5, 40});
      const int64_t stride = int64_t{columns + random.integer(0, 2)} * channels;
      const std::vector<int16_t> input = random.words(rows * stride);
      for (bool average : {false, true}) {
        std::vector<int16_t> wanted, output(static_cast<size_t>(channels) + 16, 85);
        WidePoolWindow window = {input.data(), stride,       rows,
                                 columns,      channels,     random.chance(50) ? -32768 : -900,
                                 32000,        output.data()};
        wide_pool_kernel(average, 0)->run(window);
        wanted = output;
        for (const WidePoolKernel* kernel : kernels) {
          if (kernel->average != average) continue;
          std::fill(output.begin(), output.end(), int16_t{85});
          kernel->run(window);
          ASSERT_EQ(output, wanted) << kernel->name << " " << rows << "x" << columns;
        }
      }
    }
  }
}

// Half away from zero on exact halves, near the largest sums.
TEST(WidePool, RoundsHalvesAwayFromZero) {
  for (const WidePoolKernel* kernel : runnable(wide_pool_kernels())) {
    if (!kernel->average) continue;
    for (int32_t count : {2, 6, 100, 30000}) {
      for (int32_t sign : {-1, 1}) {
        // All but half of them 32766, the others one more: the mean is 32766.5.
        std::vector<int16_t> input(static_cast<size_t>(count) * 16);
        for (size_t i = 0; i < input.size(); ++i)
          input[i] = static_cast<int16_t>(sign * (32766 + (i / 16 < input.size() / 32 ? 1 : 0)));
        std::vector<int16_t> output(16);
        kernel->run({input.data(), 0, 1, count, 16, -32768, 32767, output.data()});
        for (int16_t y : output) ASSERT_EQ(y, sign * 32767) << kernel->name << " " << count;
      }
    }
  }
}

TEST(WideSigmoid, EveryKernelEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_sigmoid_kernels());
  std::vector<int16_t> input;
  for (int32_t q = INT16_MIN; q <= INT16_MAX; ++q) input.push_back(static_cast<int16_t>(q));
  for (int round = 0; round < 60; ++round) {
    const float scale = round == 0   ? 1.0f / 4096
                        : round == 1 ? 1.0f / 2048
                        : round == 2 ? 0.9f
                        : round == 3 ? 1e-9f
                        : round == 5 ? 3.0f  // a multiplier of more than 16 bits
                                     : random.scale(-17, 0);
    for (bool tanh : {false, true}) {
      WideSigmoidParams params;
      const int64_t count = round % 4 == 0 ? 65536 - random.integer(1, 17) : 65536;
      ASSERT_TRUE(make_wide_sigmoid_params(tanh, scale, count, arch::supported(), &params));
      const size_t last = static_cast<size_t>(count);
      std::vector<int16_t> wanted(input.size(), 85);
      sigmoid_s16_s16_reference(params, input.data(), wanted.data(), count);
      if (params.multiplier > kMostSigmoidMultiplier) {
        ASSERT_EQ(params.kernel->arch, arch::reference);
        continue;
      }
      for (const WideSigmoidKernel* kernel : kernels) {
        std::vector<int16_t> output(input.size(), 85);
        kernel->run(params, input.data(), output.data(), count);
        ASSERT_EQ(output, wanted) << kernel->name << " " << scale << " " << last;
      }
    }
  }
}

TEST(WideSoftmax, EveryKernelEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_softmax_kernels());
  for (int round = 0; round < 300; ++round) {
    const int64_t depth = random.pick({1, 7, 8, 9, 16, 17, 31, 32, 33, 65, 1001});
    const std::vector<int16_t> input = random.words(depth);
    WideSoftmaxParams params;
    ASSERT_TRUE(make_wide_softmax_params(random.scale(-22, 14), 1.0f, 1, depth, arch::supported(),
                                         &params));
    std::vector<int16_t> wanted(input.size() + 16, 85);
    softmax_s16_s16_reference(params, input.data(), wanted.data());
    for (const WideSoftmaxKernel* kernel : kernels) {
      std::vector<int16_t> output(input.size() + 16, 85);
      kernel->run(params, input.data(), output.data());
      ASSERT_EQ(output, wanted) << kernel->name << " " << depth;
    }
  }
}

// A row is scaled by its sum alone, so that outputs show every exponential: each of the 65536
// distances from the largest element, at scales on both sides of a multiplier of 1.
TEST(WideSoftmax, EveryExponentialEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_softmax_kernels());
  std::vector<int16_t> input(65535), wanted(65535), output(65535);
  for (int round = 0; round < 40; ++round) {
    const int64_t depth = round % 4 == 0 ? 1021 : 65535;  // few share the sum: finer outputs
    const float scale =
        round < 20 ? std::ldexp(random.real(0.5f, 1.0f), round - 26) : random.scale(-16, -8);
    const int32_t first = random.integer(0, 1);
    for (int64_t i = 0; i < depth; ++i) {
      const int64_t distance = depth == 65535 ? i + first : i * random.integer(1, 64);
      input[static_cast<size_t>(i)] = static_cast<int16_t>(INT16_MAX - distance % 65536);
    }
    WideSoftmaxParams params;
    ASSERT_TRUE(make_wide_softmax_params(scale, 1.0f, 1, depth, arch::supported(), &params));
    softmax_s16_s16_reference(params, input.data(), wanted.data());
    for (const WideSoftmaxKernel* kernel : kernels) {
      kernel->run(params, input.data(), output.data());
      ASSERT_EQ(output, wanted) << kernel->name << " " << scale;
    }
  }
}

TEST(WideSigmoid, IsNearTheRealFunctions) {
  std::vector<int16_t> input, output(65536);
  for (int32_t q = INT16_MIN; q <= INT16_MAX; ++q) input.push_back(static_cast<int16_t>(q));
  for (float scale : {1.0f / 4096, 1.0f / 2048, 1e-4f, 3e-3f}) {
    for (bool tanh : {false, true}) {
      WideSigmoidParams params;
      ASSERT_TRUE(make_wide_sigmoid_params(tanh, scale, 65536, arch::supported(), &params));
      for (int64_t tile = wide_sigmoid_tiles(params) - 1; tile >= 0; --tile) {
        wide_sigmoid_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
      }
      for (size_t i = 0; i < input.size(); ++i) {
        const double v = double{scale} * input[i];
        const double real = (tanh ? std::tanh(v) : 1 / (1 + std::exp(-v))) * 32768;
        // Half the error of interpolation (1 / 24 squared times a curvature of 0.1 / 8, twice for
        // tanh, in Q0.15), the input's grid and two roundings.
        ASSERT_LE(std::abs(output[i] - real), tanh ? 8 : 3) << v;
      }
    }
  }
}

TEST(WideSoftmax, RowsAddUpToOne) {
  Random random;
  for (int round = 0; round < 200; ++round) {
    const int64_t rows = random.integer(1, 3), depth = random.pick({1, 2, 10, 300});
    const std::vector<int16_t> input = random.words(rows * depth);
    WideSoftmaxParams params;
    ASSERT_TRUE(make_wide_softmax_params(random.scale(-14, -4), 1.0f, rows, depth,
                                         arch::supported(), &params));
    std::vector<int16_t> output(input.size() + 16, 85);
    for (int64_t row = rows - 1; row >= 0; --row) {
      wide_softmax_run(params, input.data(), output.data(), row, row + 1, nullptr);
    }
    for (size_t k = input.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t sum = 0;
      for (int64_t i = 0; i < depth; ++i) sum += output[static_cast<size_t>(row * depth + i)];
      // Each output is rounded; the reciprocal has 15 bits.
      ASSERT_LE(std::abs(sum - 32768), depth / 2 + 16);
    }
  }
}

TEST(WideElements, RefusesWhatHasNoMeaning) {
  const int32_t dims[] = {4};
  WideBinaryParams binary;
  EXPECT_TRUE(
      make_wide_binary_params(false, 1, 1, 1, -5, 5, dims, 1, dims, 1, arch::supported(), &binary));
  EXPECT_FALSE(make_wide_binary_params(false, 1, 1, 1e-6f, -5, 5, dims, 1, dims, 1,
                                       arch::supported(), &binary));
  EXPECT_FALSE(make_wide_binary_params(true, 1, NAN, 1, -5, 5, dims, 1, dims, 1, arch::supported(),
                                       &binary));
  EXPECT_FALSE(
      valid_wide_pool({wide_pool_kernel(true, 0), 1, 4, 4, 1, 2, 2, 300, 300, 1, 1, 0, 0, -5, 5}));
  WideSigmoidParams sigmoid;
  EXPECT_FALSE(make_wide_sigmoid_params(true, INFINITY, 1, 0, &sigmoid));
  WideSoftmaxParams softmax;
  EXPECT_FALSE(make_wide_softmax_params(1.0f, 1.0f, 1, 1 << 16, 0, &softmax));
}

}  // namespace
}  // namespace int8x
