"""Which prepared form of a float model a quantized one was made from, and what of it can be
compared.
"""

import os
from pathlib import Path
from typing import Any

from int8x.errors import ModelError, RecipeError
from int8x.quantization.passes import prepare
from int8x.quantization.recipe import Recipe, resolve
from int8x.tflite.graph import Graph, load
from int8x.validation.comparison import check_interfaces
from int8x.validation.pairing import Pairing, pair

# Weights that agree this well need no second try with another preparation.
_SURE = 0.98


def recipe_beside(model: str | os.PathLike | bytes | Graph) -> Recipe | Path | None:
    """The recipe that a quantized graph remembers, or the file of it beside the model."""
    if isinstance(model, Graph):
        return None if model.quantization is None else model.quantization.recipe
    if isinstance(model, (str, os.PathLike)):
        beside = Path(model).with_suffix(".recipe.json")
        return beside if beside.is_file() else None
    return None


def find_counterpart(
    model: str | os.PathLike | bytes | Graph,
    tested: Graph,
    given: Any,
    found: Recipe | Path | None,
) -> tuple[Graph, Pairing, tuple[str, ...]]:
    """The float graph in the form that `tested` was made from, its pairing with it, and notes.

    Passes such as equalization change inner tensors and weights, so of the recipe that was found
    and the plain and the equalized preparation, the one is taken whose weights are the quantized
    model's. `given`, a recipe that was asked for, is obeyed. Inner tensors are only paired when the
    weights agree.
    Raises ModelError when `model` is quantized already or the interfaces do not correspond.
    """
    source, notes = load(model), []
    recipes: list[Any] = ["int8", Recipe(equalize=True)]
    beside = False
    if given is not None:
        recipes = [resolve(given)]
    elif found is not None:
        try:
            recipes.insert(0, resolve(found))
            beside = True
        except RecipeError as error:
            notes.append(f"the recipe beside the model cannot be read: {error}")
    tries = []
    for recipe in recipes:
        graph = prepare(source.copy(), recipe)
        _refuse_quantized(graph)  # only now: markers of training look like quantized tensors
        check_interfaces(graph, tested)
        tries.append((graph, pair(graph, tested)))
        if all(cosine > _SURE for cosine, _ in tries[-1][1].likeness.values()):
            break
    graph, pairing = max(tries, key=lambda each: _fit(each[1]))
    if beside and graph is not tries[0][0]:
        notes.append(
            "the recipe beside the quantized model was left aside: the float model, prepared by "
            "it, has other weights"
        )
    return graph, *_without_strangers(graph, tested, pairing, notes)


def _fit(pairing: Pairing) -> tuple[int, float]:
    """How well the weights agree, to be compared between preparations of one model."""
    return -len(pairing.strangers), sum(cosine for cosine, _ in pairing.likeness.values())


def _without_strangers(
    reference: Graph, tested: Graph, pairing: Pairing, notes: list[str]
) -> tuple[Pairing, tuple[str, ...]]:
    """Inner tensors are compared only between models that compute the same."""
    kept = Pairing({t: pairing.tensors[t] for t in reference.main.inputs})
    if pairing.strangers:
        op, cosine = min(pairing.strangers.items(), key=lambda each: each[1])
        name = f"{op.kind} {op.name.split(';')[0]!r}"
        notes.append(
            f"only inputs and outputs were compared: the weights of {len(pairing.strangers)} of "
            f"{len(pairing.likeness)} operators are not those of the float model, so that its "
            f"inner tensors may be scaled otherwise ({name}: cosine {cosine:.3f})"
        )
        return kept, tuple(notes)
    made = [t for op in reference.main.operators for t in op.outputs if t.is_float]
    missing = [t for t in made if t not in pairing.tensors]
    if not pairing.by_name and not pairing.by_structure:
        if missing:
            notes.append("only inputs and outputs were compared: no inner tensor could be matched")
        return kept, tuple(notes)
    if pairing.by_structure:
        notes.append(f"tensors without a namesake, matched by structure: {pairing.by_structure}")
    if missing:
        notes.append(
            f"tensors of the float model without a counterpart, not compared: {len(missing)} of "
            f"{len(made)}, the first is {missing[0].name!r}"
        )
    return pairing, tuple(notes)


def _refuse_quantized(graph: Graph) -> None:
    for op in graph.main.operators:
        for tensor in op.outputs:
            if tensor.quant is not None and tensor.dtype in ("INT8", "UINT8", "INT16"):
                raise ModelError(
                    f"{graph.origin}: a float model was wanted first, this one is quantized: "
                    f"tensor {tensor.name!r} is {tensor.dtype} with scale "
                    f"{tensor.quant.scales[0]:g}"
                )
