"""Equalized or not: the prepared forms of a model, calibrated together, and the one that loses
less.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from int8x.calibration.calibrator import calibrate_prepared, gatherer
from int8x.calibration.gathering import Gathered, job_of
from int8x.calibration.observer import Stats
from int8x.calibration.workers import Workers
from int8x.data import Sample, Samples, input_specs
from int8x.methods.draft import Draft
from int8x.methods.pieces import can_walk
from int8x.methods.refinement import Step
from int8x.methods.scoring import Reference
from int8x.progress import Progress, silent
from int8x.quantization.passes import prepare
from int8x.quantization.recipe import Recipe
from int8x.tflite.graph import Graph

_JUDGING = 64  # samples
_CLEARLY = 10**-0.05  # half a dB: less than that is chance as well


@dataclasses.dataclass
class Form:
    """A prepared graph, whether it was equalized, and its statistics, as far as there are any."""

    graph: Graph
    equalized: bool
    stats: Stats | None = None


def forms_of(model: Graph, recipe: Recipe, with_data: bool) -> list[Form]:
    """The prepared forms that the recipe asks for: without equalization, with it, or both, the
    plain one first, where it is to be judged and changes anything. Edits the model.
    """
    if not recipe.equalize or (recipe.equalize is True and not with_data):
        return [Form(prepare(model, recipe), bool(recipe.equalize))]
    plain, even = (
        Form(prepare(graph, dataclasses.replace(recipe, equalize=equalized)), equalized)
        for graph, equalized in ((model.copy(), False), (model, True))
    )
    same = plain.graph.fingerprint() == even.graph.fingerprint()
    return [plain] if same else [plain, even]


def gather(
    forms: Sequence[Form],
    data: Any,
    recipe: Recipe,
    progress: Progress = silent,
    workers: int = 1,
) -> None:
    """Calibrates the forms, one or two, in one pass over the data; each by so many workers."""
    first, *others = forms
    data = Samples(data, input_specs(first.graph))
    momentum = recipe.momentum if recipe.observes("moving_average") else None
    with contextlib.ExitStack() as open_ones:
        beside = [
            open_ones.enter_context(
                gatherer(workers, job_of(form.graph, 1, momentum), None, lambda: None)
            )
            for form in others
        ]
        first.stats = calibrate_prepared(
            first.graph,
            _Shared(data, beside) if beside else data,
            recipe=recipe,
            progress=progress,
            workers=workers,
        )
        for form, gathered in zip(others, beside, strict=True):
            form.stats = gathered.stats()


class _Shared:
    """Samples that are also added to other statistics on their way."""

    def __init__(self, samples: Samples, others: Sequence[Gathered | Workers]):
        self._samples, self._others = samples, others

    def __iter__(self) -> Iterator[Sample]:
        for number, sample in enumerate(self._samples):
            yield sample
            for gathered in self._others:
                gathered.add(number, sample)

    def __length_hint__(self) -> int:
        return self._samples.len_hint() or 0


def closest(
    forms: Sequence[Form], recipe: Recipe, read: Callable[[], list[Sample]] | None
) -> tuple[Form, tuple[Step, ...]]:
    """The equalized form if its quantized outputs are closer to the float model's by half a dB,
    else the plain one, and what became of equalization. read: gives the samples; without it the
    first form is taken.
    """
    if not recipe.equalize or forms[0].equalized:
        return forms[0], ()
    if read is None:
        return forms[0], (Step("equalize", None, None, False, "left out: it needs data"),)
    if len(forms) == 1:
        return forms[0], (Step("equalize", None, None, False, "found nothing to change"),)
    if (obstacle := can_walk(forms[0].graph)) is not None:
        kept = recipe.equalize is True
        note = f"{'not judged' if kept else 'left out'}: {obstacle}"
        return forms[kept], (Step("equalize", None, None, kept, note),)
    samples = read()
    few = samples[:: -(-len(samples) // _JUDGING)]
    reference = Reference(forms[0].graph, few, logits=True)
    before, after = (
        reference.score(Draft(recipe, form.stats).quantized(form.graph)) for form in forms
    )
    kept = sum(after.noise) < _CLEARLY * sum(before.noise)
    told = f"{reference.judged} SQNR {before.sqnr_db:.1f} to {after.sqnr_db:.1f} dB"
    step = Step(
        "equalize", before.sqnr_db, after.sqnr_db, kept, told if kept else f"left out: {told}"
    )
    return forms[kept], (step,)
