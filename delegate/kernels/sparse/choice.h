// Whether a layer runs sparse: a cost table, measured with benchmarks/kernels. Nothing is timed
// at load.

#ifndef INT8X_KERNELS_SPARSE_CHOICE_H_
#define INT8X_KERNELS_SPARSE_CHOICE_H_

#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

// What the user asks for: the table's choice, every layer that can be sparse, or none.
enum class SparseUse : uint8_t { automatic, on, off };

// A layer as it is when its weights are packed; `kept` as sparse_kept_blocks() counts.
struct SparseLayer {
  int64_t pixels;  // of the output, all images
  int out_c, taps, in_c;
  int64_t kept;
};

// Whether a single output pixel has a kernel of its own, to which SparseSpec::by_row leads.
bool sparse_by_row(const SparseLayer& layer, arch::ArchSet archs);

// Rough nanoseconds on one fast core, by the best instruction set that may run.
int64_t sparse_nanoseconds(const SparseLayer& layer, arch::ArchSet archs);
int64_t dense_nanoseconds(const SparseLayer& layer, arch::ArchSet archs);

// Whether the layer is to run sparse. in_c must be a multiple of 4 for it.
bool sparse_chosen(SparseUse use, const SparseLayer& layer, arch::ArchSet archs);

}  // namespace int8x

#endif  // INT8X_KERNELS_SPARSE_CHOICE_H_
