// Passes keep a plan's meaning: values that live together never share memory, aliases lie where
// their roots lie, and an executed plan gives what its steps say, on any number of threads.

#include <random>

#include "delegate/plan/executor.h"
#include "delegate/plan/passes.h"
#include "delegate/plan/steps.h"
#include "gtest/gtest.h"

namespace int8x {
namespace {

// output[i] = sum over inputs of input[i], plus `constant`; one tile per element.
class SumStep : public Step {
 public:
  SumStep(std::vector<ValueId> inputs, ValueId output, int64_t size, int constant, int64_t cost)
      : Step(StepKind::add, "SUM", std::move(inputs), output),
        size_(size),
        constant_(constant),
        cost_(cost) {}
  const char* kernel() const override { return "sum"; }
  int64_t cost() const override { return cost_; }
  int64_t tiles() const override { return size_; }
  size_t scratch_bytes() const override { return 4; }
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override {
    int32_t* sum = static_cast<int32_t*>(scratch);
    for (int64_t i = begin; i < end; ++i) {
      *sum = constant_;
      for (ValueId v : inputs) *sum += static_cast<const int8_t*>(data[v])[i];
      static_cast<int8_t*>(data[output])[i] = static_cast<int8_t>(*sum);
    }
  }

 private:
  const int64_t size_;
  const int constant_;
  const int64_t cost_;
};

ValueId add_value(Plan* plan, Storage storage, int32_t size) {
  Value value;
  value.storage = storage;
  value.shape = {1, {size}};
  plan->values.push_back(value);
  return static_cast<ValueId>(plan->values.size()) - 1;
}

bool overlap(const Value& a, const Value& b) {
  const bool in_time = a.first_step <= b.last_step && b.first_step <= a.last_step;
  const bool in_space = a.offset < b.offset + b.bytes() && b.offset < a.offset + a.bytes();
  return in_time && in_space;
}

struct Random {
  Plan plan;
  std::vector<ValueId> inputs, outputs;
  std::vector<std::vector<int8_t>> expected;  // by value
};

// Sums and views over random earlier values, all of one length. `seed` decides everything.
Random random_plan(uint32_t seed, int32_t size, int steps) {
  std::mt19937 rng(seed);
  Random r;
  const auto pick = [&rng](size_t n) { return static_cast<size_t>(rng() % n); };
  for (int i = 0; i < 2; ++i) {
    r.inputs.push_back(add_value(&r.plan, Storage::input, size));
    r.expected.emplace_back(static_cast<size_t>(size));
    for (int8_t& q : r.expected.back()) q = static_cast<int8_t>(rng());
  }
  for (int s = 0; s < steps; ++s) {
    const bool output = rng() % 5 == 0 || s + 1 == steps;
    const size_t known = r.plan.values.size();
    const ValueId to = add_value(&r.plan, output ? Storage::output : Storage::arena, size);
    if (output) r.outputs.push_back(to);
    std::vector<ValueId> from = {static_cast<ValueId>(pick(known))};
    if (rng() % 3 == 0) {
      r.plan.steps.push_back(
          std::make_unique<ViewStep>("VIEW", from[0], to, static_cast<size_t>(size)));
      r.expected.push_back(r.expected[static_cast<size_t>(from[0])]);
      continue;
    }
    if (rng() % 2 == 0) from.push_back(static_cast<ValueId>(pick(known)));
    const int constant = static_cast<int>(rng() % 7);
    std::vector<int8_t> sum(static_cast<size_t>(size));
    for (size_t i = 0; i < sum.size(); ++i) {
      int total = constant;
      for (ValueId v : from) total += r.expected[static_cast<size_t>(v)][i];
      sum[i] = static_cast<int8_t>(total);
    }
    r.expected.push_back(sum);
    r.plan.steps.push_back(
        std::make_unique<SumStep>(from, to, size, constant, rng() % 2 == 0 ? 0 : 1000000));
  }
  return r;
}

TEST(Plan, ValuesThatLiveTogetherNeverShareMemory) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Random r = random_plan(seed, 1 + static_cast<int32_t>(seed % 300), 30);
    ASSERT_TRUE(finish(&r.plan, 2, arch::supported()));
    const std::vector<Value>& values = r.plan.values;
    for (size_t a = 0; a < values.size(); ++a) {
      if (values[a].storage != Storage::arena || values[a].alias >= 0) continue;
      if (values[a].first_step < 0) continue;  // nobody reads it: it is not computed
      ASSERT_EQ(values[a].offset % kAlignment, 0u);
      ASSERT_LE(values[a].offset + values[a].bytes(), r.plan.scratch_offset);
      for (size_t b = 0; b < a; ++b) {
        if (values[b].storage != Storage::arena || values[b].alias >= 0) continue;
        if (values[b].first_step < 0) continue;
        ASSERT_FALSE(overlap(values[a], values[b])) << "seed " << seed << ": " << a << ", " << b;
      }
    }
    ASSERT_LE(r.plan.scratch_offset + 2 * r.plan.scratch_stride, r.plan.arena_bytes);
  }
}

