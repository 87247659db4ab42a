// The kernels of the sparse family. Pixels lie across a vector and one block of four weights is
// broadcast to all of them, so that a kernel does the kept blocks' products and no others; for a
// single pixel see SparseRow.

#ifndef INT8X_KERNELS_SPARSE_LEAF_H_
#define INT8X_KERNELS_SPARSE_LEAF_H_

#include <stdint.h>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

// How a kernel wants pixels and weights. `u8` adds 128 to every pixel, `s16` widens both.
enum class SparseFormat : uint8_t { s8, u8, s16 };

constexpr int bytes_of(SparseFormat format) { return format == SparseFormat::s16 ? 2 : 1; }
constexpr int lhs_offset(SparseFormat format) { return format == SparseFormat::u8 ? 128 : 0; }

// Blocks [chunk] whose pixels stay in the first-level cache; block numbers fit a byte.
constexpr int kSparseChunk = 64;

// Sums and bytes of one channel lie together, this many pixels apart at most.
constexpr int kSparsePixels = 128;

// Output channels that are worked through at once.
constexpr int kSparseChannels = 64;

// sums[j][p] = before[j][p] + sum over the blocks of channel j and i of lhs[block, p, i] * w[i],
// wrapping in int32.
struct SparseBlock {
  const void* lhs;        // this chunk: [blocks][pixels][4], in the kernel's own order inside
  int pixels;             // a multiple of the kernel's lanes, at most kSparsePixels
  int channels;           // at most kSparseChannels
  const uint32_t* ends;   // channel j has the list positions [ends[j], ends[j + 1])
  const uint8_t* blocks;  // numbers of kept blocks in this chunk
  const void* weights;    // four for each, int8, or int16 for s16
  const int32_t* before;  // [channels][kSparsePixels], or null for zeros
  int32_t* sums;          // [channels][kSparsePixels], may be `before`
};

// Sums of the last chunk become int8 where they were summed; narrow multipliers only.
struct SparseOutput {
  const int32_t* bias;  // of the block's first channel, as are multipliers
  const Multiplier* multipliers;
  int32_t zero_point, min, max;
  int8_t* bytes;  // scratch, [kSparseChannels][kSparsePixels]
  int8_t* out;    // pixel p, channel j go to out[p * out_stride + j]
  int64_t out_stride;
  int valid;  // pixels that are written
};

struct SparseKernel {
  const char* name;
  arch::Arch arch;
  SparseFormat format;
  int lanes;       // pixels of a vector
  int most_lanes;  // pixels of a call, at most
  void (*run)(const SparseBlock& block);
  // Copies `blocks` blocks of pixels[0, count) to lhs.
  void (*pack)(const int8_t* const* pixels, int count, int blocks, void* lhs);
  // run() and requantize at once, or null.
  void (*run_requantize)(const SparseBlock& block, const SparseOutput& output);
};

// For a single pixel 16 output channels lie across a vector instead, each with kept blocks of its
// own. Blocks go in chunks, whose pixels two registers hold. Entry n of a chunk is each channel's
// n-th kept block there; channels with fewer are filled up with weights of zero.
constexpr int kSparseRowChunk = 32, kSparseRowPanel = 16;

struct SparseRow {
  const uint8_t* lhs;  // [chunks][kSparseRowChunk][4], pixels + 128
  int chunks, panels;
  const uint8_t* counts;  // [panels][chunks]: entries
  const uint8_t* places;  // [entries][kSparseRowPanel]: numbers of blocks in the chunk
  const int8_t* weights;  // [entries][kSparseRowPanel][4], aligned to 64
  int32_t* sums;          // [panels][kSparseRowPanel]
};

struct SparseRowKernel {
  const char* name;
  arch::Arch arch;
  void (*run)(const SparseRow& row);
};

// The best kernel for these instruction sets, or null where none has one.
const SparseRowKernel* sparse_row_kernel(arch::ArchSet archs);

// The best kernel for these instruction sets.
const SparseKernel& sparse_kernel(arch::ArchSet archs);

// All kernels of this platform, best first; the last is the reference.
const SparseKernel* sparse_kernels(int* count);

#define INT8X_SPARSE_NONE(name)
#define INT8X_SPARSE_FUSED(name) void name(const SparseBlock& block, const SparseOutput& output);
#define INT8X_SPARSE_KERNEL(arch, name, format, lanes, most_lanes, FUSED)          \
  void name(const SparseBlock& block);                                             \
  void name##_pack(const int8_t* const* pixels, int count, int blocks, void* lhs); \
  FUSED(name##_requantize)
#define INT8X_SPARSE_ROW_KERNEL(arch, name) void name(const SparseRow& row);
#include "delegate/kernels/sparse/kernels.inc"
#undef INT8X_SPARSE_KERNEL
#undef INT8X_SPARSE_ROW_KERNEL
#undef INT8X_SPARSE_FUSED
#undef INT8X_SPARSE_NONE

}  // namespace int8x

#endif  // INT8X_KERNELS_SPARSE_LEAF_H_
