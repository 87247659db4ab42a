// SELECT equals the definition, in any division into tiles, for every way in which three operands
// meet.

#include "delegate/kernels/elementwise/select.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

using Dims = std::vector<int32_t>;

Operand operand(const Dims& dims) { return {dims.data(), static_cast<int>(dims.size())}; }

int64_t size_of(const Dims& dims) {
  int64_t size = 1;
  for (int32_t n : dims) size *= n;
  return size;
}

// The extent counted from the innermost axis; 1 beyond the rank.
int32_t back(const Dims& dims, size_t k) { return k < dims.size() ? dims[dims.size() - 1 - k] : 1; }

Dims output_of(const Dims& a, const Dims& b, const Dims& c) {
  Dims out(std::max({a.size(), b.size(), c.size()}));
  for (size_t k = 0; k < out.size(); ++k) {
    out[out.size() - 1 - k] = std::max({back(a, k), back(b, k), back(c, k)});
  }
  return out;
}

// The element of an operand that output element i is made of.
size_t element_of(const Dims& dims, const Dims& output, int64_t i) {
  int64_t at = 0, stride = 1;
  for (size_t k = 0; k < output.size(); ++k) {
    const int64_t position = i % back(output, k);
    i /= back(output, k);
    if (back(dims, k) != 1) at += position * stride;
    stride *= back(dims, k);
  }
  return static_cast<size_t>(at);
}

template <typename T>
void expect_by_definition(Random& random, const Dims& condition, const Dims& on, const Dims& off) {
  SelectParams params;
  ASSERT_TRUE(
      make_select_params(operand(condition), operand(on), operand(off), sizeof(T), &params));
  const Dims output = output_of(condition, on, off);
  const int64_t size = size_of(output);
  ASSERT_EQ(params.axes.size, size);
  // Every byte but 0 is true.
  std::vector<uint8_t> chooses(static_cast<size_t>(size_of(condition)));
  for (uint8_t& one : chooses) one = static_cast<uint8_t>(random.pick({0, 0, 1, 1, 2, 255}));
  std::vector<T> x(static_cast<size_t>(size_of(on))), y(static_cast<size_t>(size_of(off)));
  for (T& one : x) one = static_cast<T>(random.integer(0, 32767));
  for (T& one : y) one = static_cast<T>(random.integer(-32768, -1));
  std::vector<T> z(static_cast<size_t>(size) + 64, T{85});
  for (int64_t tile = select_tiles(params) - 1; tile >= 0; --tile) {
    select_run(params, chooses.data(), x.data(), y.data(), z.data(), tile, tile + 1, nullptr);
  }
  for (int64_t i = 0; i < size; ++i) {
    const T wanted = chooses[element_of(condition, output, i)] != 0 ? x[element_of(on, output, i)]
                                                                    : y[element_of(off, output, i)];
    ASSERT_EQ(z[static_cast<size_t>(i)], wanted) << "element " << i;
  }
  for (size_t i = static_cast<size_t>(size); i < z.size(); ++i) ASSERT_EQ(z[i], T{85});
}

void expect_by_definition(const Dims& condition, const Dims& on, const Dims& off) {
  Random random;
  expect_by_definition<int8_t>(random, condition, on, off);
  expect_by_definition<int16_t>(random, condition, on, off);
}

TEST(Select, EqualsTheDefinitionHoweverOperandsMeet) {
  expect_by_definition({}, {}, {});
  expect_by_definition({1, 1, 24, 24}, {2, 3, 24, 24}, {1});
  expect_by_definition({2, 1, 1, 33}, {2, 3, 5, 33}, {});
  expect_by_definition({7}, {4, 1}, {3, 1, 1});
  expect_by_definition({5, 1}, {1, 70}, {5, 70});
  expect_by_definition({1, 3, 1, 1, 2}, {4, 1, 5, 1, 1}, {1, 1, 1, 6, 2});
  expect_by_definition({2, 1, 3, 1, 2, 1}, {1, 3, 1, 4, 1, 5}, {1});
  expect_by_definition({40000}, {40000}, {40000});
  expect_by_definition({1}, {40000}, {40000});
  expect_by_definition({3, 17000}, {3, 1}, {17000});
  for (int32_t n : {1, 15, 16, 17, 31, 33, 64, 65}) {
    // Each of the eight ways in which the three walk along a row.
    for (int way = 0; way < 8; ++way) {
      const auto dims = [way, n](int bit) { return Dims{2, (way >> bit & 1) != 0 ? n : 1}; };
      expect_by_definition(dims(0), dims(1), dims(2));
    }
  }
}

TEST(Select, RefusesShapesThatDoNotMeetAndElementsOfOtherSizes) {
  SelectParams params;
  const Dims a = {2, 3}, b = {4, 3}, zero = {0, 3}, seven = {2, 1, 1, 1, 1, 1, 3};
  const Operand x = operand(a);
  EXPECT_TRUE(make_select_params(x, x, x, 2, &params));
  EXPECT_FALSE(make_select_params(operand(b), x, x, 1, &params));
  EXPECT_FALSE(make_select_params(x, operand(b), x, 1, &params));
  EXPECT_FALSE(make_select_params(x, x, operand(zero), 1, &params));
  EXPECT_FALSE(make_select_params(x, x, operand(seven), 1, &params));
  EXPECT_FALSE(make_select_params(x, x, x, 4, &params));
}

}  // namespace
}  // namespace int8x
