"""Small float models whose channels, roundings or ranges are bad on purpose: what a method gains on
them is certain.
"""

import itertools

import numpy as np
from float_nets import NONE, RELU, Net
from int8x.tflite.graph import Graph

SHAPE = (1, 8, 8, 3)


def images(samples: int, seed: int = 0) -> np.ndarray:
    """Normal values, (samples, 8, 8, 3)."""
    return np.random.default_rng(seed).normal(size=(samples, *SHAPE[1:])).astype(np.float32)


def set_weights(net: Net, index: int, array: np.ndarray) -> None:
    net.main.operators[index].inputs[1].data = np.ascontiguousarray(array, np.float32)


def gaussian(net: Net) -> None:
    """Normal weights of variance 1 / terms, and small biases, in every operator that has them."""
    for op in net.main.operators:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights, bias = op.inputs[1:]
            depthwise = op.kind == "DEPTHWISE_CONV_2D"
            terms = weights.size // weights.shape[3 if depthwise else 0]
            shape = weights.shape
            weights.data = net.random.normal(0, terms**-0.5, shape).astype(np.float32)
            bias.data = net.random.normal(0, 0.1, bias.shape).astype(np.float32)


def rescale(first, second, factors: np.ndarray) -> None:
    """Multiplies the channels between two operators; what they compute together stays."""
    axis = 3 if first.kind == "DEPTHWISE_CONV_2D" else 0
    shape = [-1 if a == axis else 1 for a in range(len(first.inputs[1].shape))]
    first.inputs[1].data = (first.inputs[1].values * factors.reshape(shape)).astype(np.float32)
    first.inputs[2].data = (first.inputs[2].values * factors).astype(np.float32)
    last = second.inputs[1].values
    repeated = np.resize(factors, last.shape[-1])
    second.inputs[1].data = (last / repeated).astype(np.float32)


def chain(seed: int, spread: float, activation: int = RELU) -> Graph:
    """conv, depthwise, conv, pool, dense; each channel between two of them is scaled by a factor
    between exp(-spread) and exp(spread).
    """
    net = Net(seed)
    x = net.input(*SHAPE)
    a = net.conv(x, 16, activation=activation)
    b = net.depthwise(a, activation=activation)
    c = net.pool("MAX_POOL_2D", net.conv(b, 12, size=1, activation=activation))
    graph = net.done(net.dense(net.reshape(c, 1, c.size), 10))
    gaussian(net)
    weighted = [op for op in net.main.operators if len(op.inputs) == 3]
    for first, second in itertools.pairwise(weighted):
        channels = first.outputs[0].shape[-1]
        rescale(first, second, np.exp(net.random.uniform(-spread, spread, channels)))
    return graph


def half_steps(seed: int, part: float = 0.4) -> Graph:
    """Two convolutions whose weights all lie `part` of a step above their grid: rounding takes the
    same off each of them.
    """
    net = Net(seed)
    x = net.input(*SHAPE)
    net.conv(x, 8, activation=RELU)
    graph = net.done(net.conv(net.main.operators[0].outputs[0], 6, size=1, activation=NONE))
    for i, op in enumerate(net.main.operators):
        shape = op.inputs[1].shape
        steps = net.random.integers(-40, 41, shape) + part
        steps.reshape(shape[0], -1)[:, 0] = 127
        set_weights(net, i, steps * 0.01)
    return graph
