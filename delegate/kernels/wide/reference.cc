#include "delegate/kernels/wide/dot.h"

namespace int8x {

void dot_s16_s16_s64_reference(const WideDot& d) {
  for (int i = 0; i < d.m; ++i) {
    for (int j = 0; j < d.n; ++j) {
      const int16_t* a = d.lhs + int64_t{i} * d.k;
      const int16_t* b = d.rhs + int64_t{j} * d.k;
      int64_t sum = 0;
      for (int k = 0; k < d.k; ++k) sum += a[k] * b[k];
      d.sums[int64_t{i} * d.n + j] = sum;
    }
  }
}

}  // namespace int8x
