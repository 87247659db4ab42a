#include "delegate/base/arch.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace int8x::arch {
namespace {

constexpr const char* kNames[kArchCount] = {
    "reference", "avx2", "avxvnni", "avx512vnni", "avx512vbmi",
    "avx512amx", "neon", "neondot", "neoni8mm",
};

#if defined(__x86_64__)

uint64_t enabled_state() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

// Linux keeps the 8 KiB of tile registers from a process until it asks for them.
bool tiles_granted() {
#if defined(__linux__)
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
#else
  return false;
#endif
}

ArchSet detect() {
  ArchSet set = bit(reference);
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return set;
  constexpr uint32_t kOsxsave = 1u << 27, kFma = 1u << 12;
  if (!(c & kOsxsave)) return set;
  const bool fma = (c & kFma) != 0;
  const uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6 || !fma) return set;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return set;
  const uint32_t leaf7_b = b, leaf7_c = c, leaf7_d = d;
  if (!(leaf7_b & (1u << 5))) return set;
  set |= bit(avx2);
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4))) set |= bit(avxvnni);
  // F, DQ, BW, VL in ebx; VNNI in ecx; and the operating system saves opmask and all of zmm.
  constexpr uint32_t kAvx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
  if ((state & 0xe6) != 0xe6 || (leaf7_b & kAvx512) != kAvx512 || !(leaf7_c & (1u << 11)))
    return set;
  set |= bit(avx512vnni);
  if (leaf7_c & (1u << 1)) set |= bit(avx512vbmi);
  constexpr uint32_t kAmx = (1u << 24) | (1u << 25);  // AMX-TILE, AMX-INT8
  constexpr uint64_t kTileState = 0x60000;
  if ((leaf7_d & kAmx) == kAmx && (state & kTileState) == kTileState && tiles_granted())
    set |= bit(avx512amx);
  return set;
}

#elif defined(__aarch64__)

ArchSet detect() {
  ArchSet set = bit(reference) | bit(neon);
#if defined(__linux__)
  constexpr unsigned long kAsimdDp = 1ul << 20;  // AT_HWCAP
  constexpr unsigned long kI8mm = 1ul << 13;     // AT_HWCAP2
  if (getauxval(AT_HWCAP) & kAsimdDp) set |= bit(neondot);
  if (has(set, neondot) && (getauxval(AT_HWCAP2) & kI8mm)) set |= bit(neoni8mm);
#elif defined(__APPLE__)
  set |= bit(neondot);  // every Apple arm64 CPU has it
#endif
  return set;
}

#else

ArchSet detect() { return bit(reference); }

#endif

}  // namespace

const char* name(Arch a) { return kNames[a]; }

bool parse(const char* text, Arch* out) {
  for (int i = 0; i < kArchCount; ++i) {
    if (std::strcmp(text, kNames[i]) == 0) {
      *out = static_cast<Arch>(i);
      return true;
    }
  }
  return false;
}

ArchSet supported() {
  static const ArchSet set = detect();
  return set;
}

Choice choose(const char* text, ArchSet* out) {
  if (std::strcmp(text, "auto") == 0) {
    *out = supported();
    return Choice::ok;
  }
  Arch wanted;
  if (!parse(text, &wanted)) return Choice::unknown_name;
  if (!has(supported(), wanted)) return Choice::not_on_this_cpu;
  *out = supported() & ((bit(wanted) << 1) - 1);
  return Choice::ok;
}

}  // namespace int8x::arch
