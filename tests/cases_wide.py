"""One-operator models of int16 activations (16x8), and of the conversions to and from int16 and
uint8.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from cases_pointwise import BROADCASTS, floats
from cases_weights import DEPTHS, WIDTHS, output_extent, weight_scales, weights, window
from draws import Draw
from operator_case import Case
from operator_models import ACTIVATIONS, PADDINGS, ModelBuilder

EVERY_WORD = np.arange(-32768, 32768).astype(np.int16)


def words(draw: Draw, shape: tuple[int, ...]) -> np.ndarray:
    """int16 values, in a third of the draws mostly from the edges of the range."""
    values = draw.rng.integers(-32768, 32768, shape)
    if draw.chance(0.3):
        edges = draw.rng.choice([-32768, -32767, -1, 0, 1, 32766, 32767], shape)
        values = np.where(draw.rng.random(shape) < 0.5, values, edges)
    return values.astype(np.int16)


def biases(draw: Draw, channels: int, peak: float) -> np.ndarray:
    limit = int(draw.pick(peak, peak / 16, 100.0, 2.0**38))
    return draw.rng.integers(-limit, limit + 1, channels)


def weighted_scale(draw: Draw, products: np.ndarray, peak: float) -> np.float32:
    """For sums that reach `peak` in units of `products`; a multiplier stays below 128."""
    unit = float(np.max(products))
    scale = unit * peak / 32767 * np.exp(draw.rng.uniform(-1.2, 0.6))
    if draw.chance(0.2):
        scale = float(np.ravel(products)[0]) * draw.pick(1, 2, 4, 256, 3, 6)
    return np.float32(max(scale, unit / 64))


def convolution(operator: str, seed: int, count: int) -> Iterator[Case]:
    depthwise = operator == "DEPTHWISE_CONV_2D"
    for offset in range(count):
        draw = Draw(seed + offset)
        depth, kernel = draw.pick(*DEPTHS), draw.pick((1, 1), (3, 3), (5, 5), (1, 7), (2, 3))
        channels = depth * draw.pick(1, 1, 2) if depthwise else draw.pick(*WIDTHS)
        batch, height, width = draw.pick(1, 1, 2), draw.size(1, 10), draw.size(1, 10)
        options = window(draw, height, width, kernel)
        out = tuple(
            output_extent(
                n, k, options[f"stride{a}"], options[f"dilation{a}Factor"], options["padding"]
            )
            for n, k, a in zip((height, width), kernel, "HW", strict=True)
        )
        if depthwise:
            options["depthMultiplier"] = channels // depth
        peak = 2.0**22 * np.sqrt(kernel[0] * kernel[1] * (1 if depthwise else depth))
        input_scale, scales = draw.scale(1e-5, 1e-2), weight_scales(draw, channels)
        products = np.float64(input_scale) * scales
        model = ModelBuilder()
        shape = (batch, height, width, depth)
        x = model.input(shape, np.int16, scale=input_scale)
        filter_shape = (1, *kernel, channels) if depthwise else (channels, *kernel, depth)
        axis = 3 if depthwise else 0
        inputs = [x, model.constant(weights(draw, filter_shape), np.int8, scale=scales, axis=axis)]
        if not depthwise or draw.chance(0.8):
            inputs.append(
                model.constant(biases(draw, channels, peak / 4), np.int64, scale=products)
            )
        y = model.tensor(
            (batch, *out, channels), np.int16, scale=weighted_scale(draw, products, peak)
        )
        model.operator(operator, inputs, [y], version=4, **options)
        feeds = tuple((words(draw, shape),) for _ in range(2))
        yield Case(operator, f"16x8 {operator} seed {draw.seed} {shape}", model.finish([y]), feeds)


def fully_connected(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        rows, depth, channels = (
            draw.pick(1, 2, 17),
            draw.pick(*DEPTHS, 1000, 9000),
            draw.pick(*WIDTHS),
        )
        input_scale, scales = draw.scale(1e-5, 1e-2), weight_scales(draw, channels)
        products, peak = np.float64(input_scale) * scales, 2.0**22 * np.sqrt(depth)
        model = ModelBuilder()
        x = model.input((rows, depth), np.int16, scale=input_scale)
        w = model.constant(weights(draw, (channels, depth)), np.int8, scale=scales)
        b = -1
        if draw.chance(0.8):
            b = model.constant(biases(draw, channels, peak / 4), np.int64, scale=products)
        y = model.tensor((rows, channels), np.int16, scale=weighted_scale(draw, products, peak))
        activation = ACTIVATIONS[draw.activation()]
        model.operator(operator, [x, w, b], [y], version=7, fusedActivationFunction=activation)
        feeds = tuple((words(draw, (rows, depth)),) for _ in range(2))
        name = f"16x8 {operator} seed {draw.seed} {rows}x{depth}->{channels}"
        yield Case(operator, name, model.finish([y]), feeds)


def binary(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        shapes = BROADCASTS[offset % len(BROADCASTS)]
        left, right = (np.float32(draw.scale(1e-4, 0.1) * 1.01) for _ in range(2))
        output = np.float32(max(left, right) * draw.pick(1, 2, 0.5, 1.83))
        if operator == "MUL":
            output = np.float32(float(left) * float(right) * 32768 * draw.pick(1, 0.5, 2, 0.3))
        model = ModelBuilder()
        inputs = [
            model.input(shape, np.int16, scale=scale)
            for shape, scale in zip(shapes, (left, right), strict=True)
        ]
        y = model.tensor(np.broadcast_shapes(*shapes), np.int16, scale=output)
        options: dict[str, Any] = dict(fusedActivationFunction=ACTIVATIONS[draw.activation()])
        if operator == "ADD":
            options["potScaleInt16"] = draw.chance(
                0.5
            )  # says nothing unless scales are powers of two
        model.operator(operator, inputs, [y], version=3 if operator == "ADD" else 4, **options)
        feeds = tuple(tuple(words(draw, shape) for shape in shapes) for _ in range(2))
        yield Case(
            operator, f"int16 {operator} seed {draw.seed} {shapes}", model.finish([y]), feeds
        )


def pool(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        shape = (draw.pick(1, 2), draw.size(1, 13), draw.size(1, 13), draw.pick(1, 3, 8, 17))
        kernel = shape[1:3] if draw.chance(0.3) else draw.pick((2, 2), (3, 3), (1, 1), (5, 2))
        stride = draw.pick((1, 1), (2, 2), kernel)
        fits = kernel[0] <= shape[1] and kernel[1] <= shape[2]
        padding = PADDINGS[draw.pick("SAME", "VALID") if fits else "SAME"]
        extents = [
            output_extent(n, k, s, 1, padding)
            for n, k, s in zip(shape[1:3], kernel, stride, strict=True)
        ]
        scale = draw.scale(1e-5, 1e-2)
        model = ModelBuilder()
        x = model.input(shape, np.int16, scale=scale)
        y = model.tensor((shape[0], *extents, shape[3]), np.int16, scale=scale)
        options = dict(strideH=stride[0], strideW=stride[1], padding=padding)
        options |= dict(filterHeight=kernel[0], filterWidth=kernel[1])
        options |= dict(fusedActivationFunction=ACTIVATIONS[draw.activation()])
        model.operator(operator, [x], [y], version=3, **options)
        feeds = ((words(draw, shape),), (np.full(shape, draw.pick(-32768, 32767, -1), np.int16),))
        yield Case(operator, f"int16 {operator} seed {draw.seed} {shape}", model.finish([y]), feeds)


def sigmoid(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        scale = draw.pick(2.0**-12, 2.0**-11, *(draw.scale(1e-5, 1e-2) for _ in range(4)))
        shape = draw.pick((1, 65536), (256, 256), (2, 128, 16, 16))
        model = ModelBuilder()
        x = model.input(shape, np.int16, scale=scale)
        y = model.tensor(shape, np.int16, scale=1 / 32768)
        model.operator(operator, [x], [y], version=3)
        feeds = ((EVERY_WORD.reshape(shape),),)
        yield Case(operator, f"int16 {operator} seed {draw.seed} {scale}", model.finish([y]), feeds)


def softmax(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        depth, rows = draw.pick((2, 40), (10, 30), (100, 5), (1001, 2), (4000, 1), (1, 4))
        scale = draw.pick(1 / 16, 0.1, 1.0, 0.003, 30.0) / 200 * np.exp(draw.rng.uniform(-0.5, 0.5))
        model = ModelBuilder()
        x = model.input((rows, depth), np.int16, scale=scale)
        y = model.tensor((rows, depth), np.int16, scale=1 / 32768)
        model.operator("SOFTMAX", [x], [y], version=3, beta=draw.pick(1.0, 1.0, 0.5, 2.0, 1.3))
        flat = np.full((rows, depth), draw.size(-32768, 32767), np.int16)
        feeds = ((words(draw, (rows, depth)),), (flat,))
        yield Case(
            operator, f"int16 softmax seed {draw.seed} {rows}x{depth}", model.finish([y]), feeds
        )


PAIRS = ((np.float32, np.int16), (np.float32, np.uint8), (np.int16, np.int16), (np.int16, np.int8))
PAIRS += ((np.int8, np.int16), (np.uint8, np.int16))  # type: ignore[assignment]


def conversion(operator: str, seed: int, count: int) -> Iterator[Case]:
    for offset in range(count):
        draw = Draw(seed + offset)
        source, target = PAIRS[offset % len(PAIRS)]
        if operator == "DEQUANTIZE":
            source, target = (np.int16, np.uint8)[offset % 2], np.float32
        scale = draw.scale()

        zeros = {np.int16: 0, np.int8: draw.zero_point(), np.uint8: draw.zero_point() + 128}
        ratio = draw.pick(1, 2, 0.5, 1 / 256, 256, 0.77)
        shape = draw.pick((1, 256), (3, 5, 17), (300,))
        model = ModelBuilder()
        if source == np.float32:
            x = model.input(shape, np.float32)
            feeds = tuple((floats(draw, shape, scale),) for _ in range(2))
        else:
            x = model.input(
                shape, source, scale=np.float32(scale * ratio), zero_point=zeros[source]
            )
            low = np.iinfo(source).min
            values = draw.rng.integers(low, np.iinfo(source).max + 1, (2, *shape))
            feeds = tuple((v.astype(source),) for v in values)
        quantization = {} if target == np.float32 else dict(scale=scale, zero_point=zeros[target])
        y = model.tensor(shape, target, **quantization)
        model.operator(operator, [x], [y], version=2)
        name = f"{operator} seed {draw.seed} {source.__name__} to {target.__name__}"
        yield Case(operator, name, model.finish([y]), feeds)


MAKERS: dict[str, Callable[[str, int, int], Iterator[Case]]] = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "FULLY_CONNECTED": fully_connected,
    "ADD": binary,
    "MUL": binary,
    "AVERAGE_POOL_2D": pool,
    "MAX_POOL_2D": pool,
    "LOGISTIC": sigmoid,
    "TANH": sigmoid,
    "SOFTMAX": softmax,
    "QUANTIZE": conversion,
    "DEQUANTIZE": conversion,
}


def wide_cases(operator: str, count: int) -> Iterator[Case]:
    return MAKERS[operator](operator, 70000 + 1000 * list(MAKERS).index(operator), count)
