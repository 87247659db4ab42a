"""Whether constants of a quantized model are those of the float one, rounded."""

import numpy as np

from int8x.inspection.float_islands import BORDERS
from int8x.quantization.rules import RULES
from int8x.runtime.coding import as_real
from int8x.tflite.sparsity import is_sparse
from int8x.tflite.subgraph import Operator, Tensor

# Weights are the same ones, quantized, when they point the same way or mostly lie within a step;
# unless more channels than this were scaled, each by a factor of its own.
_LEAST_COSINE = 0.9
_WITHIN_A_STEP = 0.9
_FEW = 0.1


def constant_of(tensor: Tensor, producers: dict[Tensor, Operator]) -> Tensor | None:
    """The constant that a tensor is, or is the DEQUANTIZE of; None for activations."""
    op = producers.get(tensor)
    while op is not None and op.kind in (*BORDERS, "DENSIFY") and op.input(0) is not None:
        tensor = op.inputs[0]
        op = producers.get(tensor)
    return tensor if tensor.is_constant else None


def weights_likeness(
    op: Operator, other: Operator, producers: dict[Tensor, Operator]
) -> tuple[float, bool] | None:
    """Cosine of the weights of two operators, and whether they are the same ones up to rounding and
    training: pointing the same way, or mostly within a step, and no channel scaled as a whole, as
    equalization does. None where there are none to compare.
    """
    rule = RULES.get(op.kind)
    if rule is None or rule.weights is None:
        return None
    mine, its = op.input(rule.weights.index), other.input(rule.weights.index)
    if mine is None or its is None or not mine.is_constant or not mine.is_float:
        return None
    constant = constant_of(its, producers)
    if constant is None:
        return None
    cosine, alike = _alike(mine, constant)
    return cosine, alike and not _rescaled(mine, constant, rule.weights.axis)


def constants_agree(op: Operator, other: Operator, producers: dict[Tensor, Operator]) -> bool:
    """Whether all constants that two operators read at the same places are the same, but for
    biases: bias correction moves them.
    """
    rule = RULES.get(op.kind)
    bias = None if rule is None or rule.weights is None else rule.weights.bias
    for place in range(min(len(op.inputs), len(other.inputs))):
        mine, its = op.input(place), other.input(place)
        if place == bias or mine is None or its is None or not mine.is_constant:
            continue
        constant = constant_of(its, producers)
        if constant is not None and not _alike(mine, constant)[1]:
            return False
    return True


def _alike(mine: Tensor, its: Tensor) -> tuple[float, bool]:
    """Cosine of two constants, and whether they are the same one up to rounding."""
    try:
        x, q = mine.values, its.values
    except TypeError:  # strings, or stored sparse
        return 1.0, mine.dtype == its.dtype or its.quant is not None
    if x.size != q.size:
        return 0.0, False
    if not mine.is_float:
        return (1.0, True) if np.array_equal(x, q.reshape(x.shape)) else (0.0, False)
    x = x.astype(np.float64)
    y = dequantize(its).reshape(x.shape)
    step = np.broadcast_to(_step(its), q.shape).reshape(x.shape)
    close = float(np.mean(np.abs(x - y) <= step)) if x.size else 1.0
    norm = float(np.sqrt(np.sum(x * x)) * np.sqrt(np.sum(y * y)))
    cosine = float(np.sum(x * y)) / norm if norm else float(close == 1.0)
    return cosine, cosine >= _LEAST_COSINE or close >= _WITHIN_A_STEP


def _rescaled(mine: Tensor, its: Tensor, axis: int) -> bool:
    """Whether channels are the float ones times a factor each."""
    if is_sparse(its) or is_sparse(mine) or not mine.size or len(its.shape) <= axis:
        return False
    y = dequantize(its)
    x = mine.values.astype(np.float64).reshape(y.shape)
    steps = np.broadcast_to(_step(its), y.shape)
    rows = [np.moveaxis(a, axis, 0).reshape(y.shape[axis], -1) for a in (x, y, steps)]
    live = np.any(rows[0], axis=1)
    x, y, step = (a[live] for a in rows)
    power = np.sum(x * x, axis=1)
    factors = np.sum(x * y, axis=1) / power
    exact = np.mean(np.abs(y - factors[:, None] * x) <= step, axis=1) >= _WITHIN_A_STEP
    rounding = 0.5 * step[:, 0] / np.sqrt(power)  # of a factor, by errors of half a step
    scaled = exact & (np.abs(factors - 1) > 0.02 + 4 * rounding)
    return bool(np.count_nonzero(scaled) > _FEW * max(len(scaled), 1))


def _step(tensor: Tensor) -> np.ndarray:
    if tensor.quant is None:
        return np.full((1,) * len(tensor.shape), 1e-3)
    return _along(tensor.quant.scales, tensor)


def dequantize(tensor: Tensor) -> np.ndarray:
    """A constant as the reals it stands for, in double, per-channel scales included."""
    return as_real(tensor.values, tensor.quant).astype(np.float64)


def _along(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """One number per channel, shaped to meet the tensor."""
    shape = [1] * len(tensor.shape)
    if tensor.quant is not None and tensor.quant.axis is not None:
        shape[tensor.quant.axis] = -1
    return numbers.astype(np.float64).reshape(shape)
