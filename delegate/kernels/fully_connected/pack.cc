#include <cstdlib>
#include <cstring>
#include <new>

#include "delegate/kernels/fully_connected/weights.h"

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

void FullyConnectedWeightsDeleter::operator()(const FullyConnectedWeights* weights) const {
  std::free(const_cast<FullyConnectedWeights*>(weights));
}

FullyConnectedWeightsPtr fully_connected_pack(const FullyConnectedSpec& spec, arch::ArchSet archs) {
  const int64_t count = int64_t{spec.out_c} * spec.in_c;
  if (spec.in_c > INT32_MAX / 4) return nullptr;
  const bool has_minus_128 = std::memchr(spec.weights, 0x80, static_cast<size_t>(count)) != nullptr;
  const GemmRequantize kernels = gemm_requantize_kernels(archs, has_minus_128, true);
  const GemmKernel& gemm = *kernels.gemm;

  const int64_t columns = round_up(round_up(spec.out_c, gemm.panel), kRequantizeColumns);
  const int64_t header = round_up(sizeof(FullyConnectedWeights), kAlignment);
  const int64_t rhs_bytes =
      round_up(gemm_packed_rhs_bytes(gemm, spec.out_c, 1, spec.in_c), kAlignment);
  const int64_t column_bytes = columns * static_cast<int64_t>(sizeof(double) + sizeof(int32_t));
  const int64_t bytes = header + rhs_bytes + round_up(column_bytes, kAlignment);
  void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(bytes));
  if (memory == nullptr) return nullptr;

  uint8_t* base = static_cast<uint8_t*>(memory);
  int8_t* rhs = reinterpret_cast<int8_t*>(base + header);
  double* scales = reinterpret_cast<double*>(base + header + rhs_bytes);
  int32_t* bias = reinterpret_cast<int32_t*>(scales + columns);
  std::memset(static_cast<void*>(scales), 0, static_cast<size_t>(column_bytes));

  // (q - zi) * (w - zw) = q * w - zi * w - zw * q + zi * zw; all but the first and third sum is
  // here.
  const int64_t offset = lhs_offset(gemm.lhs);
  const int64_t zero_points = int64_t{spec.in_c} * spec.input_zero_point * spec.weights_zero_point;
  for (int o = 0; o < spec.out_c; ++o) {
    const int8_t* weights = spec.weights + int64_t{o} * spec.in_c;
    int64_t sum = 0;
    for (int i = 0; i < spec.in_c; ++i) sum += weights[i];
    const int64_t constant = zero_points - sum * (spec.input_zero_point + offset);
    const int32_t given = spec.bias == nullptr ? 0 : spec.bias[o];
    bias[o] = wrapping_add(given, static_cast<int32_t>(static_cast<uint64_t>(constant)));
    scales[o] = spec.scales[spec.scale_count == 1 ? 0 : o];
  }
  gemm_pack_rhs(gemm, spec.out_c, 1, spec.in_c, spec.weights, rhs);
  return FullyConnectedWeightsPtr(new (memory) FullyConnectedWeights{
      static_cast<size_t>(bytes), kernels, spec.in_c, spec.out_c, gemm_padded_k(gemm, spec.in_c),
      spec.weights_zero_point, spec.output_zero_point, spec.activation_min, spec.activation_max,
      rhs, bias, scales});
}

size_t fully_connected_weights_bytes(const FullyConnectedWeights& weights) { return weights.bytes; }

const char* fully_connected_kernel_name(const FullyConnectedWeights& weights) {
  return gemm_requantize_name(weights.kernels, false);
}

}  // namespace int8x
