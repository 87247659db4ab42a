"""Small float models, built operator by operator, whose data lie on int8 grids: what int8 makes of
them is known.
"""

import numpy as np
from int8x.tflite.graph import Graph
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Tensor

SAME, VALID = 0, 1  # schema.fbs Padding
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3  # ActivationFunctionType


class Net:
    """A model under construction: each method adds one operator and returns its output.

    seed: of the weights. Batch is 1.
    """

    def __init__(self, seed: int = 0):
        self.graph = Graph()
        self.main = self.graph.main
        self.random = np.random.default_rng(seed)

    def input(self, *shape: int, name: str = "x") -> Tensor:
        tensor = self.main.add_tensor(name, shape)
        self.main.inputs.append(tensor)
        return tensor

    def constant(self, array: np.ndarray, name: str = "constant") -> Tensor:
        return self.main.add_constant(f"{name}{len(self.main.tensors)}", np.asarray(array))

    def add(
        self,
        kind: str,
        inputs: list,
        *shape: int,
        options: str | None = None,
        dtype: str = "FLOAT32",
        **fields,
    ) -> Tensor:
        output = self.main.add_tensor(f"{kind.lower()}{len(self.main.operators)}", shape, dtype)
        self.main.add_operator(kind, inputs, [output], options=options, **fields)
        return output

    def weights(self, *shape: int, axis: int = 0) -> np.ndarray:
        """Weights k * scale[channel] with k in [-127, 127], both ends present in each channel."""
        steps = self.random.integers(-127, 128, shape)
        steps = np.moveaxis(steps, axis, 0)
        steps.reshape(len(steps), -1)[:, 0] = np.where(np.arange(len(steps)) % 2, -127, 127)
        scales = self.random.uniform(0.002, 0.02, len(steps)).astype(np.float32)
        scaled = steps * scales.reshape(-1, *[1] * (steps.ndim - 1))
        return np.ascontiguousarray(np.moveaxis(scaled, 0, axis).astype(np.float32))

    def conv(
        self,
        x: Tensor,
        channels: int,
        size: int = 3,
        stride: int = 1,
        activation: int = NONE,
        bias: bool = True,
    ) -> Tensor:
        weights = self.constant(self.weights(channels, size, size, x.shape[3]), "kernel")
        inputs = [x, weights, *self.bias(channels, bias)]
        height, width = (-(-d // stride) for d in x.shape[1:3])
        return self.add(
            "CONV_2D",
            inputs,
            1,
            height,
            width,
            channels,
            options="Conv2DOptions",
            padding=SAME,
            strideH=stride,
            strideW=stride,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=activation,
        )

    def depthwise(
        self, x: Tensor, size: int = 3, activation: int = NONE, bias: bool = True
    ) -> Tensor:
        weights = self.constant(self.weights(1, size, size, x.shape[3], axis=3), "kernel")
        return self.add(
            "DEPTHWISE_CONV_2D",
            [x, weights, *self.bias(x.shape[3], bias)],
            *x.shape,
            options="DepthwiseConv2DOptions",
            padding=SAME,
            strideH=1,
            strideW=1,
            depthMultiplier=1,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=activation,
        )

    def dense(self, x: Tensor, units: int, activation: int = NONE, bias: bool = True) -> Tensor:
        weights = self.constant(self.weights(units, x.shape[-1]), "kernel")
        return self.add(
            "FULLY_CONNECTED",
            [x, weights, *self.bias(units, bias)],
            *x.shape[:-1],
            units,
            options="FullyConnectedOptions",
            fusedActivationFunction=activation,
        )

    def bias(self, channels: int, wanted: bool) -> list[Tensor]:
        return (
            [self.constant(self.random.normal(0, 0.5, channels).astype(np.float32), "bias")]
            if wanted
            else []
        )

    def binary(self, kind: str, a: Tensor, b: Tensor, activation: int = NONE) -> Tensor:
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self.add(
            kind,
            [a, b],
            *shape,
            options=f"{kind.capitalize()}Options",
            fusedActivationFunction=activation,
        )

    def pool(self, kind: str, x: Tensor) -> Tensor:
        return self.add(
            kind,
            [x],
            1,
            x.shape[1] // 2,
            x.shape[2] // 2,
            x.shape[3],
            options="Pool2DOptions",
            padding=VALID,
            strideH=2,
            strideW=2,
            filterHeight=2,
            filterWidth=2,
        )

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        return self.add(
            "RESHAPE",
            [x, self.constant(np.array(shape, np.int32))],
            *shape,
            options="ReshapeOptions",
        )

    def concat(self, tensors: list[Tensor], axis: int = -1) -> Tensor:
        shape = list(tensors[0].shape)
        shape[axis] = sum(t.shape[axis] for t in tensors)
        return self.add("CONCATENATION", tensors, *shape, options="ConcatenationOptions", axis=axis)

    def done(self, *outputs: Tensor) -> Graph:
        """The graph, its interface named by a signature."""
        self.main.outputs = list(outputs)
        maps = [
            [make("TensorMap", name=t.name.encode(), tensorIndex=t) for t in side]
            for side in (self.main.inputs, self.main.outputs)
        ]
        self.graph.signatures = [
            make(
                "SignatureDef",
                inputs=maps[0],
                outputs=maps[1],
                signatureKey=b"serve",
                subgraphIndex=0,
            )
        ]
        return self.graph


def on_grid(
    shape: tuple[int, ...],
    samples: int = 8,
    scale: float = 0.05,
    zero_point: int = -3,
    seed: int = 0,
) -> np.ndarray:
    """Samples (q - zero_point) * scale with both ends of int8 present: minmax finds exactly this
    grid.
    """
    steps = np.random.default_rng(seed).integers(-128, 128, (samples, *shape[1:]))
    steps.reshape(-1)[:2] = -128, 127
    return ((steps - zero_point) * np.float32(scale)).astype(np.float32)


def small_network(seed: int = 0) -> Graph:
    """Convolutions, depthwise, residual add, pools, concatenation, mean, dense, softmax on 8x8x3
    inputs.
    """
    net = Net(seed)
    x = net.input(1, 8, 8, 3)
    a = net.conv(x, 8, activation=RELU)
    b = net.conv(net.depthwise(a, activation=RELU6), 8, size=1, bias=False)
    c = net.binary("ADD", a, b)
    d = net.concat(
        [net.pool("MAX_POOL_2D", c), net.pool("AVERAGE_POOL_2D", a), net.conv(c, 4, stride=2)]
    )
    axes = net.constant(np.array([1, 2], np.int32))
    e = net.add("MEAN", [d, axes], 1, d.shape[-1], options="ReducerOptions", keepDims=False)
    f = net.dense(net.reshape(e, 1, d.shape[-1]), 10)
    graph = net.done(net.add("SOFTMAX", [f], 1, 10, options="SoftmaxOptions", beta=1.0))
    graph.metadata = [("note", np.frombuffer(b"kept as it is", np.uint8))]
    return graph