TEST(Plan, RunsToTheSameValuesOnAnyNumberOfThreads) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    for (int threads : {1, 2, 4}) {
      const int32_t size = 1 + static_cast<int32_t>(seed % 70);
      Random r = random_plan(seed, size, 25);
      ThreadPool pool(threads);
      Executor executor;
      ASSERT_TRUE(finish(&r.plan, threads, arch::supported()));
      ASSERT_TRUE(executor.load(std::move(r.plan), threads, false));
      for (int round = 0; round < 2; ++round) {  // the second finds the arena used
        std::vector<std::vector<int8_t>> results(
            r.outputs.size(), std::vector<int8_t>(static_cast<size_t>(size), 99));
        for (size_t i = 0; i < r.inputs.size(); ++i) {
          executor.bind(r.inputs[i], r.expected[static_cast<size_t>(r.inputs[i])].data());
        }
        for (size_t i = 0; i < r.outputs.size(); ++i) {
          executor.bind(r.outputs[i], results[i].data());
        }
        executor.run(threads == 1 ? nullptr : &pool);
        for (size_t i = 0; i < r.outputs.size(); ++i) {
          ASSERT_EQ(results[i], r.expected[static_cast<size_t>(r.outputs[i])]) << "seed " << seed;
        }
      }
    }
  }
}

// Tables, ADDs and MULs over random earlier values of one length.
std::vector<std::unique_ptr<Step>> random_bytewise(std::mt19937* rng, Plan* plan, int32_t size) {
  std::vector<std::unique_ptr<Step>> steps;
  const auto pick = [rng](size_t n) { return static_cast<ValueId>((*rng)() % n); };
  for (int s = 0; s < 12; ++s) {
    const size_t known = plan->values.size();
    const ValueId a = pick(known), b = (*rng)() % 2 == 0 ? a : pick(known);
    const Storage storage = (*rng)() % 4 == 0 || s == 11 ? Storage::output : Storage::arena;
    const ValueId to = add_value(plan, storage, size);
    const uint32_t kind = (*rng)() % 3;
    if (kind == 0) {
      uint8_t table[kLutSize];
      for (uint8_t& x : table) x = static_cast<uint8_t>((*rng)());
      LutParams params;
      EXPECT_TRUE(make_lut_params(table, size, arch::supported(), &params));
      steps.push_back(
          std::make_unique<LutStep>("TABLE", std::vector<ValueId>{a}, to, params, Work{}));
    } else if (kind == 1) {
      AddParams params;
      EXPECT_TRUE(make_add_params({0.1f, 0.07f, 0.11f, 3, -5, 7, -128, 127}, &size, 1, &size, 1,
                                  arch::supported(), &params));
      steps.push_back(
          std::make_unique<AddStep>("ADD", std::vector<ValueId>{a, b}, to, params, Work{}));
    } else {
      MulParams params;
      EXPECT_TRUE(make_mul_params({0.1f, 0.07f, 0.05f, 3, -5, 7, -128, 127}, &size, 1, &size, 1,
                                  arch::supported(), &params));
      steps.push_back(
          std::make_unique<MulStep>("MUL", std::vector<ValueId>{a, b}, to, params, Work{}));
    }
  }
  return steps;
}

