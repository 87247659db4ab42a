"""How much each operator's int8 form costs the outputs, and what it costs to run it wider."""

import dataclasses
from collections.abc import Sequence

from int8x.methods.draft import Draft
from int8x.methods.scoring import Reference, Score
from int8x.progress import Progress, silent
from int8x.quantization.overrides import Override
from int8x.quantization.precision import assign
from int8x.quantization.precision_rules import obstacle_to
from int8x.quantization.recipe import Recipe
from int8x.quantization.rules import RULES
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Operator


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """One operator that may compute wider. index: in the prepared graph. wider: "int16x8", or
    "float". sqnr_db: of the worst output when it alone is int8 and all others are float. gain: how
    much less noise it alone makes when wider. cost: its multiplications, or its elements.
    """

    index: int
    name: str
    kind: str
    wider: str
    sqnr_db: float
    gain: float
    cost: int


def measure(
    graph: Graph,
    draft: Draft,
    reference: Reference,
    wider: str,
    progress: Progress = silent,
) -> list[Sensitivity]:
    """Every operator that the draft's recipe makes int8 and that can be `wider`, the one that gains
    the most for its cost first. Operators that have no int16x8 form become float where the recipe
    allows it.
    """
    recipe, operators = draft.recipe, graph.main.operators
    compute = assign(graph, recipe).compute
    movable = [
        (i, op, to)
        for i, op in enumerate(operators)
        if compute.get(op) in ("int8", "int8_w4") and (to := _can_be(op, wider, recipe)) is not None
    ]
    found = []
    with progress("sensitivity", len(movable), 0) as advance:
        for i, op, to in movable:
            narrow = _alone(graph, draft, reference, i, compute[op])
            wide = 0.0 if to == "float" else sum(_alone(graph, draft, reference, i, to).noise)
            gain = max(sum(narrow.noise) - wide, 0.0)
            found.append(Sensitivity(i, op.name, op.kind, to, narrow.sqnr_db, gain, cost_of(op)))
            advance()
    return sorted(found, key=lambda s: (-s.gain / s.cost, s.index))


def cost_of(op: Operator) -> int:
    """Multiplications of an operator with weights, else the elements that it writes."""
    output, rule = op.outputs[0], RULES.get(op.kind)
    if rule is None or rule.weights is None or not output.shape:
        return max(sum(t.size for t in op.outputs), 1)
    return max(output.size // max(output.shape[-1], 1) * op.inputs[rule.weights.index].size, 1)


def widened(recipe: Recipe, chosen: Sequence[Sensitivity]) -> Recipe:
    """The recipe with the chosen operators wider."""
    rules = tuple(
        Override(index=tuple(sorted(s.index for s in chosen if s.wider == to)), compute=to)
        for to in ("int16x8", "float")
        if any(s.wider == to for s in chosen)
    )
    return dataclasses.replace(recipe, overrides=recipe.overrides + rules)


def _alone(graph: Graph, draft: Draft, reference: Reference, index: int, compute: str) -> Score:
    """With one operator quantized and all others in float."""
    others = tuple(i for i in range(len(graph.main.operators)) if i != index)
    rules = [Override(index=(index,), compute=compute)]
    rules += [Override(index=others, compute="float")] if others else []
    recipe = dataclasses.replace(
        draft.recipe, io="float", overrides=(*draft.recipe.overrides, *rules)
    )
    return reference.score(draft.quantized(graph, recipe))


def _can_be(op: Operator, wider: str, recipe: Recipe) -> str | None:
    if wider == "int16x8" and obstacle_to("int16x8", op) is None:
        return wider
    return "float" if recipe.allow_float else None
