"""Tensors, operators and subgraphs as objects that refer to each other, so that editing needs no
index arithmetic.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import BITS, NUMPY_TYPES, make


class Tensor:
    """One tensor of a subgraph.

    shape: tuple of int; signature: the same with -1 for dynamic dimensions, or None; dtype: a
    TFLite type name ("FLOAT32").
    buffer: the constant's bytes as a uint8 array, or None for an activation; tensors that share one
    array share it in the file.
    quant: the QuantParams of an integer tensor, or None. range: the QuantParams that a float tensor
    shall get, or None.
    """

    __slots__ = (
        "buffer",
        "dtype",
        "is_variable",
        "name",
        "quant",
        "range",
        "raw",
        "raw_quant",
        "shape",
        "signature",
    )

    def __init__(
        self,
        name: str,
        shape: Iterable[int],
        dtype: str = "FLOAT32",
        *,
        quant: QuantParams | None = None,
        signature: Iterable[int] | None = None,
    ):
        self.name = name
        self.shape = tuple(int(d) for d in shape)
        self.signature = None if signature is None else tuple(int(d) for d in signature)
        self.dtype = dtype
        self.buffer: np.ndarray | None = None
        self.quant = quant
        self.range: QuantParams | None = None
        self.is_variable = False
        self.raw: Any = None
        self.raw_quant: QuantParams | None = (
            None  # what `raw` says; written back as it was while quant equals it
        )

    def __repr__(self) -> str:
        kind = "constant" if self.is_constant else "tensor"
        return f"<{kind} {self.name!r} {self.dtype} {'x'.join(map(str, self.shape)) or 'scalar'}>"

    @property
    def is_constant(self) -> bool:
        return self.buffer is not None

    @property
    def is_float(self) -> bool:
        return self.dtype == "FLOAT32"

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def data(self) -> np.ndarray | None:
        """A constant as a read-only numpy array of its shape (INT4 unpacked to int8), else None.

        Raises TypeError for types that numpy cannot hold (STRING, VARIANT, ...) and for sparse
        constants.
        """
        if self.buffer is None:
            return None
        if self.raw is not None and self.raw.sparsity is not None:
            raise TypeError(f"{self.name}: a sparse constant has no plain data")
        if self.dtype == "INT4":
            nibbles = (
                np.stack([self.buffer & 15, self.buffer >> 4], axis=-1)
                .reshape(-1)[: self.size]
                .astype(np.int8)
            )
            array = ((nibbles ^ 8) - 8).reshape(self.shape)
        elif self.dtype in NUMPY_TYPES:
            array = self.buffer.view(NUMPY_TYPES[self.dtype]).reshape(self.shape)
        else:
            raise TypeError(
                f"{self.name}: a constant of type {self.dtype} cannot be read as numbers"
            )
        array.flags.writeable = False
        return array

    @data.setter
    def data(self, array: np.ndarray) -> None:
        """Makes this tensor a constant; shape and dtype follow the array."""
        array = np.asarray(array, order="C")  # ascontiguousarray would make a scalar a vector
        self.dtype, self.shape, self.signature = type_name(array.dtype), tuple(array.shape), None
        self.buffer = array.reshape(-1).view(np.uint8)

    def store_int4(self, array: np.ndarray) -> None:
        """Makes this tensor an INT4 constant of integers in [-8, 7], two a byte, low half first."""
        flat = array.reshape(-1).astype(np.uint8) & 15
        pairs = np.append(flat, np.zeros(flat.size % 2, np.uint8)).reshape(-1, 2)
        self.dtype, self.shape, self.signature = "INT4", tuple(array.shape), None
        self.buffer = pairs[:, 0] | (pairs[:, 1] << 4)

    @property
    def values(self) -> np.ndarray:
        """`data` of a tensor that must be a constant. Raises TypeError for an activation."""
        array = self.data
        if array is None:
            raise TypeError(f"{self.name}: a constant was wanted, this is an activation")
        return array

    @property
    def grid(self) -> QuantParams:
        """`quant` of a tensor that must have it. Raises TypeError for one that has none."""
        if self.quant is None:
            raise TypeError(f"{self.name}: a quantized tensor was wanted, this is {self.dtype}")
        return self.quant

    @property
    def bits(self) -> int | None:
        """Bits of an integer tensor's elements, None for other types."""
        return BITS.get(self.dtype)


def type_name(dtype: Any) -> str:
    """The TFLite name of a numpy type: type_name(np.int8) == "INT8"."""
    for name, kind in NUMPY_TYPES.items():
        if np.dtype(dtype) == kind:
            return name
    raise TypeError(f"TFLite has no tensor type for numpy's {np.dtype(dtype)}")


