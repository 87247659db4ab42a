#include "delegate/plan/steps.h"

#include <cstring>

namespace int8x {

void ConvStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  conv_run(*weights, geometry, layout, static_cast<const int8_t*>(data[inputs[0]]),
           static_cast<int8_t*>(data[output]), begin, end, scratch);
}

void FullyConnectedStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  fully_connected_run(*weights, cut, static_cast<const int8_t*>(data[inputs[0]]),
                      static_cast<int8_t*>(data[output]), begin, end, scratch);
}

void ConcatenateStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  const int8_t* pointers[kMaxConcatInputs];
  for (size_t i = 0; i < inputs.size(); ++i) {
    pointers[i] = static_cast<const int8_t*>(data[inputs[i]]);
  }
  concat_run(params, pointers, static_cast<int8_t*>(data[output]), begin, end, scratch);
}

void ViewStep::run(void* const* data, int64_t, int64_t, void*) const {
  std::memcpy(data[output], data[inputs[0]], bytes_);
}

}  // namespace int8x
