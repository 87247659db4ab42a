"""From the bytes of a .tflite file to subgraphs; every index and size is checked here, once."""

from typing import Any

import numpy as np

from int8x.errors import ModelError
from int8x.tflite import flatbuffer_check
from int8x.tflite.operator_check import complaint
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import BITS, NUMPY_TYPES, names, schema
from int8x.tflite.subgraph import Operator, Subgraph, Tensor
from int8x.tflite.writer import ALIGNMENT


class Reader:
    """Turns a ModelT into int8x objects. origin: the file's name, for messages."""

    def __init__(self, data: bytes, origin: str):
        self.data, self.origin = data, origin
        self.end = flatbuffer_check.check(data, origin)
        try:
            self.model: Any = schema().ModelT.InitFromPackedBuf(data, 0)
        except (
            Exception
        ) as error:  # the generated classes raise whatever struct, numpy or None raise
            raise self.fail(
                f"the flatbuffer cannot be read ({type(error).__name__}: {error})"
            ) from None
        if self.model.version != 3:
            raise self.fail(f"schema version must be 3, got {self.model.version}")
        self.buffers = [self.buffer(i, raw) for i, raw in enumerate(self.model.buffers or [])]

    def appendix(self) -> bytes:
        """What stands behind the model in the file; ask when all else is read."""
        behind = -self.end % ALIGNMENT
        filled = bytes(self.data[self.end : self.end + behind])
        start = self.end if any(filled) else self.end + behind
        return bytes(self.data[start:])

    def fail(self, what: str) -> ModelError:
        return ModelError(f"{self.origin}: broken .tflite file: {what}")

    def pick(self, things: Any, index: int, what: str) -> Any:
        if not 0 <= index < len(things):
            raise self.fail(f"{what} must lie in [0, {len(things)}), got {index}")
        return things[index]

    def buffer(self, index: int, raw: Any) -> np.ndarray | None:
        if raw.offset > 1:  # large models keep their data behind the flatbuffer
            if raw.offset + raw.size > len(self.data):
                raise self.fail(
                    f"buffer {index} ends at byte {raw.offset + raw.size} of {len(self.data)}"
                )
            return self.behind(raw.offset, raw.size)
        return raw.data if raw.data is None else np.asarray(raw.data, np.uint8)

    def behind(self, offset: int, size: int) -> np.ndarray:
        """Bytes that the flatbuffer refers to by their place in the file."""
        self.end = max(self.end, offset + size)
        return np.frombuffer(self.data, np.uint8, size, offset)

    def text(self, raw: Any) -> str:
        return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else (raw or "")

    def tensor(self, raw: Any) -> Tensor:
        name = self.text(raw.name)
        dtype = names("TensorType").get(raw.type)
        if dtype is None:
            raise self.fail(f"tensor {name!r} has the unknown type {raw.type}")
        shape = tuple(map(int, [] if raw.shape is None else raw.shape))
        signature = None if raw.shapeSignature is None else tuple(map(int, raw.shapeSignature))
        if any(d < 0 for d in shape):
            raise self.fail(f"tensor {name!r} has a negative dimension: {shape}")
        if signature is not None and len(signature) not in (0, len(shape)):
            raise self.fail(
                f"tensor {name!r} has {len(shape)} dimensions and a signature of {len(signature)}"
            )
        tensor = Tensor(name, shape, dtype, signature=signature)
        tensor.raw, tensor.is_variable = raw, bool(raw.isVariable)
        tensor.buffer = self.constant(
            tensor, self.pick(self.buffers, raw.buffer, f"the buffer of tensor {name!r}")
        )
        tensor.quant = tensor.raw_quant = self.quant(tensor, raw.quantization)
        return tensor

    def constant(self, tensor: Tensor, buffer: np.ndarray | None) -> np.ndarray | None:
        if buffer is None or (not buffer.size and tensor.size):
            return None
        elements = 1
        for d in tensor.shape:
            elements *= d
        if tensor.raw.sparsity is None and (tensor.dtype in NUMPY_TYPES or tensor.dtype in BITS):
            bits = (
                BITS[tensor.dtype]
                if tensor.dtype not in NUMPY_TYPES
                else 8 * np.dtype(NUMPY_TYPES[tensor.dtype]).itemsize
            )
            if buffer.size != (elements * bits + 7) // 8:
                raise self.fail(
                    f"tensor {tensor.name!r}: {tensor.dtype} of shape {tensor.shape} takes "
                    f"{(elements * bits + 7) // 8} bytes, its buffer has {buffer.size}"
                )
        return buffer

    def quant(self, tensor: Tensor, raw: Any) -> QuantParams | None:
        if raw is None or raw.scale is None or not len(raw.scale) or tensor.bits is None:
            return None
        scales = np.asarray(raw.scale, np.float32)
        zeros = (
            np.zeros(1, np.int64)
            if raw.zeroPoint is None or not len(raw.zeroPoint)
            else np.asarray(raw.zeroPoint)
        )
        axis = None if len(scales) == 1 else int(raw.quantizedDimension)
        if axis is not None and (
            not 0 <= axis < len(tensor.shape) or tensor.shape[axis] != len(scales)
        ):
            raise self.fail(
                f"tensor {tensor.name!r} of shape {tensor.shape} has {len(scales)} scales along "
                f"axis {axis}"
            )
        if len(zeros) not in (1, len(scales)):
            raise self.fail(
                f"tensor {tensor.name!r} has {len(scales)} scales and {len(zeros)} zero points"
            )
        if not np.all(np.isfinite(scales)) or not np.all(scales > 0):
            return None  # seen on shape constants; kernels that need a scale refuse it themselves
        return QuantParams(scales, zeros, axis, tensor.bits, "file")

    def operator(self, raw: Any, tensors: list[Tensor], where: str) -> Operator:
        code = self.pick(
            self.model.operatorCodes or [], raw.opcodeIndex, f"the operator code of {where}"
        )
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = names("BuiltinOperator").get(number)
        if kind is None:
            raise self.fail(f"{where} has the unknown builtin code {number}")

        def chosen(indices: Any, what: str, optional: bool = False) -> list[Any]:
            return [
                None
                if optional and i == -1
                else self.pick(tensors, int(i), f"{what} of {where} ({kind})")
                for i in ([] if indices is None else indices)
            ]

        op = Operator(
            kind,
            chosen(raw.inputs, "an input", True),
            chosen(raw.outputs, "an output"),
            version=int(code.version),
        )
        op.intermediates = chosen(raw.intermediates, "an intermediate")
        op.raw = raw
        op.options = raw.builtinOptions if raw.builtinOptions is not None else raw.builtinOptions2
        op.custom_code = None if code.customCode is None else self.text(code.customCode)
        op.custom_options = (
            None if raw.customOptions is None else bytes(np.asarray(raw.customOptions, np.uint8))
        )
        if raw.largeCustomOptionsOffset > 1:
            start, size = raw.largeCustomOptionsOffset, raw.largeCustomOptionsSize
            if start + size > len(self.data):
                raise self.fail(f"the options of {where} end at byte {start + size}")
            op.custom_options = bytes(self.behind(start, size))
        wrong = complaint(op)
        if wrong is not None:
            raise self.fail(f"{where} ({kind}): {wrong}")
        for field, number in vars(op.options).items() if op.options is not None else ():
            if field.lower().endswith("subgraphindex") and kind != "CUSTOM":
                self.pick(
                    self.model.subgraphs, int(number), f"the subgraph that {where} ({kind}) calls"
                )
        return op

    def subgraph(self, index: int, raw: Any) -> Subgraph:
        tensors = [self.tensor(t) for t in raw.tensors or []]

        def chosen(indices: Any, what: str) -> list[Tensor]:
            return [
                self.pick(tensors, int(i), f"{what} of subgraph {index}")
                for i in ([] if indices is None else indices)
            ]

        graph = Subgraph(
            self.text(raw.name),
            tensors,
            chosen(raw.inputs, "an input"),
            chosen(raw.outputs, "an output"),
        )
        graph.raw = raw
        graph.operators = [
            self.operator(op, tensors, f"operator {i} of subgraph {index}")
            for i, op in enumerate(raw.operators or [])
        ]
        self.check_order(graph)
        return graph

    def check_order(self, graph: Subgraph) -> None:
        """Each tensor is written once, and before it is read."""
        ready = {t for t in graph.tensors if t.is_constant or t.is_variable or 0 in t.shape} | set(
            graph.inputs
        )
        for op in graph.operators:
            for tensor in op.inputs:
                if tensor is not None and tensor not in ready:
                    raise self.fail(
                        f"{op.kind} reads tensor {tensor.name!r} before anything writes it"
                    )
            for tensor in op.outputs:
                if tensor in ready and not tensor.is_variable and 0 not in tensor.shape:
                    raise self.fail(
                        f"{op.kind} writes tensor {tensor.name!r}, which already has its value"
                    )
                ready.add(tensor)
        for tensor in graph.outputs:
            if tensor not in ready:
                raise self.fail(f"nothing writes the output tensor {tensor.name!r}")
