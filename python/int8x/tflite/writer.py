"""From subgraphs back to the bytes of a .tflite file; buffers, operator codes and indices are made
anew.
"""

from typing import Any

import numpy as np

from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import make, options_type, schema, value
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

# schema.fbs: Buffer.data is force_align: 16, which the generated Python does not do.
ALIGNMENT = 16
# Data behind the flatbuffer, where TFLite's own exporter places them.
_OUTER_ALIGNMENT = 64
# A flatbuffer's offsets reach 2^31 - 1 bytes; some room is for its tables.
LARGEST_FLATBUFFER = 2**31 - 2**26
_SMALLEST_OUTSIDE = 64
_UNKNOWN = 1 << 62  # a place in the file that is not known yet, but takes as many bytes


class _AlignedBuffer:
    """A Buffer whose bytes start at a multiple of 16, as the C++ writer places them, or stand at
    `place` in the file, behind the flatbuffer.
    """

    def __init__(self, data: np.ndarray | None, inside: bool = True):
        self.data, self.inside = data, inside
        self.place: int | None = None

    def Pack(self, builder: Any) -> int:  # the name that the generated classes call
        tflite, data = schema(), None
        if self.data is not None and self.place is None:
            builder.StartVector(1, self.data.size, ALIGNMENT)
            builder.head -= self.data.size
            builder.Bytes[builder.head : builder.head + self.data.size] = self.data.data
            data = builder.EndVector()
        tflite.BufferStart(builder)
        if data is not None:
            tflite.BufferAddData(builder, data)
        if self.data is not None and self.place is not None:
            tflite.BufferAddOffset(builder, self.place)
            tflite.BufferAddSize(builder, self.data.size)
        return tflite.BufferEnd(builder)


class Writer:
    """Numbers what the subgraphs hold. Equal graphs give equal bytes.

    largest: the size in bytes beyond which constants stand behind the flatbuffer, not in it.
    """

    def __init__(self, largest: int = LARGEST_FLATBUFFER) -> None:
        self.largest = largest
        self.buffers: list[_AlignedBuffer] = [_AlignedBuffer(None)]
        self.buffer_indices: dict[int, int] = {}
        self.codes: list[Any] = []
        self.code_indices: dict[tuple[str, str | None, int], int] = {}

    def buffer(self, data: np.ndarray | None, inside: bool = False) -> int:
        """The number of the buffer that holds `data`; inside: always in the flatbuffer."""
        if data is None:
            return 0
        if id(data) not in self.buffer_indices:
            self.buffer_indices[id(data)] = len(self.buffers)
            self.buffers.append(_AlignedBuffer(data, inside))
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
        raw.largeCustomOptionsOffset = raw.largeCustomOptionsSize = 0
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

    def pack(self, model: Any) -> list[Any]:
        """The file's bytes, in pieces; model.buffers and model.operatorCodes are filled in here."""
        model.buffers, model.operatorCodes = self.buffers, self.codes
        if sum(b.data.size + _OUTER_ALIGNMENT for b in self.buffers if b.data is not None) <= (
            self.largest
        ):
            return [_flatbuffer(model)]
        outside = [
            buffer
            for buffer in self.buffers
            if buffer.data is not None and not buffer.inside
            if buffer.data.size >= _SMALLEST_OUTSIDE
        ]
        for buffer in outside:
            buffer.place = _UNKNOWN
        at = len(_flatbuffer(model))
        for buffer in outside:
            assert buffer.data is not None
            at += -at % _OUTER_ALIGNMENT
            buffer.place, at = at, at + buffer.data.size
        pieces: list[Any] = [_flatbuffer(model)]
        at = len(pieces[0])
        for buffer in outside:
            assert buffer.data is not None and buffer.place is not None
            pieces += [bytes(buffer.place - at), buffer.data.data]
            at = buffer.place + buffer.data.size
        return [*pieces, bytes(-at % ALIGNMENT)]


def _flatbuffer(model: Any) -> memoryview:
    import flatbuffers

    room = sum(b.data.size + 64 for b in model.buffers if b.data is not None and b.place is None)
    builder = flatbuffers.Builder(room + (1 << 16))
    builder.Finish(model.Pack(builder), b"TFL3")
    return memoryview(builder.Bytes)[builder.Head() :]


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
