// <immintrin.h> for files compiled for AVX-512, without what GCC 12 says of its own header.

#ifndef INT8X_BASE_AVX512_H_
#define INT8X_BASE_AVX512_H_

#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#endif  // INT8X_BASE_AVX512_H_
