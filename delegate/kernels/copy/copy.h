// PAD and CONCATENATION: bytes moved, none computed (docs/numerics.md, `pad_run`, `concat_run`).
// The reference copies raw: it rescales nothing.

#ifndef INT8X_KERNELS_COPY_COPY_H_
#define INT8X_KERNELS_COPY_COPY_H_

#include <cstddef>
#include <cstdint>

namespace int8x {

constexpr int kMaxPadRank = 6;
constexpr int kMaxConcatInputs = 64;

// output[before + i] = input[i], everything else `fill`: the output's zero point for PAD.
struct PadParams {
  int32_t rank;  // axes without padding are merged into their neighbour
  int64_t in_extent[kMaxPadRank], out_extent[kMaxPadRank], before[kMaxPadRank];
  int64_t in_stride[kMaxPadRank];
  int8_t fill;
};

// padding holds [rank][2]: before and after each axis. False when rank is 0 or exceeds kMaxPadRank,
// an extent is not positive or a padding negative.
bool make_pad_params(const int32_t* dims, const int32_t* padding, int rank, int32_t fill,
                     PadParams* out);

inline size_t pad_scratch_bytes(const PadParams&) { return 0; }
int64_t pad_tiles(const PadParams& params);  // entries of the first merged axis
void pad_run(const PadParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
             int64_t tile_end, void* scratch);
inline const char* pad_kernel_name(const PadParams&) { return "pad_s8_s8_reference"; }

// Inputs side by side along one axis. Along the axes before it the output repeats `outer` times a
// row made of one stretch of each input.
struct ConcatParams {
  int32_t inputs;
  int64_t outer;
  int64_t bytes[kMaxConcatInputs];   // of one stretch; 0 for an input without elements
  int64_t offset[kMaxConcatInputs];  // where it starts in the row
  int64_t row_bytes;
};

// extents[i] is input i's extent along the axis, outer and inner the products of the others before
// and after it. False when there are no inputs or more than kMaxConcatInputs, an extent is
// negative, the output is empty, or outer or inner is not positive.
bool make_concat_params(const int32_t* extents, int inputs, int64_t outer, int64_t inner,
                        ConcatParams* out);

inline size_t concat_scratch_bytes(const ConcatParams&) { return 0; }
int64_t concat_tiles(const ConcatParams& params);  // blocks of rows
void concat_run(const ConcatParams& params, const int8_t* const* inputs, int8_t* output,
                int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* concat_kernel_name(const ConcatParams&) { return "concat_s8_s8_reference"; }

}  // namespace int8x

#endif  // INT8X_KERNELS_COPY_COPY_H_
