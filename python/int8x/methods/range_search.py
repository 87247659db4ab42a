"""Range search: for each activation, the observer whose grid costs its readers the least."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from int8x.data import Sample
from int8x.methods.draft import Draft
from int8x.methods.pieces import Piece
from int8x.progress import Progress, silent
from int8x.quantization.grids import Grids
from int8x.quantization.recipe import Recipe
from int8x.quantization.rules import RULES
from int8x.runtime.coding import on_grid
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

SEARCHED = ", chosen by output error"  # how the source of a range that was searched ends


def candidates(recipe: Recipe) -> list[Recipe]:
    """The recipes whose grids are tried, the given one first: of two that cost the same the earlier
    is taken.
    """
    tried = [recipe]
    tried += [dataclasses.replace(recipe, observer=name) for name in ("minmax", "mse")]
    tried += [
        dataclasses.replace(recipe, observer="percentile", percentile=share)
        for share in (99.999, 99.99, 99.9, 99.5)
    ]
    return tried


def search_ranges(
    graph: Graph, draft: Draft, samples: Sequence[Sample], progress: Progress = silent
) -> Graph:
    """A prepared graph in whose `ranges` each calibrated activation has the grid, of those that the
    candidates give it, for which the operators that read it go wrong the least:

        argmin over grids of  sum over readers of  |op(round to grid(x)) - op(x)|^2 / |op(x)|^2

    over the samples, in float but for x itself; for a model output, the error of x. Tensors that
    must share a grid get one together. Ranges that were given, or that an operator fixes, stay.

    draft: quantizes on trial.

    >>> chosen = search_ranges(graph, draft, samples)
    """
    chosen = graph.copy()
    decisions = [draft.decide(chosen, recipe) for recipe in candidates(draft.recipe)]
    sets = _sets(chosen.main, decisions)
    if not sets:
        return chosen
    runner = Runner(chosen.to_bytes(), chosen.origin, 1)
    index = {tensor: i for i, tensor in enumerate(chosen.main.tensors)}
    readers = [_readers(chosen.main, each) for each in sets]
    with progress("range search", len(samples), 0) as advance:
        for sample in samples:
            runner.run(sample)
            for each, ops in zip(sets, readers, strict=True):
                for reader in ops:
                    reader.add(each, lambda tensor: runner.value(index[tensor]))
            advance()
    for each, ops in zip(sets, readers, strict=True):
        costs = np.sum([reader.costs() for reader in ops], axis=0)
        best = each.grids[int(np.argmin(costs))]
        for tensor in each.tensors:
            tensor.range = dataclasses.replace(best, source=f"{best.source}{SEARCHED}")
    return chosen


@dataclasses.dataclass(frozen=True, eq=False)
class _Set:
    """Activations on one grid, and the grids to choose from."""

    tensors: list[Tensor]
    grids: list[QuantParams]


class _Reader:
    """An operator that reads one tensor of a set, or the model's output when op is None."""

    def __init__(self, op: Operator | None, tensor: Tensor, count: int):
        self.tensor, self.noise, self.signal = tensor, np.zeros(count), 0.0
        self.inputs = [] if op is None else [t for t in dict.fromkeys(op.inputs) if _moves(t)]
        self.piece = None
        if op is not None:
            inputs = [Tensor(t.name, t.shape, t.dtype, signature=t.signature) for t in self.inputs]
            stand_in = dict(zip(self.inputs, inputs, strict=True))
            outputs = [Tensor(t.name, t.shape, t.dtype, signature=t.signature) for t in op.outputs]
            alone = dataclasses.replace(
                op, inputs=[stand_in.get(t, t) for t in op.inputs], outputs=outputs
            )
            self.piece = Piece([alone], inputs, outputs)

    def add(self, each: _Set, value: Callable[[Tensor], np.ndarray]) -> None:
        values = {tensor: value(tensor).copy() for tensor in self.inputs or [self.tensor]}
        x = values[self.tensor]
        right = self._run(values)
        self.signal += sum(float(y @ y) for y in right)
        for i, grid in enumerate(each.grids):
            if grid in each.grids[:i]:
                self.noise[i] = self.noise[each.grids.index(grid)]
                continue
            came = self._run({**values, self.tensor: on_grid(x, grid)})
            for y, z in zip(right, came, strict=True):
                self.noise[i] += float((y - z) @ (y - z))

    def costs(self) -> np.ndarray:
        return self.noise / self.signal if self.signal > 0 else self.noise

    def _run(self, values: dict[Tensor, np.ndarray]) -> list[np.ndarray]:
        if self.piece is None:
            return [values[self.tensor].reshape(-1).astype(np.float64)]
        made = self.piece.run([values[tensor] for tensor in self.inputs])
        return [y.reshape(-1).astype(np.float64) for y in made]


def _moves(tensor: Tensor | None) -> bool:
    return tensor is not None and not tensor.is_constant


def _sets(subgraph: Subgraph, decisions: list[Grids]) -> list[_Set]:
    """Calibrated activations, together where an operator that asks for one grid joined them."""
    base = {t: grid for (t, bits), grid in decisions[0].nominal.items() if bits == 8}
    home = {
        tensor: tensor
        for tensor in base
        if tensor.range is None and all((tensor, 8) in d.nominal for d in decisions)
    }

    def find(tensor: Tensor) -> Tensor:
        while home[tensor] is not tensor:
            tensor = home[tensor]
        return tensor

    for op in subgraph.operators:
        if op.kind in RULES and RULES[op.kind].scales == "same":
            same = [t for t in [*op.inputs, *op.outputs] if t in home]
            for tensor in same[1:]:
                if base[tensor].same_grid(base[same[0]]):
                    home[find(tensor)] = find(same[0])
    sets: dict[Tensor, list[Tensor]] = {}
    for tensor in home:
        sets.setdefault(find(tensor), []).append(tensor)
    return [
        _Set(tensors, [d.nominal[head, 8] for d in decisions])
        for head, tensors in sets.items()
        if len({d.nominal[head, 8].scale for d in decisions}) > 1
    ]


def _readers(subgraph: Subgraph, each: _Set) -> list[_Reader]:
    """What the set's values are for: operators outside it, and the model's outputs."""
    inside = set(each.tensors)
    readers = [
        _Reader(op, tensor, len(each.grids))
        for op in subgraph.operators
        for tensor in dict.fromkeys(op.inputs)
        if tensor in inside
        and not inside.issuperset(op.outputs)
        and any(t.is_float for t in op.outputs)
    ]
    outputs = [_Reader(None, t, len(each.grids)) for t in subgraph.outputs if t in inside]
    return readers + outputs
