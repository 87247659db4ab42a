"""quantize: a float .tflite to a full int8 one, or to what the recipe says."""

import dataclasses
import os
import warnings
from typing import Any

from int8x.calibration.observer import Stats
from int8x.data import input_specs
from int8x.errors import QuantizeError, StatsError
from int8x.methods.auto import Outcome, search
from int8x.methods.draft import Draft
from int8x.methods.equalized_form import Form, closest, forms_of, gather
from int8x.methods.kept_samples import KeptSamples
from int8x.methods.refinement import Step, refine, wanted
from int8x.progress import Progress, silent
from int8x.quantization.grids import Grids
from int8x.quantization.markers import reads_integers
from int8x.quantization.precision import assign, refuse_left_in_float
from int8x.quantization.recipe import Recipe, resolve
from int8x.tflite.graph import Graph, load
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.sparse_encoding import SparseConstant, encode_sparse


@dataclasses.dataclass(frozen=True)
class Quantization:
    """What quantize() decided: the recipe, each quantized tensor's grid with its source, the
    operators left in float as (name of the first output, kind, reason), what became of each
    accuracy method, what recipe "auto" tried, and the constants in sparse form.
    """

    recipe: Recipe
    grids: dict[str, QuantParams]
    float_operators: tuple[tuple[str, str, str], ...]
    methods: tuple[Step, ...] = ()
    search: Outcome | None = None
    sparse: tuple[SparseConstant, ...] = ()


def quantize(
    model: str | os.PathLike | bytes | Graph,
    stats: Stats | str | os.PathLike | None = None,
    data: Any = None,
    recipe: Any = "int8",
    *,
    labels: Any = None,
    sparse_encoding: bool = False,
    progress: Progress = silent,
    workers: int = 1,
) -> Graph:
    """The model in the recipe's precision, int8 activations and weights with int32 biases unless it
    says otherwise, with inputs and outputs of its type.

    model: a float .tflite (path, bytes or Graph), which is prepared (passes.prepare) first.
    stats: statistics of the prepared model (Stats, or a path), and/or data to gather them from (see
    int8x.data). Ranges in graph.ranges are used first; what they leave open is taken from the
    statistics.
    recipe: a preset's name, a recipe file, plain data, or a Recipe. labels: one integer per sample,
    by which "auto" measures accuracy. sparse_encoding: whether weights are written in TFLite's
    sparse form where that is smaller, see int8x.tflite.sparse_encoding. progress: see
    int8x.progress. workers: processes that share the samples of a calibration; any number gives the
    same bits.
    The result's `quantization` tells each tensor's grid and source, what the accuracy methods of
    the recipe did, and what "auto" tried; a target that "auto" cannot meet is a warning.
    Raises QuantizeError, which lists the operators that have no int8 form unless the recipe allows
    them to stay float, or the tensors without a range; StatsError for another model's statistics;
    ModelError and DataError as calibrate() does.

    >>> graph = int8x.quantize("float.tflite", data="samples.npy")
    >>> graph.save("model.int8.tflite")
    """
    resolved = resolve(recipe)
    graph = load(model)
    if resolved.auto:
        found = _searched(graph, stats, data, labels, resolved, progress, workers)
        return _encoded(found) if sparse_encoding else found
    forms = forms_of(graph, resolved, data is not None)
    _refuse_quantized(forms[0].graph)
    refuse_left_in_float(forms[0].graph, assign(forms[0].graph, resolved))
    _use_statistics(forms, stats, data is not None)
    read = None
    if data is not None and (wanted(resolved) or resolved.equalize):
        kept = KeptSamples(data, input_specs(forms[0].graph))
        data, read = kept, kept.read
    lacking = [f for f in forms if Draft(resolved, f.stats).decide(f.graph).missing]
    if data is not None and lacking:
        gather(lacking, data, resolved, progress, workers)
    form, steps = closest(forms, resolved, read)
    # The recipe that is saved says which form it was: validate() prepares the float model so.
    draft = Draft(dataclasses.replace(resolved, equalize=form.equalized), form.stats)
    _refuse_missing(form.graph, draft.decide(form.graph))
    graph, more = refine(form.graph, draft, read, progress)
    done = _finished(graph, draft, (*steps, *more))
    return _encoded(done) if sparse_encoding else done


