"""One-operator models of the operators that move bytes: slices, splits, transposes and so on."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from draws import Draw
from operator_case import Case
from operator_models import ModelBuilder

Shape = tuple[int, ...]


class Moved:
    """A model under construction: one quantization for all its int8 (sometimes int16) tensors."""

    def __init__(self, operator: str, draw: Draw) -> None:
        self.operator, self.draw = operator, draw
        self.model = ModelBuilder()
        self.dtype = np.dtype(np.int8)
        self.quantization: dict[str, Any] = dict(scale=draw.scale(), zero_point=draw.zero_point())

    def tensor(self, shape: Sequence[int]) -> int:
        return self.model.tensor(shape, self.dtype, **self.quantization)

    def case(
        self, shapes: Sequence[Shape], inputs: list[int], outputs: list[int], words: Any, **options
    ) -> Case:
        self.model.operator(self.operator, inputs, outputs, **options)
        feeds = tuple(tuple(self.draw.values(shape) for shape in shapes) for _ in range(2))
        name = f"{self.operator} seed {self.draw.seed} {shapes} {words}"
        return Case(self.operator, name, self.model.finish(outputs), feeds)

    def input(self, shape: Sequence[int]) -> int:
        return self.model.input(shape, self.dtype, **self.quantization)

    def one(self, shape: Shape, out: Sequence[int], constants: Sequence[Any], **options) -> Case:
        """One data input, constants behind it, one output."""
        inputs = [self.input(shape), *(self.model.constant(c) for c in constants)]
        words = [np.asarray(c).tolist() for c in constants] or options
        return self.case([shape], inputs, [self.tensor(out)], words, **options)


def random_shape(draw: Draw, ranks: Sequence[int] = (4, 4, 3, 2, 1)) -> Shape:
    rank = draw.pick(*ranks)
    return (*(draw.size(1, 7) for _ in range(rank - 1)), draw.pick(1, 3, 8, 16, 33))


def transpose(m: Moved) -> Case:
    shape = random_shape(m.draw, (4, 4, 3, 2, 5))
    order = m.draw.rng.permutation(len(shape))
    return m.one(shape, [shape[i] for i in order], [order])


def slice_(m: Moved) -> Case:
    shape = random_shape(m.draw)
    begin = [m.draw.size(0, n - 1) for n in shape]
    size = [m.draw.size(1, n - b) for n, b in zip(shape, begin, strict=True)]
    given = [-1 if m.draw.chance(0.2) else s for s in size]
    out = [n - b if g < 0 else g for n, b, g in zip(shape, begin, given, strict=True)]
    return m.one(shape, out, [begin, given])


def strided_slice(m: Moved) -> Case:
    """Negative strides and ends, masks, ellipses, new and shrunk axes: numpy has the shape."""
    draw = m.draw
    while True:
        shape = random_shape(draw, (4, 3, 2, 1))
        masks = dict.fromkeys(["begin", "end", "ellipsis", "newAxis", "shrinkAxis"], 0)
        begin, end, strides, index = [], [], [], []
        axes = draw.size(1, len(shape))
        skipped = len(shape) - axes  # what an ellipsis stands for
        # The delegate leaves an ellipsis of no axes, or beside a new axis, to the runtime.
        ellipsis = draw.size(0, axes - 1) if skipped and draw.chance(0.4) else -1
        for entry in range(axes):
            bit = 1 << len(begin)
            if entry == ellipsis:
                masks["ellipsis"] |= bit
                begin, end, strides = [*begin, 0], [*end, 0], [*strides, 1]
                index.append(Ellipsis)
                bit <<= 1
            if ellipsis < 0 and draw.chance(0.15):
                masks["newAxis"] |= bit
                begin, end, strides = [*begin, 0], [*end, 1], [*strides, 1]
                index.append(np.newaxis)
                bit <<= 1
            n = shape[entry + (skipped if 0 <= ellipsis <= entry else 0)]
            b, e, s = draw.size(-n, n), draw.size(-n - 1, n + 1), draw.pick(1, 1, 2, 3, -1, -2)
            if draw.chance(0.2):
                b = draw.size(-n, n - 1)
                masks["shrinkAxis"] |= bit
                begin, end, strides = [*begin, b], [*end, b + 1], [*strides, 1]
                index.append(b)
                continue
            open_begin, open_end = draw.chance(0.4), draw.chance(0.4)
            masks["begin"] |= bit * open_begin
            masks["end"] |= bit * open_end
            begin, end, strides = [*begin, b], [*end, e], [*strides, s]
            index.append(slice(None if open_begin else b, None if open_end else e, s))
        out = np.zeros(shape)[tuple(index)].shape
        if 0 not in out and len(begin) <= 5:
            options = {f"{name}Mask": mask for name, mask in masks.items()}
            return m.one(shape, out, [begin, end, strides], **options)


def split(m: Moved) -> Case:
    parts, axis = m.draw.size(1, 4), m.draw.size(0, 2)
    shape = [m.draw.size(1, 5) for _ in range(3)]
    part = tuple(shape)
    shape[axis] *= parts
    given = m.model.constant(axis - 3 if m.draw.chance(0.3) else axis)
    x = m.input(shape)
    outputs = [m.tensor(part) for _ in range(parts)]
    return m.case([tuple(shape)], [given, x], outputs, (parts, axis), numSplits=parts)


def split_v(m: Moved) -> Case:
    sizes, axis = [m.draw.size(1, 4) for _ in range(m.draw.size(1, 4))], m.draw.size(0, 2)
    shape = [m.draw.size(1, 5) for _ in range(3)]
    parts = [tuple(s if i == axis else n for i, n in enumerate(shape)) for s in sizes]
    shape[axis] = sum(sizes)
    given = list(sizes)
    if m.draw.chance(0.4):
        given[m.draw.size(0, len(sizes) - 1)] = -1
    inputs = [m.input(shape), m.model.constant(given), m.model.constant(axis)]
    outputs = [m.tensor(part) for part in parts]
    return m.case([tuple(shape)], inputs, outputs, (given, axis), numSplits=len(sizes))


def pack(m: Moved) -> Case:
    shape, count = random_shape(m.draw, (3, 2, 1)), m.draw.size(1, 4)
    axis = m.draw.size(0, len(shape))
    out = [*shape[:axis], count, *shape[axis:]]
    inputs = [m.input(shape) for _ in range(count)]
    given = axis - len(out) if m.draw.chance(0.3) else axis
    return m.case([shape] * count, inputs, [m.tensor(out)], axis, valuesCount=count, axis=given)


def unpack(m: Moved) -> Case:
    shape = tuple(m.draw.size(1, 5) for _ in range(m.draw.size(2, 4)))
    axis = m.draw.size(0, len(shape) - 1)
    outputs = [m.tensor(np.delete(shape, axis)) for _ in range(shape[axis])]
    given = axis - len(shape) if m.draw.chance(0.3) else axis
    return m.case([shape], [m.input(shape)], outputs, axis, num=shape[axis], axis=given)


def gather(m: Moved) -> Case:
    shape = random_shape(m.draw, (3, 2, 1))
    axis = m.draw.size(0, len(shape) - 1)
    indices = m.draw.rng.integers(0, shape[axis], m.draw.pick((), (1,), (4,), (2, 3), (9,)))
    out = [*shape[:axis], *indices.shape, *shape[axis + 1 :]]
    return m.one(shape, out, [indices], axis=axis - len(shape) if m.draw.chance(0.3) else axis)


def squeeze(m: Moved) -> Case:
    shape = (1, m.draw.size(2, 5), 1, m.draw.size(2, 9))
    given = m.draw.pick([], [0], [2], [-2], [0, 2])
    gone = {i % 4 for i in given} or {0, 2}
    out = [n for i, n in enumerate(shape) if i not in gone]
    return m.one(shape, out, [], squeezeDims=given)


def expand_dims(m: Moved) -> Case:
    shape = random_shape(m.draw, (3, 2, 1))
    axis = m.draw.size(0, len(shape))
    given = axis - len(shape) - 1 if m.draw.chance(0.3) else axis
    return m.one(shape, [*shape[:axis], 1, *shape[axis:]], [given])


def padv2(m: Moved) -> Case:
    shape = random_shape(m.draw)
    paddings = m.draw.rng.integers(0, 4, (len(shape), 2))
    value = m.draw.size(-128, 127)
    inputs = [m.input(shape), m.model.constant(paddings)]
    inputs.append(m.model.constant([value], np.int8, **m.quantization))
    out = np.add(shape, paddings.sum(axis=1))
    return m.case([shape], inputs, [m.tensor(out)], (paddings.tolist(), value))


def mirror_pad(m: Moved) -> Case:
    mode = m.draw.size(0, 1)  # REFLECT, which leaves the edge out, and SYMMETRIC
    shape = tuple(m.draw.size(2, 7) for _ in range(m.draw.size(1, 4)))
    paddings = [[m.draw.size(0, n - 1 + mode) for _ in range(2)] for n in shape]
    out = np.add(shape, np.sum(paddings, axis=1))
    return m.one(shape, out, [paddings], mode=mode)


def space_to_depth(m: Moved) -> Case:
    b, (n, h, w, c) = m.draw.size(1, 4), (m.draw.size(1, 4) for _ in range(4))
    return m.one((n, h * b, w * b, c), (n, h, w, c * b * b), [], blockSize=b)


def depth_to_space(m: Moved) -> Case:
    b, (n, h, w, c) = m.draw.size(1, 4), (m.draw.size(1, 4) for _ in range(4))
    return m.one((n, h, w, c * b * b), (n, h * b, w * b, c), [], blockSize=b)


def tile(m: Moved) -> Case:
    shape = random_shape(m.draw)
    multiples = [m.draw.size(1, 3) for _ in shape]
    return m.one(shape, np.multiply(shape, multiples), [multiples])


def broadcast_to(m: Moved) -> Case:
    out = random_shape(m.draw, (5, 4, 3, 2))
    shape = tuple(1 if m.draw.chance(0.5) else n for n in out)
    shape = shape[m.draw.size(0, len(out) - 1) :]
    return m.one(shape, out, [out])


def resize_nearest_neighbor(m: Moved) -> Case:
    n, h, w = m.draw.size(1, 2), m.draw.size(1, 12), m.draw.size(1, 12)
    shape = (n, h, w, m.draw.pick(1, 3, 8, 17))
    size = (h * 2, w * 2) if m.draw.chance(0.3) else (m.draw.size(1, 25), m.draw.size(1, 25))
    out = (n, *size, shape[3])
    corners, centers = m.draw.chance(0.4), m.draw.chance(0.4)
    return m.one(shape, out, [size], alignCorners=corners, halfPixelCenters=centers)


MAKERS: dict[str, Callable[[Moved], Case]] = {
    "TRANSPOSE": transpose,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "PACK": pack,
    "UNPACK": unpack,
    "GATHER": gather,
    "SQUEEZE": squeeze,
    "EXPAND_DIMS": expand_dims,
    "PADV2": padv2,
    "MIRROR_PAD": mirror_pad,
    "SPACE_TO_DEPTH": space_to_depth,
    "DEPTH_TO_SPACE": depth_to_space,
    "TILE": tile,
    "BROADCAST_TO": broadcast_to,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
}


def moves(operator: str) -> Callable[..., Iterator[Case]]:
    """The generator of an operator's cases."""
    first = 40000 + 1000 * list(MAKERS).index(operator)

    def cases(count: int = 40) -> Iterator[Case]:
        for seed in range(first, first + count):
            yield MAKERS[operator](Moved(operator, Draw(seed)))

    return cases
