"""One-operator models of operators on two tensors, SOFTMAX, QUANTIZE and DEQUANTIZE."""

from collections.abc import Iterator

import numpy as np
from cases_table import EVERY_BYTE
from draws import Draw
from operator_case import Case
from operator_models import ACTIVATIONS, ModelBuilder

# Left and right shapes: equal, a vector, a scalar, broadcast from either side, in the middle and
# both ways.
BROADCASTS = (
    ((1, 5, 7, 19), (1, 5, 7, 19)),
    ((2, 3, 4, 64), (2, 3, 4, 64)),
    ((1, 5, 7, 33), (33,)),
    ((130,), (1,)),
    ((1,), (2, 70)),
    ((1, 1, 1, 16), (1, 6, 5, 16)),
    ((1, 1, 9, 17), (3, 4, 1, 17)),
    ((2, 6, 6, 8), (2, 1, 1, 8)),
)


def binary_scales(draw: Draw, operator: str) -> tuple[np.float32, np.float32, np.float32]:
    left = draw.scale()
    right = draw.scale() if draw.chance(0.5) else np.float32(left * draw.pick(1, 0.5, 2, 0.25))
    if operator == "MUL":
        return (
            left,
            right,
            np.float32(
                float(left)
                * float(right)
                * draw.pick(1, 0.5, 6, 33.3, 64, 100, 128, 128, 200, 256, 300)
            ),
        )
    if operator in ("MAXIMUM", "MINIMUM"):
        return left, left, left
    if operator == "SQUARED_DIFFERENCE":  # the reference aborts below max^2 / 2^12
        ratio = draw.pick(64, 128, 256, 500, 37.7, 1, 0.01)
        return left, right, np.float32(max(float(left), float(right)) ** 2 * ratio)
    if operator == "PRELU":
        return left, draw.scale(1e-3, 0.05), np.float32(left * draw.pick(1, 1, 0.5, 2, 0.77))
    output = (
        draw.scale() if draw.chance(0.3) else max(left, right) * draw.pick(1, 2, 0.5, 1.5, 1.83)
    )
    # The reference aborts the process when max(left, right) / 2^19 reaches the output scale.
    return left, right, np.float32(max(output, max(left, right) / 2**12))


