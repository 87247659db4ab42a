"""What training knows, told to the quantizer: weight grids, int16 ranges, what stays in float.

The float .tflite carries the ranges of activations as markers. The rest is told beside it: the
scales of each kernel as the range of the constant that holds it, found by its values, and a recipe
whose overrides name, by their places in the prepared graph, the operators that stay in float or
keep int8 weights.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from int8x.errors import ModelError, QuantizeError
from int8x.keras import fake_quant, kinds, private
from int8x.keras.kernel_grids import kernels
from int8x.keras.norms import affine, by_channel
from int8x.keras.settings import Settings
from int8x.quantization.overrides import Override
from int8x.quantization.passes import prepare
from int8x.quantization.precision import BITS
from int8x.quantization.recipe import Recipe
from int8x.quantization.rules import RULES
from int8x.tflite.quant_params import QuantParams

if TYPE_CHECKING:
    from int8x.keras.handle import Handle
    from int8x.keras.plan import CallPlan
    from int8x.tflite.graph import Graph
    from int8x.tflite.subgraph import Operator, Tensor

_SOURCE = "learned in training"
_NEAR = 1e-3  # of a step: float32 folds a BatchNormalization to 2e-5


@dataclasses.dataclass(frozen=True)
class TrainedKernel:
    """A kernel's integers [channels, n], float scales (one, or one a channel) and bits."""

    layer: str
    steps: np.ndarray
    scales: np.ndarray
    bits: int


def hand_over(graph: Graph, handle: Handle, recipe: Recipe) -> Recipe:
    """Gives a marked float graph what its model was trained with, and returns the recipe for it:
    `recipe` with the compute, weights and float operators of training.

    ModelError when a kernel is not in the graph; QuantizeError for recurrent layers that nobody
    excluded, unless the recipe allows float.
    """
    settings = handle.settings
    floats = _take_float_marks(graph)
    allowed = recipe.allow_float or any(
        rule.kind == "WHILE" and rule.compute == "float" for rule in recipe.overrides
    )
    if handle.loops and recipe.compute in BITS and not allowed:
        layers = tuple(name for name, _ in handle.loops)
        raise QuantizeError(
            f"{graph.origin}: recurrent layers stay in float, which the recipe does not allow: "
            f"allow it (allow_float), or train with exclude={layers}",
            tuple((name, kind, "it runs its cell in a loop") for name, kind in handle.loops),
        )
    if recipe.auto or recipe.compute not in ("int8", settings.compute):  # another than trained for
        return recipe
    if settings != Settings(exclude=settings.exclude):  # else the largest weights tell the scales
        _give_weights(graph, trained_kernels(handle))
    wide = settings.activation_bits == 16
    chosen = dataclasses.replace(
        recipe,
        name=settings.compute if recipe.name == "int8" else recipe.name,
        compute=settings.compute,
        weights=settings.weights,
        io="int16" if wide and recipe.io == "int8" else recipe.io,
    )
    prepare(graph, chosen)
    if wide:
        _widen(graph)
    operators = graph.main.operators
    kept = _behind(graph, floats)
    rules = [_rule(operators, [op for op in operators if op in kept], "float")]
    if settings.weight_bits == 4:
        whole = [op for op in operators if op not in kept and _bits(op) == 8]
        rules.append(_rule(operators, whole, "int8"))
    overrides = (*(rule for rule in rules if rule is not None), *recipe.overrides)
    return dataclasses.replace(chosen, overrides=overrides)


def trained_kernels(handle: Handle) -> list[TrainedKernel]:
    """The integers and scales of every kernel of an instrumented model, as the file will hold them:
    BatchNormalization folded, a row for each output channel in TFLite's order.
    """
    assert handle.plan is not None and handle.kernels is not None
    return [_trained(handle, call, name) for call in handle.plan.calls for name, _ in kernels(call)]


def _trained(handle: Handle, call: CallPlan, name: str) -> TrainedKernel:
    assert handle.kernels is not None
    grid = handle.kernels[call.operation, name]
    weight = private.master_value(getattr(call.operation, name))
    factor = ops.ones(())
    if call.norm is not None and (call.kind, name) != (kinds.SEPARABLE, "depthwise_kernel"):
        factor = by_channel(affine(call.norm)[0], weight, grid.channel_axes)
    if handle.settings.per_tensor:
        scale = grid.scale(weight * factor)
        steps = fake_quant.weight_steps(weight * factor, scale, grid.bits)
    else:
        scale = fake_quant.short_scale(grid.scale(weight) * ops.abs(factor))
        steps = grid.steps(weight) * ops.sign(factor)
    axes = grid.channel_axes
    rows = np.moveaxis(ops.convert_to_numpy(steps), axes, range(len(axes)))
    channels = int(np.prod(rows.shape[: len(axes)]))
    scales = np.moveaxis(ops.convert_to_numpy(scale), axes, range(len(axes))).reshape(-1)
    return TrainedKernel(call.operation.name, rows.reshape(channels, -1), scales, grid.bits)


