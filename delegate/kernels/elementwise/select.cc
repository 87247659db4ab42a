#include "delegate/kernels/elementwise/select.h"

namespace int8x {
namespace {

// Strides are 0 or 1; constants, so that the compiler makes vectors of the loop.
template <typename T, int kCondition, int kOn, int kOff>
void select_row(const uint8_t* condition, const T* on, const T* off, T* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    output[i] = condition[i * kCondition] != 0 ? on[i * kOn] : off[i * kOff];
  }
}

template <typename T>
using SelectRow = void (*)(const uint8_t*, const T*, const T*, T*, int64_t);

template <typename T>
SelectRow<T> row_of(uint32_t walking) {
  static constexpr SelectRow<T> kRows[] = {select_row<T, 0, 0, 0>, select_row<T, 1, 0, 0>,
                                           select_row<T, 0, 1, 0>, select_row<T, 1, 1, 0>,
                                           select_row<T, 0, 0, 1>, select_row<T, 1, 0, 1>,
                                           select_row<T, 0, 1, 1>, select_row<T, 1, 1, 1>};
  return kRows[walking & 7];
}

template <typename T>
void select_typed(const SelectParams& p, const uint8_t* condition, const T* on, const T* off,
                  T* output, int64_t begin, int64_t end) {
  const int last = p.axes.rank - 1;
  const SelectRow<T> row = row_of<T>(p.axes.walking[last]);
  for (int64_t at = begin; at < end;) {
    int64_t condition_at = 0, on_at = 0, off_at = 0, rest = at;
    for (int axis = last; axis >= 0; --axis) {
      const int64_t position = rest % p.axes.extent[axis];
      rest /= p.axes.extent[axis];
      condition_at += position * p.condition_stride[axis];
      on_at += position * p.on_stride[axis];
      off_at += position * p.off_stride[axis];
    }
    int64_t count = p.axes.extent[last] - at % p.axes.extent[last];
    if (count > end - at) count = end - at;
    row(condition + condition_at, on + on_at, off + off_at, output + at, count);
    at += count;
  }
}

}  // namespace

bool make_select_params(const Operand& condition, const Operand& on, const Operand& off,
                        int element_bytes, SelectParams* out) {
  const Operand operands[] = {condition, on, off};
  if (element_bytes != 1 && element_bytes != 2) return false;
  if (!make_broadcast_axes(operands, 3, &out->axes)) return false;
  broadcast_strides(out->axes, 0, out->condition_stride);
  broadcast_strides(out->axes, 1, out->on_stride);
  broadcast_strides(out->axes, 2, out->off_stride);
  out->element_bytes = element_bytes;
  return true;
}

int64_t select_tiles(const SelectParams& params) {
  return (params.axes.size + kElementwiseTile - 1) / kElementwiseTile;
}

void select_run(const SelectParams& params, const uint8_t* condition, const void* on,
                const void* off, void* output, int64_t tile_begin, int64_t tile_end, void*) {
  const int64_t begin = tile_begin * kElementwiseTile;
  int64_t end = tile_end * kElementwiseTile;
  if (end > params.axes.size) end = params.axes.size;
  if (params.element_bytes == 1) {
    select_typed(params, condition, static_cast<const uint8_t*>(on),
                 static_cast<const uint8_t*>(off), static_cast<uint8_t*>(output), begin, end);
  } else {
    select_typed(params, condition, static_cast<const uint16_t*>(on),
                 static_cast<const uint16_t*>(off), static_cast<uint16_t*>(output), begin, end);
  }
}

}  // namespace int8x
