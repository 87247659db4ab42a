"""int8x: full int8 .tflite models from float ones, and a fast, bit-exact delegate that runs them.

Importing it loads nothing heavy: each public name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from int8x._version import __version__

_HOME = {
    "DataError": "errors",
    "Graph": "tflite.graph",
    "Int8xError": "errors",
    "Interpreter": "runtime.interpreter",
    "ModelError": "errors",
    "PruningCallback": "keras.pruning_callback",
    "QATCallback": "keras.qat_callback",
    "QuantParams": "tflite.quant_params",
    "QuantizeError": "errors",
    "Recipe": "quantization.recipe",
    "RecipeError": "errors",
    "Stats": "calibration.observer",
    "StatsError": "errors",
    "TransferLearningCallback": "keras.transfer_callback",
    "WorkerError": "errors",
    "calibrate": "calibration.calibrator",
    "delegate_path": "runtime.interpreter",
    "export": "exporter",
    "quantize": "quantizer",
    "validate": "validation.validator",
}

_SUBPACKAGES = ("keras",)  # they import a framework

__all__ = [
    "DataError",
    "Graph",
    "Int8xError",
    "Interpreter",
    "ModelError",
    "PruningCallback",
    "QATCallback",
    "QuantParams",
    "QuantizeError",
    "Recipe",
    "RecipeError",
    "Stats",
    "StatsError",
    "TransferLearningCallback",
    "WorkerError",
    "__version__",
    "calibrate",
    "delegate_path",
    "export",
    "quantize",
    "validate",
]

if TYPE_CHECKING:
    from int8x.calibration.calibrator import calibrate
    from int8x.calibration.observer import Stats
    from int8x.errors import (
        DataError,
        Int8xError,
        ModelError,
        QuantizeError,
        RecipeError,
        StatsError,
        WorkerError,
    )
    from int8x.exporter import export
    from int8x.keras.pruning_callback import PruningCallback
    from int8x.keras.qat_callback import QATCallback
    from int8x.keras.transfer_callback import TransferLearningCallback
    from int8x.quantization.recipe import Recipe
    from int8x.quantizer import quantize
    from int8x.runtime.interpreter import Interpreter, delegate_path
    from int8x.tflite.graph import Graph
    from int8x.tflite.quant_params import QuantParams
    from int8x.validation.validator import validate


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"int8x.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'int8x' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"int8x.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_SUBPACKAGES})
