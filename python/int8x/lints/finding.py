"""What a lint is given, and what it tells."""

import dataclasses
from collections.abc import Callable, Iterator

from int8x.tflite.subgraph import Links, Operator, Subgraph, Tensor

QUANTIZED = ("INT8", "UINT8", "INT16")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing found: at an operator of a subgraph, by index, and a tensor; what was wanted and
    what came. severity: "error", "warning" or "note".
    """

    lint: str
    severity: str
    subgraph: int
    operator: int
    kind: str
    tensor: str
    wanted: str
    came: str

    def __str__(self) -> str:
        where = f"operator {self.operator}" + (
            f" of graph {self.subgraph}" if self.subgraph else ""
        )
        tensor = f", {self.tensor.split(';')[0]}" if self.tensor else ""
        return (
            f"{self.severity} {self.lint}: {where}, {self.kind}{tensor}: wanted {self.wanted}, got "
            f"{self.came}"
        )


@dataclasses.dataclass(frozen=True)
class Place:
    """An operator where it stands."""

    subgraph: Subgraph
    index: int
    op: Operator
    links: Links

    def readers(self, tensor: Tensor) -> list[Operator]:
        return self.links.consumers(tensor)

    def producer(self, tensor: Tensor) -> Operator | None:
        return self.links.producer(tensor)


# Yields the tensor concerned (None for the operator as such), what was wanted, what came.
Check = Callable[[Place], Iterator[tuple[Tensor | None, str, str]]]


@dataclasses.dataclass(frozen=True)
class Lint:
    """A check and how bad it is."""

    severity: str
    check: Check

    @property
    def name(self) -> str:
        """The check's name, as in "bias-scale"."""
        return self.check.__name__.replace("_", "-")


Told = Iterator[tuple[Tensor | None, str, str]]


def is_quantized(tensor: Tensor | None) -> bool:
    """Whether it is an activation, or a constant operand, on an integer grid."""
    return tensor is not None and tensor.dtype in QUANTIZED and tensor.quant is not None
