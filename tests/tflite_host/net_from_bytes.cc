#include "tests/tflite_host/net_from_bytes.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <functional>
#include <limits>

namespace int8x::host {
namespace {

using Dims = std::vector<int>;

constexpr int64_t kMostElements = 1 << 16;  // of one tensor, in a graph that is run

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t next() { return at_ < size_ ? data_[at_++] : 0; }
  int upto(int most) { return next() % (most + 1); }
  int between(int least, int most) { return least + upto(most - least); }
  bool chance(int in_256) { return next() > 255 - in_256; }
  template <typename T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[next() % values.size()];
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

int64_t elements(const Dims& dims) {
  int64_t n = 1;
  for (int d : dims) {
    if (d < 0) return INT64_MAX;
    n = std::min<int64_t>(n * d, int64_t{1} << 31);
  }
  return n;
}

size_t width(TfLiteType type) {
  if (type == kTfLiteInt8 || type == kTfLiteUInt8) return 1;
  return type == kTfLiteInt16 ? 2 : type == kTfLiteInt64 ? 8 : 4;
}

struct Node {
  int builtin;
  std::vector<int> inputs, outputs;
  std::vector<uint8_t> params;
};

class Net {
 public:
  explicit Net(Bytes bytes) : bytes_(bytes) {}
  void draw();
  void spoil();
  BuiltNet write(Host* host) const;

 private:
  int tensor(const Dims& dims) {
    const float scale =
        std::ldexp(1.0f + static_cast<float>(bytes_.upto(127)) / 128.0f, -bytes_.between(1, 9));
    const int zero = type_ == kTfLiteInt16 ? 0 : static_cast<int8_t>(bytes_.next());
    return add({type_, dims, {scale}, {type_ == kTfLiteUInt8 ? zero + 128 : zero}, 0, {}});
  }
  // Shares its quantization with tensor `like`, as movers of data demand.
  int tensor_like(int like, const Dims& dims) {
    TensorSpec spec = specs_[static_cast<size_t>(like)];
    spec.dims = dims;
    spec.constant.clear();
    return add(spec);
  }
  int ints(const std::vector<int32_t>& values, Dims dims = {}) {
    if (dims.empty()) dims = {static_cast<int>(values.size())};
    return add({kTfLiteInt32, dims, {}, {}, 0, bytes_of(values)});
  }
  int weights(const Dims& dims, int axis) {
    const int channels = bytes_.chance(128) ? dims[static_cast<size_t>(axis)] : 1;
    std::vector<float> scales;
    for (int c = 0; c < channels; ++c) {
      scales.push_back(std::ldexp(1.0f + static_cast<float>(c % 7) / 8.0f, -bytes_.between(3, 8)));
    }
    std::vector<uint8_t> values(static_cast<size_t>(elements(dims)));
    uint32_t seed = bytes_.next();
    for (uint8_t& v : values) {
      seed = seed * 1664525u + 1013904223u;
      v = static_cast<uint8_t>(seed >> 24 == 128 ? 0 : seed >> 24);
    }
    return add({kTfLiteInt8, dims, scales, {}, axis, values});
  }
  // The scales that the kernels ask for: input times weights.
  int bias(int input, int weights, int channels) {
    const TensorSpec w = specs_[static_cast<size_t>(weights)];
    std::vector<float> scales;
    for (float s : w.scales) scales.push_back(s * specs_[static_cast<size_t>(input)].scales[0]);
    if (type_ != kTfLiteInt16) {
      std::vector<int32_t> values;
      for (int c = 0; c < channels; ++c) values.push_back((c * 7919 % 4001) - 2000);
      return add({kTfLiteInt32, {channels}, scales, {}, 0, bytes_of(values)});
    }
    std::vector<int64_t> values;
    for (int c = 0; c < channels; ++c) values.push_back((c * 7919 % 4001) - 2000);
    return add({kTfLiteInt64, {channels}, scales, {}, 0, bytes_of(values)});
  }
  int add(const TensorSpec& spec) {
    specs_.push_back(spec);
    return static_cast<int>(specs_.size()) - 1;
  }
  template <typename Params>
  int node(int builtin, std::vector<int> inputs, int output, const Params& params) {
    return node_bytes(builtin, std::move(inputs), output, bytes_of(std::vector<Params>{params}));
  }
  int node_bytes(int builtin, std::vector<int> inputs, int output, std::vector<uint8_t> params) {
    params.resize(params.size() + 64);  // a runtime newer than the layout has more
    nodes_.push_back({builtin, std::move(inputs), {output}, std::move(params)});
    return output;
  }
  Dims dims(int t) const { return specs_[static_cast<size_t>(t)].dims; }
  TfLiteFusedActivation activation() {
    return bytes_.pick({kTfLiteActNone, kTfLiteActNone, kTfLiteActRelu, kTfLiteActRelu6});
  }
  TfLitePadding padding() { return bytes_.pick({kTfLitePaddingSame, kTfLitePaddingValid}); }
  static int extent(int n, int filter, int stride, int dilation, TfLitePadding padding) {
    const int effective = (filter - 1) * dilation + 1;
    return padding == kTfLitePaddingSame ? (n + stride - 1) / stride
                                         : (n - effective + stride) / stride;
  }

