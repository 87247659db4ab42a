// delegate/base/arch.h: names, detection and the choice of instruction sets.

#include "delegate/base/arch.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace int8x::arch {
namespace {

std::vector<Arch> every_arch() {
  std::vector<Arch> all;
  for (int i = 0; i < kArchCount; ++i) all.push_back(static_cast<Arch>(i));
  return all;
}

TEST(Arch, EveryNameParsesToTheArchThatPrintsIt) {
  for (Arch a : every_arch()) {
    Arch parsed = kArchCount;
    ASSERT_TRUE(parse(name(a), &parsed)) << name(a);
    ASSERT_EQ(parsed, a);
  }
}

TEST(Arch, NamesAreTheOnesTheOptionTakes) {
  const std::vector<std::string> wanted = {"reference",  "avx2",       "avxvnni",
                                           "avx512vnni", "avx512vbmi", "avx512amx",
                                           "neon",       "neondot",    "neoni8mm"};
  std::vector<std::string> got;
  for (Arch a : every_arch()) got.push_back(name(a));
  ASSERT_EQ(got, wanted);
}

TEST(Arch, UnknownNamesDoNotParse) {
  for (const char* text : {"", "auto", "AVX2", "avx2 ", "avx", "sse2", "neondot1"}) {
    Arch untouched = kArchCount;
    ASSERT_FALSE(parse(text, &untouched)) << text;
    ASSERT_EQ(untouched, kArchCount) << text;
  }
}

TEST(Arch, ReferenceIsAlwaysSupportedAndDetectionIsStable) {
  ASSERT_TRUE(has(supported(), reference));
  ASSERT_EQ(supported(), supported());
}

TEST(Arch, ThisCpuSupportsOnlyItsOwnFamily) {
  const ArchSet x86 = bit(avx2) | bit(avxvnni) | bit(avx512vnni) | bit(avx512vbmi) | bit(avx512amx);
  const ArchSet arm = bit(neon) | bit(neondot) | bit(neoni8mm);
#if defined(__x86_64__)
  ASSERT_EQ(supported() & arm, 0u);
#elif defined(__aarch64__)
  ASSERT_EQ(supported() & x86, 0u);
  ASSERT_TRUE(has(supported(), neon));
#endif
  ASSERT_EQ(supported() & ~(x86 | arm | bit(reference)), 0u);
}

TEST(Arch, HigherRungsImplyTheOnesTheyAreBuiltOn) {
  const ArchSet set = supported();
  ASSERT_TRUE(!has(set, avxvnni) || has(set, avx2));
  ASSERT_TRUE(!has(set, avx512vnni) || has(set, avx2));
  ASSERT_TRUE(!has(set, avx512vbmi) || has(set, avx512vnni));
  ASSERT_TRUE(!has(set, avx512amx) || has(set, avx512vnni));
  ASSERT_TRUE(!has(set, neondot) || has(set, neon));
  ASSERT_TRUE(!has(set, neoni8mm) || has(set, neondot));
}

// The emulated CPUs are known, so detection can be held against them.
TEST(Arch, OnAnEmulatedCpuDetectionFindsWhatThatCpuHas) {
  const char* cpu = std::getenv("INT8X_EMULATED_CPU");
  if (cpu == nullptr) return;
  ArchSet wanted = bit(reference) | bit(neon);
  if (std::strcmp(cpu, "cortex-a53") != 0) wanted |= bit(neondot);
  if (std::strcmp(cpu, "max,sme=off") == 0) wanted |= bit(neoni8mm);
  ASSERT_EQ(supported(), wanted) << cpu;
}

TEST(Choose, AutoGivesEverythingSupported) {
  ArchSet set = 0;
  ASSERT_EQ(choose("auto", &set), Choice::ok);
  ASSERT_EQ(set, supported());
}

TEST(Choose, ANameGivesItsRungAndTheSupportedOnesBelow) {
  for (Arch a : every_arch()) {
    if (!has(supported(), a)) continue;
    ArchSet set = 0;
    ASSERT_EQ(choose(name(a), &set), Choice::ok) << name(a);
    ASSERT_TRUE(has(set, a)) << name(a);
    for (Arch other : every_arch()) {
      ASSERT_EQ(has(set, other), other <= a && has(supported(), other))
          << name(a) << " " << name(other);
    }
  }
}

TEST(Choose, ReferenceGivesReferenceAlone) {
  ArchSet set = 0;
  ASSERT_EQ(choose("reference", &set), Choice::ok);
  ASSERT_EQ(set, bit(reference));
}

TEST(Choose, ForcingAnArchThisCpuLacksIsNotOnThisCpuAndLeavesTheSetAlone) {
  int lacking = 0;
  for (Arch a : every_arch()) {
    if (has(supported(), a)) continue;
    ++lacking;
    ArchSet set = 12345;
    ASSERT_EQ(choose(name(a), &set), Choice::not_on_this_cpu) << name(a);
    ASSERT_EQ(set, 12345u) << name(a);
  }
  ASSERT_GE(lacking, 3);  // no CPU is both x86 and Arm
}

TEST(Choose, AnUnknownNameIsSaidToBeUnknownAndLeavesTheSetAlone) {
  for (const char* text : {"", "Auto", "avx1024", "avx2,neon"}) {
    ArchSet set = 12345;
    ASSERT_EQ(choose(text, &set), Choice::unknown_name) << text;
    ASSERT_EQ(set, 12345u) << text;
  }
}

}  // namespace
}  // namespace int8x::arch
