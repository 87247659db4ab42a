"""Writes small int8 .tflite models, tensor by tensor and operator by operator.

    model = ModelBuilder()
    x = model.input((1, 8), scale=0.1, zero_point=3)
    y = model.tensor((1, 8), scale=0.2)
    model.operator("RELU", [x], [y])
    content = model.finish([y])

Quantization, versions and options are given exactly as they end up in the file, so a test can write
what no converter would.
"""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TENSOR_TYPES = {
    np.dtype(np.float32): 0,
    np.dtype(np.bool_): 6,
    np.dtype(np.int32): 2,
    np.dtype(np.uint8): 3,
    np.dtype(np.int64): 4,
    np.dtype(np.int16): 7,
    np.dtype(np.int8): 9,
}
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
PADDINGS = {"SAME": 0, "VALID": 1}

# The options table and the lowest operator version that int8 needs.
OPERATORS: dict[str, tuple[str | None, int]] = {
    "ABS": ("AbsOptions", 2),
    "ADD": ("AddOptions", 2),
    "AVERAGE_POOL_2D": ("Pool2DOptions", 2),
    "BATCH_MATMUL": ("BatchMatMulOptions", 2),
    "BROADCAST_TO": ("BroadcastToOptions", 3),
    "CONCATENATION": ("ConcatenationOptions", 2),
    "CONV_2D": ("Conv2DOptions", 3),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 3),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", 1),
    "DEQUANTIZE": ("DequantizeOptions", 2),
    "ELU": (None, 1),
    "EXP": ("ExpOptions", 2),
    "EXPAND_DIMS": ("ExpandDimsOptions", 1),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 4),
    "GATHER": ("GatherOptions", 2),
    "GELU": ("GeluOptions", 2),
    "HARD_SWISH": ("HardSwishOptions", 1),
    "L2_NORMALIZATION": ("L2NormOptions", 2),
    "LEAKY_RELU": ("LeakyReluOptions", 2),
    "LESS": ("LessOptions", 1),
    "LOG": (None, 2),
    "LOGISTIC": (None, 2),
    "LOG_SOFTMAX": ("LogSoftmaxOptions", 2),
    "MAXIMUM": ("MaximumMinimumOptions", 2),
    "MAX_POOL_2D": ("Pool2DOptions", 2),
    "MEAN": ("ReducerOptions", 2),
    "MINIMUM": ("MaximumMinimumOptions", 2),
    "MIRROR_PAD": ("MirrorPadOptions", 2),
    "MUL": ("MulOptions", 2),
    "NEG": ("NegOptions", 1),
    "PACK": ("PackOptions", 2),
    "PAD": ("PadOptions", 2),
    "PADV2": ("PadV2Options", 2),
    "PRELU": (None, 1),
    "QUANTIZE": ("QuantizeOptions", 2),
    "REDUCE_MAX": ("ReducerOptions", 2),
    "REDUCE_MIN": ("ReducerOptions", 2),
    "RELU": (None, 2),
    "RELU6": (None, 2),
    "RELU_N1_TO_1": (None, 1),
    "RESHAPE": ("ReshapeOptions", 1),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", 3),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", 3),
    "RSQRT": (None, 2),
    "SELECT": ("SelectOptions", 1),
    "SELECT_V2": ("SelectV2Options", 1),
    "SLICE": ("SliceOptions", 2),
    "SOFTMAX": ("SoftmaxOptions", 2),
    "SPACE_TO_BATCH_ND": ("SpaceToBatchNDOptions", 2),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", 2),
    "SPLIT": ("SplitOptions", 2),
    "SPLIT_V": ("SplitVOptions", 2),
    "SQUARED_DIFFERENCE": ("SquaredDifferenceOptions", 2),
    "SQUEEZE": ("SqueezeOptions", 1),
    "STRIDED_SLICE": ("StridedSliceOptions", 2),
    "SUB": ("SubOptions", 2),
    "SUM": ("ReducerOptions", 2),
    "TANH": (None, 2),
    "TILE": ("TileOptions", 2),
    "TRANSPOSE": ("TransposeOptions", 2),
    "TRANSPOSE_CONV": ("TransposeConvOptions", 3),
    "UNPACK": ("UnpackOptions", 2),
    "WHILE": ("WhileOptions", 1),
}


class ModelBuilder:
    """One .tflite file. Tensor indices are those of the subgraph being written; the first one is
    open from the start.
    """

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = "int8x test model"
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._model.subgraphs = []
        self._codes: dict[tuple[str, int], int] = {}
        self._open_subgraph()

    def _open_subgraph(self) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs, self._graph.outputs = [], []
        self._model.subgraphs.append(self._graph)

    def next_subgraph(self, outputs: Sequence[int]) -> int:
        """Closes the open subgraph with `outputs`, opens the next one and returns its index."""
        self._graph.outputs = list(outputs)
        self._open_subgraph()
        return len(self._model.subgraphs) - 1

    def tensor(
        self,
        shape: Sequence[int],
        dtype: Any = np.int8,
        scale: Any = None,
        zero_point: int = 0,
        data: Any = None,
        axis: int = 0,
        signature: Sequence[int] | None = None,
    ) -> int:
        """Adds a tensor; with `data` it is a constant. `scale` is a number, an array (per channel
        of `axis`) or None.
        """
        tensor = schema.TensorT()
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = TENSOR_TYPES[np.dtype(dtype)]
        tensor.name = f"t{len(self._graph.tensors)}"
        tensor.buffer = 0
        if signature is not None:
            tensor.shapeSignature = np.asarray(signature, np.int32)
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            quantization.zeroPoint = np.full(len(quantization.scale), zero_point, np.int64)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def input(self, shape: Sequence[int], dtype: Any = np.int8, **quantization: Any) -> int:
        index = self.tensor(shape, dtype, **quantization)
        self._graph.inputs.append(index)
        return index

    def constant(self, data: Any, dtype: Any = np.int32, **quantization: Any) -> int:
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, dtype, data=data, **quantization)

    def int4_constant(self, data: Any, **quantization: Any) -> int:
        """Values in [-8, 7], packed two to a byte, the lower half first."""
        data = np.asarray(data, np.int8)
        nibbles = np.append(data.ravel() & 15, np.zeros(data.size % 2, np.int8)).astype(np.uint8)
        index = self.tensor(
            data.shape, np.int8, data=nibbles[::2] | nibbles[1::2] << 4, **quantization
        )
        self._graph.tensors[index].type = schema.TensorType.INT4
        return index

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int | None = None,
        **options: Any,
    ) -> None:
        """Adds one operator; `options` are fields of its options table, input -1 is left out."""
        table, lowest = OPERATORS[name]
        version = lowest if version is None else version
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((name, version), len(self._codes))
        if operator.opcodeIndex == len(self._model.operatorCodes):
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = version
            self._model.operatorCodes.append(code)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if table is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")()
            for key, value in options.items():
                if not hasattr(operator.builtinOptions, key):
                    raise KeyError(f"{table} has no field {key}")
                setattr(operator.builtinOptions, key, value)
        self._graph.operators.append(operator)

    def finish(self, outputs: Sequence[int]) -> bytes:
        """The file's bytes, with `outputs` as the outputs of the open subgraph."""
        self._graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
