"""One-operator models of convolutions and matrix products; some of the weights are INT4."""

from collections.abc import Iterator

import numpy as np
from draws import Draw
from operator_case import Case
from operator_models import ACTIVATIONS, PADDINGS, ModelBuilder

# Around the tiles of the GEMM kernels: multiples of 4, 8, 16 and 64, one less, one more.
DEPTHS = (1, 3, 4, 5, 8, 15, 16, 17, 32, 63, 64, 65, 130)
# Of pruned weights: whole blocks of four, past a chunk of 64 blocks too.
PRUNED_DEPTHS = (4, 8, 12, 16, 20, 64, 68, 132, 256, 260)
WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 70)


def weight_scales(draw: Draw, channels: int) -> np.ndarray:
    """Per channel in three of four draws, else one for the whole tensor."""
    spread = np.exp(draw.rng.uniform(-1.5, 0, channels)) if draw.chance(0.75) else np.ones(1)
    return (draw.scale(1e-3, 0.5) * spread).astype(np.float32)


def weights(draw: Draw, shape: tuple[int, ...]) -> np.ndarray:
    return draw.values(shape, low=-128 if draw.chance(0.25) else -127)


def pruned(draw: Draw, values: np.ndarray) -> np.ndarray:
    """Zeros in most 1x4 blocks along the last axis; whole output channels too."""
    blocks = values.reshape(*values.shape[:-1], -1, 4)
    keep = draw.rng.random(blocks.shape[:-1]) < draw.pick(0.0, 0.1, 0.25, 0.25, 0.5, 1.0)
    if draw.chance(0.3):
        keep[draw.rng.random(len(keep)) < 0.5] = draw.chance(0.5)
    return (blocks * keep[..., None]).reshape(values.shape)


def bias(draw: Draw, channels: int, peak: float) -> np.ndarray:
    limit = draw.pick(peak, peak, peak, peak / 16, 100.0, 100.0, 2.0**30)
    return draw.rng.integers(-int(limit), int(limit) + 1, channels).astype(np.int32)


def accumulator_peak(taps: int) -> float:
    """About what the largest of many sums of `taps` products of random int8 values reaches."""
    return 128 * 128 * float(np.sqrt(taps))


def window(draw: Draw, height: int, width: int, kernel: tuple[int, int]) -> dict:
    """Stride, dilation and padding that fit; SAME where VALID would leave nothing."""
    stride_h, stride_w = draw.pick((1, 1), (1, 1), (2, 2), (3, 2))
    dilation_h, dilation_w = draw.pick((1, 1), (1, 1), (1, 1), (2, 2), (1, 3))
    fits = (kernel[0] - 1) * dilation_h < height and (kernel[1] - 1) * dilation_w < width
    return dict(
        strideH=stride_h,
        strideW=stride_w,
        dilationHFactor=dilation_h,
        dilationWFactor=dilation_w,
        padding=PADDINGS[draw.pick("SAME", "VALID") if fits else "SAME"],
        fusedActivationFunction=ACTIVATIONS[draw.activation()],
    )


