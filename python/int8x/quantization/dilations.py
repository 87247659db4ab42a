"""Dilated convolutions as TensorFlow writes them: SPACE_TO_BATCH_ND, one without dilation,
BATCH_TO_SPACE_ND. Converters make one operator of the three, but not where two convolutions read
one SPACE_TO_BATCH_ND (gated and pyramid nets), nor where rows are filled up and cropped again.
"""

from typing import TYPE_CHECKING

import numpy as np

from int8x.tflite.graph import Graph
from int8x.tflite.schema import value
from int8x.tflite.subgraph import Links, Operator, Subgraph, Tensor

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
VIEWS = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")


def fuse_dilations(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """SPACE_TO_BATCH_ND, CONV_2D or DEPTHWISE_CONV_2D, BATCH_TO_SPACE_ND become one operator with
    dilation, behind a PAD where no padding of its own is theirs; of one spatial axis too, with the
    views around the operator that give it a second one.

    SPACE_TO_BATCH_ND itself is left to remove_dead, for others may read it.
    """
    for subgraph in graph.subgraphs:
        for op in list(subgraph.operators):
            if op.kind == "BATCH_TO_SPACE_ND" and op.input(0) is not None:
                _fuse(subgraph, op)


def _fuse(subgraph: Subgraph, back: Operator) -> None:
    links = subgraph.links()
    shrink, conv = _past_view(back.inputs[0], links)
    if conv is None or conv.kind not in _CONVOLUTIONS or not _is_plain(conv):
        return
    grow, spread = _past_view(conv.inputs[0], links)
    if spread is None or spread.kind != "SPACE_TO_BATCH_ND" or (grow is None) != (shrink is None):
        return
    between = [op.outputs[0] for op in (conv, shrink) if op is not None]
    if not all(subgraph.is_read_once(tensor, links) for tensor in between):
        return
    block, frame = _block(spread, back), _frame(spread, back)
    source, result = spread.inputs[0], back.outputs[0]
    if source is None or any(t.range is not None for t in (spread.outputs[0], conv.inputs[0])):
        return
    axes = 2 if grow is None else 1
    if block is None or frame is None or len(block) != axes or not _is_known(source, axes):
        return
    kernel = conv.inputs[1].shape[1:3]
    rows = ((conv.inputs[0], spread.outputs[0]), (conv.outputs[0], back.inputs[0]))
    if axes == 1 and not (kernel[0] == 1 and all(_is_row_of(a, b) for a, b in rows)):
        return
    around = [(kernel[i - axes] - 1) * block[i] for i in range(axes)]
    same = np.array_equal(frame, [[n // 2, n - n // 2] for n in around])
    if not same and np.any(frame):
        source = _padded(subgraph, conv, source, frame)
    conv.options.padding = value("Padding", "SAME" if same else "VALID")
    conv.options.dilationHFactor, conv.options.dilationWFactor = [1, *block][-2:]
    if axes == 2:
        conv.inputs[0], conv.outputs[0] = source, result
    else:
        conv.inputs[0] = _as_row(subgraph, source)
        conv.outputs[0] = _as_row(subgraph, result)
        _insert(subgraph, conv, 0, _reshape(subgraph, source, conv.inputs[0]))
        _insert(subgraph, conv, 1, _reshape(subgraph, conv.outputs[0], result))
    subgraph.remove([back])


def _past_view(tensor: Tensor, links: Links) -> tuple[Operator | None, Operator | None]:
    """The view that makes the tensor, if one does, and the operator that makes what lies under."""
    made = links.producer(tensor)
    if made is None or made.kind not in VIEWS:
        return None, made
    under = made.inputs[0]
    return made, None if under is None else links.producer(under)


def _is_plain(conv: Operator) -> bool:
    options = conv.options
    return (
        options is not None
        and conv.input(1) is not None
        and len(conv.inputs[1].shape) == 4
        and options.padding == value("Padding", "VALID")
        and (options.strideH, options.strideW) == (1, 1)
        and (options.dilationHFactor, options.dilationWFactor) == (1, 1)
    )


def _is_known(source: Tensor, axes: int) -> bool:
    """Whether it is float, of known sizes behind the batch."""
    sizes = source.signature or source.shape
    return source.is_float and len(sizes) == axes + 2 and -1 not in sizes[1:]


def _is_row_of(image: Tensor, flat: Tensor) -> bool:
    """Whether an image has [batch, length, channels] as its one row."""
    batch, *rest = flat.shape or (0,)
    return image.shape == (batch, 1, *rest)


def _block(spread: Operator, back: Operator) -> list[int] | None:
    """The block of both, None where they differ or are not known."""
    blocks = [op.input(1) for op in (spread, back)]
    if not all(block is not None and block.is_constant for block in blocks):
        return None
    first, second = (block.values.reshape(-1) for block in blocks)
    return first.tolist() if np.array_equal(first, second) else None


def _frame(spread: Operator, back: Operator) -> np.ndarray | None:
    """int [axes, 2]: what is padded and not cropped again; None where that is negative."""
    sides = [op.input(2) for op in (spread, back)]
    if not all(side is not None and side.is_constant for side in sides):
        return None
    padded, cropped = (side.values.reshape(-1, 2) for side in sides)
    if padded.shape != cropped.shape or np.any(padded < cropped):
        return None
    return padded - cropped


def _padded(subgraph: Subgraph, conv: Operator, source: Tensor, frame: np.ndarray) -> Tensor:
    around = np.concatenate([np.zeros((1, 2)), frame, np.zeros((1, 2))]).astype(np.int32)
    amounts = subgraph.add_constant(f"{conv.name}/paddings", around)
    more = around.sum(axis=1)  # none for the batch, whose size may be -1
    signature = None if source.signature is None else np.add(source.signature, more)
    shape = np.add(source.shape, more)
    result = subgraph.add_tensor(f"{conv.name}/padded", shape, signature=signature)
    _insert(subgraph, conv, 0, Operator("PAD", [source, amounts], [result]))
    return result


def _as_row(subgraph: Subgraph, flat: Tensor) -> Tensor:
    """A tensor like one of [batch, length, channels], as an image of one row."""
    batch, *rest = flat.shape
    signature = None if flat.signature is None else (flat.signature[0], 1, *rest)
    return subgraph.add_tensor(f"{flat.name}/row", (batch, 1, *rest), signature=signature)


def _reshape(subgraph: Subgraph, source: Tensor, result: Tensor) -> Operator:
    shape = np.array([-1, *result.shape[1:]], np.int32)
    return Operator(
        "RESHAPE", [source, subgraph.add_constant(f"{result.name}/shape", shape)], [result]
    )


def _insert(subgraph: Subgraph, conv: Operator, behind: int, op: Operator) -> None:
    subgraph.operators.insert(subgraph.operators.index(conv) + behind, op)
