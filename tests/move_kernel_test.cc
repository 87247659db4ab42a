// Every element of a move comes from where its axes say, in any division into tiles.

#include "delegate/kernels/copy/move.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

int64_t size_of(const std::vector<MoveAxis>& axes) {
  int64_t size = 1;
  for (const MoveAxis& axis : axes) size *= axis.extent;
  return size;
}

// The input element of output element `index`.
int64_t source(const std::vector<MoveAxis>& axes, int64_t base, int64_t index) {
  int64_t at = base;
  for (size_t k = axes.size(); k-- > 0;) {
    const int64_t i = index % axes[k].extent;
    index /= axes[k].extent;
    at += axes[k].offsets.empty() ? i * axes[k].stride : axes[k].offsets[static_cast<size_t>(i)];
  }
  return at;
}

void expect_moved(const std::vector<MoveAxis>& axes, int64_t base, int64_t input_elements,
                  int bytes, Random& random) {
  const std::vector<int8_t> input = random.bytes(input_elements * bytes);
  MoveParams params;
  ASSERT_TRUE(make_move_params(axes, base, input_elements, bytes, &params));
  std::vector<int8_t> wanted;
  for (int64_t i = 0; i < size_of(axes); ++i) {
    for (int b = 0; b < bytes; ++b) {
      wanted.push_back(input[static_cast<size_t>(source(axes, base, i) * bytes + b)]);
    }
  }
  std::vector<int8_t> output(wanted.size() + 16, 85);
  for (int64_t tile = move_tiles(params) - 1; tile >= 0; --tile) {
    move_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
  }
  for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
  output.resize(wanted.size());
  ASSERT_EQ(output, wanted);
}

TEST(Move, EqualsTheDefinitionForStridesAndTables) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (int round = 0; round < 3000; ++round) {
    std::vector<MoveAxis> axes;
    const int rank = random.integer(0, 6);
    int64_t low = 0, high = 0;
    for (int k = 0; k < rank; ++k) {
      MoveAxis axis = {random.pick({1, 2, 3, 4, 5, 8, 16, 17}), 0, {}};
      if (random.chance(25)) {
        for (int64_t i = 0; i < axis.extent; ++i) axis.offsets.push_back(random.integer(0, 40));
        high += 40;
      } else {
        axis.stride = random.pick({0, 1, 1, 2, 3, 8, 33, -1, -2});
        (axis.stride < 0 ? low : high) += (axis.extent - 1) * axis.stride;
      }
      axes.push_back(axis);
    }
    if (size_of(axes) > 40000) continue;
    const int64_t base = random.integer(0, 5) - low;
    expect_moved(axes, base, base + high + 1, random.pick({1, 1, 2, 4}), random);
    if (HasFatalFailure()) return;
  }
}

// Dense axes in another order, with sizes around the blocks that the kernel copies at once.
TEST(Move, TransposesOfEverySize) {
  Random random;
  for (int64_t h : {1, 2, 31, 32, 33, 100}) {
    for (int64_t w : {1, 3, 16, 31, 32, 33, 500}) {
      for (int bytes : {1, 2}) {
        expect_moved({{w, 1, {}}, {h, w, {}}}, 0, h * w, bytes, random);
        expect_moved({{2, h * w, {}}, {w, 1, {}}, {h, w, {}}}, 0, 2 * h * w, bytes, random);
        expect_moved({{w, 1, {}}, {2, h * w, {}}, {h, w, {}}}, 0, 2 * h * w, bytes, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Move, MergesWhatIsOneCopy) {
  MoveParams params;
  ASSERT_TRUE(make_move_params({{2, 60, {}}, {3, 20, {}}, {20, 1, {}}}, 0, 120, 2, &params));
  EXPECT_EQ(params.rank, 2);
  EXPECT_EQ(params.extent[0], 1);
  EXPECT_EQ(params.extent[1], 240);
}

TEST(Move, RefusesWhatWouldReadOutside) {
  MoveParams params;
  EXPECT_TRUE(make_move_params({{4, 2, {}}}, 0, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{4, 2, {}}}, 0, 6, 1, &params));
  EXPECT_FALSE(make_move_params({{4, 2, {}}}, -1, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{4, -1, {}}}, 2, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{2, 0, {0, 7}}}, 0, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{2, 0, {0, -1}}}, 0, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{3, 0, {0, 1}}}, 0, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{0, 1, {}}}, 0, 7, 1, &params));
  EXPECT_FALSE(make_move_params({{INT64_MAX, 1, {}}}, 0, 7, 1, &params));
}

}  // namespace
}  // namespace int8x
