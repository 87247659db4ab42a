/* C interface of libint8x_delegate.so for applications. Python and other users of TensorFlow Lite's
 * external delegates need none of it: they load the library and pass the options as text. */

#ifndef INT8X_INT8X_DELEGATE_H_
#define INT8X_INT8X_DELEGATE_H_

#include <stddef.h>

#if defined(__GNUC__)
#define INT8X_EXPORT __attribute__((visibility("default")))
#else
#define INT8X_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct TfLiteDelegate;

typedef struct Int8xDelegateOptions {
  int num_threads;       /* 1 to 64; -1 takes the interpreter's own number */
  const char* allow_ops; /* comma-separated TFLite operator names; NULL or "" allows all */
  const char* deny_ops;  /* the same, never taken */
  const char* arch;      /* "auto", or one instruction set: see README */
  int profile;           /* 1 measures each step */
  const char* log_level; /* "silent", "warning" or "info"; what is said goes to stderr */
  const char* sparse;    /* pruned weights: "auto", "on" or "off" */
} Int8xDelegateOptions;

INT8X_EXPORT Int8xDelegateOptions Int8xDelegateOptionsDefault(void);

/* NULL when an option is wrong; `report_error`, where given, is then told why. */
INT8X_EXPORT struct TfLiteDelegate* Int8xDelegateCreate(const Int8xDelegateOptions* options,
                                                        void (*report_error)(const char* text));

/* Only after every interpreter that uses the delegate is gone. NULL is allowed. */
INT8X_EXPORT void Int8xDelegateDelete(struct TfLiteDelegate* delegate);

/* Writes at most `size` bytes, NUL included, of a JSON text: which nodes were taken, which not and
 * why, and the steps, kernels and memory of each partition. Returns the bytes that the whole text
 * needs, NUL included. */
INT8X_EXPORT size_t Int8xDelegateDescribe(struct TfLiteDelegate* delegate, char* buffer,
                                          size_t size);

/* TensorFlow Lite's external-delegate entry points. */
INT8X_EXPORT struct TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count,
    void (*report_error)(const char* text));
INT8X_EXPORT void tflite_plugin_destroy_delegate(struct TfLiteDelegate* delegate);

#ifdef __cplusplus
}
#endif

#endif /* INT8X_INT8X_DELEGATE_H_ */
