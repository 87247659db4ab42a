#include "tests/tflite_host/compare_archs.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "delegate/base/arch.h"
#include "tests/tflite_host/host.h"
#include "tests/tflite_host/net_from_bytes.h"
#include "tests/tflite_host/owned_delegate.h"

namespace int8x::host {
namespace {

struct Run {
  std::vector<int> taken;
  bool ran = false, resized = false;
  std::vector<std::vector<int8_t>> outputs;
};

// Floats are finite and moderate: which integer a NaN becomes is undefined.
void fill(Host* h) {
  std::mt19937 rng(1);
  for (size_t t = 0; t < h->context().tensors_size; ++t) {
    TfLiteTensor& tensor = h->tensor(static_cast<int>(t));
    if (tensor.allocation_type == kTfLiteMmapRo || tensor.data == nullptr) continue;
    if (tensor.type == kTfLiteFloat32) {
      float* values = static_cast<float*>(tensor.data);
      for (size_t i = 0; i < tensor.bytes / sizeof(float); ++i) {
        values[i] = static_cast<float>(static_cast<int>(rng() % 4001) - 2000) / 64.0f;
      }
    } else {
      uint8_t* values = static_cast<uint8_t*>(tensor.data);
      for (size_t i = 0; i < tensor.bytes; ++i) values[i] = static_cast<uint8_t>(rng());
    }
  }
}

// What runs, with the outputs behind those of earlier runs.
bool run_once(Host* h, const std::vector<int>& outputs, Run* run) {
  if (h->allocate() != kTfLiteOk) return false;
  fill(h);
  if (h->invoke() != kTfLiteOk) return false;
  for (int t : outputs) {
    if (h->tensor(t).data != nullptr) run->outputs.push_back(h->get(t));
  }
  return true;
}

Run run(const uint8_t* data, size_t size, arch::Arch arch, int threads) {
  Run run;
  OwnedDelegate delegate = make_delegate(threads, arch::name(arch));
  Host h;
  const BuiltNet net = net_from_bytes(data, size, &h);
  if (h.apply(delegate->tflite()) != kTfLiteOk) return run;
  run.taken = h.taken();
  if (!net.may_run) return run;
  run.ran = run_once(&h, net.outputs, &run);
  const TfLiteTensor& input = h.tensor(0);
  // An empty one may have an axis of any size beside that of zero.
  if (!run.ran || net.new_batch == 0 || input.data == nullptr || input.bytes == 0) return run;
  if (input.dims->size == 0) return run;
  std::vector<int> dims(input.dims->data, input.dims->data + input.dims->size);
  dims[0] = net.new_batch;
  h.resize(0, dims);
  run.resized = run_once(&h, net.outputs, &run);
  return run;
}

}  // namespace

Comparison compare_archs(const uint8_t* data, size_t size) {
  const Run expected = run(data, size, arch::reference, 1);
  Comparison result = {"", static_cast<int>(expected.taken.size()), expected.ran, expected.resized};
  for (int a = arch::reference + 1; a < arch::kArchCount; ++a) {
    const auto arch = static_cast<arch::Arch>(a);
    if (!arch::has(arch::supported(), arch)) continue;
    const Run got = run(data, size, arch, 1 + a % 2);
    const char* what = got.taken != expected.taken       ? "other nodes are taken"
                       : got.ran != expected.ran         ? "one ran, the other did not"
                       : got.resized != expected.resized ? "one ran resized, the other did not"
                       : got.outputs != expected.outputs ? "outputs differ"
                                                         : nullptr;
    if (what != nullptr) result.difference = std::string(arch::name(arch)) + ": " + what;
  }
  return result;
}

}  // namespace int8x::host
