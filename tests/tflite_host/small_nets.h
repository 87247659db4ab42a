// Graphs small enough to compute by hand.

#ifndef INT8X_TESTS_TFLITE_HOST_SMALL_NETS_H_
#define INT8X_TESTS_TFLITE_HOST_SMALL_NETS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/tflite_host/host.h"

namespace int8x::host {

struct SmallNet {
  int input, output;
  std::vector<int> inside;  // tensors that no partition needs outside
  int channels;
  int64_t packed_bytes_at_least;
  const uint8_t *weights, *bias;  // the constants' addresses
  // What the net gives for an input of this height and width.
  std::function<std::vector<int8_t>(const std::vector<int8_t>&, int, int)> expected;
  std::function<void(Host*, int, int)> resize;
};

// size values in [-128, 127] that depend on `seed` alone.
std::vector<int8_t> noise(int size, uint32_t seed);

// CONV_2D 3x3 SAME of 16 channels, RELU6, ADD with the input. With `same`, reads the constants that
// another host holds.
SmallNet conv_relu_add(Host* host, int height, int width, const SmallNet* same = nullptr);

// RELU, an operator that the delegate does not know (it negates), RELU.
SmallNet relu_custom_relu(Host* host, int size);

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_SMALL_NETS_H_
