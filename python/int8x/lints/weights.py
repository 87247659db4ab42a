"""Lints of operators with weights and a bias."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from int8x.lints.finding import Place, Told, is_quantized
from int8x.quantization.rules import RULES
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.sparsity import dense, is_sparse
from int8x.tflite.subgraph import Tensor

# A bias stored on a scale that is this much off is read wrongly by as much.
_SCALE_TOLERANCE = 1e-3
_LIMITS = {"INT8": 127, "INT16": 32767, "INT4": 7}
_BIAS_NEAR_ITS_LIMIT = 2.0**29
_SMALLEST_MULTIPLIER = 2.0**-29
_LARGEST_SPREAD = 1000.0


@dataclasses.dataclass(frozen=True)
class _Weighted:
    """The parts of an operator with quantized activations and constant, quantized weights."""

    data: QuantParams
    weights: Tensor
    grid: QuantParams
    axis: int
    bias: Tensor | None
    output: QuantParams | None
    bits: int

    @property
    def products(self) -> np.ndarray:
        """Scale of the accumulators: input scale times weight scale, one or one per channel."""
        return float(self.data.scale) * self.grid.scales.astype(np.float64)


def _weighted(place: Place) -> Iterator[_Weighted]:
    rule = RULES.get(place.op.kind)
    if rule is None or rule.weights is None or not place.op.outputs:
        return
    data = place.op.input((rule.data or (0,))[0])
    weights, bias = place.op.input(rule.weights.index), place.op.input(rule.weights.bias)
    if weights is None or not weights.is_constant or weights.quant is None:
        return
    if data is None or not is_quantized(data) or data.quant.axis is not None:
        return
    output = place.op.outputs[0].quant
    parts = (data.quant, weights, weights.quant, rule.weights.axis, bias)
    yield _Weighted(*parts, output, data.bits)


def bias_scale(place: Place) -> Told:
    """Kernels read the bias at input scale times weight scale, whatever its own says. A bias of
    zeros is one at any scale.
    """
    for w in _weighted(place):
        if w.bias is None or w.bias.quant is None:
            continue
        if w.bias.is_constant and w.bias.buffer is not None and not w.bias.buffer.any():
            continue
        wanted, came = np.broadcast_arrays(w.products, *_scales_like(w.bias.quant, w.products))
        worst = int(np.argmax(np.abs(came / wanted - 1)))
        ratio = came[worst] / wanted[worst]
        if abs(ratio - 1) > _SCALE_TOLERANCE:
            where = f" in channel {worst}" if len(wanted) > 1 else ""
            yield (
                w.bias,
                f"scale {wanted[worst]:.6g}{where} (input scale times weight scale)",
                f"{came[worst]:.6g}, {ratio:.3g} times that",
            )


def _scales_like(quant: QuantParams, products: np.ndarray) -> list[np.ndarray]:
    scales = quant.scales.astype(np.float64)
    fits = len(scales) in (1, len(products)) or len(products) == 1
    return [scales if fits else scales[:1]]


def bias_scale_refused(place: Place) -> Told:
    """A per-tensor FULLY_CONNECTED does not load when |si * sf - sb| / so > 0.02."""
    for w in _weighted(place):
        if place.op.kind != "FULLY_CONNECTED" or len(w.grid.scales) > 1 or w.output is None:
            continue
        if w.bias is None or w.bias.quant is None:
            continue
        off = abs(float(w.products[0]) - float(w.bias.quant.scales[0])) / float(w.output.scales[0])
        if off > 0.02:
            yield (
                w.bias,
                f"a scale within 2% of the output's of {w.products[0]:.6g}",
                f"{float(w.bias.quant.scales[0]):.6g}, {off:.1%} off: TFLite refuses the model",
            )


def bias_grid(place: Place) -> Told:
    """A bias is int32 (int64 too beside int16 activations) with zero point 0."""
    for w in _weighted(place):
        if w.bias is None:
            continue
        types = ("INT32", "INT64") if w.bits == 16 else ("INT32",)
        if w.bias.dtype not in types:
            yield w.bias, " or ".join(types), w.bias.dtype
        if w.bias.quant is not None and np.any(w.bias.quant.zero_points):
            yield w.bias, "zero point 0", str(int(np.abs(w.bias.quant.zero_points).max()))


def channel_axis(place: Place) -> Told:
    """Scales per channel lie along the axis that the kernel knows, and only weights have them."""
    rule = RULES.get(place.op.kind)
    if rule is None:
        return
    for index, tensor in enumerate([*place.op.inputs, *place.op.outputs]):
        if tensor is None or tensor.quant is None or tensor.quant.axis is None:
            continue
        axis, count = tensor.quant.axis, len(tensor.quant.scales)
        if rule.weights is not None and index == rule.weights.index:
            if axis != rule.weights.axis:
                yield tensor, f"{count} scales along axis {rule.weights.axis}", f"axis {axis}"
        elif is_quantized(tensor):
            yield tensor, "one scale", f"{count} scales along axis {axis}"


def weight_zero_point(place: Place) -> Told:
    """Signed weights are symmetric: kernels refuse other zero points, or ignore them."""
    for w in _weighted(place):
        zeros = w.grid.zero_points
        if w.weights.dtype != "UINT8" and np.any(zeros):
            worst = int(np.argmax(np.abs(zeros)))
            where = f" in channel {worst}" if len(zeros) > 1 else ""
            yield w.weights, "zero point 0", f"{int(zeros[worst])}{where}"


def weight_range(place: Place) -> Told:
    """Weights use their integers: a channel that stays below half of the range lost a bit.

    Channels of zeros are left out, and those whose scale had to be that large: for the bias to fit,
    or for the multiplier not to vanish.
    """
    for w in _weighted(place):
        limit = _LIMITS.get(w.weights.dtype)
        if limit is None or not w.weights.size:
            continue
        largest = _per_channel(w, np.abs(_values(w.weights).astype(np.int32)))
        wasted = (largest > 0) & (largest <= limit // 2)
        if w.bias is not None and w.bias.is_constant and w.bias.dtype in ("INT32", "INT64"):
            heavy = np.abs(w.bias.values.astype(np.float64).reshape(-1)) >= _BIAS_NEAR_ITS_LIMIT
            wasted &= ~heavy if len(heavy) == len(wasted) else ~heavy.any()
        if w.output is not None:
            wasted &= w.products / float(w.output.scales[0]) > _SMALLEST_MULTIPLIER
        if wasted.any():
            worst = int(np.flatnonzero(wasted)[np.argmin(largest[wasted])])
            share = f"{int(wasted.sum())} of {len(wasted)} channels stay at or below {limit // 2}: "
            yield (
                w.weights,
                f"integers up to {limit} in each channel",
                (share if len(wasted) > 1 else "")
                + f"up to {int(largest[worst])}"
                + (f" in channel {worst}" if len(wasted) > 1 else ""),
            )


def channel_scale_spread(place: Place) -> Told:
    """Channels of very different size share one grid afterwards: the small ones get few steps."""
    for w in _weighted(place):
        scales = w.grid.scales.astype(np.float64)
        if len(scales) < 2 or w.grid.axis != w.axis or w.weights.dtype not in _LIMITS:
            continue
        live = scales[_per_channel(w, np.abs(_values(w.weights).astype(np.int32))) > 0]
        if live.size and live.max() / live.min() > _LARGEST_SPREAD:
            yield (
                w.weights,
                f"channel scales within a factor of {_LARGEST_SPREAD:g}",
                f"{live.min():.3g} to {live.max():.3g}, a factor of {live.max() / live.min():.3g}",
            )


def missing_bias(place: Place) -> Told:
    """Convolutions without a bias are refused by the reference and crash stock kernels."""
    if place.op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return
    for w in _weighted(place):
        if w.bias is None:
            yield place.op.outputs[0], "a bias, of zeros if need be", "none"


def _values(tensor: Tensor) -> np.ndarray:
    return dense(tensor) if is_sparse(tensor) else tensor.values


def _per_channel(w: _Weighted, sizes: np.ndarray) -> np.ndarray:
    """The largest of each channel that has a scale."""
    if w.grid.axis is None:
        return np.asarray([sizes.max(initial=0)])
    return np.moveaxis(sizes, w.grid.axis, 0).reshape(len(w.grid.scales), -1).max(1, initial=0)
