// PAD and CONCATENATION put every byte where the definition says, tile by tile.

#include "delegate/kernels/copy/copy.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

using Dims = std::vector<int32_t>;

int64_t size_of(const Dims& dims) {
  int64_t size = 1;
  for (int32_t n : dims) size *= n;
  return size;
}

std::vector<int8_t> pad_by_definition(const Dims& dims, const Dims& padding, int8_t fill,
                                      const std::vector<int8_t>& input) {
  Dims out = dims;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    out[axis] += padding[2 * axis] + padding[2 * axis + 1];
  }
  std::vector<int8_t> output(static_cast<size_t>(size_of(out)), fill);
  for (size_t i = 0; i < input.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0, stride = 1;
    for (size_t axis = dims.size(); axis-- > 0; rest /= dims[axis]) {
      at += (rest % dims[axis] + padding[2 * axis]) * stride;
      stride *= out[axis];
    }
    output[static_cast<size_t>(at)] = input[i];
  }
  return output;
}

TEST(Pad, EqualsTheDefinition) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (int round = 0; round < 1000; ++round) {
    const int rank = random.integer(1, kMaxPadRank);
    Dims dims, padding;
    for (int axis = 0; axis < rank; ++axis) {
      dims.push_back(random.integer(1, 5));
      const bool padded = random.chance(40);
      padding.push_back(padded ? random.integer(0, 3) : 0);
      padding.push_back(padded ? random.integer(0, 3) : 0);
    }
    const int8_t fill = static_cast<int8_t>(random.integer(-128, 127));
    const std::vector<int8_t> input = random.bytes(size_of(dims));
    PadParams params;
    ASSERT_TRUE(make_pad_params(dims.data(), padding.data(), rank, fill, &params));
    const std::vector<int8_t> wanted = pad_by_definition(dims, padding, fill, input);
    std::vector<int8_t> output(wanted.size() + 16, 85);
    for (int64_t tile = pad_tiles(params) - 1; tile >= 0; --tile) {
      pad_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
    }
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, wanted) << round;
  }
}

TEST(Pad, RefusesWhatHasNoMeaning) {
  PadParams params;
  const Dims dims = {2, 3, 1, 1, 1, 1, 1}, padding = {1, 1, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(make_pad_params(dims.data(), padding.data(), 1, 0, &params));
  EXPECT_FALSE(make_pad_params(dims.data(), padding.data(), 2, 0, &params));
  EXPECT_FALSE(make_pad_params(dims.data(), padding.data(), 0, 0, &params));
  EXPECT_FALSE(make_pad_params(dims.data(), padding.data(), 7, 0, &params));
}

TEST(Concat, EqualsTheDefinition) {
  Random random;
  for (int round = 0; round < 120; ++round) {
    const int inputs = random.chance(90) ? random.integer(1, 6) : kMaxConcatInputs;
    const int64_t outer = random.pick({1, 2, 7, 700}), inner = random.pick({1, 3, 16, 50});
    Dims extents;
    for (int i = 0; i < inputs; ++i)
      extents.push_back(random.chance(10) ? 0 : random.integer(1, 9));
    extents[0] = std::max(extents[0], 1);
    std::vector<std::vector<int8_t>> data;
    std::vector<const int8_t*> pointers;
    for (int32_t extent : extents) data.push_back(random.bytes(outer * extent * inner));
    for (const auto& bytes : data) pointers.push_back(bytes.data());
    std::vector<int8_t> wanted;
    for (int64_t row = 0; row < outer; ++row) {
      for (size_t i = 0; i < data.size(); ++i) {
        const int64_t bytes = extents[i] * inner;
        wanted.insert(wanted.end(), data[i].begin() + row * bytes,
                      data[i].begin() + (row + 1) * bytes);
      }
    }
    ConcatParams params;
    ASSERT_TRUE(make_concat_params(extents.data(), inputs, outer, inner, &params));
    std::vector<int8_t> output(wanted.size() + 16, 85);
    for (int64_t tile = concat_tiles(params) - 1; tile >= 0; --tile) {
      concat_run(params, pointers.data(), output.data(), tile, tile + 1, nullptr);
    }
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, wanted) << round;
  }
}

TEST(Concat, RefusesWhatHasNoMeaning) {
  ConcatParams params;
  const Dims none(kMaxConcatInputs + 1, 1), negative = {1, -1}, empty = {0, 0};
  EXPECT_FALSE(make_concat_params(none.data(), 0, 1, 1, &params));
  EXPECT_FALSE(make_concat_params(none.data(), kMaxConcatInputs + 1, 1, 1, &params));
  EXPECT_FALSE(make_concat_params(negative.data(), 2, 1, 1, &params));
  EXPECT_FALSE(make_concat_params(empty.data(), 2, 1, 1, &params));
  EXPECT_FALSE(make_concat_params(none.data(), 2, 0, 1, &params));
}

}  // namespace
}  // namespace int8x
