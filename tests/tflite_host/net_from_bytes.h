// A graph read out of a fuzzer's bytes: mostly operators that hold together, so that they are taken
// and run, some of them spoilt.

#ifndef INT8X_TESTS_TFLITE_HOST_NET_FROM_BYTES_H_
#define INT8X_TESTS_TFLITE_HOST_NET_FROM_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/tflite_host/host.h"

namespace int8x::host {

struct BuiltNet {
  std::vector<int> outputs;
  bool may_run;   // every size is one that a runtime would give memory to
  int new_batch;  // what axis 0 of tensor 0 becomes for another run; 0: there is none
};

// The same bytes always make the same graph.
BuiltNet net_from_bytes(const uint8_t* data, size_t size, Host* host);

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_NET_FROM_BYTES_H_
