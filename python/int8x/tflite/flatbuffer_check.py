"""A bounds check of a whole .tflite flatbuffer, made before anything is materialised.

The generated classes trust every offset and length they read: a hostile length makes them loop for
hours. This walk visits each table, vector and string exactly as often as the object API will, and
refuses a file whose parts reach outside it, or that refers to the same part so often that reading
it would take more than the file's own size in work.
"""

import struct

from int8x.errors import Int8xError, ModelError
from int8x.tflite.schema import names

_MAX_TABLES = 1_000_000  # as many as the C++ flatbuffers verifier allows

# Per table: slot -> content. An int is a vector of elements of that many bytes, "" a string, "X" a
# table X, ["X"] a vector of
# tables X, ("E", slot) a union whose type, of enum E, stands in `slot`. Scalars are not listed;
# neither are tables of scalars.
_TABLES: dict[str, dict[int, int | str | list[str] | tuple[str, int]]] = {
    "Model": {
        1: ["OperatorCode"],
        2: ["SubGraph"],
        3: "",
        4: ["Buffer"],
        5: 4,
        6: ["Metadata"],
        7: ["SignatureDef"],
        8: ["ExternalBufferGroup"],
        9: ["ExternalBuffer"],
    },
    "OperatorCode": {1: ""},
    "SubGraph": {0: ["Tensor"], 1: 4, 2: 4, 3: ["Operator"], 4: ""},
    "Tensor": {
        0: 4,
        3: "",
        4: "QuantizationParameters",
        6: "SparsityParameters",
        7: 4,
        9: ["VariantSubType"],
    },
    "QuantizationParameters": {0: 4, 1: 4, 2: 4, 3: 8, 5: ("QuantizationDetails", 4)},
    "CustomQuantization": {0: 1},
    "MultiAxisQuantization": {3: 4},
    "SparsityParameters": {0: 4, 1: 4, 2: ["DimensionMetadata"]},
    "DimensionMetadata": {3: ("SparseIndexVector", 2), 5: ("SparseIndexVector", 4)},
    "Int32Vector": {0: 4},
    "Uint16Vector": {0: 2},
    "Uint8Vector": {0: 1},
    "VariantSubType": {0: 4},
    "Operator": {
        1: 4,
        2: 4,
        4: ("BuiltinOptions", 3),
        5: 1,
        7: 1,
        8: 4,
        12: ("BuiltinOptions2", 11),
    },
    "Buffer": {0: 1},
    "Metadata": {0: ""},
    "SignatureDef": {0: ["TensorMap"], 1: ["TensorMap"], 2: ""},
    "TensorMap": {0: ""},
    "ExternalBufferGroup": {0: ""},
    "ExternalBuffer": {4: ""},
    "ConcatEmbeddingsOptions": {1: 4, 2: 4},
    "ReshapeOptions": {0: 4},
    "SqueezeOptions": {0: 4},
    "VarHandleOptions": {0: "", 1: ""},
    "BucketizeOptions": {0: 4},
    "StablehloGatherOptions": {0: 8, 1: 8, 2: 8, 4: 8},
    "StablehloTransposeOptions": {0: 8},
    "StablehloDotGeneralOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 4},
    "StablehloReduceWindowOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 8},
    "StablehloBroadcastInDimOptions": {0: 8},
    "StablehloDynamicSliceOptions": {0: 8},
    "StablehloPadOptions": {0: 8, 1: 8, 2: 8},
    "StablehloCustomCallOptions": {0: "", 2: "", 4: 4, 5: 1},
    "StablehloReduceOptions": {0: 8},
    "StablehloSliceOptions": {0: 8, 1: 8, 2: 8},
    "StablehloConvolutionOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 1, 7: 8, 10: 8, 13: 8, 16: 4},
    "StablehloScatterOptions": {1: 8, 2: 8, 3: 8},
    "StablehloCaseOptions": {0: 4},
    "StableHLOCompositeOptions": {0: "", 2: 1},
}

