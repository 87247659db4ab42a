// Counts what malloc and its kin hand out, in the whole process.

#ifndef INT8X_TESTS_TFLITE_HOST_ALLOCATIONS_H_
#define INT8X_TESTS_TFLITE_HOST_ALLOCATIONS_H_

#include <cstdint>

namespace int8x::host {

int64_t allocations();       // calls so far
int64_t live_allocations();  // calls not yet freed
int64_t allocated_bytes();   // asked for so far

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_ALLOCATIONS_H_
