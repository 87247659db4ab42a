// Which instruction sets the kernels may use.
//
// A kernel belongs to one Arch. An ArchSet is what may run: everything this CPU has, or, when the
// user forces one Arch (option `arch`, environment variable INT8X_ARCH), that Arch and the ones
// below it on its ladder, so that families without a kernel for it fall to the next lower rung.

#ifndef INT8X_BASE_ARCH_H_
#define INT8X_BASE_ARCH_H_

#include <cstdint>

namespace int8x::arch {

enum Arch : uint8_t {
  reference,
  avx2,
  avxvnni,
  avx512vnni,
  avx512vbmi,
  avx512amx,
  neon,
  neondot,
  neoni8mm,
  kArchCount,
};

using ArchSet = uint32_t;

constexpr ArchSet bit(Arch a) { return ArchSet{1} << a; }
constexpr bool has(ArchSet set, Arch a) { return (set & bit(a)) != 0; }

// The name as the option and INT8X_ARCH spell it.
const char* name(Arch a);

// False when `text` names no Arch. "auto" is not an Arch.
bool parse(const char* text, Arch* out);

// What this CPU and operating system can run; always holds `reference`. Read once.
ArchSet supported();

enum class Choice { ok, unknown_name, not_on_this_cpu };

// `text` is "auto" or an Arch name. "auto" gives supported(); a name gives that rung and the
// supported ones below it. On anything but ok, `out` is left alone.
Choice choose(const char* text, ArchSet* out);

}  // namespace int8x::arch

#endif  // INT8X_BASE_ARCH_H_
