#include <cstdlib>
#include <cstring>
#include <new>

#include "delegate/kernels/sparse/sparse_weights.h"

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

bool kept(const int8_t* four) {
  int32_t bits;
  std::memcpy(&bits, four, 4);
  return bits != 0;
}

// The parts of one allocation.
struct Parts {
  int64_t ends, list, weights, counts, bias, scales, bytes;
};

// Bytes of the parts that depend on the kernel.
struct Sizes {
  int64_t ends, list, weights, counts;
};

Sizes sizes_of(const SparseSpec& spec, const SparseKernel& kernel, int64_t chunks, int64_t kept) {
  return {chunks * (spec.out_c + 1) * 4, kept, kept * 4 * bytes_of(kernel.format), 0};
}

Sizes sizes_of(const SparseSpec& spec, const std::vector<uint8_t>& counts) {
  int64_t blocks = 0;
  for (uint8_t count : counts) blocks += int64_t{count} * kSparseRowPanel;
  return {int64_t{sparse_panels(spec.out_c) + 1} * 4, blocks, blocks * 4,
          static_cast<int64_t>(counts.size())};
}

Parts parts_of(const SparseSpec& spec, const Sizes& sizes) {
  const int64_t columns = round_up(spec.out_c, kRequantizeColumns);
  const int64_t scale = spec.multipliers != nullptr ? sizeof(Multiplier) : sizeof(double);
  Parts p;
  p.ends = round_up(sizeof(SparseWeights), kAlignment);
  p.list = p.ends + round_up(sizes.ends, kAlignment);
  p.weights = p.list + round_up(sizes.list, kAlignment);
  p.counts = p.weights + round_up(sizes.weights, kAlignment);
  p.scales = p.counts + round_up(sizes.counts, kAlignment);
  p.bias = p.scales + round_up(columns * scale, kAlignment);
  p.bytes = p.bias + round_up(columns * 4, kAlignment);
  return p;
}

void write_lists(const SparseSpec& spec, SparseFormat format, uint32_t* ends, uint8_t* list,
                 void* weights) {
  const int blocks = spec.taps * (spec.in_c / 4);
  uint32_t k = 0;
  for (int chunk = 0; chunk < blocks; chunk += kSparseChunk) {
    const int end = blocks - chunk < kSparseChunk ? blocks - chunk : kSparseChunk;
    for (int o = 0; o < spec.out_c; ++o) {
      *ends++ = k;
      const int8_t* row = spec.weights + (int64_t{o} * blocks + chunk) * 4;
      for (int b = 0; b < end; ++b) {
        const int8_t* four = row + 4 * b;
        if (!kept(four)) continue;
        list[k] = static_cast<uint8_t>(b);
        for (int i = 0; i < 4; ++i) {
          if (format == SparseFormat::s16) {
            static_cast<int16_t*>(weights)[int64_t{k} * 4 + i] = four[i];
          } else {
            static_cast<int8_t*>(weights)[int64_t{k} * 4 + i] = four[i];
          }
        }
        ++k;
      }
    }
    *ends++ = k;
  }
}

// What does not depend on the input. Returns whether all sums are narrow.
bool write_bias(const SparseSpec& spec, int32_t offset, int32_t* bias) {
  const int64_t depth = int64_t{spec.taps} * spec.in_c;
  bool narrow = spec.multipliers != nullptr;
  for (int o = 0; o < spec.out_c; ++o) {
    const int8_t* weights = spec.weights + o * depth;
    int64_t sum = 0, magnitude = 0;
    for (int64_t i = 0; i < depth; ++i) {
      sum += weights[i];
      magnitude += weights[i] < 0 ? -weights[i] : weights[i];
    }
    const int32_t given = spec.bias == nullptr ? 0 : spec.bias[o];
    bias[o] = static_cast<int32_t>(static_cast<uint32_t>(given) -
                                   static_cast<uint32_t>(sum * (spec.input_zero_point + offset)));
    const int64_t bound = magnitude * 255 + (given < 0 ? -int64_t{given} : int64_t{given});
    narrow = narrow && spec.multipliers[o].shift <= 0 && bound < (1 << 30);
  }
  return narrow;
}

}  // namespace

