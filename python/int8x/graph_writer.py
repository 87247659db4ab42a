"""From subgraphs back to the bytes of a .tflite file; buffers, operator codes and indices are made
anew.
"""

from typing import Any

import numpy as np

from int8x.quant_params import QuantParams
from int8x.schema import make, options_type, schema, value
from int8x.subgraph import Operator, Subgraph, Tensor

_ALIGNMENT = (
    16  # schema.fbs: Buffer.data is force_align: 16, which the generated Python does not do
)


class _AlignedBuffer:
    """A Buffer whose bytes start at a multiple of 16, as the C++ writer places them."""

    def __init__(self, data: np.ndarray | None):
        self.data = data

    def Pack(self, builder: Any) -> int:  # the name that the generated classes call
        tflite, data = schema(), None
        if self.data is not None:
            builder.StartVector(1, self.data.size, _ALIGNMENT)
            builder.head -= self.data.size
            builder.Bytes[builder.head : builder.head + self.data.size] = self.data.tobytes()
            data = builder.EndVector()
        tflite.BufferStart(builder)
        if data is not None:
            tflite.BufferAddData(builder, data)
        return tflite.BufferEnd(builder)


class Writer:
    """Numbers what the subgraphs hold. Equal graphs give equal bytes."""

    def __init__(self) -> None:
        self.buffers: list[_AlignedBuffer] = [_AlignedBuffer(None)]
        self.buffer_indices: dict[int, int] = {}
        self.codes: list[Any] = []
        self.code_indices: dict[tuple[str, str | None, int], int] = {}

    def buffer(self, data: np.ndarray | None) -> int:
        if data is None:
            return 0
        if id(data) not in self.buffer_indices:
            self.buffer_indices[id(data)] = len(self.buffers)
            self.buffers.append(_AlignedBuffer(data))
        return self.buffer_indices[id(data)]

    def code(self, op: Operator) -> int:
        key = (op.kind, op.custom_code, op.version)
        if key not in self.code_indices:
            number = value("BuiltinOperator", op.kind)
            self.code_indices[key] = len(self.codes)
            self.codes.append(
                make(
                    "OperatorCode",
                    builtinCode=number,
                    deprecatedBuiltinCode=min(number, 127),
                    customCode=_text(op.custom_code),
                    version=op.version,
                )
            )
        return self.code_indices[key]

    def tensor(self, tensor: Tensor) -> Any:
        raw = make("Tensor", hasRank=True) if tensor.raw is None else _copy(tensor.raw)
        raw.name, raw.type = _text(tensor.name), value("TensorType", tensor.dtype)
        raw.shape = np.array(tensor.shape, np.int32)
        raw.shapeSignature = (
            None if tensor.signature is None else np.array(tensor.signature, np.int32)
        )
        raw.isVariable, raw.buffer = tensor.is_variable, self.buffer(tensor.buffer)
        if tensor.quant is not tensor.raw_quant:
            raw.quantization = _quantization(tensor.quant)
        return raw

    def operator(self, op: Operator, index: dict[Tensor, int]) -> Any:
        raw = make("Operator") if op.raw is None else _copy(op.raw)
        raw.opcodeIndex = self.code(op)
        raw.inputs = np.array([-1 if t is None else index[t] for t in op.inputs], np.int32)
        raw.outputs = np.array([index[t] for t in op.outputs], np.int32)
        raw.intermediates = (
            np.array([index[t] for t in op.intermediates], np.int32) if op.intermediates else None
        )
        raw.builtinOptions, raw.builtinOptionsType, raw.builtinOptions2, raw.builtinOptions2Type = (
            None,
            0,
            None,
            0,
        )
        if op.options is not None:
            union, number = options_type(op.options)
            setattr(raw, union[0].lower() + union[1:], op.options)
            setattr(raw, union[0].lower() + union[1:] + "Type", number)
        raw.customOptions = (
            None if op.custom_options is None else np.frombuffer(op.custom_options, np.uint8)
        )
        return raw

    def subgraph(self, graph: Subgraph, index: dict[Tensor, int]) -> Any:
        raw = make("SubGraph") if graph.raw is None else _copy(graph.raw)
        raw.name = _text(graph.name)
        raw.inputs = np.array([index[t] for t in graph.inputs], np.int32)
        raw.outputs = np.array([index[t] for t in graph.outputs], np.int32)
        raw.tensors = [self.tensor(t) for t in graph.tensors]
        raw.operators = [self.operator(op, index) for op in graph.operators]
        return raw

    def pack(self, model: Any) -> bytes:
        """The file's bytes; model.buffers and model.operatorCodes are filled in here."""
        import flatbuffers

        model.buffers, model.operatorCodes = self.buffers, self.codes
        room = sum(b.data.size + 64 for b in self.buffers if b.data is not None)
        builder = flatbuffers.Builder(room + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _text(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _copy(raw: Any) -> Any:
    """A shallow copy: the read objects stay as they were."""
    copied = type(raw)()
    vars(copied).update(vars(raw))
    return copied


def _quantization(quant: QuantParams | None) -> Any:
    if quant is None:
        return None
    return make(
        "QuantizationParameters",
        scale=quant.scales,
        zeroPoint=quant.zero_points,
        quantizedDimension=quant.axis or 0,
    )
