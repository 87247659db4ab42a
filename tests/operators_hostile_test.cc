// Nodes of the operators that take constants besides their data: what does not hold together is
// left to the runtime, whatever the constants say.

#include <climits>
#include <functional>
#include <limits>

#include "gtest/gtest.h"
#include "tests/tflite_host/host.h"
#include "tests/tflite_host/owned_delegate.h"

namespace int8x {
namespace {

using host::bytes_of;
using host::Host;
using Ints = std::vector<int32_t>;

// A graph of one node, on int8 tensors of one quantization.
struct Node {
  const char* what;
  bool taken;
  std::function<void(Host*)> build;
};

void PrintTo(const Node& node, std::ostream* out) { *out << node.what; }

int activation(Host* h, const std::vector<int>& dims, float scale = 0.5f, int zero = 3) {
  return h->add_tensor({kTfLiteInt8, dims, {scale}, {zero}, 0, {}});
}

int constant(Host* h, const Ints& values, const std::vector<int>& dims = {}) {
  const int n = static_cast<int>(values.size());
  return h->add_tensor(
      {kTfLiteInt32, dims.empty() ? std::vector<int>{n} : dims, {}, {}, 0, bytes_of(values)});
}

// data, then constants, to one output.
std::function<void(Host*)> node(int builtin, std::vector<int> in, std::vector<Ints> constants,
                                std::vector<int> out) {
  return [=](Host* h) {
    std::vector<int> inputs = {activation(h, in)};
    for (const Ints& values : constants) inputs.push_back(constant(h, values));
    h->add_node(builtin, 2, inputs, {activation(h, out)});
  };
}

template <typename Params>
std::function<void(Host*)> node(int builtin, std::vector<int> in, std::vector<Ints> constants,
                                std::vector<int> out, Params params) {
  return [=](Host* h) {
    std::vector<int> inputs = {activation(h, in)};
    for (const Ints& values : constants) inputs.push_back(constant(h, values));
    h->add_node(builtin, 2, inputs, {activation(h, out)}, params);
  };
}

std::function<void(Host*)> padded(Ints padding, std::vector<int> out) {
  return [=](Host* h) {
    const int paddings = constant(h, padding, {static_cast<int>(padding.size()) / 2, 2});
    h->add_node(kTfLiteBuiltinPad, 2, {activation(h, {2, 3}), paddings}, {activation(h, out)});
  };
}

std::function<void(Host*)> transpose_conv(Ints shape, int stride, std::vector<int> out) {
  return [=](Host* h) {
    const int weights =
        h->add_tensor({kTfLiteInt8, {2, 3, 3, 4}, {0.5f}, {0}, 0, std::vector<uint8_t>(72)});
    const TfLiteTransposeConvParams params = {kTfLitePaddingSame, stride, stride, kTfLiteActNone};
    h->add_node(kTfLiteBuiltinTransposeConv, 2,
                {constant(h, shape), weights, activation(h, {1, 4, 4, 4})}, {activation(h, out)},
                params);
  };
}

std::function<void(Host*)> int4_convolution(size_t bytes) {
  return [=](Host* h) {
    const int weights =
        h->add_tensor({kTfLiteInt4, {1, 1, 1, 3}, {0.5f}, {0}, 0, std::vector<uint8_t>(bytes)});
    h->tensor(weights).bytes = bytes;
    const TfLiteConvParams params = {kTfLitePaddingSame, 1, 1, kTfLiteActNone, 1, 1};
    h->add_node(kTfLiteBuiltinConv2d, 3, {activation(h, {1, 2, 2, 3}), weights, constant(h, {7})},
                {activation(h, {1, 2, 2, 1})}, params);
  };
}

std::function<void(Host*)> select(int builtin, TfLiteType type, std::vector<int> condition,
                                  float scale = 0.5f, std::vector<int> out = {2, 3}) {
  return [=](Host* h) {
    const int chooses = h->add_tensor({type, condition, {}, {}, 0, {}});
    h->add_node(builtin, 1, {chooses, activation(h, {2, 3}), activation(h, {2, 3}, scale)},
                {activation(h, out)});
  };
}

const float kNan = std::numeric_limits<float>::quiet_NaN();
const TfLiteStridedSliceParams kNoMask = {0, 0, 0, 0, 0};
const TfLiteStridedSliceParams kShrink = {0, 0, 0, 0, 1};

const Node kNodes[] = {
    {"transpose", true, node(kTfLiteBuiltinTranspose, {2, 3}, {{1, 0}}, {3, 2})},
    {"transpose_twice", false, node(kTfLiteBuiltinTranspose, {2, 3}, {{1, 1}}, {3, 3})},
    {"transpose_far", false, node(kTfLiteBuiltinTranspose, {2, 3}, {{1, INT_MAX}}, {3, 2})},
    {"transpose_lowest", false, node(kTfLiteBuiltinTranspose, {2, 3}, {{INT_MIN, 0}}, {3, 2})},
    {"transpose_short", false, node(kTfLiteBuiltinTranspose, {2, 3}, {{1}}, {3, 2})},
    {"transpose_other_output", false, node(kTfLiteBuiltinTranspose, {2, 3}, {{1, 0}}, {2, 3})},
    {"slice", true, node(kTfLiteBuiltinSlice, {4, 3}, {{1, 0}, {2, -1}}, {2, 3})},
    {"slice_beyond", false, node(kTfLiteBuiltinSlice, {4, 3}, {{3, 0}, {2, 3}}, {2, 3})},
    {"slice_overflow", false,
     node(kTfLiteBuiltinSlice, {4, 3}, {{INT_MAX, 0}, {INT_MAX, 3}}, {2, 3})},
    {"slice_negative", false, node(kTfLiteBuiltinSlice, {4, 3}, {{-1, 0}, {2, 3}}, {2, 3})},
    {"strided_slice", true, node(kTfLiteBuiltinStridedSlice, {5}, {{0}, {5}, {2}}, {3}, kNoMask)},
    {"strided_slice_zero_stride", false,
     node(kTfLiteBuiltinStridedSlice, {5}, {{0}, {5}, {0}}, {5}, kNoMask)},
    {"strided_slice_lowest_stride", false,
     node(kTfLiteBuiltinStridedSlice, {5}, {{0}, {5}, {INT_MIN}}, {5}, kNoMask)},
    {"strided_slice_index_beyond", false,
     node(kTfLiteBuiltinStridedSlice, {5}, {{7}, {8}, {1}}, {}, kShrink)},
    {"strided_slice_no_options", false,
     node(kTfLiteBuiltinStridedSlice, {5}, {{0}, {5}, {2}}, {3})},
    {"gather", true,
     node(kTfLiteBuiltinGather, {4, 3}, {{3, 0}}, {2, 3}, TfLiteGatherParams{0, 0})},
    {"gather_beyond", false,
     node(kTfLiteBuiltinGather, {4, 3}, {{4, 0}}, {2, 3}, TfLiteGatherParams{0, 0})},
    {"gather_negative", false,
     node(kTfLiteBuiltinGather, {4, 3}, {{-1, 0}}, {2, 3}, TfLiteGatherParams{0, 0})},
    {"gather_axis_beyond", false,
     node(kTfLiteBuiltinGather, {4, 3}, {{3, 0}}, {2, 3}, TfLiteGatherParams{INT_MIN, 0})},
    {"select", true, select(kTfLiteBuiltinSelect, kTfLiteBool, {2, 3})},
    {"select_of_rows", false, select(kTfLiteBuiltinSelect, kTfLiteBool, {2})},
    {"select_v2", true, select(kTfLiteBuiltinSelectV2, kTfLiteBool, {3})},
    {"select_v2_by_integers", false, select(kTfLiteBuiltinSelectV2, kTfLiteInt8, {3})},
    {"select_v2_other_shapes", false, select(kTfLiteBuiltinSelectV2, kTfLiteBool, {4})},
    {"select_v2_empty", false, select(kTfLiteBuiltinSelectV2, kTfLiteBool, {0})},
    {"select_v2_other_scales", false, select(kTfLiteBuiltinSelectV2, kTfLiteBool, {3}, 0.25f)},
    {"tile", true, node(kTfLiteBuiltinTile, {4, 3}, {{2, 1}}, {8, 3})},
    {"tile_none", false, node(kTfLiteBuiltinTile, {4, 3}, {{0, 1}}, {8, 3})},
    {"tile_huge", false, node(kTfLiteBuiltinTile, {4, 3}, {{INT_MAX, INT_MAX}}, {8, 3})},
    {"broadcast_to", true, node(kTfLiteBuiltinBroadcastTo, {1, 3}, {{4, 3}}, {4, 3})},
    {"broadcast_to_other", false, node(kTfLiteBuiltinBroadcastTo, {2, 3}, {{4, 3}}, {4, 3})},
    {"broadcast_to_huge", false,
     node(kTfLiteBuiltinBroadcastTo, {1, 1}, {{INT_MAX, INT_MAX}}, {4, 3})},
    {"mirror_pad_beyond", false,
     node(kTfLiteBuiltinMirrorPad, {3}, {{3, 0}}, {6},
          TfLiteMirrorPaddingParams{kTfLiteMirrorPaddingReflect})},
    {"mirror_pad_mode", false,
     node(kTfLiteBuiltinMirrorPad, {3}, {{1, 0}}, {4},
          TfLiteMirrorPaddingParams{static_cast<TfLiteMirrorPaddingMode>(7)})},
    {"pad", true, padded({1, 0, 0, 1}, {3, 4})},
    {"pad_negative", false, padded({-1, 0, 0, 1}, {1, 4})},
    {"pad_overflow", false, padded({INT_MAX, INT_MAX, 0, 1}, {3, 4})},
    {"space_to_depth", true,
     node(kTfLiteBuiltinSpaceToDepth, {1, 2, 2, 1}, {}, {1, 1, 1, 4}, TfLiteSpaceToDepthParams{2})},
    {"space_to_depth_zero", false,
     node(kTfLiteBuiltinSpaceToDepth, {1, 2, 2, 1}, {}, {1, 2, 2, 1}, TfLiteSpaceToDepthParams{0})},
    {"depth_to_space_huge", false,
     node(kTfLiteBuiltinDepthToSpace, {1, 2, 2, 1}, {}, {1, 2, 2, 1},
          TfLiteSpaceToDepthParams{INT_MAX})},
    {"unpack_axis", false,
     node(kTfLiteBuiltinUnpack, {1, 2}, {}, {2}, TfLiteUnpackParams{1, INT_MIN})},
    {"resize_nearest", true,
     node(kTfLiteBuiltinResizeNearestNeighbor, {1, 2, 2, 1}, {{4, 4}}, {1, 4, 4, 1},
          TfLiteResizeParams{false, false})},
    {"resize_nearest_huge", false,
     node(kTfLiteBuiltinResizeNearestNeighbor, {1, 2, 2, 1}, {{INT_MAX, INT_MAX}}, {1, 4, 4, 1},
          TfLiteResizeParams{false, false})},
    {"resize_nearest_long", false,
     node(kTfLiteBuiltinResizeNearestNeighbor, {1, 2, 2, 1}, {{1, 1 << 27}}, {1, 1, 1 << 27, 1},
          TfLiteResizeParams{false, false})},
    {"resize_bilinear", true,
     node(kTfLiteBuiltinResizeBilinear, {1, 2, 2, 1}, {{4, 4}}, {1, 4, 4, 1},
          TfLiteResizeParams{false, false})},
    {"resize_bilinear_long", false,
     node(kTfLiteBuiltinResizeBilinear, {1, 2, 2, 1}, {{1, 1 << 27}}, {1, 1, 1 << 27, 1},
          TfLiteResizeParams{false, false})},
    {"resize_bilinear_zero", false,
     node(kTfLiteBuiltinResizeBilinear, {1, 2, 2, 1}, {{0, 4}}, {1, 4, 4, 1},
          TfLiteResizeParams{false, false})},
    {"reduce_max_axis", false, node(kTfLiteBuiltinReduceMax, {2, 3}, {{2}}, {2})},
    {"sum_lowest_axis", false, node(kTfLiteBuiltinSum, {2, 3}, {{INT_MIN}}, {2})},
    {"leaky_relu", true, node(kTfLiteBuiltinLeakyRelu, {4}, {}, {4}, TfLiteLeakyReluParams{0.1f})},
    {"leaky_relu_nan", false,
     node(kTfLiteBuiltinLeakyRelu, {4}, {}, {4}, TfLiteLeakyReluParams{kNan})},
    {"gelu_no_options", false, node(kTfLiteBuiltinGelu, {4}, {}, {4})},
    {"transpose_conv", true, transpose_conv({1, 8, 8, 2}, 2, {1, 8, 8, 2})},
    {"transpose_conv_other_shape", false, transpose_conv({1, 9, 8, 2}, 2, {1, 9, 8, 2})},
    {"transpose_conv_huge", false, transpose_conv({1, INT_MAX, INT_MAX, 2}, 2, {1, 8, 8, 2})},
    {"transpose_conv_stride", false, transpose_conv({1, 8, 8, 2}, INT_MAX, {1, 8, 8, 2})},
    {"int4_weights", true, int4_convolution(2)},
    {"int4_weights_short", false, int4_convolution(1)},
    {"int4_weights_long", false, int4_convolution(3)},
};

class HostileOperator : public testing::TestWithParam<Node> {};

TEST_P(HostileOperator, IsTakenOnlyWhenItHoldsTogether) {
  auto delegate = host::make_delegate();
  Host h;
  GetParam().build(&h);
  h.set_outputs({h.node(0)->outputs->data[0]});
  ASSERT_EQ(h.apply(delegate->tflite()), kTfLiteOk);
  EXPECT_EQ(h.taken().size(), GetParam().taken ? 1u : 0u);
  if (!GetParam().taken) return;
  ASSERT_EQ(h.allocate(), kTfLiteOk) << h.errors();
  EXPECT_EQ(h.invoke(), kTfLiteOk) << h.errors();
}

INSTANTIATE_TEST_SUITE_P(Operators, HostileOperator, testing::ValuesIn(kNodes),
                         [](const testing::TestParamInfo<Node>& info) { return info.param.what; });

}  // namespace
}  // namespace int8x
