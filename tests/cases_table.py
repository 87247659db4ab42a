"""One-operator models of operators on one int8 tensor that are a table, fed all 256 values."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from draws import Draw
from operator_case import Case
from operator_models import ModelBuilder

EVERY_BYTE = np.arange(-128, 128, dtype=np.int16).astype(np.int8).reshape(1, 256)


def unary(operator: str, seed: int, count: int) -> Iterator[Case]:
    """Many pairs of input and output quantization, half of them with scales in a simple ratio."""
    for offset in range(count):
        draw = Draw(seed + offset)
        input_scale, output_scale = draw.scale(1e-3, 0.5), draw.scale()
        input_zero, output_zero = draw.zero_point(), draw.zero_point()
        if draw.chance(0.5):
            output_scale = np.float32(input_scale * draw.pick(1, 1, 0.5, 2, 0.75, 1.25, 3))
        options: dict[str, Any] = {}
        if operator == "LOGISTIC":
            output_scale, output_zero = np.float32(1 / 256), -128
        elif operator == "TANH" and draw.chance(0.5):
            output_scale, output_zero = np.float32(1 / 128), 0
        elif operator == "LEAKY_RELU":
            options["alpha"] = draw.pick(0.1, 0.2, 0.01, -0.3, 1.5, 0.5, 0.0)
        elif operator == "GELU":
            options["approximate"] = offset % 2 == 1
        elif operator == "HARD_SWISH":  # prepare wants input scale / 128 below the output's
            output_scale = np.clip(output_scale, input_scale / 100, input_scale * 256)
        elif operator == "RSQRT":  # invoke fails on values below the zero point
            input_zero = -128
        shape = draw.pick((1, 256), (1, 4, 4, 16), (256,))
        model = ModelBuilder()
        x = model.input(shape, scale=input_scale, zero_point=input_zero)
        y = model.tensor(shape, scale=output_scale, zero_point=output_zero)
        model.operator(operator, [x], [y], **options)
        yield Case(
            operator,
            f"{operator} seed {draw.seed}",
            model.finish([y]),
            ((EVERY_BYTE.reshape(shape),), (draw.values(shape),)),
            # ELU is the one operator that the reference kernels lack.
            resolver="stock" if operator == "ELU" else "reference",
        )


def relu(count: int = 48) -> Iterator[Case]:
    return unary("RELU", 6000, count)


def relu6(count: int = 48) -> Iterator[Case]:
    return unary("RELU6", 7000, count)


def logistic(count: int = 48) -> Iterator[Case]:
    return unary("LOGISTIC", 8000, count)


def relu_n1_to_1(count: int = 48) -> Iterator[Case]:
    return unary("RELU_N1_TO_1", 20000, count)


def tanh(count: int = 48) -> Iterator[Case]:
    return unary("TANH", 21000, count)


def leaky_relu(count: int = 48) -> Iterator[Case]:
    return unary("LEAKY_RELU", 22000, count)


def hard_swish(count: int = 48) -> Iterator[Case]:
    return unary("HARD_SWISH", 23000, count)


def gelu(count: int = 48) -> Iterator[Case]:
    return unary("GELU", 24000, count)


def elu(count: int = 48) -> Iterator[Case]:
    return unary("ELU", 25000, count)


def exp(count: int = 48) -> Iterator[Case]:
    return unary("EXP", 26000, count)


def log(count: int = 48) -> Iterator[Case]:
    return unary("LOG", 47000, count)


def absolute(count: int = 48) -> Iterator[Case]:
    return unary("ABS", 27000, count)


def rsqrt(count: int = 48) -> Iterator[Case]:
    return unary("RSQRT", 28000, count)