def binary(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        allowed = [
            (left, right)
            for left, right in BROADCASTS
            # PRELU's output has the shape of its left side.
            if operator != "PRELU" or left == np.broadcast_shapes(left, right)
        ]
        shapes = allowed[offset % len(allowed)]
        left, right, output = binary_scales(draw, operator)
        activation = draw.activation()
        model = ModelBuilder()
        left_zero, right_zero, output_zero = (draw.zero_point() for _ in range(3))
        if operator in ("MAXIMUM", "MINIMUM"):
            right_zero = output_zero = left_zero
        a = model.input(shapes[0], scale=left, zero_point=left_zero)
        constant = draw.chance(0.25)
        right_quantization = dict(scale=right, zero_point=right_zero)
        if constant:
            b = model.constant(draw.values(shapes[1]), np.int8, **right_quantization)
        else:
            b = model.input(shapes[1], **right_quantization)
        y = model.tensor(np.broadcast_shapes(*shapes), scale=output, zero_point=output_zero)
        options = dict(fusedActivationFunction=ACTIVATIONS[activation])
        if operator not in ("ADD", "SUB", "MUL"):
            options = {}
        if operator in ("ADD", "SUB"):
            options["potScaleInt16"] = False
        model.operator(operator, [a, b], [y], **options)
        shapes_fed = shapes[:1] if constant else shapes
        feeds = tuple(tuple(draw.values(shape) for shape in shapes_fed) for _ in range(2))
        yield Case(
            operator, f"{operator} seed {draw.seed} {shapes} {activation}", model.finish([y]), feeds
        )


def add(count: int = 64) -> Iterator[Case]:
    return binary("ADD", 4000, count)


def mul(count: int = 64) -> Iterator[Case]:
    return binary("MUL", 5000, count)


def sub(count: int = 64) -> Iterator[Case]:
    return binary("SUB", 30000, count)


def maximum(count: int = 32) -> Iterator[Case]:
    return binary("MAXIMUM", 31000, count)


def minimum(count: int = 32) -> Iterator[Case]:
    return binary("MINIMUM", 32000, count)


def squared_difference(count: int = 64) -> Iterator[Case]:
    return binary("SQUARED_DIFFERENCE", 33000, count)


def prelu(count: int = 64) -> Iterator[Case]:
    return binary("PRELU", 34000, count)


# Shapes of a condition and of what it chooses from.
CHOICES = (
    ((1, 5, 7, 19), (1, 5, 7, 19), (1, 5, 7, 19)),
    ((1, 1, 24, 24), (2, 3, 24, 24), (1,)),
    ((2, 1, 1, 33), (2, 3, 5, 33), ()),
    ((7,), (4, 1), (3, 1, 1)),
    ((5, 1), (1, 70), (5, 70)),
    ((), (2, 9), (9,)),
    ((2, 40, 500), (1,), (2, 40, 500)),
    ((1, 3, 1, 1, 2), (4, 1, 5, 1, 1), (1, 1, 1, 6, 2)),
)
DTYPES = (np.int8, np.int8, np.int16, np.uint8)


def select(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        shapes = CHOICES[offset % len(CHOICES)]
        if operator == "SELECT":
            shapes = (shapes[1],) * 3
        dtype = DTYPES[offset // len(CHOICES) % len(DTYPES)]
        low = 0 if dtype == np.uint8 else np.iinfo(dtype).min
        quantization = dict(scale=draw.scale(), zero_point=0 if low < -128 else low + 130)
        model, feeds = ModelBuilder(), ([], [])
        tensors = []
        for number, shape in enumerate(shapes):
            kind = {"dtype": dtype, **quantization} if number else {"dtype": np.bool_}
            drawn = [
                draw.rng.integers(low, np.iinfo(dtype).max + 1, shape).astype(dtype)
                if number
                else draw.rng.random(shape) < draw.pick(0.1, 0.5, 1)
                for _ in feeds
            ]
            if number != 1 and draw.chance(0.3):
                tensors.append(model.constant(drawn[0], **kind))
                continue
            tensors.append(model.input(shape, **kind))
            for feed, values in zip(feeds, drawn, strict=True):
                feed.append(values)
        y = model.tensor(np.broadcast_shapes(*shapes), dtype, **quantization)
        model.operator(operator, tensors, [y])
        name = f"{operator} seed {draw.seed} {shapes} {np.dtype(dtype)}"
        yield Case(operator, name, model.finish([y]), tuple(map(tuple, feeds)))


def select_v1(count: int = 32) -> Iterator[Case]:
    return select("SELECT", 34000, count)


def select_v2(count: int = 64) -> Iterator[Case]:
    return select("SELECT_V2", 35000, count)


def softmax(count: int = 48) -> Iterator[Case]:
    """Rows below 512 equal logits: from there on the reference aborts the process."""
    for offset in range(count):
        draw = Draw(9000 + offset)
        depth, rows = draw.pick(
            (2, 40), (10, 30), (16, 9), (100, 5), (333, 3), (500, 2), (1, 4), (17, 17)
        )
        scale = np.float32(
            draw.pick(1 / 16, 1 / 256, 0.1, 1.0, 5.0, 0.003, 30.0)
            * np.exp(draw.rng.uniform(-0.5, 0.5))
        )
        shape = draw.pick((rows, depth), (1, rows, depth), (1, 1, rows, depth))
        model = ModelBuilder()
        x = model.input(shape, scale=scale, zero_point=draw.zero_point())
        y = model.tensor(shape, scale=1 / 256, zero_point=-128)
        model.operator("SOFTMAX", [x], [y], beta=draw.pick(1.0, 1.0, 0.5, 2.0, 1.3))
        flat = np.full(shape, draw.size(-128, 127), np.int8)
        yield Case(
            "SOFTMAX",
            f"softmax seed {draw.seed} {shape}",
            model.finish([y]),
            ((draw.values(shape),), (flat,)),
        )


def floats(draw: Draw, shape: tuple[int, ...], scale: np.float32) -> np.ndarray:
    """Normal values over the range, a third of them exactly between two steps and one ulp off; and
    the ends of float.
    """
    values = (draw.rng.normal(0, 80, shape) * scale).astype(np.float32)
    ties = (draw.rng.integers(-260, 260, shape) + 0.5).astype(np.float32) * scale
    beside = np.nextafter(ties, np.float32(draw.pick(-1e9, 1e9)))
    kind = draw.rng.integers(0, 6, shape)
    values = np.where(kind == 0, ties, np.where(kind == 1, beside, values)).astype(np.float32)
    special = np.array([0, -0.0, 1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan], np.float32)
    values.ravel()[: len(special)] = special
    return values


def quantize(count: int = 64) -> Iterator[Case]:
    """From float32 in half of the cases, else from int8 to another int8."""
    for offset in range(count):
        draw = Draw(10000 + offset)
        output_scale, output_zero = draw.scale(), draw.zero_point()
        shape = draw.pick((1, 256), (3, 5, 17), (1, 4, 4, 16), (300,))
        model = ModelBuilder()
        if offset % 2:
            x = model.input(shape, np.float32)
            feeds = tuple((floats(draw, shape, output_scale),) for _ in range(2))
        else:
            ratio = draw.pick(1, 1, 2, 0.5, 0.75, 3, 1.37)
            x = model.input(
                shape, scale=np.float32(output_scale * ratio), zero_point=draw.zero_point()
            )
            feeds = tuple((draw.values(shape),) for _ in range(2))
        y = model.tensor(shape, scale=output_scale, zero_point=output_zero)
        model.operator("QUANTIZE", [x], [y], version=1 if offset % 2 else 2)
        yield Case("QUANTIZE", f"quantize seed {draw.seed} {shape}", model.finish([y]), feeds)


def dequantize(count: int = 48) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(11000 + offset)
        shape = draw.pick((1, 256), (3, 5, 17), (300,))
        model = ModelBuilder()
        x = model.input(shape, scale=draw.scale(), zero_point=draw.zero_point())
        y = model.tensor(shape, np.float32)
        model.operator("DEQUANTIZE", [x], [y])
        feeds = ((np.resize(EVERY_BYTE, shape),), (draw.values(shape),))
        yield Case("DEQUANTIZE", f"dequantize seed {draw.seed} {shape}", model.finish([y]), feeds)
