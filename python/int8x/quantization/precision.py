"""Assigns each operator its precision, as the recipe and its overrides want it."""

import dataclasses
import difflib

from int8x.errors import QuantizeError, RecipeError
from int8x.quantization.markers import reads_integers
from int8x.quantization.overrides import Override
from int8x.quantization.precision_rules import (
    obstacle_to,
    obstacle_to_hybrid,
    plain_constant,
    stored_weights,
)
from int8x.quantization.recipe import Recipe
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

# Bits of the activations of each compute with integer activations.
BITS = {"int8": 8, "int8_w4": 8, "int16x8": 16}
_MOST_NAMES = 5  # that an error lists


@dataclasses.dataclass
class Precision:
    """The decision, for the operators that have float tensors.

    compute: of each operator that is changed, everything but "float". per_channel: of those with
    weights. recipes: for each activation, the recipe with the observer that it gets; ranges: those
    that rules give. left: operators that stay float, as (operator, kind, reason); refused: those of
    them that the recipe did not ask for.
    """

    recipe: Recipe
    compute: dict[Operator, str] = dataclasses.field(default_factory=dict)
    per_channel: dict[Operator, bool] = dataclasses.field(default_factory=dict)
    recipes: dict[Tensor, Recipe] = dataclasses.field(default_factory=dict)
    ranges: dict[Tensor, tuple[float, float]] = dataclasses.field(default_factory=dict)
    left: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    refused: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    def bits(self, op: Operator) -> int | None:
        """Bits of the operator's activations; None when they are float."""
        return BITS.get(self.compute.get(op, "float"))

    def recipe_for(self, tensor: Tensor) -> Recipe:
        """The recipe with the activation's own observer."""
        return self.recipes.get(tensor, self.recipe)


def assign(graph: Graph, recipe: Recipe) -> Precision:
    """What becomes of each operator of the prepared graph.

    Operators of other subgraphs than the first keep float activations: they can only store their
    weights smaller. Rules with an index, or for integer activations, are of the first subgraph.
    Raises RecipeError for a rule that selects nothing, or sets what its operators cannot take.
    """
    precision = Precision(recipe)
    operators = graph.main.operators
    inner = [op for subgraph in graph.subgraphs[1:] for op in subgraph.operators]
    wanted = {op: recipe.compute for op in operators if _is_float(op)}
    if recipe.compute not in BITS:
        wanted |= {op: recipe.compute for op in inner if _is_float(op)}
    per_channel: dict[Operator, bool] = {}
    activations = _activations(graph)
    by_rule: set[Operator] = set()
    for number, rule in enumerate(recipe.overrides):
        others = inner if rule.index is None and rule.compute not in BITS else []
        selected = _selected(rule, f"overrides[{number}]", operators, others)
        tensors = rule.tensors(activations, selected)
        if rule.tensor is not None and not tensors:
            raise RecipeError(
                f"recipe: overrides[{number}]: no float activation is named {rule.tensor!r}"
                + _near(rule.tensor, [t.name for t in activations])
            )
        for op in selected:
            if _is_float(op) and rule.compute is not None:
                wanted[op] = rule.compute
                by_rule.add(op)
            if rule.weights is not None:
                per_channel[op] = rule.weights == "per_channel"
        for tensor in tensors if rule.sets_tensors else ():
            precision.recipes[tensor] = _observed_by(rule, precision.recipe_for(tensor))
            if rule.range is not None:
                precision.ranges[tensor] = rule.range
    for op, compute in wanted.items():
        _settle(precision, op, compute, by_rule=op in by_rule)
    if recipe.compute in BITS:
        asked = [op for op in operators if op in by_rule and wanted[op] == "float"]
        _leave_other_subgraphs(graph, precision, wanted, graph.run_by(asked))
    default = recipe.weights == "per_channel"
    precision.per_channel = {op: per_channel.get(op, default) for op in precision.compute}
    return precision


def refuse_left_in_float(graph: Graph, precision: Precision) -> None:
    """Raises QuantizeError, which lists them, for operators that stay float against the recipe."""
    left = precision.refused
    if left and not precision.recipe.allow_float:
        listed = "; ".join(f"{kind} {name!r} ({reason})" for name, kind, reason in left)
        made = precision.recipe.compute
        raise QuantizeError(
            f"{graph.origin}: {len(left)} operators cannot be made {made}: {listed}. "
            "They stay in float when the recipe allows it (allow_float), or a rule of it wants "
            "them so",
            tuple(left),
        )


