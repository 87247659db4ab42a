"""The inputs and outputs of a layer as rows of a matrix product, at chosen output positions."""

import dataclasses

import numpy as np

from int8x.methods.layers import Layer
from int8x.tflite.subgraph import Operator


@dataclasses.dataclass(frozen=True)
class Shape:
    """A layer as `groups` products rows x terms by terms x outputs. kernel, stride, dilation, pad:
    (height, width); pad counts what lies above and left. All ones and zeros for FULLY_CONNECTED.
    """

    groups: int
    outputs: int
    terms: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    same: bool = False


def shape_of(op: Operator) -> Shape | None:
    """The products that an operator is made of, None for a kind that is none (TRANSPOSE_CONV)."""
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return None
    weights, options = op.inputs[1], op.options
    if op.kind == "FULLY_CONNECTED":
        return Shape(1, weights.shape[0], weights.shape[1])
    kernel = weights.shape[1:3]
    stride = options.strideH, options.strideW
    dilation = max(options.dilationHFactor, 1), max(options.dilationWFactor, 1)
    same = options.padding == 0
    if op.kind == "DEPTHWISE_CONV_2D":
        groups = op.inputs[0].shape[-1]
        outputs, terms = weights.shape[3] // groups, kernel[0] * kernel[1]
    else:
        groups = op.inputs[0].shape[-1] // weights.shape[3]
        outputs, terms = weights.shape[0] // groups, kernel[0] * kernel[1] * weights.shape[3]
    return Shape(groups, outputs, terms, kernel, stride, dilation, same)


def positions(output: np.ndarray) -> int:
    """How many rows one sample's output gives."""
    return output.size // output.shape[-1]


def output_rows(output: np.ndarray, chosen: np.ndarray, shape: Shape) -> np.ndarray:
    """The output at `chosen` positions, float32 of (groups, rows, outputs)."""
    rows = output.reshape(-1, shape.groups, shape.outputs)[chosen]
    return np.ascontiguousarray(rows.transpose(1, 0, 2))


def input_rows(
    layer: Layer, data: np.ndarray, chosen: np.ndarray, width: int, shape: Shape
) -> np.ndarray:
    """What the layer reads for those positions of one sample, float32 of (groups, rows, terms);
    zero where it reads padding. width: of the output.
    """
    if layer.op.kind == "FULLY_CONNECTED":
        return data.reshape(-1, shape.terms)[chosen][None]
    _, height_in, width_in, channels = data.shape
    rows = []
    for axis, (size, place) in enumerate(
        ((height_in, chosen // width), (width_in, chosen % width))
    ):
        reach = (shape.kernel[axis] - 1) * shape.dilation[axis] + 1
        count = -(-size // shape.stride[axis])
        short = max((count - 1) * shape.stride[axis] + reach - size, 0) if shape.same else 0
        steps = np.arange(shape.kernel[axis]) * shape.dilation[axis] - short // 2
        rows.append(place[:, None] * shape.stride[axis] + steps[None])
    down, across = rows[0][:, :, None], rows[1][:, None, :]
    inside = (down >= 0) & (down < height_in) & (across >= 0) & (across < width_in)
    taps = data[0, np.clip(down, 0, height_in - 1), np.clip(across, 0, width_in - 1)]
    taps = np.where(inside[..., None], taps, np.float32(0))
    count = len(chosen)
    split = taps.reshape(count, -1, shape.groups, channels // shape.groups)
    return np.ascontiguousarray(split.transpose(2, 0, 1, 3).reshape(shape.groups, count, -1))


def to_groups(weights: np.ndarray, kind: str, shape: Shape) -> np.ndarray:
    """A layer's weights as (groups, outputs, terms)."""
    if kind == "DEPTHWISE_CONV_2D":
        weights = np.moveaxis(weights[0], -1, 0)
    return np.ascontiguousarray(weights.reshape(shape.groups, shape.outputs, shape.terms))


def from_groups(grouped: np.ndarray, kind: str, wanted: tuple[int, ...]) -> np.ndarray:
    """The inverse of to_groups(): weights of shape `wanted`."""
    if kind != "DEPTHWISE_CONV_2D":
        return np.ascontiguousarray(grouped.reshape(wanted))
    spread = grouped.reshape(wanted[3], wanted[1], wanted[2])
    return np.ascontiguousarray(np.moveaxis(spread, 0, -1)[None])
