#include "delegate/base/affinity.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace int8x {

#if defined(__linux__)

int32_t this_thread() { return static_cast<int32_t>(syscall(SYS_gettid)); }

int current_cpu() { return sched_getcpu(); }

void keep_off(int32_t thread, int cpu, int* kept_off) {
  cpu_set_t own, callers;
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(thread, sizeof(own), &own) != 0 ||
      sched_getaffinity(0, sizeof(callers), &callers) != 0) {
    return;
  }
  // What the system or the user has forbidden meanwhile is not given back.
  if (*kept_off >= 0 && CPU_ISSET(*kept_off, &callers)) CPU_SET(*kept_off, &own);
  const bool had = CPU_ISSET(cpu, &own);
  CPU_CLR(cpu, &own);
  if (CPU_COUNT(&own) == 0 || sched_setaffinity(thread, sizeof(own), &own) != 0) return;
  *kept_off = had ? cpu : -1;
}

#else

int32_t this_thread() { return 0; }
int current_cpu() { return -1; }
void keep_off(int32_t, int, int*) {}

#endif

}  // namespace int8x