def _leave_other_subgraphs(
    graph: Graph, precision: Precision, wanted: dict[Operator, str], asked: list[Subgraph]
) -> None:
    """What runs in branches, loops and other signatures keeps float activations, and is told. In
    subgraphs `asked`, which operators run that a rule wants in float, it was asked for.
    """
    for number, subgraph in enumerate(graph.subgraphs[1:], 1):
        where = f"it is in subgraph {number}, {subgraph.name!r}: "
        for op in subgraph.operators:
            if not _is_float(op) or op in wanted:
                continue
            if subgraph in asked:
                reason = f"{where}the recipe wants what runs it so"
                precision.left.append((op.name, op.kind, reason))
            else:
                reason = f"{where}only the first one gets integer activations"
                precision.left.append((op.name, op.kind, reason))
                precision.refused.append(precision.left[-1])


def _settle(precision: Precision, op: Operator, compute: str, by_rule: bool) -> None:
    """Notes the operator's compute, or why it stays float."""
    reason, refused = None, False
    if compute in BITS:
        reason = obstacle_to(compute, op)
        refused = reason is not None
    elif compute == "float":
        reason = "the recipe wants it so"
    elif not _can_store(op, compute):
        place = stored_weights(op)
        weights = None if place is None else op.input(place.index)
        if by_rule or (weights is not None and weights.is_constant):
            reason = "it has no plain float weights that can be stored smaller"
        compute = "float"
    elif compute == "dynamic":
        reason = obstacle_to_hybrid(op)
    if reason is None and compute != "float":
        precision.compute[op] = compute
    elif reason is not None:
        precision.left.append((op.name, op.kind, reason))
        if refused:
            precision.refused.append((op.name, op.kind, reason))


def _selected(
    rule: Override, where: str, operators: list[Operator], others: list[Operator]
) -> list[Operator]:
    """The operators of a rule, `others` of inner subgraphs. Raises RecipeError when it has none."""
    if rule.tensor is not None:
        return []
    found = rule.operators(operators) + rule.operators(others)
    indices = rule.index if isinstance(rule.index, tuple) else (rule.index,)
    beyond = [i for i in indices if i is not None and i >= len(operators)]
    if beyond:
        raise RecipeError(
            f"recipe: {where}: there is no operator {beyond[0]}: the prepared graph has "
            f"{len(operators)}"
        )
    if not found:
        keys = {k: v for k, v in rule.to_dict().items() if k in ("kind", "name", "index")}
        told = ", ".join(f"{k} {v!r}" for k, v in keys.items())
        hint = ""
        if rule.kind is not None and all(op.kind != rule.kind for op in operators + others):
            hint = _near(rule.kind, [op.kind for op in operators + others])
        elif rule.name is not None:
            hint = _near(rule.name, [op.name for op in operators + others])
        raise RecipeError(f"recipe: {where}: no operator has {told}{hint}")
    return found


def _near(wanted: str, names: list[str]) -> str:
    """The names that are there, those most like the wanted one first."""
    there = list(dict.fromkeys(names))
    near = difflib.get_close_matches(wanted.strip("*?"), there, _MOST_NAMES, 0.5)
    told = [*near, *(name for name in there if name not in near)][:_MOST_NAMES]
    rest = f" and {len(there) - len(told)} more" if len(there) > len(told) else ""
    return f"; there are {', '.join(map(repr, told))}{rest}" if told else ""


def _observed_by(rule: Override, recipe: Recipe) -> Recipe:
    return dataclasses.replace(
        recipe,
        observer=rule.observer or recipe.observer,
        percentile=rule.percentile or recipe.percentile,
    )


def _activations(graph: Graph) -> list[Tensor]:
    main = graph.main
    named = dict.fromkeys([*main.inputs, *(t for op in main.operators for t in op.outputs)])
    return [t for t in named if t.is_float and not t.is_constant]


def _is_float(op: Operator) -> bool:
    tensors = [*op.inputs, *op.outputs]
    return not reads_integers(op) and any(t is not None and t.is_float for t in tensors)


def _can_store(op: Operator, compute: str) -> bool:
    """Whether the operator reads float constants that the compute stores in a smaller type."""
    if compute == "float16":
        opaque = op.kind in ("CUSTOM", "WHILE", "IF", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE")
        return not opaque and any(plain_constant(tensor) for tensor in op.inputs)
    place = stored_weights(op)
    return (
        place is not None
        and plain_constant(op.input(place.index))
        and len(op.inputs[place.index].shape) > place.axis
        and not getattr(op.options, "weightsFormat", 0)
    )
