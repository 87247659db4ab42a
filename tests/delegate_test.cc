// The delegate inside the stand-in runtime: it takes what it should, computes it, follows a resize,
// shares weights, survives threads and fork(), and allocates nothing in invoke.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "gtest/gtest.h"
#include "tests/tflite_host/allocations.h"
#include "tests/tflite_host/host.h"
#include "tests/tflite_host/owned_delegate.h"
#include "tests/tflite_host/small_nets.h"

namespace int8x {
namespace {

using host::Host;
using host::make_delegate;

TEST(Delegate, TakesAChainInOnePartitionWithoutMemoryForItsInside) {
  auto delegate = make_delegate();
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 8, 8);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  EXPECT_EQ(h.taken().size(), 3u);
  EXPECT_EQ(h.partitions(), 1);
  ASSERT_EQ(h.allocate(3), kTfLiteOk) << h.errors();
  for (int t : net.inside) EXPECT_EQ(h.tensor(t).data, nullptr);
  h.set(net.input, host::noise(8 * 8 * net.channels, 1));
  ASSERT_EQ(h.invoke(), kTfLiteOk) << h.errors();
  EXPECT_EQ(h.get(net.output), net.expected(host::noise(8 * 8 * net.channels, 1), 8, 8));
}

// Allocates, runs on noise of this height and width, and compares.
void expect_right(Host* h, const host::SmallNet& net, int height, int width) {
  ASSERT_EQ(h->allocate(2), kTfLiteOk) << h->errors();
  const std::vector<int8_t> input = host::noise(height * width * net.channels, 2);
  h->set(net.input, input);
  ASSERT_EQ(h->invoke(), kTfLiteOk) << h->errors();
  EXPECT_EQ(h->get(net.output), net.expected(input, height, width)) << height << "x" << width;
}

TEST(Delegate, FollowsAResizeBothWays) {
  auto delegate = make_delegate();
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 4, 4);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  for (const auto& [height, width] : {std::pair{4, 4}, {9, 5}, {1, 1}, {30, 30}, {4, 4}}) {
    net.resize(&h, height, width);
    expect_right(&h, net, height, width);
  }
}

TEST(Delegate, GivesWhatItMakesTheShapeThatFollowsFromItsInputs) {
  auto delegate = make_delegate();
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 4, 4);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  for (const auto& [height, width] : {std::pair{9, 5}, {1, 1}, {30, 30}, {4, 4}}) {
    h.resize(net.input, {1, height, width, net.channels});  // and nothing behind it
    expect_right(&h, net, height, width);
  }
}

TEST(Delegate, AShapeThatTheRuntimeRefusesIsAnErrorUntilItIsTaken) {
  auto delegate = make_delegate();
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 4, 4);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk) << h.errors();
  h.resize(net.input, {1, 9, 9, net.channels});
  h.refuse_resizes(true);
  EXPECT_EQ(h.allocate(), kTfLiteError);
  EXPECT_NE(h.errors().find("CONV_2D"), std::string::npos) << h.errors();
  EXPECT_EQ(h.invoke(), kTfLiteError);
  h.refuse_resizes(false);
  expect_right(&h, net, 9, 9);
}

TEST(Delegate, AShapeThatARuntimeCannotBeAskedForIsAnErrorNotACrash) {
  auto delegate = make_delegate();
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 4, 4);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  h.context().ResizeTensor = nullptr;
  h.resize(net.input, {1, 9, 9, net.channels});
  EXPECT_EQ(h.allocate(), kTfLiteError);
  EXPECT_NE(h.errors().find("CONV_2D"), std::string::npos) << h.errors();
  EXPECT_EQ(h.invoke(), kTfLiteError);
}

TEST(Delegate, InvokeAllocatesNothing) {
  for (int threads : {1, 2}) {
    auto delegate = make_delegate(threads);
    Host h;
    const host::SmallNet net = host::conv_relu_add(&h, 40, 40);
    ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
    ASSERT_EQ(h.allocate(), kTfLiteOk);
    h.set(net.input, host::noise(40 * 40 * net.channels, 3));
    ASSERT_EQ(h.invoke(), kTfLiteOk);  // starts the threads
    const int64_t before = host::allocations();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(h.invoke(), kTfLiteOk);
    EXPECT_EQ(host::allocations(), before) << threads << " threads";
  }
}

TEST(Delegate, CountsAllocationsAtAll) {
  const int64_t before = host::allocations();
  delete new std::vector<int>(100);
  EXPECT_GT(host::allocations(), before);
}

