// A depthwise convolution and the 1x1 convolution that reads it give the same bytes as one step as
// they do as two, and are one step only where nobody else reads what lies between.

#include <random>

#include "delegate/plan/executor.h"
#include "delegate/plan/passes.h"
#include "delegate/plan/sparse_step.h"
#include "delegate/plan/steps.h"
#include "gtest/gtest.h"

namespace int8x {
namespace {

struct Case {
  int32_t batch, size, channels, outputs, kernel, stride;
  bool sparse;  // the 1x1 convolution's weights are
};

ValueId add_value(Plan* plan, Storage storage, const Shape& shape) {
  Value value;
  value.storage = storage;
  value.shape = shape;
  plan->values.push_back(value);
  return static_cast<ValueId>(plan->values.size()) - 1;
}

int64_t half(int64_t x) { return (x + 1) / 2; }

// input, what lies between, output and, if somebody else reads the second too, what that one
// writes.
Plan plan_of(const Case& c, std::mt19937* rng, arch::ArchSet archs, bool read_twice) {
  const auto byte = [rng] { return static_cast<int8_t>((*rng)()); };
  const auto low = static_cast<int32_t>((*rng)() % 2) * -100 - 28, high = low + 155;
  const int32_t out = c.stride == 1 ? c.size : static_cast<int32_t>(half(c.size));
  const int32_t pad = std::max(0, ((out - 1) * c.stride + c.kernel - c.size) / 2);
  Plan plan;
  const ValueId input =
      add_value(&plan, Storage::input, {4, {c.batch, c.size, c.size, c.channels}});
  const ValueId between = add_value(&plan, Storage::arena, {4, {c.batch, out, out, c.channels}});
  const ValueId output = add_value(&plan, Storage::output, {4, {c.batch, out, out, c.outputs}});

  std::vector<int8_t> filter(static_cast<size_t>(c.kernel * c.kernel * c.channels));
  for (int8_t& x : filter) x = byte();
  std::vector<float> scales(static_cast<size_t>(c.channels));
  for (float& x : scales) x = 0.001f + 0.00001f * static_cast<float>((*rng)() % 100);
  std::shared_ptr<const DepthwiseWeights> depthwise(
      depthwise_pack({c.channels, 1, c.kernel, c.kernel, c.stride, c.stride, 1, 1, filter.data(),
                      nullptr, 0.1f, 0.05f, scales.data(), c.channels, byte(), -3, low, high},
                     archs)
          .release(),
      DepthwiseWeightsDeleter());
  DepthwiseParams params;
  EXPECT_TRUE(
      make_depthwise_params(*depthwise, {c.batch, c.size, c.size, out, out, pad, pad}, &params));
  plan.steps.push_back(std::make_unique<DepthwiseStep>(
      depthwise, "DEPTHWISE_CONV_2D", std::vector<ValueId>{input}, between, params, Work{1, 5000}));

  std::vector<int8_t> weights(static_cast<size_t>(c.channels * c.outputs));
  for (int8_t& x : weights) x = byte();
  const std::vector<Multiplier> multipliers(static_cast<size_t>(c.outputs),
                                            quantize_multiplier(0.003));
  if (c.sparse) {
    std::shared_ptr<const SparseWeights> packed =
        sparse_pack({c.outputs, 1, c.channels, weights.data(), nullptr, multipliers.data(), nullptr,
                     0, -3, byte(), low, high, false},
                    archs);
    plan.steps.push_back(std::make_unique<SparseStep>(
        "CONV_2D", packed, between, output,
        SparseGeometry{c.batch, out, out, out, out, 1, 1, 1, 1, 1, 1, 0, 0}, Work{1, 5000}));
    return plan;
  }
  std::shared_ptr<const ConvWeights> pointwise =
      conv_pack({c.outputs, 1, 1, c.channels, 1, weights.data(), nullptr, multipliers.data(), -3,
                 byte(), low, high},
                archs);
  plan.steps.push_back(std::make_unique<ConvStep>(
      pointwise, between, output,
      ConvGeometry{c.batch, out, out, c.channels, out, out, c.outputs, 1, 1, 1, 1, 1, 1, 0, 0, 1},
      Work{1, 5000}));
  if (read_twice) {
    const Shape shape = plan.values[static_cast<size_t>(between)].shape;
    const ValueId copy = add_value(&plan, Storage::output, shape);
    plan.steps.push_back(
        std::make_unique<ViewStep>("VIEW", between, copy, static_cast<size_t>(shape.elements())));
  }
  return plan;
}

using Bytes = std::vector<std::vector<int8_t>>;

Bytes bytes_of(const Plan& plan) {
  Bytes bytes;
  for (const Value& value : plan.values) {
    bytes.emplace_back(static_cast<size_t>(value.shape.elements()), 85);
  }
  return bytes;
}

// The steps one after the other.
void run_steps(const Plan& plan, Bytes* bytes) {
  std::vector<void*> data;
  for (std::vector<int8_t>& value : *bytes) data.push_back(value.data());
  for (const std::unique_ptr<Step>& step : plan.steps) {
    Block scratch;
    ASSERT_TRUE(scratch.reserve(step->scratch_bytes() + 1));
    step->run(data.data(), 0, step->tiles(), scratch.data());
  }
}

void run_plan(Plan plan, int threads, Bytes* bytes) {
  ThreadPool pool(threads);
  Executor executor;
  std::vector<Storage> storage;
  for (const Value& value : plan.values) storage.push_back(value.storage);
  ASSERT_TRUE(executor.load(std::move(plan), threads, false));
  for (int round = 0; round < 3; ++round) {
    for (size_t v = 0; v < storage.size(); ++v) {
      if (storage[v] == Storage::arena) continue;
      executor.bind(static_cast<ValueId>(v), (*bytes)[v].data());
    }
    executor.run(&pool);
  }
}

TEST(PairStep, GivesTheSameBytesOnEveryArchAndNumberOfThreads) {
  int paired = 0, sparse = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    for (int a = 0; a < arch::kArchCount; ++a) {
      arch::ArchSet archs = 0;
      if (arch::choose(arch::name(static_cast<arch::Arch>(a)), &archs) != arch::Choice::ok) {
        continue;
      }
      std::mt19937 rng(seed);
      const auto pick = [&rng](std::initializer_list<int32_t> of) {
        return of.begin()[rng() % of.size()];
      };
      const Case c = {pick({1, 1, 1, 2, 3}),
                      pick({1, 2, 6, 7, 8, 14, 25, 33}),
                      4 * pick({1, 3, 4, 8, 15, 16, 17, 40}),
                      pick({1, 8, 16, 33, 64, 100}),
                      pick({1, 3, 5}),
                      pick({1, 2}),
                      seed % 3 == 0};
      const std::mt19937 start = rng;
      Plan whole = plan_of(c, &rng, archs, false);
      Bytes wanted = bytes_of(whole);
      for (int8_t& x : wanted[0]) x = static_cast<int8_t>(rng());
      run_steps(whole, &wanted);
      for (int threads : {1, 2, 4}) {
        std::mt19937 again = start;
        Plan plan = plan_of(c, &again, archs, false);
        ASSERT_TRUE(finish(&plan, threads, archs));
        if (threads == 1) {
          ASSERT_EQ(plan.steps.size(), 2u);
        }
        (c.sparse ? sparse : paired) += plan.steps.size() == 1;
        Bytes given = bytes_of(plan);
        given[0] = wanted[0];
        run_plan(std::move(plan), threads, &given);
        ASSERT_EQ(given[2], wanted[2]) << "seed " << seed << ", " << threads << " threads, "
                                       << arch::name(static_cast<arch::Arch>(a));
      }
    }
  }
  ASSERT_GT(paired, 100);
  ASSERT_GT(sparse, 50);
}

TEST(PairStep, IsNotMadeWhereAnotherStepReadsWhatLiesBetween) {
  std::mt19937 rng(7);
  const Case c = {1, 14, 64, 64, 3, 1, false};
  Plan alone = plan_of(c, &rng, arch::supported(), false);
  ASSERT_TRUE(finish(&alone, 2, arch::supported()));
  ASSERT_EQ(alone.steps.size(), 1u);
  Plan shared = plan_of(c, &rng, arch::supported(), true);
  Bytes wanted = bytes_of(shared);
  for (int8_t& x : wanted[0]) x = static_cast<int8_t>(rng());
  run_steps(shared, &wanted);
  ASSERT_TRUE(finish(&shared, 2, arch::supported()));
  ASSERT_EQ(shared.steps.size(), 2u);  // the copy is where the depthwise convolution writes
  Bytes given = bytes_of(shared);
  given[0] = wanted[0];
  run_plan(std::move(shared), 2, &given);
  ASSERT_EQ(given[2], wanted[2]);
  ASSERT_EQ(given[3], wanted[3]);
}

}  // namespace
}  // namespace int8x
