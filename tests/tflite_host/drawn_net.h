// A graph drawn from a fuzzer's bytes; net_from_bytes() is its use.

#ifndef INT8X_TESTS_TFLITE_HOST_DRAWN_NET_H_
#define INT8X_TESTS_TFLITE_HOST_DRAWN_NET_H_

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

#include "tests/tflite_host/host.h"
#include "tests/tflite_host/net_from_bytes.h"

namespace int8x::host {

using Dims = std::vector<int>;

constexpr int64_t kMostElements = 1 << 16;  // of one tensor, in a graph that is run

// Of a tensor of these dims; more than any graph may have when one is negative.
int64_t elements(const Dims& dims);

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

class DrawnNet {
 public:
  explicit DrawnNet(Bytes bytes) : bytes_(bytes) {}
  void draw();
  void spoil();
  BuiltNet write(Host* host) const;

 private:
  struct Node {
    int builtin;
    std::vector<int> inputs, outputs;
    std::vector<uint8_t> params;
  };

  int tensor(const Dims& dims);
  // Shares its quantization with tensor `like`, as movers of data demand.
  int tensor_like(int like, const Dims& dims);
  int bools(const Dims& dims) { return add({kTfLiteBool, dims, {}, {}, 0, {}}); }
  int ints(const std::vector<int32_t>& values, Dims dims = {});
  int weights(const Dims& dims, int axis);
  // Of the scales that the kernels ask for: input times weights.
  int bias(int input, int weights, int channels);
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
  const TensorSpec& spec(int t) const { return specs_[static_cast<size_t>(t)]; }
  Dims dims(int t) const { return spec(t).dims; }
  TfLiteFusedActivation activation() {
    return bytes_.pick({kTfLiteActNone, kTfLiteActNone, kTfLiteActRelu, kTfLiteActRelu6});
  }
  TfLitePadding padding() { return bytes_.pick({kTfLitePaddingSame, kTfLitePaddingValid}); }
  static int extent(int n, int filter, int stride, int dilation, TfLitePadding padding) {
    const int effective = (filter - 1) * dilation + 1;
    return padding == kTfLitePaddingSame ? (n + stride - 1) / stride
                                         : (n - effective + stride) / stride;
  }

  // One operator each, that reads `x`; the output.
  int step(int x);
  int multiplied(int x);
  int windowed(int x);
  int reduced(int x);
  int selected(int x);
  int moved(int x);
  int padded(int x);
  int transposed(int x);
  int sliced(int x);
  int strided(int x);
  int gathered(int x);
  int joined(int x);
  int parted(int x);
  int repeated(int x);
  int resized(int x);
  int blocks(int x);
  int reshaped(int x);

  Bytes bytes_;
  TfLiteType type_ = kTfLiteInt8;
  std::vector<TensorSpec> specs_;
  std::vector<Node> nodes_;
  std::vector<int> outputs_;
  int new_batch_ = 0;
};

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_DRAWN_NET_H_
