// Registers the benchmarks of the kernel families.

#ifndef INT8X_BENCHMARKS_KERNELS_FAMILIES_H_
#define INT8X_BENCHMARKS_KERNELS_FAMILIES_H_

namespace int8x {

void add_products();       // gemm, conv, sparse, fully_connected
void add_layers();         // depthwise, batch_matmul, wide convolutions
void add_rows();           // requantize, observe
void add_elements();       // elementwise, lut, convert, softmax
void add_windows();        // pool, reduce, resize, copy
void add_wide_elements();  // the rest of wide

}  // namespace int8x

#endif  // INT8X_BENCHMARKS_KERNELS_FAMILIES_H_
