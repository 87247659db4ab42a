"""The TFLite schema module, imported on first use, and the few tables int8x reads off it.

`schema()` is `ai_edge_litert.schema_py_generated`, or TensorFlow's copy of it where ai-edge-litert
is missing.
"""

import functools
import importlib
from types import ModuleType
from typing import Any

import numpy as np

from int8x.errors import Int8xError

_MODULES = ("ai_edge_litert.schema_py_generated", "tensorflow.lite.python.schema_py_generated")

# numpy type of each tensor type that has one; the packed and opaque types (INT4, STRING, ...) have
# none.
NUMPY_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "BOOL": np.bool_,
    "COMPLEX64": np.complex64,
    "COMPLEX128": np.complex128,
}
BITS = {
    "INT2": 2,
    "INT4": 4,
    "UINT4": 4,
    "INT8": 8,
    "UINT8": 8,
    "INT16": 16,
    "INT32": 32,
    "INT64": 64,
}


@functools.cache
def schema() -> ModuleType:
    """The generated flatbuffer classes (object API: ModelT, SubGraphT, ...)."""
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise Int8xError(
        f"no TFLite schema module found (looked for {', '.join(_MODULES)}): pip install "
        "ai-edge-litert"
    )


@functools.cache
def names(enum: str) -> dict[int, str]:
    """Value -> name of a schema enum: names("BuiltinOperator")[3] == "CONV_2D"."""
    return {v: k for k, v in vars(getattr(schema(), enum)).items() if isinstance(v, int)}


def value(enum: str, name: str) -> int:
    """Name -> value of a schema enum: value("BuiltinOperator", "CONV_2D") == 3."""
    return int(getattr(getattr(schema(), enum), name))


def make(table: str, **fields: Any) -> Any:
    """A schema object: make("Conv2DOptions", strideH=2) is a Conv2DOptionsT."""
    made = getattr(schema(), table + "T")()
    for name, field in fields.items():
        if not hasattr(made, name):
            raise AttributeError(f"{table} has no field {name}")
        setattr(made, name, field)
    return made


def options_type(options: Any) -> tuple[str, int]:
    """The union and the type number an options object belongs to, found by its class name."""
    name = type(options).__name__.removesuffix("T")
    for union in ("BuiltinOptions", "BuiltinOptions2"):
        number = getattr(getattr(schema(), union, None), name, None)
        if number is not None:
            return union, int(number)
    raise AttributeError(f"{name} is in neither options union of the TFLite schema")