void SparseWeightsDeleter::operator()(const SparseWeights* weights) const {
  std::free(const_cast<SparseWeights*>(weights));
}

int64_t sparse_kept_blocks(const int8_t* weights, int64_t rows, int in_c) {
  int64_t count = 0;
  for (int64_t b = 0; b < rows * (in_c / 4); ++b) count += kept(weights + 4 * b);
  return count;
}

SparseWeightsPtr sparse_pack(const SparseSpec& spec, arch::ArchSet archs) {
  const SparseKernel& kernel = sparse_kernel(archs);
  const int64_t blocks = int64_t{spec.taps} * (spec.in_c / 4);
  const int64_t rows = int64_t{spec.out_c} * spec.taps;
  if (blocks > INT32_MAX / 1024 || blocks * spec.out_c > UINT32_MAX / 8) return nullptr;
  const SparseRowKernel* by_row =
      spec.by_row && spec.taps == 1 ? sparse_row_kernel(archs) : nullptr;
  const int chunk = by_row != nullptr ? kSparseRowChunk : kSparseChunk;
  const int64_t chunks = (blocks + chunk - 1) / chunk;
  const int64_t kept = sparse_kept_blocks(spec.weights, rows, spec.in_c);
  const std::vector<uint8_t> counts =
      by_row != nullptr ? sparse_row_counts(spec) : std::vector<uint8_t>();
  const Parts parts = parts_of(
      spec, by_row != nullptr ? sizes_of(spec, counts) : sizes_of(spec, kernel, chunks, kept));
  void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(parts.bytes));
  if (memory == nullptr) return nullptr;

  uint8_t* base = static_cast<uint8_t*>(memory);
  uint32_t* ends = reinterpret_cast<uint32_t*>(base + parts.ends);
  int32_t* bias = reinterpret_cast<int32_t*>(base + parts.bias);
  std::memset(base + parts.scales, 0, static_cast<size_t>(parts.bytes - parts.scales));
  if (by_row != nullptr) {
    std::memcpy(base + parts.counts, counts.data(), counts.size());
    write_sparse_rows(spec, counts, ends, base + parts.list,
                      reinterpret_cast<int8_t*>(base + parts.weights));
  } else {
    write_lists(spec, kernel.format, ends, base + parts.list, base + parts.weights);
  }
  const int32_t offset = by_row != nullptr ? 128 : lhs_offset(kernel.format);
  const bool narrow = write_bias(spec, offset, bias);
  Multiplier* multipliers = nullptr;
  double* scales = nullptr;
  if (spec.multipliers != nullptr) {
    multipliers = reinterpret_cast<Multiplier*>(base + parts.scales);
    for (int o = 0; o < spec.out_c; ++o) multipliers[o] = spec.multipliers[o];
  } else {
    scales = reinterpret_cast<double*>(base + parts.scales);
    for (int o = 0; o < spec.out_c; ++o) scales[o] = spec.scales[spec.scale_count == 1 ? 0 : o];
  }
  const RequantizeKernel& requantize =
      multipliers != nullptr ? requantize_kernel(archs) : requantize_double_kernel(archs);
  return SparseWeightsPtr(new (memory) SparseWeights{static_cast<size_t>(parts.bytes),
                                                     &kernel,
                                                     &requantize,
                                                     spec.out_c,
                                                     spec.taps,
                                                     spec.in_c,
                                                     static_cast<int>(blocks),
                                                     static_cast<int>(chunks),
                                                     kept,
                                                     narrow,
                                                     spec.input_zero_point,
                                                     spec.output_zero_point,
                                                     spec.activation_min,
                                                     spec.activation_max,
                                                     ends,
                                                     base + parts.list,
                                                     base + parts.weights,
                                                     bias,
                                                     multipliers,
                                                     scales,
                                                     by_row,
                                                     base + parts.counts});
}

size_t sparse_weights_bytes(const SparseWeights& weights) { return weights.bytes; }

int64_t sparse_weights_kept(const SparseWeights& weights) { return weights.kept; }

const char* sparse_kernel_name(const SparseWeights& weights) {
  return weights.by_row != nullptr ? weights.by_row->name : weights.kernel->name;
}

}  // namespace int8x
