#include "delegate/kernels/sparse/choice.h"

#include "delegate/kernels/sparse/leaf.h"

namespace int8x {
namespace {

// Picoseconds, measured on Zen 4 (x86). A row is for an Arch and those above it up to the next row.
struct Costs {
  arch::Arch arch;
  double dense_product, dense_output;
  // A kept product, an output, and one of [pixel][tap][channel] copied; each for padded pixels.
  double kept_product, sparse_output, copied;
};

constexpr Costs kCosts[] = {
    {arch::avx512amx, 1.0, 40, 5.5, 110, 30},
    {arch::avx512vnni, 4.6, 60, 5.5, 110, 30},
    {arch::avxvnni, 7, 120, 25, 700, 200},
    {arch::avx2, 17, 120, 25, 700, 200},
    // Instructions of the inner loops at 2 a cycle and 2 GHz: sdot by element against sdot with a
    // load each.
    {arch::neoni8mm, 20, 300, 32, 900, 120},
    {arch::neondot, 20, 300, 32, 900, 120},
};
// No kernel of its own: plain loops, against which every dense kernel wins.
constexpr Costs kOthers = {arch::reference, 1, 1, 100, 1000, 1000};

const Costs& costs_of(arch::ArchSet archs) {
  for (const Costs& c : kCosts)
    if (arch::has(archs, c.arch)) return c;
  return kOthers;
}

}  // namespace

int64_t sparse_nanoseconds(const SparseLayer& layer, arch::ArchSet archs) {
  const Costs& c = costs_of(archs);
  const int64_t lanes = sparse_kernel(archs).lanes;
  const double pixels = static_cast<double>((layer.pixels + lanes - 1) / lanes * lanes);
  const double depth = static_cast<double>(layer.taps) * layer.in_c;
  return static_cast<int64_t>(pixels / 1000 *
                              (static_cast<double>(layer.kept) * 4 * c.kept_product +
                               layer.out_c * c.sparse_output + depth * c.copied));
}

int64_t dense_nanoseconds(const SparseLayer& layer, arch::ArchSet archs) {
  const Costs& c = costs_of(archs);
  const double depth = static_cast<double>(layer.taps) * layer.in_c;
  const double outputs = static_cast<double>(layer.pixels) * layer.out_c;
  return static_cast<int64_t>(outputs / 1000 * (depth * c.dense_product + c.dense_output));
}

bool sparse_chosen(SparseUse use, const SparseLayer& layer, arch::ArchSet archs) {
  if (use == SparseUse::off || layer.in_c % 4 != 0 || layer.pixels == 0) return false;
  if (use == SparseUse::on) return true;
  return sparse_nanoseconds(layer, archs) < dense_nanoseconds(layer, archs);
}

}  // namespace int8x
