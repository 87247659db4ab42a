#include "delegate/kernels/sparse/leaf.h"

namespace int8x {
namespace {

#define INT8X_SPARSE_NONE(name) nullptr
#define INT8X_SPARSE_FUSED(name) name
#define INT8X_SPARSE_KERNEL(arch, name, format, lanes, most_lanes, FUSED) \
  {#name,      arch, SparseFormat::format, lanes,                         \
   most_lanes, name, name##_pack,          FUSED(name##_requantize)},
#define INT8X_SPARSE_ROW_KERNEL(arch, name)
constexpr SparseKernel kKernels[] = {
#include "delegate/kernels/sparse/kernels.inc"
};
#undef INT8X_SPARSE_KERNEL
#undef INT8X_SPARSE_ROW_KERNEL
#undef INT8X_SPARSE_FUSED
#undef INT8X_SPARSE_NONE

constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

#define INT8X_SPARSE_KERNEL(...)
#define INT8X_SPARSE_ROW_KERNEL(arch, name) {#name, arch, name},
constexpr SparseRowKernel kRowKernels[] = {
#include "delegate/kernels/sparse/kernels.inc"
    {nullptr, arch::reference, nullptr},  // the end of the list
};
#undef INT8X_SPARSE_KERNEL
#undef INT8X_SPARSE_ROW_KERNEL

}  // namespace

const SparseKernel& sparse_kernel(arch::ArchSet archs) {
  for (const SparseKernel& kernel : kKernels)
    if (arch::has(archs, kernel.arch)) return kernel;
  return kKernels[kKernelCount - 1];
}

const SparseRowKernel* sparse_row_kernel(arch::ArchSet archs) {
  for (const SparseRowKernel* kernel = kRowKernels; kernel->run != nullptr; ++kernel)
    if (arch::has(archs, kernel->arch)) return kernel;
  return nullptr;
}

const SparseKernel* sparse_kernels(int* count) {
  *count = kKernelCount;
  return kKernels;
}

}  // namespace int8x
