// How the operands of an elementwise operator walk along the output, as numpy and TFLite broadcast:
// axes are aligned at the last one, and an axis of extent 1 repeats.

#ifndef INT8X_KERNELS_ELEMENTWISE_BROADCAST_H_
#define INT8X_KERNELS_ELEMENTWISE_BROADCAST_H_

#include <cstdint>
#include <cstring>

namespace int8x {

constexpr int kMaxBroadcastRank = 6;

struct Operand {
  const int32_t* dims;
  int rank;  // 0 is a scalar
};

// The axes of the output of several operands. Neighbours along which each operand walks, or each
// repeats, in the same way are merged. Outermost axis first; at least one.
struct BroadcastAxes {
  int32_t rank;  // 1 .. kMaxBroadcastRank
  int64_t extent[kMaxBroadcastRank];
  uint32_t walking[kMaxBroadcastRank];  // bit i: operand i walks along it, else it repeats
  int64_t size;                         // elements of the output
};

// False when a rank exceeds kMaxBroadcastRank, an extent is not positive, or the shapes do not
// broadcast. At most 32 operands.
bool make_broadcast_axes(const Operand* operands, int count, BroadcastAxes* out);

// How far apart, in elements, an operand's neighbours along each axis lie: 0 where it repeats. On
// the last axis 0 or 1.
void broadcast_strides(const BroadcastAxes& axes, int operand, int64_t* strides);

// Two operands: equal shapes become one axis, a per-channel operand two.
struct Broadcast {
  int32_t rank;  // 1 .. kMaxBroadcastRank
  int64_t extent[kMaxBroadcastRank];
  int64_t lhs_stride[kMaxBroadcastRank];  // in elements; 0 where the operand repeats.
  int64_t rhs_stride[kMaxBroadcastRank];  // The last axis has strides 0 or 1.
  int64_t size;                           // elements of the output
};

// False where make_broadcast_axes() is.
bool make_broadcast(const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims, int rhs_rank,
                    Broadcast* out);

// A run along the last axis: `count` outputs from output[begin], operands from their offsets.
struct BroadcastRun {
  int64_t lhs_offset, rhs_offset;
  int64_t count;
};

// The run that starts at output element `begin` and ends with its row or before `end`.
BroadcastRun broadcast_run_at(const Broadcast& shape, int64_t begin, int64_t end);

// A short operand that repeats along the axis before the last is written out this long, so that
// kernels see long rows. kShortRow is the longest row worth it.
constexpr int kRepeatBytes = 2048;
constexpr int64_t kShortRow = 512;

// Which operand is such: the other walks along both of the last axes.
enum class Repeats : uint8_t { none, lhs, rhs };
Repeats short_repeats(const Broadcast& shape);

// Outputs of a tile: units of work are stretches of the output of this length.
constexpr int64_t kElementwiseTile = 16384;

// Calls row(lhs, lhs_step, rhs, rhs_step, output, count) until outputs [begin, end) are done.
template <typename Row>
void for_each_row(const Broadcast& shape, const int8_t* lhs, const int8_t* rhs, int8_t* output,
                  int64_t begin, int64_t end, const Row& row) {
  const int last = shape.rank - 1;
  const Repeats repeats = short_repeats(shape);
  if (repeats == Repeats::none) {
    for (int64_t at = begin; at < end;) {
      const BroadcastRun run = broadcast_run_at(shape, at, end);
      row(lhs + run.lhs_offset, shape.lhs_stride[last], rhs + run.rhs_offset,
          shape.rhs_stride[last], output + at, run.count);
      at += run.count;
    }
    return;
  }
  const int64_t length = shape.extent[last], block = length * shape.extent[last - 1];
  const int64_t times = kRepeatBytes / length;
  int8_t repeated[kRepeatBytes];
  const int8_t* written = nullptr;  // the row that `repeated` holds
  for (int64_t at = begin; at < end;) {
    const BroadcastRun run = broadcast_run_at(shape, at, end);
    const int64_t phase = at % length;
    const int8_t* own =
        (repeats == Repeats::lhs ? lhs + run.lhs_offset : rhs + run.rhs_offset) - phase;
    for (int64_t i = 0; own != written && i < times; ++i) {
      std::memcpy(repeated + i * length, own, static_cast<size_t>(length));
    }
    written = own;
    int64_t count = times * length - phase;
    if (count > block - at % block) count = block - at % block;
    if (count > end - at) count = end - at;
    row(repeats == Repeats::lhs ? repeated + phase : lhs + run.lhs_offset, 1,
        repeats == Repeats::rhs ? repeated + phase : rhs + run.rhs_offset, 1, output + at, count);
    at += count;
  }
}

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_BROADCAST_H_
