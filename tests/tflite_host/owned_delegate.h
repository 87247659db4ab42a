// A delegate with a given number of threads and instruction set that lives as long as its owner.

#ifndef INT8X_TESTS_TFLITE_HOST_OWNED_DELEGATE_H_
#define INT8X_TESTS_TFLITE_HOST_OWNED_DELEGATE_H_

#include <cstdlib>
#include <memory>

#include "delegate/delegate.h"

namespace int8x::host {

struct Retire {
  void operator()(Delegate* delegate) const { delegate->retire(); }
};
using OwnedDelegate = std::unique_ptr<Delegate, Retire>;

inline OwnedDelegate make_delegate(int threads = 1, const char* arch = nullptr) {
  Options options;
  Text error;
  if (!resolve(arch, &options, &error)) std::abort();
  options.num_threads = threads;
  return OwnedDelegate(new Delegate(std::move(options)));
}

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_OWNED_DELEGATE_H_