TEST(Plan, ChainsOfTablesGiveTheSameBytes) {
  int chained = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 rng(seed);
    const int32_t size = 1 + static_cast<int32_t>(rng() % 400);
    Plan plan;
    for (int i = 0; i < 2; ++i) add_value(&plan, Storage::input, size);
    plan.steps = random_bytewise(&rng, &plan, size);
    std::vector<std::vector<int8_t>> bytes(plan.values.size(), std::vector<int8_t>(size, 99));
    for (int i = 0; i < 2; ++i) {
      for (int8_t& q : bytes[static_cast<size_t>(i)]) q = static_cast<int8_t>(rng());
    }
    std::vector<std::vector<int8_t>> wanted = bytes;
    std::vector<void*> data;
    for (std::vector<int8_t>& value : wanted) data.push_back(value.data());
    for (const std::unique_ptr<Step>& step : plan.steps) {
      step->run(data.data(), 0, step->tiles(), nullptr);
    }
    const size_t before = plan.steps.size();
    ASSERT_TRUE(finish(&plan, 1, arch::supported()));
    chained += plan.steps.size() < before;
    Executor executor;
    ASSERT_TRUE(executor.load(std::move(plan), 1, false));
    for (size_t v = 0; v < bytes.size(); ++v) {
      if (executor.plan().values[v].storage != Storage::arena) {
        executor.bind(static_cast<ValueId>(v), bytes[v].data());
      }
    }
    executor.run(nullptr);
    for (size_t v = 0; v < bytes.size(); ++v) {
      if (executor.plan().values[v].storage != Storage::output) continue;
      ASSERT_EQ(bytes[v], wanted[v]) << "seed " << seed << " value " << v;
    }
  }
  EXPECT_GT(chained, 100);
}

// A PAD of 3x3 pixels into a convolution or a depthwise one, for random frames.
TEST(Plan, PadsGoIntoConvolutions) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 rng(seed);
    const auto random = [&rng](int32_t low, int32_t high) {
      return low + static_cast<int32_t>(rng() % static_cast<uint32_t>(high - low + 1));
    };
    const int32_t in_h = random(2, 9), in_w = random(2, 9), c = 4 * random(1, 6);
    const int32_t top = random(0, 4), left = random(0, 4), stride = random(1, 2);
    const int32_t h = in_h + top + random(0, 4), w = in_w + left + random(0, 4);
    if (h < 3 || w < 3) continue;
    const int32_t out_h = (h - 3) / stride + 1, out_w = (w - 3) / stride + 1;
    const bool depthwise = seed % 2 == 0, zero_differs = seed % 10 == 9;
    const int32_t zero = random(-128, 127);
    std::vector<int8_t> weights(static_cast<size_t>(9 * c * (depthwise ? 1 : c)));
    for (int8_t& x : weights) x = static_cast<int8_t>(random(-127, 127));

    Plan plan;
    const ValueId in = add_value(&plan, Storage::input, in_h * in_w * c);
    const ValueId padded = add_value(&plan, Storage::arena, h * w * c);
    const ValueId out = add_value(&plan, Storage::output, out_h * out_w * c);
    const int32_t dims[] = {1, in_h, in_w, c};
    const int32_t padding[] = {0, 0, top, h - in_h - top, left, w - in_w - left, 0, 0};
    const int32_t fill = zero_differs ? (zero == 0 ? 1 : 0) : zero;
    PadParams pad;
    ASSERT_TRUE(make_pad_params(dims, padding, 4, fill, &pad));
    const Frame frame = {1, in_h, in_w, h, w, top, left, static_cast<int8_t>(fill)};
    plan.steps.push_back(
        std::make_unique<PadStep>("PAD", std::vector<ValueId>{in}, padded, pad, frame, Work{}));
    if (depthwise) {
      const float scale = 0.01f;
      std::shared_ptr<const DepthwiseWeights> packed(
          depthwise_pack({c, 1, 3, 3, stride, stride, 1, 1, weights.data(), nullptr, 0.1f, 0.2f,
                          &scale, 1, zero, 3, -128, 127},
                         arch::supported())
              .release(),
          DepthwiseWeightsDeleter());
      DepthwiseParams params;
      ASSERT_TRUE(make_depthwise_params(*packed, {1, h, w, out_h, out_w, 0, 0}, &params));
      plan.steps.push_back(std::make_unique<DepthwiseStep>(
          packed, "DEPTHWISE_CONV_2D", std::vector<ValueId>{padded}, out, params, Work{}));
    } else {
      const std::vector<Multiplier> multipliers(static_cast<size_t>(c), quantize_multiplier(0.002));
      std::shared_ptr<const ConvWeights> packed = conv_pack(
          {c, 3, 3, c, 1, weights.data(), nullptr, multipliers.data(), zero, 3, -128, 127},
          arch::supported());
      plan.steps.push_back(std::make_unique<ConvStep>(
          packed, padded, out,
          ConvGeometry{1, h, w, c, out_h, out_w, c, 3, 3, stride, stride, 1, 1, 0, 0, 1}, Work{}));
    }
    std::vector<int8_t> input(static_cast<size_t>(in_h * in_w * c));
    for (int8_t& x : input) x = static_cast<int8_t>(random(-128, 127));
    std::vector<int8_t> between(static_cast<size_t>(h * w * c));
    std::vector<int8_t> wanted(static_cast<size_t>(out_h * out_w * c)), given = wanted;
    void* data[] = {input.data(), between.data(), wanted.data()};
    for (const std::unique_ptr<Step>& step : plan.steps) {
      Block scratch;
      ASSERT_TRUE(scratch.reserve(step->scratch_bytes() + 1));
      step->run(data, 0, step->tiles(), scratch.data());
    }
    ASSERT_TRUE(finish(&plan, 1, arch::supported()));
    ASSERT_EQ(plan.steps.size(), zero_differs ? 2u : 1u) << "seed " << seed;
    Executor executor;
    ASSERT_TRUE(executor.load(std::move(plan), 1, false));
    executor.bind(in, input.data());
    executor.bind(out, given.data());
    executor.run(nullptr);
    ASSERT_EQ(given, wanted) << "seed " << seed;
  }
}

