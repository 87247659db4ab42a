// Graphs from random bytes, a good part of them spoilt: the delegate neither crashes nor lets two
// instruction sets disagree. `bazel build --config=fuzz //tests:delegate_fuzzer` searches on.

#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflite_host/compare_archs.h"

namespace int8x {
namespace {

constexpr int kGraphs = 5000;
constexpr size_t kMostBytes = 400;

TEST(DelegateFuzz, EveryInstructionSetDoesTheSameWithARandomGraph) {
  int taken = 0, ran = 0, resized = 0;
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    std::mt19937 rng(seed);
    std::vector<uint8_t> bytes(40 + rng() % (kMostBytes - 40));
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng());
    const host::Comparison done = host::compare_archs(bytes.data(), bytes.size());
    EXPECT_EQ(done.difference, "") << "seed " << seed;
    taken += done.taken;
    ran += done.ran && done.taken > 0;
    resized += done.resized && done.taken > 0;
  }
  // Most of the graphs hold together: else this would test refusals alone.
  EXPECT_GT(taken, kGraphs);
  EXPECT_GT(ran, kGraphs / 3);
  EXPECT_GT(resized, kGraphs / 10);
  RecordProperty("taken", taken);
  std::printf("%d nodes taken, %d graphs ran, %d again with another batch\n", taken, ran, resized);
}

}  // namespace
}  // namespace int8x
