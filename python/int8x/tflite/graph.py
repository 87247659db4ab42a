"""Graph: a .tflite file read into objects, edited, and written back."""

import copy
import json
import mmap
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from int8x.errors import ModelError
from int8x.tflite.appendix import moved
from int8x.tflite.fingerprint import fingerprint
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.ranges import Ranges
from int8x.tflite.reader import Reader
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Operator, Subgraph, Tensor
from int8x.tflite.writer import LARGEST_FLATBUFFER, Writer

if TYPE_CHECKING:
    from int8x.quantizer import Quantization

_RANGES = "int8x.ranges"
_MAPPED_SIZE = 1 << 26


class Graph:
    """A TFLite model: subgraphs (the first is `main`), signatures, metadata, and the ranges given
    to its tensors.

    >>> graph = Graph.load("model.tflite")
    >>> [op.kind for op in graph.main.operators]
    >>> graph.ranges["conv1"] = QuantParams(0.1, -128)
    >>> graph.save("edited.tflite")
    """

    def __init__(self) -> None:
        self.subgraphs: list[Subgraph] = [Subgraph("main")]
        self.signatures: list[
            Any
        ] = []  # SignatureDefT whose TensorMaps hold Tensors in tensorIndex
        self.metadata: list[tuple[str, np.ndarray | None]] = []
        self.description = ""
        self.raw: Any = None
        self.appendix = b""  # what stands behind the model in the file: label files in a zip
        self.appendix_start = 0  # where in the file it was read from
        self.origin = "graph"
        self.quantization: Quantization | None = (
            None  # set by int8x.quantize: recipe, sources, float operators
        )

    @property
    def main(self) -> Subgraph:
        return self.subgraphs[0]

    @property
    def ranges(self) -> Ranges:
        return Ranges(self)

    def run_by(self, operators: Iterable[Operator]) -> list[Subgraph]:
        """The subgraphs that these operators run, as branches, loops and calls, and so on down."""
        found: list[Subgraph] = []
        pending = list(operators)
        while pending:
            fields = vars(pending.pop().options or make("WhileOptions")).items()
            for index in [v for k, v in fields if k.endswith("SubgraphIndex") or k == "subgraph"]:
                if 0 < index < len(self.subgraphs) and self.subgraphs[index] not in found:
                    found.append(self.subgraphs[index])
                    pending += found[-1].operators
        return found

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Graph":
        """Reads a .tflite file. Raises ModelError for anything that is not a sound one, OSError
        when it cannot be opened.
        """
        return cls.from_bytes(_contents(path), str(path))

    @classmethod
    def from_bytes(cls, data: bytes, origin: str = "model") -> "Graph":
        """Reads the bytes of a .tflite file; `origin` names them in errors."""
        graph, reader = cls(), Reader(data, origin)
        model = reader.model
        graph.origin, graph.raw = origin, model
        graph.description = reader.text(model.description)
        if not model.subgraphs:
            raise reader.fail("it has no subgraph")
        graph.subgraphs = [reader.subgraph(i, raw) for i, raw in enumerate(model.subgraphs)]
        for raw in model.signatureDefs or []:
            tensors = reader.pick(
                graph.subgraphs, raw.subgraphIndex, "the subgraph of a signature"
            ).tensors
            for entry in [*(raw.inputs or []), *(raw.outputs or [])]:
                entry.tensorIndex = reader.pick(
                    tensors, entry.tensorIndex, f"signature entry {reader.text(entry.name)!r}"
                )
            graph.signatures.append(raw)
        for raw in model.metadata or []:
            name, array = (
                reader.text(raw.name),
                reader.pick(reader.buffers, raw.buffer, "a metadata buffer"),
            )
            if name == _RANGES:
                graph._read_ranges(reader, array)
            else:
                graph.metadata.append((name, array))
        graph.appendix = reader.appendix()
        graph.appendix_start = len(data) - len(graph.appendix)
        return graph

    def _read_ranges(self, reader: Reader, array: np.ndarray | None) -> None:
        try:
            for entry in json.loads(bytes(array if array is not None else b""))["tensors"]:
                tensors = reader.pick(
                    self.subgraphs, entry["subgraph"], "a range's subgraph"
                ).tensors
                self.ranges[reader.pick(tensors, entry["tensor"], "a range's tensor")] = (
                    QuantParams.from_json(entry["params"])
                )
        except (ValueError, KeyError, TypeError) as error:
            raise reader.fail(f"its {_RANGES} metadata cannot be read: {error}") from None

    def to_bytes(self) -> bytes:
        """The file's bytes; they depend on the graph alone."""
        pieces = self.pieces()
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def pieces(self, largest: int = LARGEST_FLATBUFFER) -> list[Any]:
        """The file's bytes as a list of pieces, constants among them as they are, uncopied.

        largest: the size beyond which the constants stand behind the flatbuffer, whose offsets
        reach 2 GiB; runtimes for microcontrollers do not read such files.
        """
        writer, metadata = Writer(largest), list(self.metadata)
        indices = [
            {tensor: i for i, tensor in enumerate(subgraph.tensors)} for subgraph in self.subgraphs
        ]
        model = make(
            "Model", version=3, description=self.description.encode("utf-8", "surrogateescape")
        )
        if self.raw is not None:
            model.externalBufferGroups, model.externalBuffers = (
                self.raw.externalBufferGroups,
                self.raw.externalBuffers,
            )
        model.subgraphs = [
            writer.subgraph(s, index) for s, index in zip(self.subgraphs, indices, strict=True)
        ]
        model.signatureDefs = [
            _numbered(s, indices[s.subgraphIndex]) for s in self.signatures
        ] or None
        ranges = self._written_ranges(indices)
        if ranges is not None:
            metadata.append((_RANGES, ranges))
        model.metadata = [
            make(
                "Metadata",
                name=name.encode("utf-8", "surrogateescape"),
                buffer=writer.buffer(array, inside=True),
            )
            for name, array in metadata
        ] or None
        pieces = writer.pack(model)
        size = sum(len(piece) for piece in pieces)
        return (
            [*pieces, moved(self.appendix, self.appendix_start, size)] if self.appendix else pieces
        )

    def _written_ranges(self, indices: list[dict[Tensor, int]]) -> np.ndarray | None:
        entries = [
            {
                "subgraph": number,
                "tensor": index,
                "name": tensor.name,
                "params": tensor.range.to_json(),
            }
            for number, by_tensor in enumerate(indices)
            for tensor, index in by_tensor.items()
            if tensor.range is not None
        ]
        if not entries:
            return None
        text = json.dumps({"tensors": entries}, sort_keys=True, separators=(",", ":"))
        return np.frombuffer(text.encode(), np.uint8)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the .tflite file, through a temporary file that is renamed; a quantized graph's
        recipe goes beside it, as <stem>.recipe.json.
        """
        write_file(path, *self.pieces())
        if self.quantization is not None:
            recipe = Path(path).with_suffix(".recipe.json")
            write_file(recipe, self.quantization.recipe.to_json().encode())

    def copy(self) -> "Graph":
        """An independent graph; constants are shared until they are replaced."""
        other = Graph.from_bytes(self.to_bytes(), self.origin)
        other.quantization = copy.copy(self.quantization)
        return other

    def compact(self) -> None:
        """Drops tensors that no operator, interface or signature names."""
        for number, subgraph in enumerate(self.subgraphs):
            subgraph.compact()
            for signature in self.signatures:
                if signature.subgraphIndex == number:
                    named = [
                        e.tensorIndex
                        for e in [*(signature.inputs or []), *(signature.outputs or [])]
                    ]
                    subgraph.tensors += [
                        t for t in dict.fromkeys(named) if t not in set(subgraph.tensors)
                    ]

    def fingerprint(self) -> str:
        """SHA-256 over all that decides what the graph computes (ranges, metadata and descriptions
        are left out).
        """
        return fingerprint(self.subgraphs)

    def input_names(self) -> list[tuple[str, ...]]:
        """For each input of `main`, the names it may be called by: the tensor's, the signature's,
        the bare layer's.
        """
        return [self._aliases(tensor, "inputs") for tensor in self.main.inputs]

    def signature_keys(self) -> tuple[str, ...]:
        """The keys of the signatures of `main`."""
        return tuple(_decoded(s.signatureKey) for s in self.signatures if s.subgraphIndex == 0)

    def _aliases(self, tensor: Tensor, side: str) -> tuple[str, ...]:
        found = [tensor.name]
        for signature in self.signatures:
            for entry in getattr(signature, side) or []:
                if signature.subgraphIndex == 0 and entry.tensorIndex is tensor:
                    found.append(_decoded(entry.name))
        found.append(tensor.name.removeprefix("serving_default_").removesuffix(":0"))
        return tuple(dict.fromkeys(found))


def _decoded(name: Any) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)


def _numbered(signature: Any, index: dict[Tensor, int]) -> Any:
    """A copy of a signature with tensor numbers in place of Tensors."""
    made = make(
        "SignatureDef", signatureKey=signature.signatureKey, subgraphIndex=signature.subgraphIndex
    )
    for side in ("inputs", "outputs"):
        entries = getattr(signature, side)
        if entries is not None:
            setattr(
                made,
                side,
                [make("TensorMap", name=e.name, tensorIndex=index[e.tensorIndex]) for e in entries],
            )
    return made


def load(model: str | os.PathLike | bytes | Graph) -> Graph:
    """A Graph from a path, the bytes of a file, or a Graph, which is copied."""
    if isinstance(model, Graph):
        return model.copy()
    if isinstance(model, (bytes, bytearray, memoryview)):
        return Graph.from_bytes(bytes(model))
    if isinstance(model, (str, os.PathLike)):
        return Graph.load(model)
    raise ModelError(f"a model must be a path, bytes or an int8x.Graph, got {type(model).__name__}")


def _contents(path: str | os.PathLike) -> Any:
    """The file's bytes; those of a large one are read when they are looked at."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < _MAPPED_SIZE:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def write_file(path: str | os.PathLike, *pieces: Any) -> None:
    """Writes all of `pieces` or nothing: to a temporary file beside `path`, renamed over it."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
