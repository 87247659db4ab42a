"""Operators without an int8 kernel, or with a broken one, as operators that have a sound one."""

import dataclasses
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from int8x.tflite.graph import Graph
from int8x.tflite.schema import make, value
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe

_PADDINGS = {1: "SAME", 2: "VALID"}  # TfLitePadding


def replace_operators(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """NEG(x) becomes x * -1, SQUARE(x) and POW(x, 2) x * x, POW(x, 0.5) SQRT(x), POW(x, -0.5)
    RSQRT(x), DIV(x, constant) x * (1 / constant), and MediaPipe's Convolution2DTransposeBias
    TRANSPOSE_CONV: each equal to it within float32 rounding.

    LOG(EXP(x) + 1), softplus, becomes RELU(x) - LOG(LOGISTIC(ABS(x))), whose tensors all have few
    steps' worth of values: EXP(x) leaves none to what is below its largest, and overflows.

    PADV2 with an infinity pads with the largest float instead: both stand for what no pool picks.

    DIV's int8 kernel fails where a divisor rounds to zero.
    """
    for subgraph in graph.subgraphs:
        for op in list(subgraph.operators):
            change = _CHANGES.get(op.custom_code or "" if op.kind == "CUSTOM" else op.kind)
            if change is not None and None not in op.inputs and len(op.outputs) == 1:
                change(subgraph, op)


def replace_sums(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """SUM(x) becomes MEAN(x) * n, equal to it within float32 rounding: SUM's int8 kernel reads int8
    as uint8. The mean gets the sum's range over n, so that the product changes no integer.
    """
    for subgraph in graph.subgraphs:
        for op in list(subgraph.operators):
            if op.kind == "SUM" and None not in op.inputs and len(op.outputs) == 1:
                _sum(subgraph, op)


def scale_ranges(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """The product with a positive number of a tensor whose range is given gets that range, as many
    times as large: its integers are the same.
    """
    for subgraph in graph.subgraphs:
        for op in subgraph.operators:
            if op.kind != "MUL" or len(op.inputs) != 2 or op.outputs[0].range is not None:
                continue
            data, factor = sorted(op.inputs, key=lambda t: t is None or t.is_constant)
            if data is None or data.range is None or not _is_float_constant(factor):
                continue
            number = float(factor.values.reshape(-1)[0]) if factor.size == 1 else 0.0
            if number > 0 and not getattr(op.options, "fusedActivationFunction", 0):
                scale = data.range.scales * np.float32(number)
                if np.all(np.isfinite(scale)) and np.all(scale > 0):
                    op.outputs[0].range = dataclasses.replace(data.range, scale=scale)


def _become(op: Operator, kind: str, inputs: list[Tensor], options: Any = None) -> None:
    op.kind, op.inputs, op.options, op.version = kind, inputs, options, 1
    op.custom_code = op.custom_options = op.raw = None


def _multiply(op: Operator, lhs: Tensor, rhs: Tensor, activation: int = 0) -> None:
    _become(op, "MUL", [lhs, rhs], make("MulOptions", fusedActivationFunction=activation))


def _scalar(subgraph: Subgraph, op: Operator, number: float) -> Tensor:
    return subgraph.add_constant(f"{op.name}/factor", np.array([number], np.float32))


def _negate(subgraph: Subgraph, op: Operator) -> None:
    if len(op.inputs) == 1 and op.inputs[0].is_float:
        _multiply(op, op.inputs[0], _scalar(subgraph, op, -1))


def _square(subgraph: Subgraph, op: Operator) -> None:
    if len(op.inputs) == 1 and op.inputs[0].is_float:
        _multiply(op, op.inputs[0], op.inputs[0])


def _power(subgraph: Subgraph, op: Operator) -> None:
    if len(op.inputs) != 2 or not _is_float_constant(op.inputs[1]):
        return
    base, exponent = op.inputs
    if base.is_constant or base.shape != op.outputs[0].shape or exponent.size != 1:
        return
    number = float(exponent.values.reshape(-1)[0])
    if number == 2:
        _multiply(op, base, base)
    elif number in (0.5, -0.5):
        _become(op, "SQRT" if number > 0 else "RSQRT", [base])


def _divide(subgraph: Subgraph, op: Operator) -> None:
    if len(op.inputs) != 2 or not _is_float_constant(op.inputs[1]) or op.inputs[0].is_constant:
        return
    divisor = op.inputs[1].values
    with np.errstate(all="ignore"):
        factor = (1 / divisor.astype(np.float64)).astype(np.float32)
    if np.all(np.isfinite(factor)) and np.all(np.isfinite(divisor)):
        constant = subgraph.add_constant(f"{op.name}/factor", factor)
        activation = getattr(op.options, "fusedActivationFunction", 0)
        _multiply(op, op.inputs[0], constant, activation)


def _sum(subgraph: Subgraph, op: Operator) -> None:
    if len(op.inputs) != 2 or not op.inputs[0].is_float or op.inputs[0].is_constant:
        return
    data, axes = op.inputs
    if not axes.is_constant or axes.dtype != "INT32" or not data.shape:
        return
    rank, sizes = len(data.shape), data.signature or data.shape
    if any(not -rank <= int(axis) < rank for axis in axes.values.reshape(-1)):
        return
    count = int(np.prod([sizes[a] for a in {int(a) % rank for a in axes.values.reshape(-1)}]))
    if count < 1 or any(sizes[int(a)] < 1 for a in axes.values.reshape(-1)):
        return
    mean = subgraph.add_tensor(
        f"{op.name}/mean", op.outputs[0].shape, signature=op.outputs[0].signature
    )
    total = op.outputs[0].range
    if total is not None:
        mean.range = dataclasses.replace(total, scale=total.scales / np.float32(count))
    made = Operator("MEAN", [data, axes], [mean], op.options or make("ReducerOptions"))
    subgraph.operators.insert(subgraph.operators.index(op), made)
    _multiply(op, mean, _scalar(subgraph, op, count))


def _softplus(subgraph: Subgraph, op: Operator) -> None:
    links = subgraph.links()
    total = links.producer(op.inputs[0])
    if total is None or total.kind != "ADD" or len(total.inputs) != 2:
        return
    power, one = sorted(total.inputs, key=lambda t: t.is_constant)
    exp = links.producer(power)
    if exp is None or exp.kind != "EXP" or not _is_float_constant(one) or np.any(one.values != 1):
        return
    x, output = exp.inputs[0], op.outputs[0]
    activation = getattr(total.options, "fusedActivationFunction", 0)
    if activation or x.is_constant or x.shape != output.shape:
        return

    def made(kind: str, source: Tensor, options: Any = None) -> Tensor:
        tensor = subgraph.add_tensor(
            f"{op.name}/{kind.lower()}", output.shape, signature=output.signature
        )
        operator = Operator(kind, [source], [tensor], options)
        subgraph.operators.insert(subgraph.operators.index(op), operator)
        return tensor

    likelihood = made("LOGISTIC", made("ABS", x, make("AbsOptions")))
    inputs = [made("RELU", x), made("LOG", likelihood)]
    _become(op, "SUB", inputs, make("SubOptions"))


def _pad(subgraph: Subgraph, op: Operator) -> None:
    if len(op.inputs) == 3 and _is_float_constant(op.inputs[2]):
        filler = op.inputs[2].values
        if np.any(np.isinf(filler)):
            largest = np.finfo(np.float32).max
            finite = np.clip(filler, -largest, largest)
            op.inputs[2] = subgraph.add_constant(f"{op.name}/filler", finite)


def _transpose_conv(subgraph: Subgraph, op: Operator) -> None:
    """Its options are a TfLiteTransposeConvParams: padding, stride_width, stride_height."""
    options = op.custom_options or b""
    if len(options) < 12 or len(op.inputs) != 3:
        return
    padding, *strides = struct.unpack_from("<3i", options)
    (data, weights, bias), output = op.inputs, op.outputs[0]
    if padding not in _PADDINGS or any(not 1 <= s <= 1 << 16 for s in strides):
        return
    if any(len(t.shape) != 4 or -1 in (t.signature or ()) for t in (data, weights, output)):
        return
    for axis, stride in ((1, strides[1]), (2, strides[0])):
        size, taps = output.shape[axis], weights.shape[axis]
        fits = -(-size // stride) if _PADDINGS[padding] == "SAME" else (size - taps) // stride + 1
        if fits != data.shape[axis]:
            return
    shape = subgraph.add_constant(f"{op.name}/shape", np.array(output.shape, np.int32))
    fields = {"padding": value("Padding", _PADDINGS[padding])}
    fields |= {"strideW": strides[0], "strideH": strides[1]}
    _become(
        op, "TRANSPOSE_CONV", [shape, weights, data, bias], make("TransposeConvOptions", **fields)
    )
    op.version = 3


def _is_float_constant(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.is_float and tensor.size > 0


_CHANGES: dict[str, Callable[[Subgraph, Operator], None]] = {
    "NEG": _negate,
    "SQUARE": _square,
    "POW": _power,
    "DIV": _divide,
    "LOG": _softplus,
    "PADV2": _pad,
    "Convolution2DTransposeBias": _transpose_conv,
}
