#include "tests/tflite_host/drawn_net.h"

#include <climits>

namespace int8x::host {

int64_t elements(const Dims& dims) {
  int64_t n = 1;
  for (int d : dims) {
    if (d < 0) return INT64_MAX;
    n = std::min<int64_t>(n * d, int64_t{1} << 31);
  }
  return n;
}

void DrawnNet::draw() {
  type_ = bytes_.pick({kTfLiteInt8, kTfLiteInt8, kTfLiteInt8, kTfLiteInt16, kTfLiteUInt8});
  int x = tensor({bytes_.between(1, 2), bytes_.between(1, 11), bytes_.between(1, 11),
                  bytes_.pick({1, 3, 4, 8, 16, 17, 32, 40})});
  new_batch_ = bytes_.chance(100) ? bytes_.between(1, 4) : 0;
  const int steps = bytes_.between(1, 6);
  for (int i = 0; i < steps; ++i) {
    x = step(x);
    if (bytes_.chance(40)) outputs_.push_back(x);
    const int64_t count = elements(dims(x));
    if (count > kMostElements || count < 1 || dims(x).empty()) break;
  }
  outputs_.push_back(x);
}

int DrawnNet::step(int x) {
  const Dims in = dims(x);
  const bool image = in.size() == 4;
  switch (bytes_.upto(12)) {
    case 0:
    case 1:
    case 2:
      if (image) return windowed(x);
      [[fallthrough]];
    case 3: {
      const int depth = in.back(), units = bytes_.between(1, 40);
      Dims out = {static_cast<int>(elements(in) / std::max(depth, 1)), units};
      const int w = weights({units, depth}, 0);
      const int b = bias(x, w, units);
      return node(kTfLiteBuiltinFullyConnected, {x, w, b}, tensor(out),
                  TfLiteFullyConnectedParams{activation(), 0, false, false});
    }
    case 4:
    case 5: {
      const int builtin = bytes_.pick(
          {int{kTfLiteBuiltinAdd}, int{kTfLiteBuiltinAdd}, int{kTfLiteBuiltinMul},
           int{kTfLiteBuiltinSub}, int{kTfLiteBuiltinMaximum}, int{kTfLiteBuiltinMinimum},
           int{kTfLiteBuiltinSquaredDifference}, int{kTfLiteBuiltinPrelu}});
      const bool same = builtin == kTfLiteBuiltinMaximum || builtin == kTfLiteBuiltinMinimum;
      int other = bytes_.upto(static_cast<int>(specs_.size()) - 1);
      if (dims(other) != in || specs_[static_cast<size_t>(other)].type != type_) {
        Dims shape = in;
        for (int& d : shape) d = bytes_.chance(60) ? 1 : d;
        other = same ? tensor_like(x, shape) : tensor(shape);
      }
      const int out = same ? tensor_like(x, in) : tensor(in);
      return node(builtin, {x, other}, out, TfLiteAddParams{activation(), false});
    }
    case 6: {
      const int builtin = bytes_.pick(
          {int{kTfLiteBuiltinRelu}, int{kTfLiteBuiltinRelu6}, int{kTfLiteBuiltinReluN1To1},
           int{kTfLiteBuiltinTanh}, int{kTfLiteBuiltinLogistic}, int{kTfLiteBuiltinHardSwish},
           int{kTfLiteBuiltinElu}, int{kTfLiteBuiltinGelu}, int{kTfLiteBuiltinAbs},
           int{kTfLiteBuiltinLeakyRelu}, int{kTfLiteBuiltinSoftmax}, int{kTfLiteBuiltinLogSoftmax},
           int{kTfLiteBuiltinL2Normalization}, int{kTfLiteBuiltinQuantize}, int{kTfLiteBuiltinLog},
           int{kTfLiteBuiltinRsqrt}, int{kTfLiteBuiltinExp}});
      const int out = tensor(in);
      TensorSpec& spec = specs_[static_cast<size_t>(out)];
      const bool wide = type_ == kTfLiteInt16;
      switch (builtin) {  // their grids are given
        case kTfLiteBuiltinTanh:
        case kTfLiteBuiltinL2Normalization:
          spec.scales = {wide ? 1.0f / 32768 : 1.0f / 128};
          spec.zero_points = {type_ == kTfLiteUInt8 ? 128 : 0};
          break;
        case kTfLiteBuiltinLogistic:
        case kTfLiteBuiltinSoftmax:
          spec.scales = {wide ? 1.0f / 32768 : 1.0f / 256};
          spec.zero_points = {type_ == kTfLiteInt8 ? -128 : 0};
          break;
        case kTfLiteBuiltinLogSoftmax:
          spec.scales = {16.0f / 256};
          spec.zero_points = {type_ == kTfLiteUInt8 ? 255 : 127};
          break;
        default:
          break;
      }
      const float parameter = static_cast<float>(bytes_.between(-4, 12)) / 8.0f;
      return node(builtin, {x}, out, TfLiteLeakyReluParams{parameter});
    }
    case 7:
      return reduced(x);
    case 8:
      return multiplied(x);
    case 9:
      return selected(x);
    default:
      return moved(x);
  }
}

int DrawnNet::windowed(int x) {
  const Dims in = dims(x);
  const TfLitePadding same = padding();
  const int fh = bytes_.between(1, 4), fw = bytes_.between(1, 4), sh = bytes_.between(1, 3),
            sw = bytes_.between(1, 3), dh = bytes_.pick({1, 1, 1, 2}), dw = bytes_.pick({1, 1, 3});
  const auto out_dims = [&](int channels, int dilation_h, int dilation_w) {
    return Dims{in[0], extent(in[1], fh, sh, dilation_h, same),
                extent(in[2], fw, sw, dilation_w, same), channels};
  };
  switch (bytes_.upto(4)) {
    case 0: {
      const int multiplier = bytes_.pick({1, 1, 1, 2, 3}), channels = in[3] * multiplier;
      const int w = weights({1, fh, fw, channels}, 3), b = bias(x, w, channels);
      return node(kTfLiteBuiltinDepthwiseConv2d, {x, w, b}, tensor(out_dims(channels, dh, dw)),
                  TfLiteDepthwiseConvParams{same, sw, sh, multiplier, activation(), dw, dh});
    }
    case 1: {
      const int out = tensor_like(x, out_dims(in[3], 1, 1));
      const int builtin =
          bytes_.pick({int{kTfLiteBuiltinMaxPool2d}, int{kTfLiteBuiltinAveragePool2d}});
      return node(builtin, {x}, out, TfLitePoolParams{same, sw, sh, fw, fh, activation()});
    }
    case 2: {
      const int channels = bytes_.between(1, 20);
      const Dims out = {in[0], same == kTfLitePaddingSame ? in[1] * sh : (in[1] - 1) * sh + fh,
                        same == kTfLitePaddingSame ? in[2] * sw : (in[2] - 1) * sw + fw, channels};
      const int shape = ints(out), w = weights({channels, fh, fw, in[3]}, 0);
      const int b = bias(x, w, channels);
      return node(kTfLiteBuiltinTransposeConv, {shape, w, x, b}, tensor(out),
                  TfLiteTransposeConvParams{same, sw, sh, kTfLiteActNone});
    }
    default: {
      const int groups = in[3] % 2 == 0 && bytes_.chance(30) ? 2 : 1;
      const int channels = groups * bytes_.between(1, 24);
      const int w = weights({channels, fh, fw, in[3] / groups}, 0), b = bias(x, w, channels);
      return node(kTfLiteBuiltinConv2d, {x, w, b}, tensor(out_dims(channels, dh, dw)),
                  TfLiteConvParams{same, sw, sh, activation(), dw, dh});
    }
  }
}

// BATCH_MATMUL with another matrix, or with itself.
int DrawnNet::multiplied(int x) {
  const Dims in = dims(x);
  const size_t rank = in.size();
  if (rank < 2) return moved(x);
  const bool adj_x = bytes_.chance(60), adj_y = bytes_.chance(128), itself = bytes_.chance(60);
  const int m = in[rank - (adj_x ? 1 : 2)], k = in[rank - (adj_x ? 2 : 1)];
  Dims other = in, out = in;
  for (size_t i = 0; i + 2 < rank; ++i) other[i] = bytes_.chance(60) ? 1 : in[i];
  int n = bytes_.between(1, 20), right;
  if (itself && adj_x != adj_y) {  // x x' or x' x
    right = x;
    n = m;
  } else {
    other[rank - (adj_y ? 1 : 2)] = k;
    other[rank - (adj_y ? 2 : 1)] = n;
    right = tensor(other);
  }
  out[rank - 2] = m;
  out[rank - 1] = n;
  return node(kTfLiteBuiltinBatchMatmul, {x, right}, tensor(out),
              TfLiteBatchMatMulParams{adj_x, adj_y});
}

int DrawnNet::selected(int x) {
  const Dims in = dims(x);
  const bool broadcasts = bytes_.chance(150);
  const auto shape = [&] {
    Dims one = in;
    for (int& extent : one) extent = broadcasts && bytes_.chance(60) ? 1 : extent;
    return one;
  };
  const int condition = bools(shape()), other = tensor_like(x, shape());
  std::vector<int> inputs = {condition, x, other};
  if (bytes_.chance(128)) std::swap(inputs[1], inputs[2]);
  return node(broadcasts ? kTfLiteBuiltinSelectV2 : kTfLiteBuiltinSelect, inputs,
              tensor_like(x, in), 0);
}

int DrawnNet::reduced(int x) {
  const Dims in = dims(x);
  const int rank = static_cast<int>(in.size());
  std::vector<int32_t> axes;
  for (int a = 0; a < rank; ++a) {
    if (bytes_.chance(110)) axes.push_back(bytes_.chance(40) ? a - rank : a);
  }
  const bool keep = bytes_.chance(128);
  Dims out;
  for (int a = 0; a < rank; ++a) {
    const bool gone = std::any_of(axes.begin(), axes.end(),
                                  [&](int32_t axis) { return (axis + rank) % rank == a; });
    if (!gone) out.push_back(in[static_cast<size_t>(a)]);
    if (gone && keep) out.push_back(1);
  }
  if (axes.empty() || out.empty()) return moved(x);
  const int builtin = bytes_.pick({int{kTfLiteBuiltinMean}, int{kTfLiteBuiltinSum},
                                   int{kTfLiteBuiltinReduceMax}, int{kTfLiteBuiltinReduceMin}});
  const bool like = builtin == kTfLiteBuiltinReduceMax || builtin == kTfLiteBuiltinReduceMin;
  const int axis = ints(axes);
  return node(builtin, {x, axis}, like ? tensor_like(x, out) : tensor(out),
              TfLiteReducerParams{keep});
}

BuiltNet DrawnNet::write(Host* host) const {
  BuiltNet net = {outputs_, true, new_batch_};
  for (const TensorSpec& spec : specs_) {
    host->add_tensor(spec);
    net.may_run = net.may_run && elements(spec.dims) <= 4 * kMostElements;
  }
  for (const Node& node : nodes_) {
    host->add_node_bytes(node.builtin, 2, node.inputs, node.outputs, node.params, nullptr);
  }
  host->set_outputs(net.outputs);
  return net;
}

}  // namespace int8x::host
