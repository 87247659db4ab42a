#include <cstdlib>
#include <cstring>
#include <new>

#include "delegate/kernels/conv/conv_weights.h"

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

bool has_minus_128(const int8_t* weights, int64_t count) {
  return std::memchr(weights, 0x80, static_cast<size_t>(count)) != nullptr;
}

}  // namespace

void ConvWeightsDeleter::operator()(const ConvWeights* weights) const {
  std::free(const_cast<ConvWeights*>(weights));
}

ConvWeightsPtr conv_pack(const ConvSpec& spec, arch::ArchSet archs) {
  const int group_in_c = spec.in_c / spec.groups, group_out_c = spec.out_c / spec.groups;
  const int64_t row_k = int64_t{spec.kernel_w} * group_in_c;
  const int64_t depth = spec.kernel_h * row_k;
  if (row_k > INT32_MAX / 4) return nullptr;
  const GemmRequantize kernels =
      gemm_requantize_kernels(archs, has_minus_128(spec.weights, spec.out_c * depth), false);
  const GemmKernel& gemm = *kernels.gemm;

  const int64_t columns = round_up(round_up(group_out_c, gemm.panel), kRequantizeColumns);
  const int64_t rhs_bytes = round_up(
      gemm_packed_rhs_bytes(gemm, group_out_c, spec.kernel_h, static_cast<int>(row_k)), kAlignment);
  const int64_t header = round_up(sizeof(ConvWeights), kAlignment);
  const int64_t column_bytes =
      spec.groups * columns * static_cast<int64_t>(sizeof(Multiplier) + sizeof(int32_t));
  const int64_t bytes = header + spec.groups * rhs_bytes + round_up(column_bytes, kAlignment);
  void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(bytes));
  if (memory == nullptr) return nullptr;

  uint8_t* base = static_cast<uint8_t*>(memory);
  int8_t* rhs = reinterpret_cast<int8_t*>(base + header);
  Multiplier* multipliers = reinterpret_cast<Multiplier*>(base + header + spec.groups * rhs_bytes);
  int32_t* bias = reinterpret_cast<int32_t*>(multipliers + spec.groups * columns);
  std::memset(static_cast<void*>(multipliers), 0, static_cast<size_t>(column_bytes));

  bool narrow = true;
  const int32_t offset = lhs_offset(gemm.lhs);
  for (int o = 0; o < spec.out_c; ++o) {
    const int8_t* weights = spec.weights + o * depth;
    int64_t sum = 0, magnitude = 0;
    for (int64_t i = 0; i < depth; ++i) {
      sum += weights[i];
      magnitude += weights[i] < 0 ? -weights[i] : weights[i];
    }
    const int32_t given = spec.bias == nullptr ? 0 : spec.bias[o];
    const int64_t at = o / group_out_c * columns + o % group_out_c;
    bias[at] = static_cast<int32_t>(static_cast<uint32_t>(given) -
                                    static_cast<uint32_t>(sum * (spec.input_zero_point + offset)));
    multipliers[at] = spec.multipliers[o];
    const int64_t bound = magnitude * 255 + (given < 0 ? -int64_t{given} : int64_t{given});
    narrow = narrow && spec.multipliers[o].shift <= 0 && bound < (1 << 30);
  }
  for (int g = 0; g < spec.groups; ++g)
    gemm_pack_rhs(gemm, group_out_c, spec.kernel_h, static_cast<int>(row_k),
                  spec.weights + g * group_out_c * depth, rhs + g * rhs_bytes);

  const int padded_k = gemm_padded_k(gemm, static_cast<int>(row_k));
  return ConvWeightsPtr(new (memory) ConvWeights{
      static_cast<size_t>(bytes), kernels, spec.kernel_h, spec.kernel_w, spec.groups, group_in_c,
      group_out_c, static_cast<int>(row_k), padded_k, narrow, spec.input_zero_point,
      spec.output_zero_point, spec.activation_min, spec.activation_max, rhs, rhs_bytes, bias,
      multipliers, columns});
}

size_t conv_weights_bytes(const ConvWeights& weights) { return weights.bytes; }

int32_t conv_input_zero_point(const ConvWeights& weights) { return weights.input_zero_point; }

const char* conv_kernel_name(const ConvWeights& weights) {
  return gemm_requantize_name(weights.kernels, weights.narrow);
}

}  // namespace int8x
