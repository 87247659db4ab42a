#include "delegate/fixed_point/inverse_square_root.h"

namespace int8x {

Multiplier inverse_square_root(int32_t x) {
  if (x <= 1) return {INT32_MAX, 0};
  const auto mul = saturating_rounding_doubling_high_mul;
  int right = 11;  // what the scaling by powers of four leaves to do
  while (x >= 1 << 29) {
    x /= 4;
    ++right;
  }
  const int pairs = (__builtin_clz(static_cast<uint32_t>(x)) - 1) / 2 - 1;
  right -= pairs;
  x <<= 2 * pairs;
  const int32_t half = rounding_divide_by_pot(x >> 1, 1);  // x / 2 in Q3.28
  constexpr int32_t kOneAndAHalf = (1 << 28) + (1 << 27);
  int32_t root = 1 << 28;
  for (int step = 0; step < 5; ++step) {
    // root = 3/2 root - x/2 root^3
    const int32_t cube = saturating_shift_left(mul(mul(root, root), root), 6);
    root = saturating_shift_left(wrapping_add(mul(kOneAndAHalf, root), -mul(half, cube)), 3);
  }
  constexpr int32_t kHalfOfSqrtTwo = 1518500250;  // Q0.31
  root = mul(root, kHalfOfSqrtTwo);
  if (right < 0) {
    root = static_cast<int32_t>(static_cast<uint32_t>(root) << -right);
    right = 0;
  }
  return {root, -right};
}

}  // namespace int8x
