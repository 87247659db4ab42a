"""Constants to integers: weights, biases, and constant operands. Zero stays zero in every one of
them.
"""

import numpy as np

from int8x import _native
from int8x.errors import QuantizeError
from int8x.quant_params import QuantParams
from int8x.subgraph import Operator, Tensor

_WEIGHT_LIMIT = 127
_LARGEST_BIAS = 2.0**30  # half of int32: the accumulator needs the rest
_LARGEST_MULTIPLIER = 255.0  # XNNPACK refuses input_scale * weight_scale / output_scale from 256 on


def quantize_constant(tensor: Tensor, grid: QuantParams) -> np.ndarray:
    """The constant's integers on a one-scale grid, int8, saturated.

    q = clamp(round_half_away(x / scale) + zero_point, -128, 127).
    """
    _refuse_non_finite(tensor)
    array = np.ascontiguousarray(tensor.values, np.float32)
    return _native.quantize(array, grid.scale, grid.zero_point, -128, 127).astype(np.int8)


def weight_scales(
    op: Operator,
    weights: Tensor,
    bias: np.ndarray,
    axis: int,
    per_channel: bool,
    input_scale: float,
    output_scale: float,
) -> np.ndarray:
    """The weights' scales, float32: one per slice along `axis`, or one for all.

    scale[c] = max|w[c]| / 127, raised where the bias would not fit (|bias| / (input_scale * scale)
    <= 2^30); a channel of zeros takes the largest scale of the others. Given scales (weights.range)
    are taken as they are.
    Raises QuantizeError for NaN, for a multiplier of 256 or more, and for given scales that do not
    fit.
    """
    _refuse_non_finite(weights)
    channels = weights.shape[axis]
    given = weights.range
    if given is not None and not np.any(given.zero_points):
        if given.axis not in (None, axis):
            raise QuantizeError(
                f"{weights.name}: {op.kind} takes weight scales along axis {axis}, axis "
                f"{given.axis} was given"
            )
        return given.scales
    rows = np.moveaxis(weights.values, axis, 0).reshape(channels, -1)
    largest = np.abs(rows).max(axis=1, initial=0).astype(np.float64)
    needed = np.abs(bias).astype(np.float64) / (_LARGEST_BIAS * input_scale)
    if not per_channel:
        largest, needed = (
            largest.max(keepdims=True, initial=0),
            needed.max(keepdims=True, initial=0),
        )
    scales = largest / _WEIGHT_LIMIT
    if not np.any(scales > 0):
        scales = np.full_like(scales, output_scale / input_scale / 256)
    scales = np.where(scales > 0, scales, scales.max())
    # Below 2^-31 of the output's scale the kernels' multiplier would be taken for zero, and the
    # bias lost with it.
    floor = np.maximum(needed, output_scale / input_scale * 2.0**-30)
    scales = np.maximum(np.maximum(scales, floor), 2.0**-100).astype(np.float32)
    return scales


def quantize_weights(weights: Tensor, scales: np.ndarray, axis: int) -> np.ndarray:
    """q = clamp(round_half_away(w / scale), -127, 127), int8, with scales along `axis` or one for
    all.
    """
    array = np.ascontiguousarray(np.moveaxis(weights.values, axis, 0), np.float32)
    if len(scales) == 1:
        coded = _native.quantize(array, float(scales[0]), 0, -_WEIGHT_LIMIT, _WEIGHT_LIMIT)
    else:
        coded = np.stack(
            [
                _native.quantize(row, float(s), 0, -_WEIGHT_LIMIT, _WEIGHT_LIMIT)
                for row, s in zip(array, scales, strict=True)
            ]
        )
    return np.ascontiguousarray(np.moveaxis(coded.astype(np.int8), 0, axis))


def quantize_bias(
    op: Operator, bias: np.ndarray, input_scale: float, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The bias as int32 and its scales, float32: q = round_half_away(bias / (input_scale * scale)),
    the product in double.

    Raises QuantizeError when a given weight scale makes a bias leave int32.
    """
    exact = input_scale * scales.astype(np.float64)
    per_channel = np.broadcast_to(exact, bias.shape)
    real = bias.astype(np.float64) / per_channel
    coded = np.copysign(np.floor(np.abs(real) + 0.5), real)
    if np.any(np.abs(coded) > 2.0**31 - 1):
        worst = int(np.argmax(np.abs(coded)))
        raise QuantizeError(
            f"{op.name}: bias[{worst}] = {bias[worst]:g} does not fit int32 at scale "
            f"{per_channel[worst]:g}"
        )
    return coded.astype(np.int32), exact.astype(np.float32)


def check_multiplier(
    op: Operator, input_scale: float, scales: np.ndarray, output_scale: float
) -> None:
    """Raises QuantizeError when the output's grid is so fine that runtimes refuse the operator."""
    multiplier = float(scales.astype(np.float64).max()) * input_scale / output_scale
    if multiplier > _LARGEST_MULTIPLIER:
        raise QuantizeError(
            f"{op.name}: the output's scale {output_scale:g} is too small for inputs of scale "
            f"{input_scale:g} and "
            f"weights of scale {scales.max():g} (multiplier {multiplier:g}, at most 255)"
        )


def _refuse_non_finite(tensor: Tensor) -> None:
    if not np.isfinite(tensor.values).all():
        raise QuantizeError(f"{tensor.name}: a constant with NaN or infinities cannot be quantized")
