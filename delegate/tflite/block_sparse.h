// TFLite's sparse encoding of FULLY_CONNECTED weights [rows, columns]: blocks of 1x16, each row's
// kept blocks and their places (block CSR).

#ifndef INT8X_TFLITE_BLOCK_SPARSE_H_
#define INT8X_TFLITE_BLOCK_SPARSE_H_

#include <vector>

#include "delegate/tflite/node_view.h"

namespace int8x {

// nullptr when the tensor is constant int8 in that encoding and every index is in range, which is
// all that TFLite's own int8 kernel takes.
Reason check_block_sparse(const TfLiteTensor& tensor);

// The values [rows, columns] of a tensor that check_block_sparse() has passed.
std::vector<int8_t> unpack_block_sparse(const TfLiteTensor& tensor);

}  // namespace int8x

#endif  // INT8X_TFLITE_BLOCK_SPARSE_H_
