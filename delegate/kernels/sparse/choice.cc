#include "delegate/kernels/sparse/choice.h"

#include "delegate/kernels/sparse/leaf.h"

namespace int8x {
namespace {

// Picoseconds, on x86 measured on Zen 4. A row is for an Arch and those above it up to the next
// row.
struct Costs {
  arch::Arch arch;
  double dense_product, dense_output;
  // A kept product, an output, and one of [pixel][tap][channel] copied, in runs of that many
  // channels; each for pixels rounded up to whole vectors.
  double kept_product, sparse_output, copied;
  int run;
  // The same for a single pixel, where weights come from the second-level cache: a product of a
  // dense layer, and a kept one with its share of what fills up entries at 75 % zeros.
  double dense_row_product, kept_row_product;
  // What a kept block costs whatever the pixels, in vectors of pixels; kept_product is with as many
  // vectors as a call takes.
  double block_vectors;
};

// Sparse must promise this much less than dense to be taken.
constexpr double kMargin = 0.95;

constexpr Costs kCosts[] = {
    {arch::avx512amx, 1.0, 100, 5.2, 165, 60, 64, 6.5, 17, 1},
    {arch::avx512vnni, 4.6, 140, 5.2, 165, 60, 64, 6.5, 17, 1},
    {arch::avxvnni, 7, 430, 18, 650, 250, 4, 0, 0, 0},
    {arch::avx2, 17, 430, 18, 650, 250, 4, 0, 0, 0},
    // Instructions of the inner loops at 2 a cycle and 2 GHz: sdot by element against sdot with a
    // load each.
    {arch::neoni8mm, 20, 300, 32, 900, 120, 16, 0, 0, 0},
    {arch::neondot, 20, 300, 32, 900, 120, 16, 0, 0, 0},
};
// No kernel of its own: plain loops, against which every dense kernel wins.
constexpr Costs kOthers = {arch::reference, 1, 1, 100, 1000, 1000, 4, 0, 0, 0};

const Costs& costs_of(arch::ArchSet archs) {
  for (const Costs& c : kCosts)
    if (arch::has(archs, c.arch)) return c;
  return kOthers;
}

}  // namespace

bool sparse_by_row(const SparseLayer& layer, arch::ArchSet archs) {
  return layer.pixels == 1 && layer.taps == 1 && sparse_row_kernel(archs) != nullptr;
}

int64_t sparse_nanoseconds(const SparseLayer& layer, arch::ArchSet archs) {
  const Costs& c = costs_of(archs);
  if (sparse_by_row(layer, archs)) {
    return static_cast<int64_t>(static_cast<double>(layer.kept) * 4 * c.kept_row_product / 1000 +
                                layer.out_c * c.dense_output / 1000);
  }
  const SparseKernel& kernel = sparse_kernel(archs);
  const int64_t lanes = kernel.lanes, vectors = (layer.pixels + lanes - 1) / lanes;
  const int64_t most = kernel.most_lanes / lanes, calls = (vectors + most - 1) / most;
  const double pixels = static_cast<double>(vectors * lanes);
  const double few =
      (1 + c.block_vectors * static_cast<double>(calls) / static_cast<double>(vectors)) /
      (1 + c.block_vectors / static_cast<double>(most));
  const int64_t row = (int64_t{layer.in_c} + c.run - 1) / c.run * c.run;
  const double depth = static_cast<double>(layer.taps * row);
  return static_cast<int64_t>(pixels / 1000 *
                              (static_cast<double>(layer.kept) * 4 * c.kept_product * few +
                               layer.out_c * c.sparse_output + depth * c.copied));
}

int64_t dense_nanoseconds(const SparseLayer& layer, arch::ArchSet archs) {
  const Costs& c = costs_of(archs);
  const double depth = static_cast<double>(layer.taps) * layer.in_c;
  const double outputs = static_cast<double>(layer.pixels) * layer.out_c;
  const double product = sparse_by_row(layer, archs) ? c.dense_row_product : c.dense_product;
  return static_cast<int64_t>(outputs / 1000 * (depth * product + c.dense_output));
}

bool sparse_chosen(SparseUse use, const SparseLayer& layer, arch::ArchSet archs) {
  if (use == SparseUse::off || layer.in_c % 4 != 0 || layer.pixels == 0) return false;
  if (use == SparseUse::on) return true;
  return static_cast<double>(sparse_nanoseconds(layer, archs)) <
         kMargin * static_cast<double>(dense_nanoseconds(layer, archs));
}

}  // namespace int8x
