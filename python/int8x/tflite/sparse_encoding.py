"""int8 weights of FULLY_CONNECTED in TFLite's sparse form, where that makes the file smaller.

TFLite's kernel takes int8 weights [rows, columns] as blocks of 1x16: for each row the blocks that
are not all zero, and their places (block CSR; SparsityParameters of schema.fbs). Other operators
and patterns have no sparse int8 kernel: their constants would be made dense again by DENSIFY, and
are left as they are. The integers, and so the results, stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from int8x.tflite.graph import Graph
from int8x.tflite.schema import make, value
from int8x.tflite.subgraph import Operator, Tensor

BLOCK = 16
VERSION = 8  # of FULLY_CONNECTED, from which on weights may be sparse
_MOST_BLOCKS = 255  # of a row: the kernel keeps counts and places in one byte
_TABLES = 400  # bytes of flatbuffer tables that a sparse constant needs, at most


@dataclass(frozen=True)
class SparseConstant:
    """A constant that was encoded: its bytes before and after, tables included."""

    name: str
    dense_bytes: int
    sparse_bytes: int


def encode_sparse(graph: Graph) -> tuple[SparseConstant, ...]:
    """Encodes in place the weights that become smaller; what was encoded.

    The file is never larger than before. TensorFlow 2.21's tf.lite and ai-edge-litert load and run
    such a file, with results that differ from the dense file's by at most their kernels' one step
    of rounding. tflite-runtime 2.14 loads it, but its sparse kernel knows one scale for a kernel
    only: recipe weights "per_tensor" is right there, "per_channel" is not. TensorFlow Lite for
    Microcontrollers takes the values for dense ones and computes nonsense: not for it. The delegate
    of int8x takes them, with the bits of the runtime's sparse kernel.

    >>> encode_sparse(graph)
    (SparseConstant(name='dense/kernel', dense_bytes=65536, sparse_bytes=17296),)
    """
    readers: dict[Tensor, list[tuple[Operator, int]]] = {}
    for subgraph in graph.subgraphs:
        for op in subgraph.operators:
            for place, tensor in enumerate(op.inputs):
                if tensor is not None and tensor.is_constant:
                    readers.setdefault(tensor, []).append((op, place))
    shared: dict[int, list[Tensor]] = {}
    for subgraph in graph.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.is_constant:
                shared.setdefault(id(tensor.buffer), []).append(tensor)
    found = []
    for tensor, uses in readers.items():
        if _takes(tensor, uses) and len(shared[id(tensor.buffer)]) == 1:
            made = _encode(tensor)
            if made is not None:
                found.append(made)
                for op, _ in uses:
                    op.version = max(op.version, VERSION)
    return tuple(found)


def _takes(tensor: Tensor, uses: list[tuple[Operator, int]]) -> bool:
    if tensor.dtype != "INT8" or len(tensor.shape) != 2 or tensor.shape[1] % BLOCK:
        return False
    if tensor.shape[1] // BLOCK > _MOST_BLOCKS or (tensor.raw and tensor.raw.sparsity is not None):
        return False
    return all(
        op.kind == "FULLY_CONNECTED" and place == 1 and op.inputs[0].dtype == "INT8"
        for op, place in uses
        if op.inputs[0] is not None
    )


def _encode(tensor: Tensor) -> SparseConstant | None:
    rows, columns = tensor.shape
    blocks = tensor.values.reshape(rows, columns // BLOCK, BLOCK)
    filled = np.any(blocks, axis=-1)
    segments = np.concatenate([[0], np.cumsum(filled.sum(1))]).astype(np.int32)
    places = np.nonzero(filled)[1].astype(np.uint8)
    kept = blocks[filled]
    size = kept.size + segments.nbytes + places.nbytes + _TABLES
    if size >= tensor.size or not len(kept):
        return None
    shape, dense_bytes = tensor.shape, tensor.size
    quant, raw_quant, raw = tensor.quant, tensor.raw_quant, tensor.raw
    tensor.data = kept.reshape(-1)
    tensor.shape, tensor.quant, tensor.raw_quant = shape, quant, raw_quant
    tensor.raw = make("Tensor", hasRank=True)
    if raw is not None:
        vars(tensor.raw).update(vars(raw))
    tensor.raw.sparsity = _parameters(rows, segments, places)
    return SparseConstant(tensor.name, dense_bytes, size)


def _parameters(rows: int, segments: np.ndarray, places: np.ndarray) -> object:
    """Rows, in each the blocks that are there, in each all 16 values."""
    listed = make(
        "DimensionMetadata",
        format=value("DimensionType", "SPARSE_CSR"),
        arraySegmentsType=value("SparseIndexVector", "Int32Vector"),
        arraySegments=make("Int32Vector", values=segments),
        arrayIndicesType=value("SparseIndexVector", "Uint8Vector"),
        arrayIndices=make("Uint8Vector", values=places),
    )
    return make(
        "SparsityParameters",
        traversalOrder=np.array([0, 1, 2], np.int32),
        blockMap=np.array([1], np.int32),
        dimMetadata=[
            make("DimensionMetadata", denseSize=rows),
            listed,
            make("DimensionMetadata", denseSize=BLOCK),
        ],
    )
