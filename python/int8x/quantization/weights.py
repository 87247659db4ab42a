"""Constants to integers: weights, biases, and constant operands. Zero stays zero in every one of
them.
"""

import json

import numpy as np

from int8x import _native
from int8x.errors import QuantizeError
from int8x.tflite.quant_params import QuantParams, real_range
from int8x.tflite.subgraph import Operator, Tensor

_WEIGHT_LIMIT = {8: 127, 4: 7}  # by bits
# Half of int32: the accumulator needs the rest. Of 16x8's int64 TFLite's multiplication takes 2^47.
_LARGEST_BIAS, _LARGEST_WIDE_BIAS = 2.0**30, 2.0**46
# XNNPACK refuses input_scale * weight_scale / output_scale from 256 on, the 16x8 kernels from 128.
_LARGEST_MULTIPLIER, _LARGEST_WIDE_MULTIPLIER = 255.0, 127.0


def quantize_constant(tensor: Tensor, grid: QuantParams) -> np.ndarray:
    """The constant's integers on a one-scale grid, int8 or int16 as its bits say, saturated.

    q = clamp(round_half_away(x / scale) + zero_point, -128, 127), of int16 -32768, 32767.
    """
    _refuse_non_finite(tensor)
    array = np.ascontiguousarray(tensor.values, np.float32)
    low, high = -(2 ** (grid.bits - 1)), 2 ** (grid.bits - 1) - 1
    coded = _native.quantize(array, grid.scale, grid.zero_point, low, high)
    return coded.astype(np.int16 if grid.bits == 16 else np.int8)


def weight_scales(
    op: Operator,
    weights: Tensor,
    bias: np.ndarray,
    axis: int,
    per_channel: bool,
    input_scale: float,
    output_scale: float,
    bits: int = 8,
    wide: bool = False,
) -> np.ndarray:
    """The weights' scales, float32: one per slice along `axis`, or one for all.

    scale[c] = max|w[c]| / 127, of INT4 (`bits`) / 7, raised where the bias would not fit (|bias| /
    (input_scale * scale) <= 2^30, of int64 (`wide`) 2^46); a channel of zeros takes the largest
    scale of the others. Given scales (weights.range) of that many bits are taken as they are.
    Raises QuantizeError for NaN, for a multiplier of 256 or more, and for given scales that do not
    fit.
    """
    _refuse_non_finite(weights)
    given = _given(op, weights, axis, bits)
    if given is not None:
        return given
    largest = _largest(weights, axis, per_channel)
    limit = _LARGEST_WIDE_BIAS if wide else _LARGEST_BIAS
    needed = np.abs(bias).astype(np.float64) / (limit * input_scale)
    if not per_channel:
        needed = needed.max(keepdims=True, initial=0)
    scales = largest / _WEIGHT_LIMIT[bits]
    if not np.any(scales > 0):
        scales = np.full_like(scales, output_scale / input_scale / 256)
    scales = np.where(scales > 0, scales, scales.max())
    # Below 2^-31 of the output's scale the kernels' multiplier would be taken for zero, and the
    # bias lost with it.
    floor = np.maximum(needed, output_scale / input_scale * 2.0**-30)
    scales = np.maximum(np.maximum(scales, floor), 2.0**-100).astype(np.float32)
    return scales


def plain_scales(op: Operator, weights: Tensor, axis: int, per_channel: bool) -> np.ndarray:
    """The scales of int8 weights that meet float activations: max|w[c]| / 127, or given ones."""
    _refuse_non_finite(weights)
    given = _given(op, weights, axis, 8)
    if given is not None:
        return given
    scales = _largest(weights, axis, per_channel) / _WEIGHT_LIMIT[8]
    scales = np.where(scales > 0, scales, max(scales.max(initial=0), 2.0**-100))
    return np.maximum(scales, 2.0**-100).astype(np.float32)


