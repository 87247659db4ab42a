"""quantize: a float .tflite to a full int8 one."""

import dataclasses
import os
import warnings
from typing import Any

from int8x.calibration import calibrate_prepared
from int8x.errors import QuantizeError, StatsError
from int8x.graph import Graph, load
from int8x.grids import decide
from int8x.lowering import IO_BITS, lower
from int8x.observer import Stats
from int8x.passes import prepare
from int8x.precision import assign, refuse_left_in_float
from int8x.progress import Progress, silent
from int8x.quant_params import QuantParams
from int8x.recipe import Recipe, resolve


@dataclasses.dataclass(frozen=True)
class Quantization:
    """What quantize() decided: the recipe, each quantized tensor's grid with its source, and the
    operators left in float as (name of the first output, kind, reason).
    """

    recipe: Recipe
    grids: dict[str, QuantParams]
    float_operators: tuple[tuple[str, str, str], ...]


def quantize(
    model: str | os.PathLike | bytes | Graph,
    stats: Stats | str | os.PathLike | None = None,
    data: Any = None,
    recipe: Any = "int8",
    *,
    progress: Progress = silent,
) -> Graph:
    """The model with int8 activations and weights, int32 biases, and inputs and outputs of the
    recipe's type.

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
    precision = assign(graph, resolved)
    refuse_left_in_float(graph, precision)
    bits = IO_BITS.get(resolved.io)
    faces = [] if bits is None else [(t, bits) for t in (*graph.main.inputs, *graph.main.outputs)]
    gathered = _statistics(graph, stats, data is not None)
    grids = decide(graph.main, precision, gathered, faces)
    if grids.missing and data is not None:
        gathered = calibrate_prepared(graph, data, progress=progress)
        grids = decide(graph.main, precision, gathered, faces)
    if grids.missing:
        names = ", ".join(repr(tensor.name) for tensor in grids.missing[:5])
        more = f" and {len(grids.missing) - 5} more" if len(grids.missing) > 5 else ""
        raise QuantizeError(
            f"{graph.origin}: no range is known for {names}{more}: give data or statistics"
        )
    sources = lower(graph, grids, precision)
    graph.quantization = Quantization(resolved, sources, tuple(precision.left))
    return graph


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
