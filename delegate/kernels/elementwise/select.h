// SELECT, SELECT_V2 (docs/numerics.md, `select_run`): elements of one of two tensors, as a third
// says; all three broadcast. Raw: nothing is computed.
//
//   output = condition ? on : off

#ifndef INT8X_KERNELS_ELEMENTWISE_SELECT_H_
#define INT8X_KERNELS_ELEMENTWISE_SELECT_H_

#include <cstddef>
#include <cstdint>

#include "delegate/kernels/elementwise/broadcast.h"

namespace int8x {

struct SelectParams {
  BroadcastAxes axes;
  // In elements; 0 where the operand repeats.
  int64_t condition_stride[kMaxBroadcastRank];
  int64_t on_stride[kMaxBroadcastRank], off_stride[kMaxBroadcastRank];
  int element_bytes;  // of on, off and output; a condition's element is one byte, not 0 if it holds
};

// element_bytes is 1 or 2. False on other sizes, and where make_broadcast_axes() is.
bool make_select_params(const Operand& condition, const Operand& on, const Operand& off,
                        int element_bytes, SelectParams* out);

inline size_t select_scratch_bytes(const SelectParams&) { return 0; }
int64_t select_tiles(const SelectParams& params);  // stretches of the output
void select_run(const SelectParams& params, const uint8_t* condition, const void* on,
                const void* off, void* output, int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* select_kernel_name(const SelectParams&) { return "select_x8_x8_reference"; }

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_SELECT_H_
