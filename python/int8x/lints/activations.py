"""Lints of the grids of activations."""

from int8x.lints.finding import Place, Told, is_quantized
from int8x.quantization.precision_rules import FIXED_INT16
from int8x.quantization.rules import RULES
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Operator, Tensor

_ROUNDING = 1e-5  # scales closer than this are one scale, rounded twice
_RELU, _RELU6 = 1, 3  # ActivationFunctionType
_NEVER_NEGATIVE = ("RELU", "RELU6", "RELU_0_TO_1", "LOGISTIC", "SOFTMAX", "EXP", "ABS", "SQRT")
_CUTS_NEGATIVES = ("RELU", "RELU6", "RELU_0_TO_1")
_MOST_UNUSED = 0.25

# SOFTMAX's kernel takes the scale for 1/256 whatever it says, and refuses it beyond this.
_SCALE_TOLERANCE = {"SOFTMAX": 1e-3}


def unequal_scales(place: Place) -> Told:
    """Operators that move values move integers: with unequal grids the values change silently, or
    the runtime refuses the model.
    """
    rule = RULES.get(place.op.kind)
    if rule is None or rule.scales != "same":
        return
    places = range(len(place.op.inputs)) if rule.data is None else rule.data
    inputs = [t for i in places if is_quantized(t := place.op.input(i))]
    outputs = [t for t in place.op.outputs if is_quantized(t)]
    if not inputs or not outputs:
        return
    first = outputs[0].grid
    for tensor in [*inputs, *outputs[1:]]:
        if tensor.dtype == outputs[0].dtype and not _same(tensor.grid, first):
            yield tensor, f"{_text(first)} as {outputs[0].name.split(';')[0]}", _text(tensor.grid)


def fixed_output(place: Place) -> Told:
    """The grids that TFLite's specification fixes."""
    if not place.op.outputs or not place.op.inputs:
        return
    source, output = place.op.inputs[0], place.op.outputs[0]
    if source is None or source.dtype != output.dtype or not is_quantized(output):
        return
    wanted = _fixed(place.op.kind, output.dtype)
    if wanted is None or output.grid.axis is not None:
        return
    tolerance = _SCALE_TOLERANCE.get(place.op.kind, _ROUNDING)
    if not _same(output.grid, wanted, tolerance):
        yield output, _text(wanted), _text(output.grid)


def int16_zero_point(place: Place) -> Told:
    """int16 is symmetric."""
    for tensor in dict.fromkeys([*place.op.inputs, *place.op.outputs]):
        if is_quantized(tensor) and tensor.dtype == "INT16" and any(tensor.quant.zero_points):
            yield tensor, "zero point 0", str(int(abs(tensor.quant.zero_points).max()))


def output_scale_too_small(place: Place) -> Told:
    """An output's grid so fine that kernels abort or runtimes refuse: ADD and SUB, whose common
    scale is divided by 2^19; sums of products, whose multiplier must stay below 256; HARD_SWISH.
    """
    op = place.op
    output = op.outputs[0] if op.outputs else None
    grids = [t.grid for t in op.inputs if is_quantized(t) and t.grid.axis is None]
    if not is_quantized(output) or output is None or output.grid.axis is not None or not grids:
        return
    scale, least, why = float(output.grid.scale), 0.0, ""
    rule = RULES.get(op.kind)
    if op.kind in ("ADD", "SUB") and output.dtype == "INT8" and len(grids) == 2:
        least = max(float(g.scale) for g in grids) / 2**19
        why = "2^-19 of the larger input's: the kernel aborts"
    elif op.kind == "HARD_SWISH":
        least, why = float(grids[0].scale) / 128, "1/128 of the input's: TFLite refuses the model"
    elif rule is not None and rule.weights is not None:
        data, weights = op.input((rule.data or (0,))[0]), op.input(rule.weights.index)
        if is_quantized(data) and weights is not None and weights.quant is not None:
            product = float(data.grid.scales[0]) * float(weights.quant.scales.max())
            least, why = product / 256, "1/256 of input times weight scale: XNNPACK refuses it"
    if why and scale <= least:
        yield output, f"a scale above {least:.3g}, {why}", f"{scale:.3g}"


def unused_negatives(place: Place) -> Told:
    """Integers that stand for negative values, on a tensor that has none, or whose negatives a RELU
    cuts next: more than a quarter of them is lost range. A grid shared with a tensor that may be
    negative is spared.
    """
    for output in place.op.outputs:
        if output.dtype not in ("INT8", "UINT8") or not is_quantized(output):
            continue
        if output.grid.axis is not None:
            continue
        bottom = -128 if output.dtype == "INT8" else 0
        unused = (int(output.grid.zero_point) - bottom) / 256
        if unused <= _MOST_UNUSED or not _negatives_are_lost(place, output):
            continue
        if _shares_with_negatives(place, output):
            continue
        cut = not _never_negative(place.op)
        yield (
            output,
            f"zero point {bottom}" + (" before RELU" if cut else ", as no value is negative"),
            f"{int(output.grid.zero_point)}: {unused:.0%} of the steps are never used",
        )


def _negatives_are_lost(place: Place, tensor: Tensor) -> bool:
    if _never_negative(place.op):
        return True
    readers = place.readers(tensor)
    kept = tensor in place.subgraph.outputs or not readers
    return not kept and all(op.kind in _CUTS_NEGATIVES for op in readers)


def _never_negative(op: Operator) -> bool:
    return op.kind in _NEVER_NEGATIVE or getattr(op.options, "fusedActivationFunction", 0) in (
        _RELU,
        _RELU6,
    )


def _shares_with_negatives(place: Place, tensor: Tensor) -> bool:
    """Whether a tensor that must have the same grid may hold negative values."""
    seen, waiting = {tensor}, [tensor]
    while waiting:
        current = waiting.pop()
        maker = place.producer(current)
        around = [*place.readers(current), *([maker] if maker is not None else [])]
        for op in around:
            rule = RULES.get(op.kind)
            if rule is None or rule.scales != "same":
                continue
            for other in [*op.inputs, *op.outputs]:
                if is_quantized(other) and other not in seen and _same(other.grid, tensor.grid):
                    seen.add(other)
                    waiting.append(other)
    for other in seen - {tensor}:
        maker = place.producer(other)
        if maker is None:
            return True  # an input, or a constant
        rule = RULES.get(maker.kind)
        moved = rule is not None and rule.scales == "same"
        if not moved and not _never_negative(maker):
            return True
    return False


def _fixed(kind: str, dtype: str) -> QuantParams | None:
    if dtype == "INT16":
        return FIXED_INT16.get(kind)
    wanted = RULES[kind].output if kind in RULES else None
    if wanted is None or dtype == "INT8":
        return wanted
    return QuantParams(wanted.scale, wanted.zero_point + 128)


def _same(grid: QuantParams, other: QuantParams, tolerance: float = _ROUNDING) -> bool:
    if grid.axis is not None or other.axis is not None:
        return grid.same_grid(other)
    near = abs(grid.scale / other.scale - 1) <= tolerance
    return bool(near and grid.zero_point == other.zero_point)


def _text(grid: QuantParams) -> str:
    return f"scale {float(grid.scales[0]):.6g}, zero point {int(grid.zero_points[0])}"
