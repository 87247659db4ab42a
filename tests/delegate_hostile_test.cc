// A model that does not hold together is left to the runtime: the node is not taken, nothing reads
// past an end, nothing crashes. Run it under the sanitizers to have that proven.

#include <climits>
#include <cmath>
#include <functional>
#include <limits>

#include "gtest/gtest.h"
#include "tests/tflite_host/host.h"
#include "tests/tflite_host/owned_delegate.h"
#include "tests/tflite_host/small_nets.h"

namespace int8x {
namespace {

using host::Host;
using host::SmallNet;

constexpr int kWeights = 1, kBias = 2, kConvOut = 3;  // tensors of conv_relu_add()
constexpr int kConv = 0;                              // its first node

TfLiteAffineQuantization* affine(Host* h, int tensor) {
  return static_cast<TfLiteAffineQuantization*>(h->tensor(tensor).quantization.params);
}

TfLiteConvParams* conv_params(Host* h) {
  return static_cast<TfLiteConvParams*>(h->node(kConv)->builtin_data);
}

struct Damage {
  const char* what;
  std::function<void(Host*, const SmallNet&)> apply;
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.what; }

class Hostile : public testing::TestWithParam<Damage> {};

TEST_P(Hostile, ConvIsLeftToTheRuntime) {
  auto delegate = host::make_delegate();
  Host h;
  const SmallNet net = host::conv_relu_add(&h, 6, 6);
  GetParam().apply(&h, net);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  for (int node : h.taken()) EXPECT_NE(node, kConv);
}

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

const Damage kDamages[] = {
    {"input_scale_nan",
     [](Host* h, const SmallNet& n) {
       affine(h, n.input)->scale->data[0] = h->tensor(n.input).params.scale = kNan;
     }},
    {"input_scale_zero",
     [](Host* h, const SmallNet& n) {
       affine(h, n.input)->scale->data[0] = h->tensor(n.input).params.scale = 0;
     }},
    {"input_scale_negative",
     [](Host* h, const SmallNet& n) {
       affine(h, n.input)->scale->data[0] = h->tensor(n.input).params.scale = -1;
     }},
    {"output_scale_infinite",
     [](Host* h, const SmallNet&) {
       affine(h, kConvOut)->scale->data[0] = h->tensor(kConvOut).params.scale = kInf;
     }},
    {"output_scale_denormal",
     [](Host* h, const SmallNet&) {
       affine(h, kConvOut)->scale->data[0] = h->tensor(kConvOut).params.scale = 1e-42f;
     }},
    {"scale_array_disagrees_with_params",
     [](Host* h, const SmallNet& n) { h->tensor(n.input).params.scale *= 2; }},
    {"no_quantization",
     [](Host* h, const SmallNet& n) {
       h->tensor(n.input).quantization.type = kTfLiteNoQuantization;
     }},
    {"zero_point_128",
     [](Host* h, const SmallNet& n) { affine(h, n.input)->zero_point->data[0] = 128; }},
    {"zero_point_lowest",
     [](Host* h, const SmallNet&) { affine(h, kConvOut)->zero_point->data[0] = INT_MIN; }},
    {"weights_zero_point",
     [](Host* h, const SmallNet&) { affine(h, kWeights)->zero_point->data[0] = 1; }},
    {"weights_scales_of_no_channel_count",
     [](Host* h, const SmallNet&) { affine(h, kWeights)->scale->size = 0; }},
    {"weights_without_data", [](Host* h, const SmallNet&) { h->tensor(kWeights).data = nullptr; }},
    {"weights_one_byte_short", [](Host* h, const SmallNet&) { --h->tensor(kWeights).bytes; }},
    {"weights_not_constant",
     [](Host* h, const SmallNet&) {
       h->tensor(kWeights).allocation_type = kTfLiteArenaRw;
       h->tensor(kWeights).data = nullptr;
     }},
    {"weights_of_rank_three",
     [](Host* h, const SmallNet&) {
       h->resize(kWeights, {16, 9, 16});
     }},
    {"weights_whose_size_overflows",
     [](Host* h, const SmallNet&) {
       h->resize(kWeights, {65536, 65536, 65536, 65536});
     }},
    {"weights_sparse",
     [](Host* h, const SmallNet&) {
       static TfLiteSparsity nothing = {};
       h->tensor(kWeights).sparsity = &nothing;
     }},
    {"input_channels_do_not_divide",
     [](Host* h, const SmallNet& n) {
       h->resize(n.input, {1, 6, 6, 15});
     }},
    {"input_of_zero_height",
     [](Host* h, const SmallNet& n) {
       h->resize(n.input, {1, 0, 6, 16});
     }},
    {"input_of_negative_height",
     [](Host* h, const SmallNet& n) {
       h->resize(n.input, {1, -6, 6, 16});
     }},
    {"input_of_rank_seven",
     [](Host* h, const SmallNet& n) {
       h->resize(n.input, {1, 1, 1, 1, 6, 6, 16});
     }},
    {"input_huge",
     [](Host* h, const SmallNet& n) {
       h->resize(n.input, {1, INT_MAX, INT_MAX, 16});
     }},
    {"input_float", [](Host* h, const SmallNet& n) { h->tensor(n.input).type = kTfLiteFloat32; }},
    {"input_dynamic",
     [](Host* h, const SmallNet& n) { h->tensor(n.input).allocation_type = kTfLiteDynamic; }},
    {"input_variable", [](Host* h, const SmallNet& n) { h->tensor(n.input).is_variable = true; }},
    {"bias_too_short",
     [](Host* h, const SmallNet&) {
       h->resize(kBias, {15});
       h->tensor(kBias).bytes = 60;
     }},
    {"bias_without_data", [](Host* h, const SmallNet&) { h->tensor(kBias).data = nullptr; }},
    {"bias_float", [](Host* h, const SmallNet&) { h->tensor(kBias).type = kTfLiteFloat32; }},
    {"no_options", [](Host* h, const SmallNet&) { h->node(kConv)->builtin_data = nullptr; }},
    {"stride_zero", [](Host* h, const SmallNet&) { conv_params(h)->stride_width = 0; }},
    {"stride_negative", [](Host* h, const SmallNet&) { conv_params(h)->stride_height = -1; }},
    {"stride_huge", [](Host* h, const SmallNet&) { conv_params(h)->stride_height = INT_MAX; }},
    {"dilation_zero", [](Host* h, const SmallNet&) { conv_params(h)->dilation_width_factor = 0; }},
    {"dilation_huge",
     [](Host* h, const SmallNet&) { conv_params(h)->dilation_height_factor = INT_MAX; }},
    {"padding_unknown",
     [](Host* h, const SmallNet&) { conv_params(h)->padding = static_cast<TfLitePadding>(7); }},
    {"activation_unknown",
     [](Host* h, const SmallNet&) {
       conv_params(h)->activation = static_cast<TfLiteFusedActivation>(5);
     }},
    {"input_index_out_of_range",
     [](Host* h, const SmallNet&) { h->node(kConv)->inputs->data[0] = 1000; }},
    {"input_index_negative",
     [](Host* h, const SmallNet&) { h->node(kConv)->inputs->data[1] = -7; }},
    {"input_missing", [](Host* h, const SmallNet&) { h->node(kConv)->inputs->data[0] = -1; }},
    {"output_index_out_of_range",
     [](Host* h, const SmallNet&) { h->node(kConv)->outputs->data[0] = INT_MAX; }},
    {"version_from_the_future",
     [](Host* h, const SmallNet&) { h->registration(kConv)->version = 1000; }},
};

INSTANTIATE_TEST_SUITE_P(Conv2d, Hostile, testing::ValuesIn(kDamages),
                         [](const testing::TestParamInfo<Damage>& info) {
                           return info.param.what;
                         });

TEST(HostileGraph, WithoutDamageConvIsTaken) {
  auto delegate = host::make_delegate();
  Host h;
  host::conv_relu_add(&h, 6, 6);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  EXPECT_EQ(h.taken(), (std::vector<int>{0, 1, 2}));
}

TEST(HostileGraph, MemoryThatIsTooSmallAtInvokeIsAnError) {
  auto delegate = host::make_delegate();
  Host h;
  const SmallNet net = host::conv_relu_add(&h, 6, 6);
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  ASSERT_EQ(h.allocate(), kTfLiteOk);
  --h.tensor(net.input).bytes;
  EXPECT_EQ(h.invoke(), kTfLiteError);
  EXPECT_NE(h.errors().find("wants 576"), std::string::npos) << h.errors();
}

// Tensors 0 to 3 of one shape, of which 3 is a constant, and TRANSPOSEs of them.
void transposes(Host* h, std::vector<std::pair<int, int>> from_to) {
  for (int t = 0; t < 4; ++t) {
    h->add_tensor({kTfLiteInt8, {2, 2}, {0.5f}, {0}, 0, std::vector<uint8_t>(t == 3 ? 4 : 0)});
  }
  const int order =
      h->add_tensor({kTfLiteInt32, {2}, {}, {}, 0, host::bytes_of(std::vector<int32_t>{1, 0})});
  for (auto [from, to] : from_to) h->add_node(kTfLiteBuiltinTranspose, 2, {from, order}, {to});
}

TEST(HostileGraph, WhatIsWrittenTwiceOrReadBeforeOrConstantIsLeftToTheRuntime) {
  const struct {
    std::vector<std::pair<int, int>> from_to;
    std::vector<int> taken;
  } cases[] = {
      {{{0, 1}, {1, 2}}, {0, 1}},     {{{0, 2}, {1, 2}}, {}},  // twice
      {{{0, 2}, {0, 2}, {2, 1}}, {}}, {{{0, 0}, {0, 1}}, {}},  // into what it reads
      {{{1, 2}, {0, 1}}, {}},                                  // read before
      {{{0, 3}, {3, 1}}, {1}},                                 // a constant
  };
  for (const auto& c : cases) {
    auto delegate = host::make_delegate();
    Host h;
    transposes(&h, c.from_to);
    ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
    EXPECT_EQ(h.taken(), c.taken);
  }
}

// Both views would lie where the tensor lies that they read, and one of them there twice.
TEST(HostileGraph, TwoViewsThatWriteOneTensorEnd) {
  auto delegate = host::make_delegate();
  Host h;
  for (int t = 0; t < 3; ++t) h.add_tensor({kTfLiteInt8, {2, 2}, {0.5f}, {0}, 0, {}});
  const int order =
      h.add_tensor({kTfLiteInt32, {2}, {}, {}, 0, host::bytes_of(std::vector<int32_t>{1, 0})});
  h.add_node(kTfLiteBuiltinTranspose, 2, {0, order}, {1});
  h.add_node(kTfLiteBuiltinReshape, 1, {1}, {2});
  h.add_node(kTfLiteBuiltinReshape, 1, {1}, {2});
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  EXPECT_EQ(h.taken(), (std::vector<int>{0}));
  EXPECT_EQ(h.allocate(), kTfLiteOk);
  EXPECT_EQ(h.invoke(), kTfLiteOk);
}

// A DEPTHWISE_CONV_2D of six filters on so many channels; the outputs.
std::vector<int8_t> depthwise(const std::vector<int>& channels) {
  auto delegate = host::make_delegate();
  Host h;
  std::vector<uint8_t> weights(3 * 3 * 6);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<uint8_t>(i * 37);
  h.add_tensor({kTfLiteInt8, {1, 4, 5, channels[0]}, {0.5f}, {3}, 0, {}});
  h.add_tensor({kTfLiteInt8, {1, 3, 3, 6}, {0.25f}, {0}, 3, weights});
  h.add_tensor({kTfLiteInt8, {1, 4, 5, 6}, {8.0f}, {-1}, 0, {}});
  const TfLiteDepthwiseConvParams params = {kTfLitePaddingSame, 1, 1, 1, kTfLiteActNone, 1, 1};
  h.add_node(kTfLiteBuiltinDepthwiseConv2d, 3, {0, 1}, {2}, params);
  h.set_outputs({2});
  EXPECT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  for (int count : channels) {
    h.resize(0, {1, 4, 5, count});
    EXPECT_EQ(h.allocate(), 6 % count == 0 ? kTfLiteOk : kTfLiteError) << h.errors();
    if (6 % count != 0) continue;
    std::vector<int8_t> input(static_cast<size_t>(4 * 5 * count));
    for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<int8_t>(i * 53);
    h.set(0, input);
    EXPECT_EQ(h.invoke(), kTfLiteOk) << h.errors();
  }
  return h.get(2);
}

TEST(HostileGraph, ChannelsThatFitTheWeightsOtherwiseArePackedAnew) {
  EXPECT_EQ(depthwise({6, 2}), depthwise({2}));
  EXPECT_EQ(depthwise({6, 4, 4, 3}), depthwise({3}));
  EXPECT_EQ(depthwise({2, 6}), depthwise({6}));
}

TEST(HostileGraph, AnEmptyGraphIsNothingToDo) {
  auto delegate = host::make_delegate();
  Host h;
  EXPECT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  EXPECT_EQ(h.partitions(), 0);
}

}  // namespace
}  // namespace int8x
