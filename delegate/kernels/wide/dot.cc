#include "delegate/kernels/wide/dot.h"

namespace int8x {
namespace {

constexpr WideDotKernel kKernels[] = {
#define INT8X_WIDE_DOT_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/wide/kernels.inc"
};

}  // namespace

WideDotKernelList wide_dot_kernels() { return {kKernels, sizeof(kKernels) / sizeof(*kKernels)}; }

const WideDotKernel& wide_dot_kernel(arch::ArchSet archs) {
  const WideDotKernel* kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), kernel->arch)) ++kernel;
  return *kernel;
}

}  // namespace int8x
