// A runtime's profiler is told of every operator that the delegate runs, once each time, by name
// and node; without one, nothing is clocked.

#include <cstdlib>
#include <cstring>
#include <map>

#include "gtest/gtest.h"
#include "tests/tflite_host/host.h"
#include "tests/tflite_host/owned_delegate.h"
#include "tests/tflite_host/recording_profiler.h"
#include "tests/tflite_host/small_nets.h"

namespace int8x {
namespace {

using host::Host;
using host::make_delegate;
using host::Profiler;
using host::RecordingProfiler;

struct ToldStep {
  std::string op;
  int64_t node, nanoseconds, runs;
};

int64_t number_behind(const char* name, const char* text) {
  return std::strtoll(std::strstr(text, name) + std::strlen(name), nullptr, 10);
}

// The steps of the delegate's own description.
std::vector<ToldStep> told_steps(Delegate* delegate) {
  const Text json = delegate->describe();
  std::vector<ToldStep> steps;
  const char* kernel = "\",\"kernel\":";
  for (const char* at = json.c_str(); (at = std::strstr(at, kernel)) != nullptr; ++at) {
    const char* from = at;
    while (from[-1] != '"') --from;
    steps.push_back({std::string(from, at), number_behind("\"node\":", at),
                     number_behind("\"nanoseconds\":", at), number_behind("\"runs\":", at)});
  }
  return steps;
}

std::vector<std::pair<std::string, int64_t>> operators(const std::vector<ToldStep>& steps) {
  std::vector<std::pair<std::string, int64_t>> out;
  for (const ToldStep& step : steps) out.push_back({step.op, step.node});
  return out;
}

TEST(Profiler, IsToldOfEachOperatorByNameAndNode) {
  auto delegate = make_delegate();
  Host h;
  RecordingProfiler profiler;
  h.context().profiler = static_cast<Profiler*>(&profiler);
  const host::SmallNet net = host::relu_custom_relu(&h, 100);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.partitions(), 2);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  h.set(net.input, host::noise(100, 1));
  ASSERT_EQ(h.invoke(), kTfLiteOk);
  EXPECT_EQ(h.get(net.output), net.expected(host::noise(100, 1), 1, 100));
  const std::vector<std::pair<std::string, int64_t>> wanted = {{"RELU", 0}, {"RELU", 2}};
  EXPECT_EQ(profiler.operators(), wanted);
  ASSERT_EQ(h.invoke(), kTfLiteOk);
  EXPECT_EQ(profiler.events.size(), 4u);
  for (const RecordingProfiler::Event& event : profiler.events) {
    EXPECT_EQ(event.type, Profiler::EventType::DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT);
  }
  EXPECT_EQ(profiler.other_calls, 0);
}

TEST(Profiler, TheRuntimeIsAskedNotToCountTheKernelAroundTheOperatorsToo) {
  EXPECT_TRUE(make_delegate()->tflite()->flags & kTfLiteDelegateFlagsPerOperatorProfiling);
}

TEST(Profiler, IsToldByTheCallingThreadInTheOrderOfSteps) {
  for (int threads : {1, 2}) {
    auto delegate = make_delegate(threads);
    Host h;
    RecordingProfiler profiler;
    h.context().profiler = static_cast<Profiler*>(&profiler);
    const host::SmallNet net = host::conv_relu_add(&h, 40, 40);
    ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
    ASSERT_EQ(h.allocate(), kTfLiteOk);
    h.set(net.input, host::noise(40 * 40 * net.channels, 3));
    ASSERT_EQ(h.invoke(), kTfLiteOk);
    EXPECT_EQ(profiler.operators(), operators(told_steps(delegate.get())));
    EXPECT_EQ(profiler.operators().front().first, "CONV_2D");
    for (const RecordingProfiler::Event& event : profiler.events) {
      EXPECT_TRUE(pthread_equal(event.thread, pthread_self()));
    }
  }
}

// A profiler counts in whole microseconds, of which these steps take less than one.
TEST(Profiler, LosesNoTimeOfShortSteps) {
  auto delegate = make_delegate();
  Host h;
  RecordingProfiler profiler;
  h.context().profiler = static_cast<Profiler*>(&profiler);
  const host::SmallNet net = host::relu_custom_relu(&h, 16);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  h.set(net.input, host::noise(16, 1));
  const int runs = 10000;
  for (int i = 0; i < runs; ++i) ASSERT_EQ(h.invoke(), kTfLiteOk);
  std::map<int64_t, int64_t> microseconds;
  for (const auto& event : profiler.events) {
    microseconds[event.node] += static_cast<int64_t>(event.microseconds);
  }
  const std::vector<ToldStep> steps = told_steps(delegate.get());
  ASSERT_EQ(steps.size(), 2u);
  for (const ToldStep& step : steps) {
    EXPECT_EQ(step.runs, runs);
    EXPECT_GT(step.nanoseconds, 0);
    EXPECT_EQ(microseconds[step.node], step.nanoseconds / 1000);
  }
}

TEST(Profiler, MayComeAndGo) {
  auto delegate = make_delegate();
  Host h;
  RecordingProfiler profiler;
  const host::SmallNet net = host::conv_relu_add(&h, 8, 8);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  const std::vector<int8_t> input = host::noise(8 * 8 * net.channels, 1);
  h.set(net.input, input);
  for (bool present : {false, true, false}) {
    profiler.events.clear();
    h.context().profiler = present ? static_cast<Profiler*>(&profiler) : nullptr;
    ASSERT_EQ(h.invoke(), kTfLiteOk);
    EXPECT_EQ(h.get(net.output), net.expected(input, 8, 8));
    EXPECT_EQ(profiler.events.empty(), !present);
  }
  for (const ToldStep& step : told_steps(delegate.get())) EXPECT_EQ(step.runs, 1);
}

}  // namespace
}  // namespace int8x
