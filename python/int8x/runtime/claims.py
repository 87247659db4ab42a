"""What the delegate took of a model, read from the delegate itself."""

import ctypes
import json
from dataclasses import dataclass
from typing import Any

from int8x.errors import Int8xError
from int8x.tflite import schema


@dataclass(frozen=True)
class Node:
    """One operator of the model. `reason` says why the delegate left it to TFLite; empty when it is
    claimed.
    """

    index: int
    op: str
    claimed: bool
    reason: str
    macs: int


@dataclass(frozen=True)
class Step:
    """One kernel call of a partition's plan; `nanoseconds` sums over `runs` and stays 0 without the
    option profile.
    """

    op: str
    kernel: str
    node: int
    macs: int
    nanoseconds: int
    runs: int


@dataclass(frozen=True)
class Partition:
    """A run of nodes that became one kernel. Sizes in bytes: the arena of activations, the packed
    weights.
    """

    node_count: int
    arena_bytes: int
    packed_bytes: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Subgraph:
    index: int
    nodes: tuple[Node, ...]
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Claims:
    """The delegate's account of one interpreter.

    `threads` is the size of its pool, `arch` the highest instruction set it may use.
    """

    version: str
    arch: str
    threads: int
    subgraphs: tuple[Subgraph, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(node for subgraph in self.subgraphs for node in subgraph.nodes)

    @property
    def steps(self) -> tuple[Step, ...]:
        parts = (part for subgraph in self.subgraphs for part in subgraph.partitions)
        return tuple(step for part in parts for step in part.steps)

    @property
    def refused(self) -> tuple[Node, ...]:
        """The nodes left to TFLite, each with its reason."""
        return tuple(node for node in self.nodes if not node.claimed)

    @property
    def partitions(self) -> int:
        """How many kernels the claimed nodes became, over all subgraphs."""
        return sum(len(subgraph.partitions) for subgraph in self.subgraphs)

    @property
    def claimed_ops(self) -> float:
        """Share of the nodes that the delegate runs, 0 to 1."""
        return _share(sum(node.claimed for node in self.nodes), len(self.nodes))

    @property
    def claimed_macs(self) -> float:
        """Share of the multiply-accumulates that the delegate runs, 0 to 1; 1 for a model that has
        none.
        """
        return _share(
            sum(node.macs for node in self.nodes if node.claimed),
            sum(node.macs for node in self.nodes),
        )

    @property
    def arena_bytes(self) -> int:
        return sum(part.arena_bytes for subgraph in self.subgraphs for part in subgraph.partitions)

    @property
    def packed_bytes(self) -> int:
        return sum(part.packed_bytes for subgraph in self.subgraphs for part in subgraph.partitions)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def from_json(text: str) -> Claims:
    """Reads the text of Int8xDelegateDescribe (docs/architecture.md has its form)."""
    document = json.loads(text)
    subgraphs = tuple(
        Subgraph(
            index=graph["index"],
            nodes=tuple(
                Node(
                    node["node"],
                    _operator_name(node),
                    bool(node["claimed"]),
                    node["reason"],
                    node["macs"],
                )
                for node in graph["nodes"]
            ),
            partitions=tuple(
                Partition(
                    part["node_count"],
                    part["arena_bytes"],
                    part["packed_bytes"],
                    tuple(
                        Step(**{key: step[key] for key in Step.__dataclass_fields__})
                        for step in part["steps"]
                    ),
                )
                for part in graph["partitions"]
            ),
        )
        for graph in document["subgraphs"]
    )
    return Claims(document["version"], document["arch"], document["threads"], subgraphs)


def _operator_name(node: dict[str, Any]) -> str:
    """The delegate names the operators it has and custom ones; of others it knows the number."""
    if node["op"]:
        return node["op"]
    try:
        return schema.names("BuiltinOperator")[node["builtin"]]
    except (Int8xError, KeyError):
        return f"builtin {node['builtin']}"


def of_delegate(delegate: Any, library_path: str) -> Claims:
    """Asks the delegate object that a runtime's load_delegate returned; `library_path` is what it
    was loaded from.
    """
    describe = ctypes.CDLL(library_path).Int8xDelegateDescribe
    describe.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    describe.restype = ctypes.c_size_t
    pointer = delegate._get_native_delegate_pointer()
    size = describe(pointer, None, 0)
    while True:  # with profile=1 another thread's run may lengthen a number between two calls
        buffer = ctypes.create_string_buffer(size + 1)
        needed = describe(pointer, buffer, len(buffer))
        if needed < len(buffer):
            return from_json(buffer.value.decode())
        size = needed
