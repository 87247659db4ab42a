#include "delegate/kernels/softmax/logarithm.h"

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/softmax/exponential.h"

namespace int8x {
namespace {

constexpr int kInputBits = 12;
constexpr int kBits = 6;  // integer bits that the sum is made with: one more than the result's

int32_t mul(int32_t a, int32_t b) { return saturating_rounding_doubling_high_mul(a, b); }

int32_t shift_left(int32_t x, int exponent) {
  return exponent == 0 ? x : saturating_shift_left(x, exponent);
}

int32_t saturating_add(int32_t a, int32_t b) {
  const int64_t sum = int64_t{a} + b;
  return static_cast<int32_t>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
}

int leading_zeros(int32_t x) { return __builtin_clz(static_cast<uint32_t>(x)); }

}  // namespace

int32_t log_of_at_least_one(int32_t a) {
  constexpr int32_t kSqrtHalf = 1518500250;        // sqrt(1/2), Q0.31
  constexpr int32_t kSqrtSqrtHalf = 1805811301;    // sqrt(sqrt(1/2)), Q0.31
  constexpr int32_t kLogTwo = 1488522236;          // log(2), Q0.31
  constexpr int32_t kQuarter = 1 << (29 - kBits);  // 1/4, Q6.25

  // a = r * 2^power with r near sqrt(sqrt(1/2)), the power in halves: the better of two candidates.
  const int zeros = leading_zeros(a);
  const int32_t r_half = shift_left(mul(shift_left(a, zeros - 1), kSqrtHalf), 1);
  const int32_t power_half = saturating_add(shift_left(kInputBits - zeros, 31 - kBits), kQuarter);
  const int less = leading_zeros(mul(a, kSqrtHalf)) - 1;
  const int32_t r_whole = shift_left(a, less);
  const int32_t power_whole = saturating_add(shift_left(kInputBits - less, 31 - kBits), -kQuarter);
  const int32_t r = r_half < r_whole ? r_half : r_whole;
  const int32_t power = power_half > power_whole ? power_half : power_whole;

  // log(r / sqrt(sqrt(1/2))) as a quotient of polynomials in q = 2 (r - sqrt(sqrt(1/2))).
  const int32_t mean = rounding_half_sum(r, kSqrtSqrtHalf);
  const int32_t difference = wrapping_add(r, -kSqrtSqrtHalf);
  const int32_t q = wrapping_add(difference, difference);
  const int32_t q2 = mul(q, q);
  const int32_t numerator = wrapping_add(mul(q, r), mul(mul(q, q2), 117049297));
  const int32_t inner = wrapping_add(wrapping_add(1057819769, q), mul(127690142, q2));
  const int32_t denominator = wrapping_add(mul(mean, inner), mul(638450708, q));
  const int32_t quotient =
      mul(rounding_divide_by_pot(numerator, kBits), one_over_one_plus_x(denominator));
  return saturating_shift_left(wrapping_add(mul(power, kLogTwo), quotient), 1);
}

}  // namespace int8x
