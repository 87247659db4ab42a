// How two operands of an elementwise operator walk along the output, as numpy and TFLite broadcast:
// axes are aligned at the last one, and an axis of extent 1 repeats.

#ifndef INT8X_KERNELS_ELEMENTWISE_BROADCAST_H_
#define INT8X_KERNELS_ELEMENTWISE_BROADCAST_H_

#include <cstdint>

namespace int8x {

constexpr int kMaxBroadcastRank = 6;

// Neighbouring axes along which both operands walk in the same way are merged: equal shapes become
// one axis, a per-channel operand two. Outermost axis first.
struct Broadcast {
  int32_t rank;  // 1 .. kMaxBroadcastRank
  int64_t extent[kMaxBroadcastRank];
  int64_t lhs_stride[kMaxBroadcastRank];  // in elements; 0 where the operand repeats.
  int64_t rhs_stride[kMaxBroadcastRank];  // The last axis has strides 0 or 1.
  int64_t size;                           // elements of the output
};

// False when a rank exceeds kMaxBroadcastRank, an extent is not positive, or the shapes do not
// broadcast. Rank 0 is a scalar.
bool make_broadcast(const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims, int rhs_rank,
                    Broadcast* out);

// A run along the last axis: `count` outputs from output[begin], operands from their offsets.
struct BroadcastRun {
  int64_t lhs_offset, rhs_offset;
  int64_t count;
};

// The run that starts at output element `begin` and ends with its row or before `end`.
BroadcastRun broadcast_run_at(const Broadcast& shape, int64_t begin, int64_t end);

// Outputs of a tile: units of work are stretches of the output of this length.
constexpr int64_t kElementwiseTile = 16384;

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_BROADCAST_H_
