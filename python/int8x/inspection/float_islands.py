"""Groups of operators that compute in float, between those that compute in integers."""

from int8x.tflite.subgraph import Operator, Subgraph, Tensor

# Operators that stand between float and integers; they belong to neither side.
BORDERS = ("QUANTIZE", "DEQUANTIZE")


def computes_in_float(op: Operator) -> bool:
    """Whether an activation that it reads or writes is float."""
    activations = [t for t in (*op.inputs, *op.outputs) if t is not None and not t.is_constant]
    return op.kind not in BORDERS and any(t.is_float for t in activations)


def float_islands(subgraph: Subgraph) -> list[tuple[int, ...]]:
    """The operators that compute in float, joined where they share a float tensor: indices,
    ascending, of each group.
    """
    floats = [(index, op) for index, op in enumerate(subgraph.operators) if computes_in_float(op)]
    island_of: dict[Tensor, set[int]] = {}
    islands: list[set[int]] = []
    for index, op in floats:
        tensors = [
            t
            for t in (*op.inputs, *op.outputs)
            if t is not None and t.is_float and not t.is_constant
        ]
        joined = {index}.union(*(island_of[t] for t in tensors if t in island_of))
        islands = [island for island in islands if not island & joined] + [joined]
        for tensor, island in island_of.items():
            if island & joined:
                island_of[tensor] = joined
        island_of.update(dict.fromkeys(tensors, joined))
    return [tuple(sorted(island)) for island in sorted(islands, key=min)]
