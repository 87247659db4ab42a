"""graph.ranges: the one way in which given ranges and weight scales reach the quantizer."""

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Tensor

if TYPE_CHECKING:
    from int8x.tflite.graph import Graph

TensorKey = int | str | Tensor


class Ranges(MutableMapping):
    """graph.ranges: the QuantParams given to float tensors, by tensor, name, or index in the first
    subgraph.

    Activation grids must fit signed integers of `bits` bits. Iterating gives Tensors.
    """

    def __init__(self, graph: "Graph"):
        self._graph = graph

    def _find(self, key: TensorKey) -> Tensor:
        if isinstance(key, str):
            for subgraph in self._graph.subgraphs:
                if any(tensor.name == key for tensor in subgraph.tensors):
                    return subgraph.tensor(key)
        return self._graph.main.tensor(key)

    def __getitem__(self, key: TensorKey) -> QuantParams:
        found = self._find(key).range
        if found is None:
            raise KeyError(f"no range is given for tensor {key!r}")
        return found

    def __setitem__(self, key: TensorKey, params: QuantParams) -> None:
        tensor = self._find(key)
        low, high = -(2 ** (params.bits - 1)), 2 ** (params.bits - 1) - 1
        for zero_point in params.zero_points:
            if not low <= zero_point <= high:
                raise ValueError(
                    f"{tensor.name}: zero_point must lie in [{low}, {high}], got {zero_point}"
                )
        if params.axis is not None and (
            params.axis >= len(tensor.shape) or tensor.shape[params.axis] != len(params.scales)
        ):
            raise ValueError(
                f"{tensor.name}: {len(params.scales)} scales do not fit axis {params.axis} of "
                f"shape {tensor.shape}"
            )
        tensor.range = params

    def __delitem__(self, key: TensorKey) -> None:
        self[key]
        self._find(key).range = None

    def __iter__(self) -> Iterator[Tensor]:
        return (
            t for subgraph in self._graph.subgraphs for t in subgraph.tensors if t.range is not None
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)
