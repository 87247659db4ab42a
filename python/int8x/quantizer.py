"""quantize: a float .tflite to a full int8 one, or to what the recipe says."""

import dataclasses
import os
import warnings
from typing import Any

from int8x.calibration import calibrate_prepared
from int8x.data import input_specs
from int8x.errors import QuantizeError, StatsError
from int8x.graph import Graph, load
from int8x.grids import Grids, decide
from int8x.lowering import IO_BITS, lower
from int8x.methods.draft import Draft
from int8x.methods.kept_samples import KeptSamples
from int8x.methods.refinement import Step, refine
from int8x.observer import Stats
from int8x.passes import prepare
from int8x.precision import assign, refuse_left_in_float
from int8x.progress import Progress, silent
from int8x.quant_params import QuantParams
from int8x.recipe import Recipe, resolve


@dataclasses.dataclass(frozen=True)
class Quantization:
    """What quantize() decided: the recipe, each quantized tensor's grid with its source, the
    operators left in float as (name of the first output, kind, reason), and what became of each
    accuracy method.
    """

    recipe: Recipe
    grids: dict[str, QuantParams]
    float_operators: tuple[tuple[str, str, str], ...]
    methods: tuple[Step, ...] = ()


def quantize(
    model: str | os.PathLike | bytes | Graph,
    stats: Stats | str | os.PathLike | None = None,
    data: Any = None,
    recipe: Any = "int8",
    *,
    progress: Progress = silent,
) -> Graph:
    """The model in the recipe's precision, int8 activations and weights with int32 biases unless it
    says otherwise, with inputs and outputs of its type.

    model: a float .tflite (path, bytes or Graph), which is prepared (passes.prepare) first.
    stats: statistics of the prepared model (Stats, or a path), and/or data to gather them from (see
    int8x.data). Ranges in graph.ranges are used first; what they leave open is taken from the
    statistics.
    recipe: a preset's name, a recipe file, plain data, or a Recipe. progress: see int8x.progress.
    The result's `quantization` tells each tensor's grid and source. Raises QuantizeError, which
    lists the operators that have no int8 form unless the recipe allows them to stay float, or the
    tensors without a range; StatsError for another model's statistics; ModelError and DataError as
    calibrate() does.

    >>> graph = int8x.quantize("float.tflite", data="samples.npy")
    >>> graph.save("model.int8.tflite")
    """
    resolved = resolve(recipe)
    graph = load(model)
    prepare(graph, resolved)
    _refuse_quantized(graph)
    refuse_left_in_float(graph, assign(graph, resolved))
    gathered = _statistics(graph, stats, data is not None)
    kept = None if data is None else KeptSamples(data, input_specs(graph))
    if _decide(graph, gathered, resolved).missing and kept is not None:
        gathered = calibrate_prepared(graph, kept, progress=progress)
    _refuse_missing(graph, _decide(graph, gathered, resolved))
    draft = Draft(
        resolved,
        lambda graph, recipe: _lower(graph.copy(), gathered, recipe),
        lambda graph, recipe: _decide(graph, gathered, recipe),
    )
    graph, steps = refine(graph, draft, kept, progress)
    graph = _lower(graph, gathered, resolved)
    assert graph.quantization is not None  # _lower() sets it
    graph.quantization = dataclasses.replace(graph.quantization, methods=steps)
    return graph


def _decide(graph: Graph, stats: Stats | None, recipe: Recipe) -> Grids:
    bits = IO_BITS.get(recipe.io)
    faces = [] if bits is None else [(t, bits) for t in (*graph.main.inputs, *graph.main.outputs)]
    return decide(graph.main, assign(graph, recipe), stats, faces)


def _lower(graph: Graph, stats: Stats | None, recipe: Recipe) -> Graph:
    """The graph itself, quantized."""
    precision = assign(graph, recipe)
    sources = lower(graph, _decide(graph, stats, recipe), precision)
    graph.quantization = Quantization(recipe, sources, tuple(precision.left))
    return graph


def _refuse_missing(graph: Graph, grids: Grids) -> None:
    if grids.missing:
        names = ", ".join(repr(tensor.name) for tensor in grids.missing[:5])
        more = f" and {len(grids.missing) - 5} more" if len(grids.missing) > 5 else ""
        raise QuantizeError(
            f"{graph.origin}: no range is known for {names}{more}: give data or statistics"
        )


def _refuse_quantized(graph: Graph) -> None:
    for tensor in graph.main.tensors:
        if tensor.quant is not None and tensor.dtype in ("INT8", "UINT8", "INT16", "INT4"):
            raise QuantizeError(
                f"{graph.origin}: the model is already quantized: tensor {tensor.name!r} is "
                f"{tensor.dtype} "
                f"with scale {tensor.quant.scales[0]:g}"
            )


def _statistics(
    graph: Graph, stats: Stats | str | os.PathLike | None, may_renew: bool
) -> Stats | None:
    """The statistics, when they belong to `graph`; others are an error, or left aside when there is
    data to gather anew.
    """
    if stats is None:
        return None
    loaded = stats if isinstance(stats, Stats) else Stats.load(stats)
    if loaded.fingerprint == graph.fingerprint():
        return loaded
    told = (
        f"the statistics belong to another model: {loaded.fingerprint[:12]}, wanted "
        f"{graph.fingerprint()[:12]}"
    )
    if not may_renew:
        raise StatsError(f"{graph.origin}: {told}; calibrate this one")
    warnings.warn(f"{graph.origin}: {told}; calibrating anew from the data", stacklevel=3)
    return None
