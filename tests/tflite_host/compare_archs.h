// One graph in the delegate once for each instruction set: all must take the same nodes and give
// the same integers.

#ifndef INT8X_TESTS_TFLITE_HOST_COMPARE_ARCHS_H_
#define INT8X_TESTS_TFLITE_HOST_COMPARE_ARCHS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace int8x::host {

struct Comparison {
  std::string difference;             // "" when there is none
  int taken = 0;                      // nodes
  bool ran = false, resized = false;  // resized: ran again, with another batch
};

// The graph of net_from_bytes(data, size), by the reference and by each other set that this CPU
// has, with 1 and with 2 threads in turn.
Comparison compare_archs(const uint8_t* data, size_t size);

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_COMPARE_ARCHS_H_
