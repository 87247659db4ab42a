// libFuzzer's entry: see CONTRIBUTING.md.

#include <cstdio>
#include <cstdlib>

#include "tests/tflite_host/compare_archs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int8x::host::Comparison done = int8x::host::compare_archs(data, size);
  if (done.difference.empty()) return 0;
  std::fprintf(stderr, "%s\n", done.difference.c_str());
  std::abort();
}
