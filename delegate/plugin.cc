// The exported C functions.

#include <cstring>
#include <new>

#include "delegate/delegate.h"

namespace {

using int8x::Delegate;
using int8x::Options;
using int8x::Text;

TfLiteDelegate* create(bool read, Options options, const Text& error,
                       void (*report_error)(const char*)) {
  if (!read) {
    if (report_error != nullptr) report_error(error.c_str());
    return nullptr;
  }
  Delegate* delegate = new (std::nothrow) Delegate(std::move(options));
  if (delegate == nullptr && report_error != nullptr) report_error("int8x delegate: no memory");
  return delegate == nullptr ? nullptr : delegate->tflite();
}

}  // namespace

Int8xDelegateOptions Int8xDelegateOptionsDefault(void) {
  return {-1, nullptr, nullptr, "auto", 0, "silent", "auto"};
}

TfLiteDelegate* Int8xDelegateCreate(const Int8xDelegateOptions* given,
                                    void (*report_error)(const char*)) {
  const Int8xDelegateOptions from = given == nullptr ? Int8xDelegateOptionsDefault() : *given;
  Options options;
  Text error;
  const bool read = read_options(from, &options, &error);
  return create(read, std::move(options), error, report_error);
}

void Int8xDelegateDelete(TfLiteDelegate* delegate) {
  if (delegate != nullptr) Delegate::from(delegate)->retire();
}

size_t Int8xDelegateDescribe(TfLiteDelegate* delegate, char* buffer, size_t size) {
  if (delegate == nullptr) return 0;
  const Text json = Delegate::from(delegate)->describe();
  const size_t needed = json.size() + 1;
  if (buffer != nullptr && size > 0) {
    const size_t copied = needed <= size ? needed : size;
    std::memcpy(buffer, json.c_str(), copied);
    buffer[copied - 1] = '\0';
  }
  return needed;
}

TfLiteDelegate* tflite_plugin_create_delegate(const char* const* keys, const char* const* values,
                                              size_t count, void (*report_error)(const char*)) {
  Options options;
  Text error;
  bool read = count == 0 || (keys != nullptr && values != nullptr);
  if (!read) error.append("int8x delegate: %zu options announced, none given", count);
  for (size_t i = 0; read && i < count; ++i) {
    read = keys[i] != nullptr && values[i] != nullptr;
    if (!read) {
      error.append("int8x delegate: option %zu has no %s", i, keys[i] ? "value" : "name");
    } else {
      read = set_option(keys[i], values[i], &options, &error);
    }
  }
  if (read && options.archs == 0) read = resolve(nullptr, &options, &error);
  return create(read, std::move(options), error, report_error);
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) { Int8xDelegateDelete(delegate); }
