// Keeps worker threads off the CPU of the thread that they work for.
//
// Linux may queue a thread that is woken behind the one that woke it, on the same CPU, and leave it
// there for many milliseconds while another CPU idles: on machines of two CPUs that is the rule
// once one of them is busy. Spinning with the caller for one CPU is worse than no help at all.

#ifndef INT8X_BASE_AFFINITY_H_
#define INT8X_BASE_AFFINITY_H_

#include <cstdint>

namespace int8x {

// The calling thread, as affinity knows it; 0 where there is no such thing.
int32_t this_thread();

// The CPU that the calling thread runs on, or -1.
int current_cpu();

// Takes `cpu` out of the CPUs that `thread` may run on, and gives it `*kept_off`, which was taken
// out before (-1: none); *kept_off is then what was taken out now. Does nothing where no other CPU
// would be left or the system refuses.
void keep_off(int32_t thread, int cpu, int* kept_off);

}  // namespace int8x

#endif  // INT8X_BASE_AFFINITY_H_
