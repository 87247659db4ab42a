// Functions of instruction-set files that must be inlined: a call would cost more than the work,
// and a copy of an inline function that is compiled for one CPU may otherwise be kept for all.

#ifndef INT8X_BASE_INLINE_H_
#define INT8X_BASE_INLINE_H_

#define INT8X_INLINE_LAMBDA __attribute__((always_inline))
#define INT8X_INLINE_MEMBER inline INT8X_INLINE_LAMBDA
#define INT8X_INLINE static INT8X_INLINE_MEMBER

#endif  // INT8X_BASE_INLINE_H_
