// Operators that move data.

#include <numeric>

#include "tests/tflite_host/drawn_net.h"

namespace int8x::host {

int DrawnNet::moved(int x) {
  switch (bytes_.upto(11)) {
    case 0:
      return padded(x);
    case 1:
      return transposed(x);
    case 2:
      return sliced(x);
    case 3:
      return strided(x);
    case 4:
      return gathered(x);
    case 5:
    case 6:
      return joined(x);
    case 7:
      return parted(x);
    case 8:
      return repeated(x);
    case 9:
      return resized(x);
    case 10:
      return blocks(x);
    default:
      return reshaped(x);
  }
}

int DrawnNet::padded(int x) {
  const Dims in = dims(x);
  const int builtin =
      bytes_.pick({int{kTfLiteBuiltinPad}, int{kTfLiteBuiltinPadv2}, int{kTfLiteBuiltinMirrorPad}});
  std::vector<int32_t> frame;
  Dims out = in;
  for (int& extent : out) {
    // A mirror of an axis of one has nothing to show.
    const int most = builtin == kTfLiteBuiltinMirrorPad ? std::min(extent - 1, 2) : 2;
    const int before = bytes_.upto(most), after = bytes_.upto(most);
    frame.insert(frame.end(), {before, after});
    extent += before + after;
  }
  const int amounts = ints(frame, {static_cast<int>(in.size()), 2});
  std::vector<int> inputs = {x, amounts};
  if (builtin == kTfLiteBuiltinPadv2) {
    inputs.push_back(tensor_like(x, {1}));
    specs_.back().constant.assign(type_ == kTfLiteInt16 ? 2 : 1, bytes_.next());
  }
  const auto mode = bytes_.pick({kTfLiteMirrorPaddingReflect, kTfLiteMirrorPaddingSymmetric});
  return node(builtin, inputs, tensor_like(x, out), TfLiteMirrorPaddingParams{mode});
}

int DrawnNet::transposed(int x) {
  const Dims in = dims(x);
  std::vector<int32_t> order(in.size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = in.size(); i-- > 1;) {
    std::swap(order[i], order[static_cast<size_t>(bytes_.upto(static_cast<int>(i)))]);
  }
  Dims out;
  for (int32_t axis : order) out.push_back(in[static_cast<size_t>(axis)]);
  const int axes = ints(order);
  return node(kTfLiteBuiltinTranspose, {x, axes}, tensor_like(x, out), 0);
}

int DrawnNet::sliced(int x) {
  std::vector<int32_t> begin, size;
  Dims out;
  for (int extent : dims(x)) {
    begin.push_back(bytes_.upto(extent - 1));
    const int rest = extent - begin.back();
    size.push_back(bytes_.chance(60) ? -1 : bytes_.between(1, rest));
    out.push_back(size.back() < 0 ? rest : size.back());
  }
  const int begins = ints(begin), sizes = ints(size);
  return node(kTfLiteBuiltinSlice, {x, begins, sizes}, tensor_like(x, out), 0);
}

// Forwards or backwards, some ends left open, some axes taken away; the first axes alone or all.
int DrawnNet::strided(int x) {
  const Dims in = dims(x);
  std::vector<int32_t> begin, end, stride;
  TfLiteStridedSliceParams params = {};
  Dims out;
  const size_t entries = static_cast<size_t>(bytes_.between(1, static_cast<int>(in.size())));
  for (size_t i = 0; i < in.size(); ++i) {
    const int extent = in[i], bit = 1 << i;
    if (i >= entries) {
      out.push_back(extent);
      continue;
    }
    const int step = bytes_.pick({1, 1, 2, 3, -1, -2});
    const int first = bytes_.upto(extent - 1);
    const bool open = bytes_.chance(100), shrinks = bytes_.chance(30);
    begin.push_back(bytes_.chance(60) ? first - extent : first);
    stride.push_back(shrinks ? 1 : step);
    const int reach = stride.back() > 0 ? extent - first : first + 1;
    const int span = open ? reach : bytes_.between(1, reach);
    end.push_back(first + (stride.back() > 0 ? span : -span));
    // -1 would be the last element.
    if (open || end.back() < 0) params.end_mask |= bit;
    if (shrinks) {
      params.shrink_axis_mask |= bit;
    } else {
      const int taken = open || end.back() < 0 ? reach : span, strides = std::abs(step);
      out.push_back((taken + strides - 1) / strides);
    }
  }
  const int begins = ints(begin), ends = ints(end), strides = ints(stride);
  return node(kTfLiteBuiltinStridedSlice, {x, begins, ends, strides}, tensor_like(x, out), params);
}

int DrawnNet::gathered(int x) {
  const Dims in = dims(x);
  const int axis = bytes_.upto(static_cast<int>(in.size()) - 1);
  const auto at = in.begin() + axis;
  const Dims index_dims =
      bytes_.chance(60) ? Dims{2, bytes_.between(1, 3)} : Dims{bytes_.between(1, 9)};
  std::vector<int32_t> indices(static_cast<size_t>(elements(index_dims)));
  for (int32_t& index : indices) index = bytes_.upto(*at - 1);
  Dims out(in.begin(), at);
  out.insert(out.end(), index_dims.begin(), index_dims.end());
  out.insert(out.end(), at + 1, in.end());
  const int chosen = ints(indices, index_dims);
  return node(kTfLiteBuiltinGather, {x, chosen}, tensor_like(x, out), TfLiteGatherParams{axis, 0});
}

int DrawnNet::joined(int x) {
  Dims out = dims(x);
  const bool packs = bytes_.chance(100);
  const int axis = bytes_.upto(static_cast<int>(out.size()) - (packs ? 0 : 1));
  const int times = bytes_.between(1, 3);
  const std::vector<int> parts(static_cast<size_t>(times), x);
  if (packs) {
    out.insert(out.begin() + axis, times);
    return node(kTfLiteBuiltinPack, parts, tensor_like(x, out), TfLitePackParams{times, axis});
  }
  out[static_cast<size_t>(axis)] *= times;
  return node(kTfLiteBuiltinConcatenation, parts, tensor_like(x, out),
              TfLiteConcatenationParams{axis, kTfLiteActNone});
}

int DrawnNet::parted(int x) {
  const Dims in = dims(x);
  const int axis = bytes_.upto(static_cast<int>(in.size()) - 1);
  const int extent = in[static_cast<size_t>(axis)];
  std::vector<int32_t> sizes;
  Dims out = in;
  const int builtin =
      bytes_.pick({int{kTfLiteBuiltinSplit}, int{kTfLiteBuiltinSplitV}, int{kTfLiteBuiltinUnpack}});
  switch (builtin) {
    case kTfLiteBuiltinSplit: {
      const int count = extent % 3 == 0 ? 3 : extent % 2 == 0 ? 2 : 1;
      sizes.assign(static_cast<size_t>(count), extent / count);
      break;
    }
    case kTfLiteBuiltinSplitV:
      for (int left = extent; left > 0; left -= sizes.back()) {
        sizes.push_back(sizes.size() == 3 ? left : bytes_.between(1, left));
      }
      break;
    default:
      sizes.assign(static_cast<size_t>(extent), 1);
      out.erase(out.begin() + axis);
      break;
  }
  std::vector<int> outputs;
  for (int32_t size : sizes) {
    if (builtin != kTfLiteBuiltinUnpack) out[static_cast<size_t>(axis)] = size;
    outputs.push_back(tensor_like(x, out));
  }
  std::vector<int> inputs = {x};
  if (builtin == kTfLiteBuiltinSplit) inputs = {ints({axis}, {1}), x};
  if (builtin == kTfLiteBuiltinSplitV) {
    if (bytes_.chance(60)) sizes.back() = -1;  // what is left
    const int told = ints(sizes);
    inputs = {x, told, ints({axis}, {1})};
  }
  const TfLiteUnpackParams params = {static_cast<int>(sizes.size()), axis};
  node(builtin, inputs, outputs[0], params);
  nodes_.back().outputs = outputs;
  return outputs[static_cast<size_t>(bytes_.upto(static_cast<int>(outputs.size()) - 1))];
}

int DrawnNet::repeated(int x) {
  const Dims in = dims(x);
  Dims out;
  std::vector<int32_t> times;
  const bool broadcasts = bytes_.chance(100);
  for (int extent : in) {
    times.push_back(broadcasts && extent > 1 ? 1 : bytes_.between(1, 2));
    out.push_back(extent * times.back());
  }
  if (broadcasts && bytes_.chance(100)) out.insert(out.begin(), 2);
  const int told = ints(broadcasts ? out : times);
  return node(broadcasts ? kTfLiteBuiltinBroadcastTo : kTfLiteBuiltinTile, {x, told},
              tensor_like(x, out), 0);
}

int DrawnNet::resized(int x) {
  Dims out = dims(x);
  if (out.size() != 4) return reshaped(x);
  const bool nearest = bytes_.chance(128);
  out[1] = bytes_.between(1, 13);
  out[2] = bytes_.between(1, 13);
  const int size = ints({out[1], out[2]});
  const bool corners = bytes_.chance(60), half = !corners && bytes_.chance(100);
  return node(nearest ? kTfLiteBuiltinResizeNearestNeighbor : kTfLiteBuiltinResizeBilinear,
              {x, size}, tensor_like(x, out), TfLiteResizeParams{corners, half});
}

int DrawnNet::blocks(int x) {
  Dims out = dims(x);
  if (out.size() != 4) return reshaped(x);
  const int block = bytes_.between(1, 3), area = block * block;
  const TfLiteSpaceToDepthParams params = {block};
  if (out[3] % area == 0) {
    out = {out[0], out[1] * block, out[2] * block, out[3] / area};
    return node(kTfLiteBuiltinDepthToSpace, {x}, tensor_like(x, out), params);
  }
  out = {out[0], out[1] / block, out[2] / block, out[3] * area};
  return node(kTfLiteBuiltinSpaceToDepth, {x}, tensor_like(x, out), params);
}

int DrawnNet::reshaped(int x) {
  Dims out = dims(x);
  switch (bytes_.upto(3)) {
    case 0:
      if (out.size() < 5) {
        const int axis = bytes_.upto(static_cast<int>(out.size()));
        out.insert(out.begin() + axis, 1);
        return node(kTfLiteBuiltinExpandDims, {x, ints({axis}, {1})}, tensor_like(x, out), 0);
      }
      [[fallthrough]];
    case 1: {
      TfLiteSqueezeParams params = {};
      out.erase(std::remove(out.begin(), out.end(), 1), out.end());
      if (!out.empty()) return node(kTfLiteBuiltinSqueeze, {x}, tensor_like(x, out), params);
      [[fallthrough]];
    }
    default: {
      out = dims(x);
      out = {out[0], static_cast<int>(elements(out) / std::max(out[0], 1))};
      const int shape = ints(bytes_.chance(100) ? std::vector<int32_t>{-1, out[1]} : out);
      return node(kTfLiteBuiltinReshape, {x, shape}, tensor_like(x, out), 0);
    }
  }
}

}  // namespace int8x::host
