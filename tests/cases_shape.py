"""One-operator models that move or reduce: AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, RESHAPE, PAD,
CONCATENATION.
"""

from collections.abc import Iterator

import numpy as np
from cases_weights import output_extent
from draws import Draw
from operator_case import Case
from operator_models import ACTIVATIONS, PADDINGS, ModelBuilder


def pool(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        height, width, depth = (
            draw.size(1, 13),
            draw.size(1, 13),
            draw.pick(1, 3, 8, 16, 17, 33, 64),
        )
        batch = draw.pick(1, 1, 2)
        kernel = (
            (height, width)
            if draw.chance(0.3)
            else draw.pick((2, 2), (3, 3), (1, 1), (5, 2), (3, 7))
        )
        stride = draw.pick((1, 1), (2, 2), kernel)
        fits = kernel[0] <= height and kernel[1] <= width
        padding = PADDINGS[draw.pick("SAME", "VALID") if fits else "SAME"]
        extents = [
            output_extent(n, k, s, 1, padding)
            for n, k, s in zip((height, width), kernel, stride, strict=True)
        ]
        quantization = dict(scale=draw.scale(), zero_point=draw.zero_point())
        shape = (batch, height, width, depth)
        model = ModelBuilder()
        x = model.input(shape, **quantization)
        y = model.tensor((batch, *extents, depth), **quantization)
        model.operator(
            operator,
            [x],
            [y],
            padding=padding,
            strideH=stride[0],
            strideW=stride[1],
            filterHeight=kernel[0],
            filterWidth=kernel[1],
            fusedActivationFunction=ACTIVATIONS[draw.activation()],
        )
        constant = np.full(shape, draw.pick(-128, 127, -1), np.int8)
        name = f"{operator} seed {draw.seed} {shape} kernel {kernel} stride {stride}"
        yield Case(operator, name, model.finish([y]), ((draw.values(shape),), (constant,)))


def average_pool_2d(count: int = 60) -> Iterator[Case]:
    return pool("AVERAGE_POOL_2D", 12000, count)


def max_pool_2d(count: int = 60) -> Iterator[Case]:
    return pool("MAX_POOL_2D", 13000, count)


def mean(count: int = 72) -> Iterator[Case]:
    layouts = (
        ((2, 6, 6, 40), (1, 2)),
        ((1, 7, 7, 65), (2, 1)),
        ((1, 20, 11, 17), (1,)),
        ((1, 64, 64, 3), (1, 2)),
        ((40, 9), (-1,)),
        ((3, 5, 4), (0,)),
        ((2, 3, 5, 7), (3,)),
        ((2, 3, 5, 7), (0, 1, 2, 3)),
    )
    for offset in range(count):
        draw = Draw(14000 + offset)
        shape, axes = layouts[offset % len(layouts)]
        keep = draw.chance(0.5)
        input_scale, input_zero = draw.scale(), draw.zero_point()
        output_scale = (
            draw.scale()
            if draw.chance(0.4)
            else np.float32(input_scale * draw.pick(1, 1, 2, 0.5, 8, 100))
        )
        output_zero = input_zero if draw.chance(0.25) else draw.zero_point()
        reduced = {axis % len(shape) for axis in axes}
        out = [1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced]
        model = ModelBuilder()
        x = model.input(shape, scale=input_scale, zero_point=input_zero)
        y = model.tensor(out, scale=output_scale, zero_point=output_zero)
        model.operator("MEAN", [x, model.constant(axes)], [y], keepDims=keep)
        feeds = tuple((draw.values(shape),) for _ in range(2))
        yield Case("MEAN", f"mean seed {draw.seed} {shape} over {axes}", model.finish([y]), feeds)


def reshape(count: int = 24) -> Iterator[Case]:
    """The new shape as a constant input, or in the options alone; with and without a -1."""
    layouts = (
        ((2, 3, 4, 5), (6, 20)),
        ((1, 60), (1, 3, 4, 5)),
        ((7, 9), (63,)),
        ((1, 4, 4, 8), (1, 128)),
    )
    for offset in range(count):
        draw = Draw(15000 + offset)
        shape, out = layouts[offset % len(layouts)]
        wanted = (-1, *out[1:]) if draw.chance(0.3) else out
        quantization = dict(scale=draw.scale(), zero_point=draw.zero_point())
        model = ModelBuilder()
        x = model.input(shape, **quantization)
        y = model.tensor(out, **quantization)
        inputs = [x, model.constant(wanted)] if draw.chance(0.7) else [x]
        model.operator("RESHAPE", inputs, [y], newShape=list(wanted))
        feeds = tuple((draw.values(shape),) for _ in range(2))
        yield Case(
            "RESHAPE", f"reshape seed {draw.seed} {shape} to {wanted}", model.finish([y]), feeds
        )


def pad(count: int = 40) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(16000 + offset)
        rank = draw.pick(4, 4, 4, 3, 2, 1)
        shape = (*(draw.size(1, 9) for _ in range(rank - 1)), draw.pick(1, 3, 16, 33))
        paddings = draw.rng.integers(0, 4, (rank, 2))
        if draw.chance(0.5) and rank == 4:
            paddings[[0, 3]] = 0
        quantization = dict(scale=draw.scale(), zero_point=draw.zero_point())
        model = ModelBuilder()
        x = model.input(shape, **quantization)
        y = model.tensor(np.add(shape, paddings.sum(axis=1)), **quantization)
        model.operator("PAD", [x, model.constant(paddings)], [y])
        feeds = tuple((draw.values(shape),) for _ in range(2))
        yield Case(
            "PAD", f"pad seed {draw.seed} {shape} by {paddings.tolist()}", model.finish([y]), feeds
        )


def concatenation(count: int = 40) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(17000 + offset)
        rank = draw.pick(4, 4, 3, 2, 1)
        base = [draw.size(1, 6) for _ in range(rank)]
        axis = draw.size(0, rank - 1)
        shapes = [
            tuple(n + (k * 3 if i == axis else 0) for i, n in enumerate(base))
            for k in range(draw.size(1, 4))
        ]
        quantization = dict(scale=draw.scale(), zero_point=draw.zero_point())
        out = list(base)
        out[axis] = sum(shape[axis] for shape in shapes)
        model = ModelBuilder()
        inputs = [model.input(shape, **quantization) for shape in shapes]
        y = model.tensor(out, **quantization)
        model.operator("CONCATENATION", inputs, [y], axis=axis - rank if draw.chance(0.5) else axis)
        feeds = tuple(tuple(draw.values(shape) for shape in shapes) for _ in range(2))
        yield Case(
            "CONCATENATION",
            f"concatenation seed {draw.seed} {shapes} axis {axis}",
            model.finish([y]),
            feeds,
        )
