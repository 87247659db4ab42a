// The delegate's options: text in, checked values out.

#ifndef INT8X_OPTIONS_H_
#define INT8X_OPTIONS_H_

#include <vector>

#include "delegate/base/arch.h"
#include "delegate/base/text.h"
#include "delegate/int8x_delegate.h"
#include "delegate/kernels/sparse/choice.h"

namespace int8x {

enum class LogLevel { silent, warning, info };

struct Options {
  int num_threads = -1;  // -1: the interpreter's own number
  Text allow_ops, deny_ops;
  arch::ArchSet archs = 0;
  SparseUse sparse = SparseUse::automatic;
  bool profile = false;
  LogLevel log_level = LogLevel::silent;

  bool allows(const char* op) const;
};

// Each returns false with the reason in `error`, which names the option, what it takes and what
// came.
bool set_option(const char* key, const char* value, Options* options, Text* error);
bool read_options(const Int8xDelegateOptions& from, Options* options, Text* error);

// Settles what depends on the machine: the arch (option, else INT8X_ARCH, else all there is).
bool resolve(const char* arch, Options* options, Text* error);

}  // namespace int8x

#endif  // INT8X_OPTIONS_H_
