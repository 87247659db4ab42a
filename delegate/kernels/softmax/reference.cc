#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/softmax/exponential.h"
#include "delegate/kernels/softmax/leaf.h"

namespace int8x {
namespace {

// The outputs of one row: they depend on d = input - max alone.
struct Quotients {
  int32_t reciprocal;  // Q0.31
  int exponent;        // of the divisor, 35 - z
};

int8_t quotient(const SoftmaxParams& p, int32_t d, Quotients q) {
  if (d <= -p.terms || q.exponent > 31) return -128;
  const int32_t scaled = saturating_rounding_doubling_high_mul(q.reciprocal, p.exponential[-d]);
  return static_cast<int8_t>(clamp(rounding_divide_by_pot(scaled, q.exponent) - 128, -128, 127));
}

}  // namespace

void softmax_s8_s8_reference(const SoftmaxParams& p, const int8_t* input, int8_t* output) {
  int8_t max = INT8_MIN;
  for (int64_t i = 0; i < p.depth; ++i) {
    if (input[i] > max) max = input[i];
  }
  int64_t sum = 0;  // Q12.19; term[] is 0 where d is left out
  for (int64_t i = 0; i < p.depth; ++i) sum += p.term[max - input[i]];

  // At least the largest element is in the sum, so it is 2^19 or more.
  Quotients q = {0, 32};
  if (sum < int64_t{512} << 19) {
    const int zeros = __builtin_clz(static_cast<uint32_t>(sum));
    const int32_t above_one =
        static_cast<int32_t>((static_cast<uint32_t>(sum) << zeros) - (uint32_t{1} << 31));
    q = {one_over_one_plus_x(above_one), 35 - zeros};
  }
  constexpr int64_t kTableFrom = 512;
  if (p.depth < kTableFrom) {
    for (int64_t i = 0; i < p.depth; ++i) output[i] = quotient(p, input[i] - max, q);
    return;
  }
  int8_t table[256];
  for (int32_t d = 0; d < 256; ++d) table[d] = quotient(p, -d, q);
  for (int64_t i = 0; i < p.depth; ++i) output[i] = table[max - input[i]];
}

}  // namespace int8x