# The members of the unions above that are listed there, for where no schema module is installed.
_NOT_OF_SCALARS = {
    "QuantizationDetails": {1: "CustomQuantization", 3: "MultiAxisQuantization"},
    "SparseIndexVector": {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"},
    "BuiltinOptions": {
        3: "ConcatEmbeddingsOptions",
        17: "ReshapeOptions",
        30: "SqueezeOptions",
        111: "VarHandleOptions",
        115: "BucketizeOptions",
    },
    "BuiltinOptions2": {
        2: "StablehloBroadcastInDimOptions",
        3: "StablehloSliceOptions",
        4: "StablehloConvolutionOptions",
        5: "StablehloCustomCallOptions",
        6: "StablehloReduceOptions",
        7: "StablehloScatterOptions",
        9: "StablehloDynamicSliceOptions",
        10: "StablehloPadOptions",
        12: "StablehloDotGeneralOptions",
        13: "StablehloReduceWindowOptions",
        16: "StablehloGatherOptions",
        17: "StablehloTransposeOptions",
        21: "StableHLOCompositeOptions",
        23: "StablehloCaseOptions",
    },
}


def _members(enum: str) -> dict[int, str] | None:
    """All members of a union by number; None where no schema module is installed."""
    try:
        return names(enum)
    except Int8xError:
        return None


class _Walk:
    def __init__(self, data: bytes, origin: str):
        self.data, self.origin = data, origin
        self.tables_left = min(len(data) // 4, _MAX_TABLES)
        self.bytes_left = 4 * len(data) + (1 << 16)
        self.pending: list[tuple[int, str]] = []
        self.subgraphs = 0
        self.end = 0

    def fail(self, what: str) -> ModelError:
        return ModelError(f"{self.origin}: broken .tflite file: {what}")

    def unsigned(self, position: int, size: int, what: str) -> int:
        if not 0 <= position <= len(self.data) - size:
            raise self.fail(
                f"{what} lies at byte {position}, past the end of {len(self.data)} bytes"
            )
        self.end = max(self.end, position + size)
        return int.from_bytes(self.data[position : position + size], "little")

    def vector(self, position: int, size: int, what: str) -> range:
        """Positions of the elements of the vector referred to from `position`."""
        start = position + self.unsigned(position, 4, what)
        length = self.unsigned(start, 4, what)
        if start + 4 + length * size > len(self.data):
            raise self.fail(f"{what} claims {length} elements, more than the file holds")
        self.end = max(self.end, start + 4 + length * size)
        self.bytes_left -= length * size
        if self.bytes_left < 0:
            raise self.fail("its parts overlap: the content it claims is several times its size")
        return range(start + 4, start + 4 + length * size, size)

    def push(self, position: int, table: str) -> None:
        self.tables_left -= 1
        if self.tables_left < 0:
            raise self.fail(f"it refers to more tables than its {len(self.data)} bytes can hold")
        self.subgraphs += table == "SubGraph"
        self.pending.append((position + self.unsigned(position, 4, table), table))

    def table(self, position: int, table: str) -> None:
        distance = self.unsigned(position, 4, table)
        vtable = position - (distance - (1 << 32) if distance >> 31 else distance)
        vtable_size = self.unsigned(vtable, 2, f"the layout of a {table}")
        table_size = self.unsigned(vtable + 2, 2, f"the layout of a {table}")
        if vtable_size < 4 or vtable_size % 2 or table_size < 4:
            raise self.fail(
                f"the layout of a {table} is damaged (sizes {vtable_size} and {table_size})"
            )
        self.unsigned(vtable, vtable_size, f"the layout of a {table}")
        self.unsigned(position, table_size, table)
        offsets = struct.unpack_from(f"<{(vtable_size - 4) // 2}H", self.data, vtable + 4)
        for slot, offset in enumerate(offsets):
            if offset >= table_size:
                raise self.fail(f"field {slot} of a {table} lies outside its table")
        for slot, content in _TABLES.get(table, {}).items():
            if slot < len(offsets) and offsets[slot]:
                self.field(position, offsets, slot, content, f"field {slot} of a {table}")

    def field(
        self, position: int, offsets: tuple[int, ...], slot: int, content: object, what: str
    ) -> None:
        at = position + offsets[slot]
        if isinstance(content, int):
            self.vector(at, content, what)
        elif content == "":
            self.end = max(self.end, self.vector(at, 1, what).stop + 1)
        elif isinstance(content, str):
            self.push(at, content)
        elif isinstance(content, list):
            for element in self.vector(at, 4, what):
                self.push(element, content[0])
        elif isinstance(content, tuple):
            enum, type_slot = content
            here = type_slot < len(offsets) and offsets[type_slot]
            number = self.unsigned(position + offsets[type_slot], 1, what) if here else 0
            known = _members(enum)
            if known is not None and number not in known:
                raise self.fail(
                    f"{what} holds {enum} {number}, which this schema does not know (a newer "
                    "ai-edge-litert may)"
                )
            if number:
                self.push(at, (_NOT_OF_SCALARS[enum] if known is None else known).get(number, ""))


def check(data: bytes, origin: str) -> int:
    """Raises ModelError, naming `origin`, unless every offset and length in the flatbuffer `data`
    stays inside it. Returns where its last part ends; strings end with a zero, which counts.
    """
    if len(data) < 8:
        raise ModelError(f"{origin}: not a .tflite file: it has {len(data)} bytes")
    if data[4:8] != b"TFL3":
        raise ModelError(
            f"{origin}: not a .tflite file: bytes 4 to 8 must be b'TFL3', got {bytes(data[4:8])!r}"
        )
    walk = _Walk(data, origin)
    walk.push(0, "Model")
    while walk.pending:
        walk.table(*walk.pending.pop())
    if not walk.subgraphs:
        raise walk.fail("it has no subgraph")
    return walk.end