TEST(Plan, ViewsBetweenStepsCostNothing) {
  Plan plan;
  const ValueId in = add_value(&plan, Storage::input, 8);
  const ValueId a = add_value(&plan, Storage::arena, 8);
  const ValueId b = add_value(&plan, Storage::arena, 8);
  const ValueId out = add_value(&plan, Storage::output, 8);
  plan.steps.push_back(std::make_unique<SumStep>(std::vector<ValueId>{in}, a, 8, 1, 0));
  plan.steps.push_back(std::make_unique<ViewStep>("RESHAPE", a, b, 8));
  plan.steps.push_back(std::make_unique<ViewStep>("RESHAPE", b, out, 8));
  alias_views(&plan);
  EXPECT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.root(a), out);
}

TEST(Plan, AViewFromInputToOutputStaysACopy) {
  Plan plan;
  const ValueId in = add_value(&plan, Storage::input, 8);
  const ValueId out = add_value(&plan, Storage::output, 8);
  plan.steps.push_back(std::make_unique<ViewStep>("RESHAPE", in, out, 8));
  alias_views(&plan);
  EXPECT_EQ(plan.steps.size(), 1u);
}

TEST(Plan, AnArenaBeyondMemoryIsRefused) {
  Plan plan;
  const ValueId in = add_value(&plan, Storage::input, 1);
  for (int i = 0; i < 3; ++i) add_value(&plan, Storage::arena, 1);
  const ValueId out = add_value(&plan, Storage::output, 1);
  class Greedy : public SumStep {
   public:
    using SumStep::SumStep;
    size_t scratch_bytes() const override { return SIZE_MAX / 2; }
  };
  plan.steps.push_back(std::make_unique<Greedy>(std::vector<ValueId>{in}, out, 1, 0, 0));
  EXPECT_FALSE(finish(&plan, 4, arch::supported()));
}

TEST(Plan, TimesAreTakenOnlyWhenAsked) {
  for (bool profile : {false, true}) {
    Random r = random_plan(7, 100, 10);
    Executor executor;
    ASSERT_TRUE(finish(&r.plan, 1, arch::supported()));
    ASSERT_TRUE(executor.load(std::move(r.plan), 1, profile));
    std::vector<int8_t> memory(100);
    for (ValueId v : r.inputs) executor.bind(v, memory.data());
    for (ValueId v : r.outputs) executor.bind(v, memory.data());
    executor.run(nullptr);
    executor.run(nullptr);
    for (const StepTime& time : executor.times()) EXPECT_EQ(time.runs, profile ? 2 : 0);
  }
}

}  // namespace
}  // namespace int8x