TEST(Delegate, PacksOnceHoweverOftenItIsPrepared) {
  auto delegate = make_delegate();
  Host h;
  host::conv_relu_add(&h, 8, 8);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  const int64_t before = host::allocated_bytes();
  ASSERT_EQ(h.allocate(5), kTfLiteOk);
  // Tensors of the host and lists of shapes; 16 x 3 x 3 x 16 weights would be over 2000.
  EXPECT_LT(host::allocated_bytes() - before, 30000);
}

TEST(Delegate, InterpretersOfOneModelShareWeights) {
  auto delegate = make_delegate();
  Host first, second;
  const host::SmallNet net = host::conv_relu_add(&first, 8, 8);
  host::conv_relu_add(&second, 8, 8, &net);  // the same constants, at the same address
  const int64_t before = host::allocated_bytes();
  ASSERT_EQ(first.apply(delegate->tflite()), kTfLiteOk);
  const int64_t between = host::allocated_bytes();
  ASSERT_EQ(second.apply(delegate->tflite()), kTfLiteOk);
  const int64_t after = host::allocated_bytes();
  EXPECT_GE((between - before) - (after - between), net.packed_bytes_at_least);
  ASSERT_EQ(second.allocate(), kTfLiteOk);
  const std::vector<int8_t> input = host::noise(8 * 8 * net.channels, 4);
  second.set(net.input, input);
  ASSERT_EQ(second.invoke(), kTfLiteOk);
  EXPECT_EQ(second.get(net.output), net.expected(input, 8, 8));
}

TEST(Delegate, ManyInterpretersInManyThreadsShareOneDelegate) {
  auto delegate = make_delegate(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&delegate, &wrong, t] {
      Host h;
      const host::SmallNet net = host::conv_relu_add(&h, 12 + t, 12);
      if (h.apply(delegate->tflite()) != kTfLiteOk || h.allocate() != kTfLiteOk) ++wrong;
      for (int i = 0; i < 20; ++i) {
        const auto input = host::noise((12 + t) * 12 * net.channels, static_cast<uint32_t>(i));
        h.set(net.input, input);
        if (h.invoke() != kTfLiteOk) ++wrong;
        if (h.get(net.output) != net.expected(input, 12 + t, 12)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Delegate, RunsInAForkedChild) {
  auto delegate = make_delegate(2);
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 40, 40);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  const std::vector<int8_t> input = host::noise(40 * 40 * net.channels, 5);
  h.set(net.input, input);
  ASSERT_EQ(h.invoke(), kTfLiteOk);
  const std::vector<int8_t> expected = h.get(net.output);
  const pid_t child = fork();
  if (child == 0) {
    const bool same = h.invoke() == kTfLiteOk && h.get(net.output) == expected;
    _exit(same ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Delegate, AThousandLivesLeaveNothingBehind) {
  const auto live = [] {
    auto delegate = make_delegate();
    Host h;
    host::conv_relu_add(&h, 4, 4);
    ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
    ASSERT_EQ(h.allocate(), kTfLiteOk);
  };
  live();
  const int64_t before = host::live_allocations();
  for (int i = 0; i < 1000; ++i) live();
  EXPECT_EQ(host::live_allocations(), before);
}

TEST(Delegate, DestroyedBeforeItsInterpreterItStillRuns) {
  Host h;
  const host::SmallNet net = host::conv_relu_add(&h, 4, 4);
  {
    auto delegate = make_delegate();
    ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  }
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  const std::vector<int8_t> input = host::noise(4 * 4 * net.channels, 8);
  h.set(net.input, input);
  ASSERT_EQ(h.invoke(), kTfLiteOk);
  EXPECT_EQ(h.get(net.output), net.expected(input, 4, 4));
}

TEST(Delegate, TwoPartitionsAroundANodeOfTheRuntime) {
  auto delegate = make_delegate();
  Host h;
  const host::SmallNet net = host::relu_custom_relu(&h, 20);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  EXPECT_EQ(h.partitions(), 2);
  ASSERT_EQ(h.allocate(), kTfLiteOk) << h.errors();
  const std::vector<int8_t> input = host::noise(20, 6);
  h.set(net.input, input);
  ASSERT_EQ(h.invoke(), kTfLiteOk);
  EXPECT_EQ(h.get(net.output), net.expected(input, 1, 20));
}

TEST(Delegate, DescribesWhatItTookAndWhatNot) {
  auto delegate = make_delegate();
  Host h;
  host::relu_custom_relu(&h, 20);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  const Text json = delegate->describe();
  const std::string text = json.c_str();
  EXPECT_NE(text.find("\"op\":\"RELU\",\"claimed\":true,\"reason\":\"\""), std::string::npos)
      << text;
  EXPECT_NE(text.find("\"claimed\":false,\"reason\":\"the delegate has no such operator\""),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\"kernel\":\"lut_"), std::string::npos) << text;
}

}  // namespace
}  // namespace int8x