def output_extent(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    if padding == PADDINGS["SAME"]:
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def convolution_case(
    draw: Draw,
    operator: str,
    depth: int,
    channels: int,
    kernel: tuple[int, int],
    name: str,
    prune: bool = False,
) -> Case:
    depthwise = operator == "DEPTHWISE_CONV_2D"
    batch, height, width = draw.pick(1, 1, 1, 2, 3), draw.size(1, 12), draw.size(1, 14)
    options = window(draw, height, width, kernel)
    out_height = output_extent(
        height, kernel[0], options["strideH"], options["dilationHFactor"], options["padding"]
    )
    out_width = output_extent(
        width, kernel[1], options["strideW"], options["dilationWFactor"], options["padding"]
    )
    if depthwise:
        options["depthMultiplier"] = channels // depth
    taps = kernel[0] * kernel[1] * (1 if depthwise else depth)
    filter_shape = (1, *kernel, channels) if depthwise else (channels, *kernel, depth)
    input_scale, scales = draw.scale(), weight_scales(draw, channels)
    output_scale = draw.output_scale(np.float64(input_scale) * scales, accumulator_peak(taps))

    model = ModelBuilder()
    x = model.input((batch, height, width, depth), scale=input_scale, zero_point=draw.zero_point())
    quantization = dict(scale=scales, axis=3 if depthwise else 0)
    if draw.seed % 8 == 7:
        values = draw.values(filter_shape, -8, 7)
        w = model.int4_constant(pruned(draw, values) if prune else values, **quantization)
        name += " INT4"
    else:
        values = weights(draw, filter_shape)
        w = model.constant(pruned(draw, values) if prune else values, np.int8, **quantization)
    inputs = [x, w]
    # CONV_2D of the reference refuses a missing bias; DEPTHWISE_CONV_2D takes it.
    if not depthwise or draw.chance(0.85):
        b = bias(draw, channels, accumulator_peak(taps) / 4)
        inputs.append(model.constant(b, np.int32, scale=input_scale * scales))
    y = model.tensor(
        (batch, out_height, out_width, channels), scale=output_scale, zero_point=draw.zero_point()
    )
    model.operator(operator, inputs, [y], **options)
    feeds = tuple((draw.values((batch, height, width, depth)),) for _ in range(2))
    return Case(operator, name, model.finish([y]), feeds)


def conv_2d(count: int = 80, prune: bool = False) -> Iterator[Case]:
    for seed in range(count):
        draw = Draw((1500 if prune else 1000) + seed)
        kernel = draw.pick((1, 1), (1, 1), (3, 3), (3, 3), (5, 5), (1, 7), (2, 3))
        yield convolution_case(
            draw,
            "CONV_2D",
            draw.pick(*(PRUNED_DEPTHS if prune else DEPTHS)),
            draw.pick(*WIDTHS),
            kernel,
            f"conv_2d seed {draw.seed} kernel {kernel}{' pruned' if prune else ''}",
            prune,
        )


def depthwise_conv_2d(count: int = 80) -> Iterator[Case]:
    for seed in range(count):
        draw = Draw(2000 + seed)
        kernel = draw.pick((3, 3), (3, 3), (3, 3), (5, 5), (1, 1), (7, 7), (2, 3), (10, 4))
        depth = draw.pick(*DEPTHS)
        channels = depth * draw.pick(1, 1, 1, 2, 3)
        name = f"depthwise_conv_2d seed {draw.seed} kernel {kernel}"
        yield convolution_case(draw, "DEPTHWISE_CONV_2D", depth, channels, kernel, name)


def fully_connected(count: int = 80, prune: bool = False) -> Iterator[Case]:
    for seed in range(count):
        draw = Draw((3500 if prune else 3000) + seed)
        batch, depth, channels = (
            draw.pick(1, 1, 2, 5, 17),
            draw.pick(*(PRUNED_DEPTHS if prune else (*DEPTHS, 333, 1000))),
            draw.pick(*WIDTHS, 200),
        )
        input_scale, scales = draw.scale(), weight_scales(draw, channels)
        output_scale = draw.output_scale(np.float64(input_scale) * scales, accumulator_peak(depth))
        keep = draw.chance(0.3)
        shape = (batch, draw.size(1, 3), depth) if keep else (batch, depth)

        model = ModelBuilder()
        x = model.input(shape, scale=input_scale, zero_point=draw.zero_point())
        name = f"fully_connected seed {draw.seed} {shape}->{channels}"
        if seed % 8 == 7:
            name += " INT4"
            values = draw.values((channels, depth), -8, 7)
            w = model.int4_constant(pruned(draw, values) if prune else values, scale=scales)
        else:
            values = weights(draw, (channels, depth))
            w = model.constant(pruned(draw, values) if prune else values, np.int8, scale=scales)
        b = -1
        if draw.chance(0.85):
            b = model.constant(
                bias(draw, channels, accumulator_peak(depth) / 4),
                np.int32,
                scale=input_scale * scales,
            )
        y = model.tensor((*shape[:-1], channels), scale=output_scale, zero_point=draw.zero_point())
        options = dict(fusedActivationFunction=ACTIVATIONS[draw.activation()], keepNumDims=keep)
        version = 6 if b < 0 else 5 if keep else 4
        model.operator("FULLY_CONNECTED", [x, w, b], [y], version=version, **options)
        feeds = tuple((draw.values(shape),) for _ in range(2))
        yield Case(
            "FULLY_CONNECTED",
            name,
            model.finish([y]),
            feeds,
        )


def transpose_conv(count: int = 64) -> Iterator[Case]:
    for seed in range(count):
        draw = Draw(66000 + seed)
        depth, channels = draw.pick(1, 3, 4, 9, 16, 33), draw.pick(1, 3, 4, 8, 17)
        kernel = draw.pick((2, 2), (3, 3), (4, 4), (1, 1), (2, 5), (5, 3))
        stride = draw.pick((1, 1), (2, 2), (2, 2), (3, 3), (1, 2), (3, 1))
        batch, height, width = draw.pick(1, 1, 2), draw.size(1, 8), draw.size(1, 8)
        padding = PADDINGS[draw.pick("SAME", "VALID")]
        extents = [
            n * s - (draw.size(0, s - 1) if s > 1 else 0)  # SAME has several inverses
            if padding == PADDINGS["SAME"]
            else (n - 1) * s + k
            for n, k, s in zip((height, width), kernel, stride, strict=True)
        ]
        shape, out = (batch, height, width, depth), (batch, *extents, channels)
        input_scale, scales = draw.scale(), weight_scales(draw, channels)
        peak = accumulator_peak(depth * kernel[0] * kernel[1])
        output_scale = draw.output_scale(np.float64(input_scale) * scales, peak)
        model = ModelBuilder()
        inputs = [model.constant(out)]
        w = weights(draw, (channels, *kernel, depth))
        inputs.append(model.constant(w, np.int8, scale=scales))
        inputs.append(model.input(shape, scale=input_scale, zero_point=draw.zero_point()))
        if draw.chance(0.7):
            b = bias(draw, channels, peak / 4)
            inputs.append(model.constant(b, np.int32, scale=input_scale * scales))
        y = model.tensor(out, scale=output_scale, zero_point=draw.zero_point())
        model.operator(
            "TRANSPOSE_CONV",
            inputs,
            [y],
            version=3 if len(inputs) == 4 else 2,
            padding=padding,
            strideH=stride[0],
            strideW=stride[1],
            fusedActivationFunction=ACTIVATIONS[draw.activation()],
        )
        name = f"transpose_conv seed {draw.seed} {shape} kernel {kernel} stride {stride}"
        feeds = tuple((draw.values(shape),) for _ in range(2))
        yield Case("TRANSPOSE_CONV", name, model.finish([y]), feeds)


def batch_matmul(count: int = 64) -> Iterator[Case]:
    for seed in range(count):
        draw = Draw(67000 + seed)
        m, n, k = draw.pick(1, 2, 17, 33, 100), draw.pick(*WIDTHS), draw.pick(*DEPTHS)
        left, right = draw.pick(
            ((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((3,), (1,)), ((2, 3), (3,))
        )
        adj_x, adj_y = draw.chance(0.3), draw.chance(0.5)
        if left != right:
            adj_x = False  # tf.lite and tflite-runtime compute garbage there
        a = (*left, *((k, m) if adj_x else (m, k)))
        b = (*right, *((n, k) if adj_y else (k, n)))
        scales = draw.scale(), draw.scale()
        product = np.float64(scales[0] * scales[1])
        output_scale = draw.output_scale(np.atleast_1d(product), accumulator_peak(k))
        model = ModelBuilder()
        x = model.input(a, scale=scales[0], zero_point=draw.zero_point())
        z = model.input(b, scale=scales[1], zero_point=draw.zero_point())
        out = (*np.broadcast_shapes(left, right), m, n)
        y = model.tensor(out, scale=output_scale, zero_point=draw.zero_point())
        model.operator("BATCH_MATMUL", [x, z], [y], adjX=adj_x, adjY=adj_y)
        feeds = tuple((draw.values(a), draw.values(b)) for _ in range(2))
        name = f"batch_matmul seed {draw.seed} {a} by {b}"
        yield Case("BATCH_MATMUL", name, model.finish([y]), feeds)
