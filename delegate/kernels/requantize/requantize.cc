#include "delegate/kernels/requantize/requantize.h"

namespace int8x {
namespace {

#define INT8X_REQUANTIZE_KERNEL(arch, name) {#name, arch, name},
#define INT8X_REQUANTIZE_DOUBLE_KERNEL(arch, name)
constexpr RequantizeKernel kKernels[] = {
#include "delegate/kernels/requantize/kernels.inc"
};
#undef INT8X_REQUANTIZE_KERNEL
#undef INT8X_REQUANTIZE_DOUBLE_KERNEL

#define INT8X_REQUANTIZE_KERNEL(arch, name)
#define INT8X_REQUANTIZE_DOUBLE_KERNEL(arch, name) {#name, arch, name},
constexpr RequantizeKernel kDoubleKernels[] = {
#include "delegate/kernels/requantize/kernels.inc"
};
#undef INT8X_REQUANTIZE_KERNEL
#undef INT8X_REQUANTIZE_DOUBLE_KERNEL

template <int count>
const RequantizeKernel& first_of(const RequantizeKernel (&kernels)[count], arch::ArchSet archs) {
  for (const RequantizeKernel& kernel : kernels)
    if (arch::has(archs, kernel.arch)) return kernel;
  return kernels[count - 1];
}

}  // namespace

const RequantizeKernel& requantize_kernel(arch::ArchSet archs) { return first_of(kKernels, archs); }

const RequantizeKernel& requantize_double_kernel(arch::ArchSet archs) {
  return first_of(kDoubleKernels, archs);
}

const RequantizeKernel* requantize_kernels(int* count) {
  *count = sizeof(kKernels) / sizeof(kKernels[0]);
  return kKernels;
}

const RequantizeKernel* requantize_double_kernels(int* count) {
  *count = sizeof(kDoubleKernels) / sizeof(kDoubleKernels[0]);
  return kDoubleKernels;
}

}  // namespace int8x
