"""One-operator models that reduce, normalize or resize: SUM, REDUCE_MAX, REDUCE_MIN,
L2_NORMALIZATION, LOG_SOFTMAX, RESIZE_BILINEAR.
"""

import math
from collections.abc import Iterator

import numpy as np
from draws import Draw
from operator_case import Case
from operator_models import ModelBuilder

LAYOUTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((2, 6, 6, 40), (1, 2)),
    ((1, 7, 7, 65), (2, 1)),
    ((1, 20, 11, 17), (1,)),
    ((40, 9), (-1,)),
    ((3, 5, 4), (0,)),
    ((2, 3, 5, 300), (3,)),
    ((2, 3, 5, 7), (0, 1, 2, 3)),
    ((4, 3, 5, 7), (0, 2)),
)


def multiply_by_quantized_multiplier(values: np.ndarray, real: float) -> np.ndarray:
    """MBQM of docs/numerics.md with QM(real), for values and a multiplier that overflow nowhere."""
    fraction, exponent = math.frexp(real)
    multiplier = round(fraction * 2**31)  # of a float quotient: never a tie
    shifted = values.astype(np.int64) << max(exponent, 0)
    high = (shifted * multiplier + (1 << 30)) >> 31
    right = max(-exponent, 0)
    if right == 0:
        return high
    return (high + (1 << (right - 1)) - (high < 0)) >> right


def sum_by_formula(
    values: np.ndarray,
    axes: tuple[int, ...],
    quantization: tuple[float, int, float, int],
    keep: bool,
) -> np.ndarray:
    input_scale, input_zero, output_scale, output_zero = quantization
    sums = (values.astype(np.int64) - input_zero).sum(axis=axes, keepdims=keep)
    real = float(input_scale) / float(output_scale)
    return np.clip(
        multiply_by_quantized_multiplier(np.asarray(sums), real) + output_zero, -128, 127
    ).astype(np.int8)


def reduction(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        shape, axes = LAYOUTS[offset % len(LAYOUTS)]
        keep = draw.chance(0.5)
        input_scale, input_zero = draw.scale(), draw.zero_point()
        output_scale, output_zero = input_scale, input_zero
        if operator == "SUM":
            ratio = draw.pick(1, 1, 2, 0.5, 8, 10, 30, 100)
            output_scale, output_zero = np.float32(input_scale * ratio), draw.zero_point()
        reduced = {axis % len(shape) for axis in axes}
        out = [1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced]
        model = ModelBuilder()
        x = model.input(shape, scale=input_scale, zero_point=input_zero)
        y = model.tensor(out, scale=output_scale, zero_point=output_zero)
        model.operator(operator, [x, model.constant(axes)], [y], keepDims=keep)
        feeds = tuple((draw.values(shape),) for _ in range(2))
        quantization = (input_scale, input_zero, output_scale, output_zero)
        yield Case(
            operator,
            f"{operator} seed {draw.seed} {shape} over {axes}",
            model.finish([y]),
            feeds,
            # The reference reads int8 as uint8 there: the formula is the truth.
            expected=tuple((sum_by_formula(x, axes, quantization, keep),) for (x,) in feeds)
            if operator == "SUM"
            else None,
        )


def sum_(count: int = 48) -> Iterator[Case]:
    return reduction("SUM", 60000, count)


def reduce_max(count: int = 32) -> Iterator[Case]:
    return reduction("REDUCE_MAX", 61000, count)


def reduce_min(count: int = 32) -> Iterator[Case]:
    return reduction("REDUCE_MIN", 62000, count)


def l2_normalization(count: int = 48) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(63000 + offset)
        depth, rows = draw.pick((1, 9), (3, 40), (10, 30), (17, 17), (100, 5), (1000, 2), (4000, 1))
        shape = draw.pick((rows, depth), (1, rows, depth), (1, 1, rows, depth))
        zero = draw.zero_point()
        model = ModelBuilder()
        x = model.input(shape, scale=draw.scale(), zero_point=zero)
        y = model.tensor(shape, scale=1 / 128, zero_point=0)
        model.operator("L2_NORMALIZATION", [x], [y])
        near_zero = np.clip(zero + draw.rng.integers(-1, 2, shape), -128, 127).astype(np.int8)
        name = f"l2_normalization seed {draw.seed} {shape}"
        feeds = ((draw.values(shape),), (near_zero,), (np.full(shape, zero, np.int8),))
        yield Case("L2_NORMALIZATION", name, model.finish([y]), feeds)


def log_softmax(count: int = 64) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(64000 + offset)
        depth, rows = draw.pick(
            (1, 4), (2, 40), (10, 30), (16, 9), (100, 5), (333, 3), (1001, 2), (4000, 1)
        )
        scale = np.float32(
            draw.pick(1 / 16, 1 / 256, 0.1, 1.0, 5.0, 0.003, 30.0)
            * np.exp(draw.rng.uniform(-0.5, 0.5))
        )
        shape = draw.pick((rows, depth), (1, rows, depth), (1, 1, rows, depth))
        model = ModelBuilder()
        x = model.input(shape, scale=scale, zero_point=draw.zero_point())
        y = model.tensor(shape, scale=16 / 256, zero_point=127)
        model.operator("LOG_SOFTMAX", [x], [y])
        flat = np.full(shape, draw.size(-128, 127), np.int8)
        name = f"log_softmax seed {draw.seed} {shape}"
        yield Case("LOG_SOFTMAX", name, model.finish([y]), ((draw.values(shape),), (flat,)))


def resize_bilinear(count: int = 64) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(65000 + offset)
        shape = (draw.pick(1, 1, 2), draw.size(1, 12), draw.size(1, 12))
        shape = (*shape, draw.pick(1, 3, 8, 16, 17, 31, 33, 64, 70))
        size = (shape[1] * 2, shape[2] * 2)
        if draw.chance(0.7):
            size = (draw.size(1, 25), draw.size(1, 25))
        corners, centers = draw.pick((False, False), (True, False), (False, True))
        quantization = dict(scale=draw.scale(), zero_point=draw.zero_point())
        model = ModelBuilder()
        x = model.input(shape, **quantization)
        y = model.tensor((shape[0], *size, shape[3]), **quantization)
        model.operator(
            "RESIZE_BILINEAR",
            [x, model.constant(size)],
            [y],
            alignCorners=corners,
            halfPixelCenters=centers,
        )
        feeds = tuple((draw.values(shape),) for _ in range(2))
        name = f"resize_bilinear seed {draw.seed} {shape} to {size} {corners} {centers}"
        yield Case("RESIZE_BILINEAR", name, model.finish([y]), feeds)