@dataclasses.dataclass(eq=False)
class Operator:
    """One operator. kind: the builtin's name ("CONV_2D") or "CUSTOM"; a missing optional input is
    None in `inputs`.

    options: the schema object of its builtin options (Conv2DOptionsT, ...), or None.
    custom_options: bytes.
    """

    kind: str
    inputs: list[Any]  # of Tensor, None where an optional one is left out
    outputs: list[Tensor]
    options: Any = None
    version: int = 1
    custom_code: str | None = None
    custom_options: bytes | None = None
    intermediates: list[Tensor] = dataclasses.field(default_factory=list)
    raw: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r}>"

    @property
    def name(self) -> str:
        """The name of the first output: operators have none of their own."""
        return self.outputs[0].name if self.outputs else self.custom_code or self.kind

    def input(self, index: int) -> Any:
        """Input `index`, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None


@dataclasses.dataclass(eq=False)
class Links:
    """Who writes and who reads each tensor, as it stood when Subgraph.links() was called."""

    producers: dict[Tensor, Operator]
    readers: dict[Tensor, list[Operator]]

    def producer(self, tensor: Tensor) -> Operator | None:
        return self.producers.get(tensor)

    def consumers(self, tensor: Tensor) -> list[Operator]:
        """The operators that read the tensor, each once, in execution order."""
        return self.readers.get(tensor, [])


@dataclasses.dataclass(eq=False)
class Subgraph:
    """Operators in execution order over tensors; `inputs` and `outputs` are the subgraph's own
    interface.
    """

    name: str
    tensors: list[Tensor] = dataclasses.field(default_factory=list)
    inputs: list[Tensor] = dataclasses.field(default_factory=list)
    outputs: list[Tensor] = dataclasses.field(default_factory=list)
    operators: list[Operator] = dataclasses.field(default_factory=list)
    raw: Any = None

    def links(self) -> Links:
        """A snapshot of producers and consumers; take a new one after editing."""
        links = Links({}, {})
        for op in self.operators:
            for tensor in dict.fromkeys(op.inputs):
                if tensor is not None:
                    links.readers.setdefault(tensor, []).append(op)
            for tensor in op.outputs:
                links.producers[tensor] = op
        return links

    def tensor(self, key: int | str | Tensor) -> Tensor:
        """The tensor of that index or name. Raises KeyError when there is none, or when several
        have that name.
        """
        if isinstance(key, Tensor):
            return key
        if isinstance(key, (int, np.integer)):
            if not 0 <= key < len(self.tensors):
                raise KeyError(f"tensor index must lie in [0, {len(self.tensors)}), got {key}")
            return self.tensors[key]
        found = [tensor for tensor in self.tensors if tensor.name == key]
        if len(found) != 1:
            raise KeyError(f"{len(found)} tensors are named {key!r}, wanted one")
        return found[0]

    def add_tensor(
        self, name: str, shape: Iterable[int], dtype: str = "FLOAT32", **fields: Any
    ) -> Tensor:
        """A new activation tensor."""
        self.tensors.append(Tensor(name, shape, dtype, **fields))
        return self.tensors[-1]

    def add_constant(
        self, name: str, array: np.ndarray, quant: QuantParams | None = None
    ) -> Tensor:
        """A new constant; `array` is kept, not copied, when it is contiguous."""
        tensor = self.add_tensor(name, array.shape, type_name(array.dtype), quant=quant)
        tensor.data = array
        return tensor

    def add_operator(
        self,
        kind: str,
        inputs: Iterable[Tensor | None],
        outputs: Iterable[Tensor],
        *,
        version: int = 1,
        before: Operator | None = None,
        options: str | None = None,
        **fields: Any,
    ) -> Operator:
        """A new operator at the end, or in front of `before`; `fields` fill its options table,
        named `options`.
        """
        table = None if options is None else make(options, **fields)
        op = Operator(kind, list(inputs), list(outputs), table, version)
        self.operators.insert(
            len(self.operators) if before is None else self.operators.index(before), op
        )
        return op

    def remove(self, operators: Iterable[Operator]) -> None:
        """Takes operators out; their tensors stay until compact()."""
        gone = set(map(id, operators))
        self.operators = [op for op in self.operators if id(op) not in gone]

    def is_read_once(self, tensor: Tensor, links: Links) -> bool:
        """Whether one operator alone reads a tensor that has no range given and is no output."""
        lone = len(links.consumers(tensor)) == 1 and tensor not in self.outputs
        return lone and tensor.range is None

    def replace(self, old: Tensor, new: Tensor) -> None:
        """Every reader of `old`, the subgraph's outputs included, reads `new` instead."""
        for op in self.operators:
            op.inputs = [new if tensor is old else tensor for tensor in op.inputs]
        self.outputs = [new if tensor is old else tensor for tensor in self.outputs]

    def used(self) -> Iterator[Tensor]:
        """Each tensor that the interface or an operator names, at least once."""
        yield from self.inputs
        yield from self.outputs
        for op in self.operators:
            yield from (tensor for tensor in op.inputs if tensor is not None)
            yield from op.outputs
            yield from op.intermediates

    def compact(self) -> None:
        """Drops tensors that nothing names, and lists new ones that are named but not listed."""
        used = dict.fromkeys(self.used())
        listed = set(self.tensors)
        self.tensors = [tensor for tensor in self.tensors if tensor in used] + [
            t for t in used if t not in listed
        ]
