"""Operators without a usable int16 kernel as operators that have one, for recipes in int16x8."""

from collections.abc import Callable
from typing import Any

import numpy as np

from int8x.quantization.recipe import Recipe
from int8x.tflite.graph import Graph
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Operator, Subgraph, Tensor


def replace_for_int16(graph: Graph, recipe: Recipe | None = None) -> None:
    """PRELU(x, a) becomes RELU(x) + a * MINIMUM(x, 0), HARD_SWISH(x) x * (RELU6(x + 3) * (1 / 6)),
    SQUARED_DIFFERENCE(x, y) d * d with d = x - y: each equal to it within float32 rounding.

    The last operator keeps the name. Only where the recipe computes in int16x8, and has no rule for
    that kind.
    """
    if recipe is None or recipe.compute != "int16x8":
        return
    ruled = {rule.kind for rule in recipe.overrides}
    for op in list(graph.main.operators):
        change = _CHANGES.get(op.kind)
        if change is None or op.kind in ruled or len(op.outputs) != 1:
            continue
        if all(t is not None and t.is_float for t in op.inputs):
            change(graph.main, op)


def _before(
    subgraph: Subgraph, op: Operator, kind: str, inputs: list[Tensor], like: Tensor, part: str
) -> Tensor:
    """The result, shaped like another tensor, of a new operator that runs before `op`."""
    made = subgraph.add_tensor(f"{op.name}/{part}", like.shape, signature=like.signature)
    added = Operator(kind, inputs, [made], _options(kind))
    subgraph.operators.insert(subgraph.operators.index(op), added)
    return made


def _options(kind: str) -> Any:
    return {
        "ADD": lambda: make("AddOptions"),
        "SUB": lambda: make("SubOptions"),
        "MUL": lambda: make("MulOptions"),
        "MINIMUM": lambda: make("MaximumMinimumOptions"),
    }.get(kind, lambda: None)()


def _become(op: Operator, kind: str, inputs: list[Tensor]) -> None:
    op.kind, op.inputs, op.options, op.version, op.raw = kind, inputs, _options(kind), 1, None


def _prelu(subgraph: Subgraph, op: Operator) -> None:
    x, slope = op.inputs
    if x.is_constant or x.shape != op.outputs[0].shape:
        return
    zero = subgraph.add_constant(f"{op.name}/zero", np.zeros(1, np.float32))
    high = _before(subgraph, op, "RELU", [x], x, "positive")
    low = _before(subgraph, op, "MINIMUM", [x, zero], x, "negative")
    low = _before(subgraph, op, "MUL", [low, slope], x, "sloped")
    _become(op, "ADD", [high, low])


def _hard_swish(subgraph: Subgraph, op: Operator) -> None:
    x = op.inputs[0]
    if x.is_constant:
        return
    three, sixth = (
        subgraph.add_constant(f"{op.name}/{name}", np.array([number], np.float32))
        for name, number in (("three", 3), ("sixth", 1 / 6))
    )
    gate = _before(subgraph, op, "ADD", [x, three], x, "moved")
    gate = _before(subgraph, op, "RELU6", [gate], x, "clipped")
    gate = _before(subgraph, op, "MUL", [gate, sixth], x, "gate")
    _become(op, "MUL", [x, gate])


def _squared_difference(subgraph: Subgraph, op: Operator) -> None:
    x, y = op.inputs
    if x.is_constant and y.is_constant:
        return
    difference = _before(subgraph, op, "SUB", [x, y], op.outputs[0], "difference")
    _become(op, "MUL", [difference, difference])


_CHANGES: dict[str, Callable[[Subgraph, Operator], None]] = {
    "PRELU": _prelu,
    "HARD_SWISH": _hard_swish,
    "SQUARED_DIFFERENCE": _squared_difference,
}
