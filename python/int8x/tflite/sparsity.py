"""Sparse constants of a .tflite (SparsityParameters) as dense arrays."""

from typing import Any

import numpy as np

from int8x.errors import ModelError
from int8x.tflite.schema import NUMPY_TYPES, names
from int8x.tflite.subgraph import Tensor

# The dense form of a damaged file's constant may be of any size; nobody prunes further than this.
_LARGEST_GROWTH = 4096
_INT = np.int64


def is_sparse(tensor: Tensor) -> bool:
    """Whether the constant's buffer holds its non-zero values only."""
    return tensor.is_constant and tensor.raw is not None and tensor.raw.sparsity is not None


def dense(tensor: Tensor) -> np.ndarray:
    """The values of a sparse constant, zeros filled in, in its shape and type.

    The format is TACO's (Kjolstad et al. 2017, doi:10.1145/3133901) as schema.fbs describes it: the
    dimensions and the blocks within them are visited in `traversalOrder`; each level is dense (a
    size), or lists, for every position of the level above, the indices that hold values
    (`arraySegments`, `arrayIndices`). Raises ModelError for parameters that contradict each other,
    the shape or the buffer.
    """
    sparsity, values = tensor.raw.sparsity, _values(tensor)
    order, blocks, levels = _layout(tensor, sparsity)
    rank, sizes = len(tensor.shape), list(tensor.shape)
    for block, axis in enumerate(blocks):
        size = int(levels[order.index(rank + block)].denseSize)
        if size < 1 or sizes[axis] % size:
            raise _broken(tensor, f"blocks of {size} do not divide {sizes[axis]}")
        sizes[axis] //= size
        sizes.append(size)
    if tensor.size > _LARGEST_GROWTH * max(values.size, 1):
        raise _broken(tensor, f"{values.size} values cannot fill {tensor.size} places")
    # `at` counts positions within a level; `indices` holds each one's index along every dimension.
    count = 1
    indices: dict[int, np.ndarray] = {}
    for number, (axis, level) in enumerate(zip(order, levels, strict=True)):
        parents, index = _visit(tensor, level, sizes[axis], count, f"dimension {number}")
        indices = {known: along[parents] for known, along in indices.items()} | {axis: index}
        count = index.size
    if count != values.size:
        raise _broken(tensor, f"it names {count} places for {values.size} values")
    for block, axis in enumerate(blocks):
        indices[axis] = indices[axis] * sizes[rank + block] + indices.pop(rank + block)
    result = np.zeros(tensor.shape, values.dtype)
    result[tuple(indices[axis] for axis in range(rank))] = values
    return result


def _values(tensor: Tensor) -> np.ndarray:
    if tensor.dtype not in NUMPY_TYPES:
        raise _broken(tensor, f"{tensor.dtype} has no sparse form that int8x reads")
    kind = np.dtype(NUMPY_TYPES[tensor.dtype])
    assert tensor.buffer is not None
    if tensor.buffer.size % kind.itemsize:
        raise _broken(tensor, f"{tensor.buffer.size} bytes are no {tensor.dtype} values")
    return tensor.buffer.view(kind)


def _layout(tensor: Tensor, sparsity: Any) -> tuple[list[int], list[int], list[Any]]:
    """Traversal order, the dimension of each block, and the levels, checked against the shape."""
    order, blocks = (
        [] if field is None else [int(i) for i in field]
        for field in (sparsity.traversalOrder, sparsity.blockMap)
    )
    levels, rank = list(sparsity.dimMetadata or []), len(tensor.shape)
    wanted = rank + len(blocks)
    if len(order) != wanted or sorted(order) != list(range(wanted)) or len(levels) != wanted:
        raise _broken(tensor, f"{wanted} dimensions cannot be traversed as {order[:16]}")
    if not rank or len(set(blocks)) != len(blocks) or any(not 0 <= b < rank for b in blocks):
        raise _broken(tensor, f"its {rank} dimensions cannot be blocked as {blocks[:16]}")
    return order, blocks, levels


def _visit(
    tensor: Tensor, level: Any, size: int, count: int, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """For each position of a level below `count` parents: its parent, its index in [0, size)."""
    if names("DimensionType").get(level.format) == "DENSE":
        if int(level.denseSize) != size:
            raise _broken(tensor, f"{where} has {level.denseSize} entries, its shape {size}")
        return np.repeat(np.arange(count), size), np.tile(np.arange(size), count)
    segments, index = (
        np.asarray([] if field is None or field.values is None else field.values, _INT)
        for field in (level.arraySegments, level.arrayIndices)
    )
    lengths = np.diff(segments)
    if segments.size != count + 1 or segments[0] != 0 or np.any(lengths < 0):
        raise _broken(tensor, f"{where} does not list {count} segments")
    if segments[-1] != index.size or np.any(index < 0) or np.any(index >= size):
        raise _broken(tensor, f"{where} has indices that are not {segments[-1]} in [0, {size})")
    return np.repeat(np.arange(count), lengths), index


def _broken(tensor: Tensor, what: str) -> ModelError:
    return ModelError(f"sparse tensor {tensor.name!r}: {what}")