def quantize_weights(weights: Tensor, scales: np.ndarray, axis: int, bits: int = 8) -> np.ndarray:
    """q = clamp(round_half_away(w / scale), -127, 127), of 4 bits -7, 7, in int8, with scales along
    `axis` or one for all.
    """
    limit = _WEIGHT_LIMIT[bits]
    array = np.ascontiguousarray(np.moveaxis(weights.values, axis, 0), np.float32)
    if len(scales) == 1:
        coded = _native.quantize(array, float(scales[0]), 0, -limit, limit)
    else:
        coded = np.stack(
            [
                _native.quantize(row, float(s), 0, -limit, limit)
                for row, s in zip(array, scales, strict=True)
            ]
        )
    return np.ascontiguousarray(np.moveaxis(coded.astype(np.int8), 0, axis))


def quantize_bias(
    op: Operator, bias: np.ndarray, input_scale: float, scales: np.ndarray, wide: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The bias as int32, or int64 when `wide`, and its scales, float32: q = round_half_away(bias /
    (input_scale * scale)), the product in double.

    Raises QuantizeError when a given weight scale makes a bias leave int32, or 2^47 of int64.
    """
    exact = input_scale * scales.astype(np.float64)
    per_channel = np.broadcast_to(exact, bias.shape)
    real = bias.astype(np.float64) / per_channel
    coded = np.copysign(np.floor(np.abs(real) + 0.5), real)
    if np.any(np.abs(coded) > (2.0**47 if wide else 2.0**31 - 1)):
        worst, kind = int(np.argmax(np.abs(coded))), "int64" if wide else "int32"
        raise QuantizeError(
            f"{op.name}: bias[{worst}] = {bias[worst]:g} does not fit {kind} at scale "
            f"{per_channel[worst]:g}"
        )
    return coded.astype(np.int64 if wide else np.int32), exact.astype(np.float32)


def check_multiplier(
    op: Operator,
    source: str,
    data: QuantParams,
    scales: np.ndarray,
    output: QuantParams,
    wide: bool = False,
) -> None:
    """Raises QuantizeError when the output's grid is so fine that runtimes refuse the operator: an
    outlier of the input (`source`) or the weights, before an output whose range is cut or given.
    """
    input_scale, output_scale = float(data.scale), float(output.scale)
    multiplier = float(scales.astype(np.float64).max()) * input_scale / output_scale
    most = _LARGEST_WIDE_MULTIPLIER if wide else _LARGEST_MULTIPLIER
    if multiplier > most:
        raise QuantizeError(
            f"{op.name}: the output's scale {output_scale:g} is too small for inputs of scale "
            f"{input_scale:g} and weights of scale {scales.max():g} (multiplier {multiplier:g}, at "
            f"most {most:g}): input {source!r} spans {_span(data)} ({data.source}), the output "
            f"{_span(output)} ({output.source}). If outliers stretch the input, use the observer "
            'percentile or entropy, or a rule with its range, {"tensor": '
            f'{json.dumps(source)}, "range": [low, high]}}; else leave the operator in float by a '
            f'rule, {{"name": {json.dumps(op.name)}, "compute": "float"}}'
        )


def _span(grid: QuantParams) -> str:
    low, high = real_range(grid)
    return f"[{low:.3g}, {high:.3g}]"


def _refuse_non_finite(tensor: Tensor) -> None:
    if not np.isfinite(tensor.values).all():
        raise QuantizeError(f"{tensor.name}: a constant with NaN or infinities cannot be quantized")


def _given(op: Operator, weights: Tensor, axis: int, bits: int) -> np.ndarray | None:
    """Scales that the weights were given, if any."""
    given = weights.range
    if given is None or np.any(given.zero_points) or given.bits != bits:
        return None
    if given.axis not in (None, axis):
        raise QuantizeError(
            f"{weights.name}: {op.kind} takes weight scales along axis {axis}, axis "
            f"{given.axis} was given"
        )
    return given.scales


def _largest(weights: Tensor, axis: int, per_channel: bool) -> np.ndarray:
    """max|w| of each slice along `axis`, or of all, in double."""
    rows = np.moveaxis(weights.values, axis, 0).reshape(weights.shape[axis], -1)
    largest = np.abs(rows).max(axis=1, initial=0).astype(np.float64)
    return largest if per_channel else largest.max(keepdims=True, initial=0)
