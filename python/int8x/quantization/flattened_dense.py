"""Dense layers on tensors of more than two dimensions, as converters write them for a batch of any
size: flattened to rows by a computed RESHAPE, multiplied, and brought back by another.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Links, Operator, Subgraph, Tensor

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe

_KEEPS_RANK = 5  # the version of FULLY_CONNECTED that has keep_num_dims


def keep_ranks(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """FULLY_CONNECTED of a RESHAPE to rows reads what was reshaped: it takes any rank. Where a
    RESHAPE to [SHAPE(x)[:-1], units] follows, it keeps the dimensions itself (keep_num_dims); or,
    where the recipe computes in int16x8, which tflite-runtime 2.14 then gets wrong, and one size
    alone is not known, that RESHAPE gets a constant shape.

    What computes the shapes is left to remove_dead. It hides the layer: shapes that are computed
    are not known before a run, and delegates leave what reads them to the runtime.
    """
    for subgraph in graph.subgraphs:
        for op in list(subgraph.operators):
            links = subgraph.links()
            if op.kind == "FULLY_CONNECTED" and (reshape := _flattening(op, links)) is not None:
                before = set(subgraph.operators[: subgraph.operators.index(op)])
                sources = _in_the_same_order(reshape.inputs[0], op, before, links)
                wide = recipe is not None and recipe.compute == "int16x8"
                back = _bringing_back(subgraph, op, sources, links)
                if back is not None and not (wide and _fix_shape(subgraph, *back)):
                    _keep_rank(subgraph, op, *back)
                elif sources:
                    _read_rows_of(op, sources[0] if back is None else back[1])


def _flattening(op: Operator, links: Links) -> Operator | None:
    """The RESHAPE before the operator that makes rows for its weights, if that is all it does."""
    weights, rows = op.input(1), op.input(0)
    reshape = None if rows is None else links.producer(rows)
    if reshape is None or reshape.kind != "RESHAPE" or rows.range is not None:
        return None
    if reshape.inputs[0] is None or reshape.inputs[0].is_constant or len(rows.shape) != 2:
        return None
    plain = weights is not None and weights.is_constant and len(weights.shape) == 2
    return reshape if plain and not getattr(op.options, "keepNumDims", True) else None


def _in_the_same_order(
    tensor: Tensor, op: Operator, before: set[Operator], links: Links
) -> list[Tensor]:
    """The tensor and what RESHAPE makes of it before the operator, of as many columns as its
    weights have.
    """
    readers = [r for r in links.consumers(tensor) if r in before]
    reshaped = [r.outputs[0] for r in readers if r.kind == "RESHAPE"]
    columns = op.inputs[1].shape[1]
    return [
        t
        for t in (tensor, *reshaped)
        if t is not op.inputs[0] and len(t.shape) > 1 and (t.signature or t.shape)[-1] == columns
    ]


def _bringing_back(
    subgraph: Subgraph, op: Operator, sources: list[Tensor], links: Links
) -> tuple[Operator, Tensor] | None:
    """The RESHAPE behind the operator that brings the dimensions of a source back, and the source;
    None unless nothing else reads what the operator makes.
    """
    made, units = op.outputs[0], op.inputs[1].shape[0]
    readers = links.consumers(made)
    if len(readers) != 1 or made in subgraph.outputs or made.range is not None:
        return None
    source = _measured(readers[0], units, links)
    return (readers[0], source) if source is not None and source in sources else None


def _fix_shape(subgraph: Subgraph, back: Operator, source: Tensor) -> bool:
    """Gives the RESHAPE that brings dimensions back a constant shape, if one alone is unknown."""
    sizes = (*(source.signature or source.shape)[:-1], back.outputs[0].shape[-1])
    if sizes.count(-1) > 1:
        return False
    back.inputs[1] = subgraph.add_constant(f"{back.name}/shape", np.array(sizes, np.int32))
    return True


def _keep_rank(subgraph: Subgraph, op: Operator, back: Operator, source: Tensor) -> None:
    """The operator brings the dimensions of the source back itself."""
    units = op.inputs[1].shape[0]
    subgraph.remove([back])
    made = op.outputs[0] = back.outputs[0]
    op.inputs[0], op.options.keepNumDims, op.version = source, True, max(op.version, _KEEPS_RANK)
    made.shape = (*source.shape[:-1], units)
    made.signature = source.signature and (*source.signature[:-1], units)


def _read_rows_of(op: Operator, source: Tensor) -> None:
    made, units = op.outputs[0], op.inputs[1].shape[0]
    op.inputs[0] = source
    made.shape = math.prod(source.shape[:-1]), units
    made.signature = (-1, units) if -1 in (source.signature or ()) else None


def _measured(op: Operator, units: int, links: Links) -> Tensor | None:
    """The x of a RESHAPE to [SHAPE(x)[:-1], units]."""
    shape = op.input(1) if op.kind == "RESHAPE" else None
    joined = None if shape is None else links.producer(shape)
    if joined is None or joined.kind != "CONCATENATION" or len(joined.inputs) != 2:
        return None
    leading, last = joined.inputs
    if not last.is_constant or last.values.tolist() != [units]:
        return None
    gather = links.producer(leading)
    if gather is None or gather.kind != "GATHER" or not gather.inputs[1].is_constant:
        return None
    measure = links.producer(gather.inputs[0])
    if measure is None or measure.kind != "SHAPE":
        return None
    source: Tensor = measure.inputs[0]
    first = np.arange(len(source.shape) - 1)
    return source if np.array_equal(gather.inputs[1].values, first) else None
