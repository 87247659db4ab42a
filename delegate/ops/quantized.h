// What the operators share: reading quantized tensors, fused activations and window geometry.

#ifndef INT8X_OPS_QUANTIZED_H_
#define INT8X_OPS_QUANTIZED_H_

#include <cstdint>
#include <vector>

#include "delegate/tflite/node_view.h"

namespace int8x {

// An activation: s8, one scale, one zero point in [-128, 127].
struct Activation {
  float scale;
  int32_t zero_point;
};
Reason read_activation(const TfLiteTensor& tensor, Activation* out);

// The range of an s8 output after a fused activation: zero_point + round_half_away(float32(bound /
// scale)), met with [-128, 127]. False for an unknown activation or a bound beyond int32.
struct ActivationRange {
  int32_t min, max;
};
bool activation_range(int activation, const Activation& output, ActivationRange* out);
// The same met with [lowest, highest].
bool activation_range(int activation, const Activation& output, int32_t lowest, int32_t highest,
                      ActivationRange* out);

// How a node's tensors must be counted: `refuse` functions begin with it.
Reason check_counts(const NodeView& node, int min_inputs, int max_inputs, int outputs);

// An s8 node of one data input and one output, both activations of the same rank.
Reason read_unary(const NodeView& node, Activation* input, Activation* output);

// Constant s8 or INT4 weights with one scale, or one for each entry of `channel_axis`, and zero
// points that are zero.
Reason read_weights(const TfLiteTensor& tensor, int rank, int channel_axis, Quantization* out);

// The values of weights that read_weights() has passed, [element] in int8: the tensor's own, or
// INT4 unpacked into `unpacked`.
const int8_t* weight_values(const TfLiteTensor& tensor, std::vector<int8_t>* unpacked);

// The bias in input `index`: constant s32 of `channels` entries, or absent.
Reason read_bias(const NodeView& node, int index, int channels, const int32_t** out);

// double(input) * double(weights) / double(output) for each channel of the weights' scales, one if
// they are per tensor. False when one of them is 2^31 and more: no multiplier can hold it.
bool effective_scales(float input, const Quantization& weights, float output,
                      std::vector<double>* out);

// One axis of a window that slides over `input` positions.
struct Window {
  int32_t output;  // positions that the window takes; 0 if it does not fit
  int32_t before;  // padding in front
};
// TFLite's SAME and VALID. All sizes positive; window, stride and dilation at most 2^15.
bool slide(int padding, int32_t input, int32_t window, int32_t stride, int32_t dilation,
           Window* out);

// What FULLY_CONNECTED makes of `rows` rows of `in`: [rows, units], or the input's shape with units
// in the place of its last dimension.
Shape product_shape(const NodeView& node, const Shape& in, int64_t rows, int32_t units);

// Whether a tensor of a window operator has the shape that its input asks for.
inline bool is_nhwc(const Shape& shape) { return shape.rank == 4; }

}  // namespace int8x

#endif  // INT8X_OPS_QUANTIZED_H_
