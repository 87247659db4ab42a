#include "delegate/tflite/block_sparse.h"

#include <cstring>

namespace int8x {
namespace {

constexpr int kBlock = 16;

bool equals(const TfLiteIntArray* array, std::initializer_list<int> wanted) {
  if (array == nullptr || array->size != static_cast<int>(wanted.size())) return false;
  return std::memcmp(array->data, wanted.begin(), wanted.size() * sizeof(int)) == 0;
}

bool block_csr(const TfLiteSparsity& s) {
  return equals(s.traversal_order, {0, 1, 2}) && equals(s.block_map, {1}) &&
         s.dim_metadata != nullptr && s.dim_metadata_size == 3 &&
         s.dim_metadata[0].format == kTfLiteDimDense &&
         s.dim_metadata[1].format == kTfLiteDimSparseCSR &&
         s.dim_metadata[2].format == kTfLiteDimDense && s.dim_metadata[2].dense_size == kBlock;
}

}  // namespace

Reason check_block_sparse(const TfLiteTensor& tensor) {
  Shape shape;
  if (tensor.type != kTfLiteInt8 || tensor.allocation_type != kTfLiteMmapRo ||
      tensor.data == nullptr || tensor.sparsity == nullptr || !read_shape(tensor, &shape)) {
    return "weights that are not constant int8";
  }
  const TfLiteSparsity& sparsity = *tensor.sparsity;
  if (!block_csr(sparsity) || shape.rank != 2 || shape.dims[1] % kBlock != 0 ||
      sparsity.dim_metadata[0].dense_size != shape.dims[0]) {
    return "sparse weights that are not blocks of 1x16";
  }
  const TfLiteIntArray* segments = sparsity.dim_metadata[1].array_segments;
  const TfLiteIntArray* indices = sparsity.dim_metadata[1].array_indices;
  const Reason broken = "sparse weights whose blocks are out of range";
  if (segments == nullptr || indices == nullptr || segments->size != shape.dims[0] + 1 ||
      segments->data[0] != 0 || segments->data[shape.dims[0]] != indices->size ||
      tensor.bytes != static_cast<size_t>(indices->size) * kBlock) {
    return broken;
  }
  for (int row = 0; row < shape.dims[0]; ++row) {
    if (segments->data[row] > segments->data[row + 1]) return broken;
    // Each block at most once, as in TFLite's sums.
    for (int i = segments->data[row]; i < segments->data[row + 1]; ++i) {
      if (indices->data[i] < 0 || indices->data[i] >= shape.dims[1] / kBlock) return broken;
      if (i > segments->data[row] && indices->data[i] <= indices->data[i - 1]) return broken;
    }
  }
  return nullptr;
}

std::vector<int8_t> unpack_block_sparse(const TfLiteTensor& tensor) {
  Shape shape;
  read_shape(tensor, &shape);
  const TfLiteDimensionMetadata& blocks = tensor.sparsity->dim_metadata[1];
  const int8_t* from = static_cast<const int8_t*>(tensor.data);
  std::vector<int8_t> out(static_cast<size_t>(shape.elements()), 0);
  for (int row = 0; row < shape.dims[0]; ++row) {
    int8_t* to = out.data() + int64_t{row} * shape.dims[1];
    for (int i = blocks.array_segments->data[row]; i < blocks.array_segments->data[row + 1]; ++i) {
      std::memcpy(to + int64_t{blocks.array_indices->data[i]} * kBlock, from + int64_t{i} * kBlock,
                  kBlock);
    }
  }
  return out;
}

}  // namespace int8x
