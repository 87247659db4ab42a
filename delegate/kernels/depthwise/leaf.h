// What a depthwise kernel is, and the declarations of those listed in kernels.inc.

#ifndef INT8X_KERNELS_DEPTHWISE_LEAF_H_
#define INT8X_KERNELS_DEPTHWISE_LEAF_H_

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/depthwise/depthwise.h"

namespace int8x {

// One unit of work: output[batch, row_begin .. row_end, :, channel_begin .. channel_end].
struct DepthwiseTile {
  int32_t batch;
  int32_t row_begin, row_end;
  int32_t channel_begin, channel_end;
};

struct DepthwiseKernel {
  arch::Arch arch;
  const char* name;
  int32_t channel_block;               // channel_begin of a tile is a multiple of it
  bool (*fits)(const DepthwiseSpec&);  // whether the kernel can compute this layer
  size_t (*packed_bytes)(const DepthwiseSpec&);
  void (*pack)(const DepthwiseSpec&, void* packed);  // packed is aligned to 64 bytes
  size_t (*scratch_bytes)(const DepthwiseParams&);
  void (*run)(const DepthwiseParams&, const int8_t* input, int8_t* output, const DepthwiseTile&,
              void* scratch);
};

struct DepthwiseWeights {
  DepthwiseSpec spec;  // its pointers are null
  int32_t channels;    // of the output
  const void* packed;  // in the kernel's own layout
  size_t bytes;
  const DepthwiseKernel* kernel;
};

struct DepthwiseKernelList {
  const DepthwiseKernel* kernels;  // best first; the last is the reference
  int count;
};
DepthwiseKernelList depthwise_kernels();

// Packs for one kernel, which must fit; the spec must be valid. Null when memory ran out.
DepthwiseWeightsPtr depthwise_pack_for(const DepthwiseSpec& spec, const DepthwiseKernel& kernel);

inline int32_t depthwise_channels(const DepthwiseSpec& spec) {
  return spec.in_c * spec.depth_multiplier;
}

// QM of output channel c.
Multiplier depthwise_multiplier(const DepthwiseSpec& spec, int32_t c);

// bias[c] - input_zero_point * (sum of the channel's filter), wrapping: what is left of the
// accumulator when taps are multiplied as they are stored, each plus `input_offset`, and taps
// outside the input read as the zero point.
int32_t depthwise_folded_bias(const DepthwiseSpec& spec, int32_t c, int32_t input_offset);

#define INT8X_DEPTHWISE_KERNEL(arch, name, channel_block)                                      \
  bool name##_fits(const DepthwiseSpec&);                                                      \
  size_t name##_packed_bytes(const DepthwiseSpec&);                                            \
  void name##_pack(const DepthwiseSpec&, void* packed);                                        \
  size_t name##_scratch_bytes(const DepthwiseParams&);                                         \
  void name(const DepthwiseParams&, const int8_t* input, int8_t* output, const DepthwiseTile&, \
            void* scratch);
#include "delegate/kernels/depthwise/kernels.inc"
#undef INT8X_DEPTHWISE_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_DEPTHWISE_LEAF_H_
