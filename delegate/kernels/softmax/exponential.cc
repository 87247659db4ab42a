#include "delegate/kernels/softmax/exponential.h"

namespace int8x {
namespace {

int32_t mul(int32_t a, int32_t b) { return saturating_rounding_doubling_high_mul(a, b); }

// exp(a) for a in [-1/4, 0), Q0.31: exp(-1/8) times a Taylor polynomial about -1/8.
int32_t exp_on_quarter(int32_t a) {
  constexpr int32_t kExpOfMinusEighth = 1895147668;  // exp(-1/8), Q0.31
  constexpr int32_t kOneThird = 715827883;           // 1/3, Q0.31
  const int32_t x = wrapping_add(a, 1 << 28);
  const int32_t x2 = mul(x, x);
  const int32_t x3 = mul(x2, x);
  const int32_t x4 = mul(x2, x2);
  const int32_t x4_over_4 = rounding_divide_by_pot(x4, 2);
  // x^2 / 2 + x^3 / 6 + x^4 / 24
  const int32_t higher =
      rounding_divide_by_pot(wrapping_add(mul(wrapping_add(x4_over_4, x3), kOneThird), x2), 1);
  return wrapping_add(kExpOfMinusEighth, mul(kExpOfMinusEighth, wrapping_add(x, higher)));
}

}  // namespace

int32_t rounding_half_sum(int32_t a, int32_t b) {
  const int64_t sum = int64_t{a} + b;
  return static_cast<int32_t>((sum + (sum >= 0 ? 1 : -1)) / 2);
}

int32_t exp_on_negative_values(int32_t a) {
  if (a == 0) return INT32_MAX;
  constexpr int32_t kQuarter = 1 << 24;  // 1/4, Q5.26
  const int32_t fraction = (a & (kQuarter - 1)) - kQuarter;
  int32_t result = exp_on_quarter(saturating_shift_left(fraction, 5));
  // exp(-2^k), k = -2 .. 4, Q0.31.
  constexpr int32_t kFactors[] = {1672461947, 1302514674, 790015084, 290630308,
                                  39332535,   720401,     242};
  const int32_t rest = wrapping_add(fraction, -a);
  for (int k = 0; k < 7; ++k) {
    if (rest & (kQuarter << k)) result = mul(result, kFactors[k]);
  }
  return result;
}

int32_t one_over_one_plus_x(int32_t a) {
  constexpr int32_t k48Over17 = 1515870810;              // Q2.29
  constexpr int32_t kMinus32Over17 = -1010580540;        // Q2.29
  const int32_t half = rounding_half_sum(a, INT32_MAX);  // (1 + a) / 2
  int32_t x = wrapping_add(k48Over17, mul(half, kMinus32Over17));
  for (int step = 0; step < 3; ++step) {
    const int32_t error = wrapping_add(1 << 29, -mul(half, x));
    x = wrapping_add(x, saturating_shift_left(mul(x, error), 2));
  }
  return saturating_shift_left(x, 1);
}

}  // namespace int8x