  int step(int x);
  int windowed(int x);
  int moved(int x);
  int reduced(int x);

  Bytes bytes_;
  TfLiteType type_ = kTfLiteInt8;
  std::vector<TensorSpec> specs_;
  std::vector<Node> nodes_;
  std::vector<int> outputs_;
};

void Net::draw() {
  type_ = bytes_.pick({kTfLiteInt8, kTfLiteInt8, kTfLiteInt8, kTfLiteInt16, kTfLiteUInt8});
  int x = tensor({bytes_.between(1, 2), bytes_.between(1, 11), bytes_.between(1, 11),
                  bytes_.pick({1, 3, 4, 8, 16, 17, 32, 40})});
  const int steps = bytes_.between(1, 6);
  for (int i = 0; i < steps; ++i) {
    x = step(x);
    if (bytes_.chance(40)) outputs_.push_back(x);
    if (elements(dims(x)) > kMostElements || elements(dims(x)) < 1) break;
  }
  outputs_.push_back(x);
}

int Net::step(int x) {
  const Dims in = dims(x);
  const bool image = in.size() == 4;
  switch (bytes_.upto(9)) {
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
           int{kTfLiteBuiltinRsqrt}});
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
    default:
      return moved(x);
  }
}

int Net::windowed(int x) {
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

int Net::reduced(int x) {
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

int Net::moved(int x) {
  const Dims in = dims(x);
  const int rank = static_cast<int>(in.size());
  const int axis = bytes_.upto(rank - 1);
  std::vector<int32_t> a, b;
  Dims out = in;
  switch (bytes_.upto(6)) {
    case 0: {
      for (int i = 0; i < rank; ++i) {
        a.push_back(bytes_.upto(2));
        a.push_back(bytes_.upto(2));
        out[static_cast<size_t>(i)] += a[a.size() - 2] + a.back();
      }
      const int amounts = ints(a, {rank, 2});
      return node(kTfLiteBuiltinPad, {x, amounts}, tensor_like(x, out), 0);
    }
    case 1: {
      for (int i = 0; i < rank; ++i) a.push_back(i);
      for (int i = rank - 1; i > 0; --i) {
        std::swap(a[static_cast<size_t>(i)], a[static_cast<size_t>(bytes_.upto(i))]);
      }
      for (int i = 0; i < rank; ++i) {
        out[static_cast<size_t>(i)] = in[static_cast<size_t>(a[static_cast<size_t>(i)])];
      }
      const int order = ints(a);
      return node(kTfLiteBuiltinTranspose, {x, order}, tensor_like(x, out), 0);
    }
    case 2: {
      for (int i = 0; i < rank; ++i) {
        const int n = in[static_cast<size_t>(i)], begin = bytes_.upto(n - 1);
        a.push_back(begin);
        b.push_back(bytes_.chance(60) ? -1 : bytes_.between(1, n - begin));
        out[static_cast<size_t>(i)] = b.back() < 0 ? n - begin : b.back();
      }
      const int begins = ints(a), sizes = ints(b);
      return node(kTfLiteBuiltinSlice, {x, begins, sizes}, tensor_like(x, out), 0);
    }
    case 3: {
      const int times = bytes_.between(1, 3);
      std::vector<int> parts(static_cast<size_t>(times), x);
      out[static_cast<size_t>(axis)] *= times;
      const int joined = tensor_like(x, out);
      return node(kTfLiteBuiltinConcatenation, parts, joined,
                  TfLiteConcatenationParams{axis, kTfLiteActNone});
    }
    case 4: {
      for (int i = 0; i < rank; ++i) {
        a.push_back(bytes_.between(1, 2));
        out[static_cast<size_t>(i)] *= a.back();
      }
      const int multiples = ints(a);
      return node(kTfLiteBuiltinTile, {x, multiples}, tensor_like(x, out), 0);
    }
    case 5:
      if (rank == 4) {
        const bool nearest = bytes_.chance(128);
        out[1] = bytes_.between(1, 13);
        out[2] = bytes_.between(1, 13);
        const int size = ints({out[1], out[2]});
        const bool corners = bytes_.chance(60), half = !corners && bytes_.chance(100);
        return node(nearest ? kTfLiteBuiltinResizeNearestNeighbor : kTfLiteBuiltinResizeBilinear,
                    {x, size}, tensor_like(x, out), TfLiteResizeParams{corners, half});
      }
      [[fallthrough]];
    default: {
      out = {in[0], static_cast<int>(elements(in) / std::max(in[0], 1))};
      const int shape = ints(out);
      return node(kTfLiteBuiltinReshape, {x, shape}, tensor_like(x, out), 0);
    }
  }
}

// What a damaged file holds: sizes, types, scales, constants, tensors and parameters that do not
// fit.
void Net::spoil() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (int faults = bytes_.chance(100) ? bytes_.between(1, 3) : 0; faults > 0; --faults) {
    TensorSpec& spec =
        specs_[static_cast<size_t>(bytes_.upto(static_cast<int>(specs_.size()) - 1))];
    Node& node = nodes_[static_cast<size_t>(bytes_.upto(static_cast<int>(nodes_.size()) - 1))];
    switch (bytes_.upto(7)) {
      case 0:
        if (!spec.dims.empty()) {
          spec.dims[static_cast<size_t>(bytes_.upto(static_cast<int>(spec.dims.size()) - 1))] =
              bytes_.pick({0, 1, 2, 5, 100, -1, 65536, INT_MAX, INT_MIN});
        }
        break;
      case 1:
        spec.dims.resize(static_cast<size_t>(bytes_.upto(6)), 2);
        break;
      case 2:
        if (!spec.scales.empty()) {
          spec.scales[static_cast<size_t>(bytes_.upto(static_cast<int>(spec.scales.size()) - 1))] =
              bytes_.pick({0.0f, -1.0f, kInfinity, std::nanf(""), 1e-30f, 1e30f, 1e-45f});
        }
        break;
      case 3:
        spec.zero_points.assign(spec.scales.size(), bytes_.pick({0, 127, 128, -129, INT_MIN}));
        spec.axis = bytes_.pick({0, 1, 3, 7, -1, INT_MIN});
        break;
      case 4:
        spec.type = bytes_.pick(
            {kTfLiteInt8, kTfLiteUInt8, kTfLiteInt16, kTfLiteInt32, kTfLiteInt64, kTfLiteFloat32});
        break;
      case 5:
        for (uint8_t& v : spec.constant) v = bytes_.chance(80) ? bytes_.next() : v;
        break;
      case 6: {
        const int reach = static_cast<int>(specs_.size());
        std::vector<int>& list = bytes_.chance(200) ? node.inputs : node.outputs;
        const bool is_input = &list == &node.inputs;
        list[static_cast<size_t>(bytes_.upto(static_cast<int>(list.size()) - 1))] =
            bytes_.upto(reach) - (is_input ? 1 : 0);
        if (list.back() >= reach) list.back() = reach - 1;
        for (int& t : list) t = std::min(t, reach - 1);
        break;
      }
      default:
        node.params[static_cast<size_t>(bytes_.upto(static_cast<int>(node.params.size()) - 1))] =
            bytes_.pick<uint8_t>({0, 1, 2, 0x7f, 0x80, 0xff});
        break;
    }
    // The runtime has checked that a constant is as long as its type and sizes say.
    if (!spec.constant.empty()) {
      const int64_t n = elements(spec.dims);
      if (n > kMostElements) spec.dims = {1};
      spec.constant.resize(static_cast<size_t>(elements(spec.dims)) * width(spec.type));
      if (spec.constant.empty()) spec.constant.resize(1);
    }
  }
}

BuiltNet Net::write(Host* host) const {
  BuiltNet net = {outputs_, true};
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

}  // namespace

BuiltNet net_from_bytes(const uint8_t* data, size_t size, Host* host) {
  Net net(Bytes(data, size));
  net.draw();
  net.spoil();
  return net.write(host);
}

}  // namespace int8x::host
