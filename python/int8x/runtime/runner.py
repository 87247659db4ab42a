"""Running a model for calibration and validation: one sample at a time, every tensor readable
afterwards.
"""

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from int8x.errors import Int8xError, ModelError
from int8x.runtime import huge_pages
from int8x.runtime.interpreter import delegate_path

_MODULES = (
    "ai_edge_litert.interpreter",
    "tensorflow.lite.python.interpreter",
    "tflite_runtime.interpreter",
)


def module() -> ModuleType:
    """The first interpreter module that is installed."""
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise Int8xError(
        f"no TFLite interpreter found (looked for {', '.join(_MODULES)}): pip install "
        "ai-edge-litert"
    )


def version() -> str:
    """Name and version of the interpreter's package, as statistics record it."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as package_version

    for package in ("ai-edge-litert", "tensorflow", "tflite-runtime"):
        try:
            if module().__name__.startswith(package.replace("-", "_")):
                return f"{package} {package_version(package)}"
        except PackageNotFoundError:
            continue
    return module().__name__


class Runner:
    """A model loaded so that all its tensors keep their values; with keep_all=False, its outputs
    alone, in less memory. resolver: a name of OpResolverType. delegate: whether int8x's delegate
    runs what it takes; tensors between the operators that it runs then have no values.

    Raises ModelError when the runtime refuses the model, at load or when it is run.
    """

    def __init__(
        self,
        data: bytes,
        origin: str,
        num_threads: int = 1,
        resolver: str = "AUTO",
        keep_all: bool = True,
        delegate: bool = False,
    ):
        self.origin, self._keep_all = origin, keep_all
        api = module()
        delegates = [api.load_delegate(delegate_path())] if delegate else None
        try:
            with (
                warnings.catch_warnings()
            ):  # preserve_all_tensors warns of the memory that it is wanted to take
                warnings.simplefilter("ignore")
                self._interpreter: Any = api.Interpreter(
                    model_content=data,
                    num_threads=num_threads,
                    experimental_preserve_all_tensors=keep_all,
                    experimental_op_resolver_type=getattr(api.OpResolverType, resolver),
                    experimental_delegates=delegates,
                )
            self._inputs = self._interpreter.get_input_details()
            self._shapes: list[tuple[int, ...]] = []
        except (RuntimeError, ValueError) as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> ModelError:
        return ModelError(
            f"{self.origin}: TFLite cannot run this model: {' '.join(str(error).split())}"
        )

    def run(self, sample: list[np.ndarray]) -> None:
        """Runs one sample: one array per input, in the model's order and types."""
        shapes = [array.shape for array in sample]
        try:
            if shapes != self._shapes:
                for detail, array in zip(self._inputs, sample, strict=True):
                    if tuple(detail["shape"]) != array.shape:
                        self._interpreter.resize_tensor_input(
                            detail["index"], array.shape, strict=False
                        )
                self._interpreter.allocate_tensors()
                self._shapes, self._inputs = shapes, self._interpreter.get_input_details()
                if self._keep_all:
                    huge_pages.advise(self._values())
            for detail, array in zip(self._inputs, sample, strict=True):
                self._interpreter.set_tensor(detail["index"], array)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise self._refused(error) from None

    def value(self, index: int) -> np.ndarray:
        """The tensor's values after run(); valid until the next run."""
        try:
            return self._interpreter.tensor(index)()
        except (RuntimeError, ValueError) as error:
            raise self._refused(error) from None

    def _values(self) -> Iterator[np.ndarray]:
        """Of the float tensors that have memory before anything is computed."""
        floats = (d for d in self._interpreter.get_tensor_details() if d["dtype"] is np.float32)
        for detail in floats:
            with contextlib.suppress(RuntimeError, ValueError):
                yield self._interpreter.tensor(detail["index"])()

    def output(self, place: int) -> np.ndarray:
        """A copy of the model's output of that place after run()."""
        index = self._interpreter.get_output_details()[place]["index"]
        return np.asarray(self._interpreter.get_tensor(index))
