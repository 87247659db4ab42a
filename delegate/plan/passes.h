// Passes over a plan: each takes a valid plan and leaves one that computes the same values.

#ifndef INT8X_PLAN_PASSES_H_
#define INT8X_PLAN_PASSES_H_

#include "delegate/base/arch.h"
#include "delegate/plan/plan.h"

namespace int8x {

// Takes views (RESHAPE and its kin) out of the list: their output becomes an alias of their input,
// or their input is written straight into the caller's output. A view from a caller's input or a
// constant to a caller's output stays, as the copy it is.
void alias_views(Plan* plan);

// PADs of rows and columns with the zero point go into the convolutions that read them.
void fold_pads(Plan* plan);

// Takes steps out whose output nobody reads.
void drop_unread(Plan* plan);

// Steps that compute bytes one by one from the same value, such as LOGISTIC(x) and its MUL by x,
// become one table of x, exact since all 256 bytes are put through them.
void chain_tables(Plan* plan, arch::ArchSet archs);

// On several threads, depthwise convolutions and the 1x1 convolutions that alone read them become
// one step over blocks of output rows, where that pays.
void pair_steps(Plan* plan, int threads);

// Gives every value its first and last step; values behind aliases share those of their root.
void find_lifetimes(Plan* plan);

// Places arena values so that those alive at the same step do not overlap, the largest first, each
// in the lowest gap that holds it, and scratch for `threads` threads behind them.
void place_in_arena(Plan* plan, int threads);

// All of them, in order. False, with nothing usable left, when the sizes overflow memory.
bool finish(Plan* plan, int threads, arch::ArchSet archs);

}  // namespace int8x

#endif  // INT8X_PLAN_PASSES_H_