def _encoded(graph: Graph) -> Graph:
    assert graph.quantization is not None
    sparse = encode_sparse(graph)
    graph.quantization = dataclasses.replace(graph.quantization, sparse=sparse)
    return graph


def _searched(
    graph: Graph,
    stats: Any,
    data: Any,
    labels: Any,
    recipe: Recipe,
    progress: Progress,
    workers: int,
) -> Graph:
    """quantize() for a recipe that is to be found first."""
    if data is None:
        raise QuantizeError(f"{graph.origin}: recipe {recipe.name!r} (auto) needs data")
    if stats is not None:
        warnings.warn("auto sets samples aside and calibrates itself: stats unused", stacklevel=3)
    _refuse_quantized(graph)
    found = search(graph, data, labels, recipe, progress, workers)
    return _finished(found.graph, found.draft, found.steps, found.outcome)


def _finished(
    graph: Graph, draft: Draft, steps: tuple[Step, ...], outcome: Outcome | None = None
) -> Graph:
    _tell_zero_inputs(graph, draft.stats)
    sources, left = draft.quantize(graph)
    graph.quantization = Quantization(draft.recipe, sources, left, steps, outcome)
    return graph


def _tell_zero_inputs(graph: Graph, stats: Stats | None) -> None:
    for tensor in graph.main.inputs:
        seen = None if stats is None or tensor.range else stats.tensors.get(tensor.name)
        if seen is not None and seen.samples and seen.min == seen.max == 0:
            warnings.warn(
                f"{graph.origin}: input {tensor.name!r} is zero in all {seen.samples} samples: its "
                "scale is 1, and other values will be rounded to whole numbers; calibrate with "
                "data like those that the model will see, or give its range",
                stacklevel=4,
            )


def _refuse_missing(graph: Graph, grids: Grids) -> None:
    if grids.missing:
        names = ", ".join(repr(tensor.name) for tensor in grids.missing[:5])
        more = f" and {len(grids.missing) - 5} more" if len(grids.missing) > 5 else ""
        raise QuantizeError(
            f"{graph.origin}: no range is known for {names}{more}: give data or statistics"
        )


def _refuse_quantized(graph: Graph) -> None:
    read = {op.inputs[0] for op in graph.main.operators if reads_integers(op)}
    for tensor in graph.main.tensors:
        if tensor in read:
            continue
        if tensor.quant is not None and tensor.dtype in ("INT8", "UINT8", "INT16", "INT4"):
            raise QuantizeError(
                f"{graph.origin}: the model is already quantized: tensor {tensor.name!r} is "
                f"{tensor.dtype} "
                f"with scale {tensor.quant.scales[0]:g}"
            )


def _use_statistics(
    forms: list[Form], stats: Stats | str | os.PathLike | None, may_renew: bool
) -> None:
    """Gives the statistics to the form that they belong to, which without data is the one that is
    quantized; others are an error, or left aside when there is data to gather anew.
    """
    if stats is None:
        return
    loaded = stats if isinstance(stats, Stats) else Stats.load(stats)
    prints = [form.graph.fingerprint() for form in forms]
    if loaded.fingerprint in prints:
        owner = forms[prints.index(loaded.fingerprint)]
        owner.stats = loaded
        if not may_renew:
            forms[:] = [owner]
        return
    told = (
        f"the statistics belong to another model: {loaded.fingerprint[:12]}, wanted "
        f"{' or '.join(name[:12] for name in prints)}"
    )
    origin = forms[0].graph.origin
    if not may_renew:
        raise StatsError(f"{origin}: {told}; calibrate this one")
    warnings.warn(f"{origin}: {told}; calibrating anew from the data", stacklevel=3)
