"""The methods of a recipe, one after the other, each kept only where it helps."""

import dataclasses
from collections.abc import Callable

from int8x.data import Sample
from int8x.methods.adaround import learn_rounding
from int8x.methods.bias_correction import correct_biases
from int8x.methods.draft import Draft
from int8x.methods.kept_samples import split
from int8x.methods.pieces import can_walk
from int8x.methods.range_search import search_ranges
from int8x.methods.scoring import Reference
from int8x.progress import Progress, silent
from int8x.quantization.recipe import Recipe
from int8x.tflite.graph import Graph

Method = Callable[[Graph, Draft, list[Sample], Progress], Graph]

# By the recipe's field: ranges first, since the others work on their grids; biases last, since they
# make up for what is left.
METHODS: dict[str, Method] = {
    "range_search": search_ranges,
    "adaround": learn_rounding,
    "bias_correction": correct_biases,
}


@dataclasses.dataclass(frozen=True)
class Step:
    """What became of one method. before, after: SQNR in dB of the worst output (or logit, see
    Reference) on the samples to judge by, None where it was not tried; kept: whether its result is
    used; note: the same in words.
    """

    method: str
    before: float | None
    after: float | None
    kept: bool
    note: str


def wanted(recipe: Recipe) -> list[str]:
    """The methods of a recipe that need samples."""
    return [name for name in METHODS if getattr(recipe, name)]


def refine(
    graph: Graph,
    draft: Draft,
    read: Callable[[], list[Sample]] | None,
    progress: Progress = silent,
) -> tuple[Graph, tuple[Step, ...]]:
    """The prepared graph after the methods of the draft's recipe, and what became of each.

    Three quarters of the samples are learned from; a method is kept when the quantized model's
    outputs (logits, see Reference) on the last quarter are at least as close to the float model's
    as before it. read: gives the samples; without it (None) every method is left out.
    """
    names, steps = wanted(draft.recipe), []
    if not names:
        return graph, ()
    obstacle = can_walk(graph) if read is not None else "it needs data"
    if obstacle is not None or read is None:
        return graph, tuple(
            Step(name, None, None, False, f"left out: {obstacle}") for name in names
        )
    learned_from, judged_by = split(read())
    reference = Reference(graph, judged_by, logits=True)
    score = reference.score(draft.quantized(graph))
    for name in names:
        changed = METHODS[name](graph, draft, learned_from, progress)
        after = reference.score(draft.quantized(changed))
        kept = sum(after.noise) <= sum(score.noise)
        told = f"{reference.judged} SQNR {score.sqnr_db:.1f} to {after.sqnr_db:.1f} dB"
        note = told if kept else f"left out: {told}"
        if changed.to_bytes() == graph.to_bytes():
            note = "found nothing to change"
        steps.append(Step(name, score.sqnr_db, after.sqnr_db, kept, note))
        if kept:
            graph, score = changed, after
    return graph, tuple(steps)