def _give_weights(graph: Graph, trained: list[TrainedKernel]) -> None:
    """Makes the trained scales the ranges of the constants that hold the kernels."""
    found: set[int] = set()
    for op in graph.main.operators:
        place = RULES[op.kind].weights if op.kind in RULES else None
        weights = None if place is None else op.input(place.index)
        if place is None or weights is None or not weights.is_constant or not weights.is_float:
            continue
        rows = np.moveaxis(weights.values, place.axis, 0)
        rows = rows.reshape(rows.shape[0], -1)
        for number, kernel in enumerate(trained):
            scales = _scales(rows, kernel)
            if scales is not None:
                found.add(number)  # calls of one layer have equal kernels: all of them are found
                axis = None if len(scales) == 1 and len(kernel.scales) == 1 else place.axis
                zeros = 0 if axis is None else np.zeros(len(scales), np.int64)
                scale: Any = float(scales[0]) if axis is None else scales
                weights.range = QuantParams(scale, zeros, axis, kernel.bits, _SOURCE)
    lost = [kernel.layer for number, kernel in enumerate(trained) if number not in found]
    if lost:
        raise ModelError(
            f"{graph.origin}: the converter changed the kernels of {', '.join(sorted(set(lost)))}: "
            "their int8 weights would not be those of training; exclude these layers"
        )


def _scales(rows: np.ndarray, kernel: TrainedKernel) -> np.ndarray | None:
    """The kernel's scales as the constant has them, or None when it does not hold this kernel.

    Channels of zeros take the largest scale of the others.
    """
    if rows.shape != kernel.steps.shape:
        return None
    scales = np.broadcast_to(kernel.scales, len(rows)).astype(np.float32)
    if np.any(np.abs(rows - kernel.steps * scales[:, None]) > _NEAR * scales[:, None]):
        return None
    largest = np.abs(kernel.steps).argmax(axis=1)
    steps = kernel.steps[np.arange(len(rows)), largest]
    exact = rows[np.arange(len(rows)), largest] / np.where(steps == 0, 1, steps)
    if len(kernel.scales) == 1:
        some = exact[steps != 0]
        return some[:1] if len(some) else scales[:1]
    exact = np.where(steps == 0, exact[steps != 0].max(initial=0), exact)
    return np.where(exact > 0, exact, 1.0).astype(np.float32)


def _widen(graph: Graph) -> None:
    """8-bit markers of 256 times the scale become the int16 grids that they stand for."""
    for tensor in graph.main.tensors:
        if tensor.range is not None and tensor.range.axis is None and not tensor.is_constant:
            scale = tensor.range.scale / fake_quant.MARKER_STEPS
            tensor.range = QuantParams(scale, 0, None, 16, _SOURCE)


def _take_float_marks(graph: Graph) -> list[Tensor]:
    """Removes the marks of float layers; the tensors that they stood behind."""
    main, marked = graph.main, []
    links = main.links()
    for op in list(main.operators):
        coded = op.input(0)
        if op.kind != "DEQUANTIZE" or coded is None or coded.quant is None:
            continue
        quantize = links.producer(coded)
        if coded.quant.scales[0] != fake_quant.FLOAT_MARK or quantize is None:
            continue
        source, result = quantize.inputs[0], op.outputs[0]
        if source not in marked:
            marked.append(source)
        main.remove([op, *([quantize] if quantize in main.operators else [])])
        main.replace(result, source)
    return marked


def _behind(graph: Graph, marked: list[Tensor]) -> set[Operator]:
    """The operators that make the marked tensors, back to tensors with a range."""
    links, found, pending = graph.main.links(), set(), list(marked)
    while pending:
        producer = links.producer(pending.pop())
        if producer is None or producer in found:
            continue
        found.add(producer)
        pending += [t for t in producer.inputs if t is not None and t.range is None]
    return found


def _bits(op: Operator) -> int | None:
    """The bits of an operator's trained weights; 8 for weights that were not a kernel."""
    place = RULES[op.kind].weights if op.kind in RULES else None
    weights = None if place is None else op.input(place.index)
    if weights is None:
        return None
    return 4 if weights.range is not None and weights.range.bits == 4 else 8


def _rule(operators: list[Operator], chosen: list[Operator], compute: str) -> Override | None:
    if not chosen:
        return None
    return Override(index=tuple(operators.index(op) for op in chosen), compute=compute)
