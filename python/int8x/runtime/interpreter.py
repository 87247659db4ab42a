"""Runs a .tflite with the int8x delegate in whichever TFLite runtime is installed."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from int8x.errors import ModelError
from int8x.runtime import claims as _claims
from int8x.tflite import flatbuffer_check

RUNTIMES = ("ai_edge_litert", "tflite_runtime", "tf.lite")
RESOLVERS = {
    "default": "AUTO",
    "stock": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_DELEGATE_FILE = "libint8x_delegate.so"

Model = str | os.PathLike[str] | bytes | bytearray | memoryview


@dataclass(frozen=True)
class Runtime:
    """One installed TFLite: its name, version and the three things int8x needs of it."""

    name: str
    version: str
    interpreter: Any
    load_delegate: Any
    resolver_type: Any


def delegate_path() -> str:
    """The shared library for any runtime's load_delegate.

    Raises FileNotFoundError when the package was not built.

        delegate = tf.lite.experimental.load_delegate(int8x.delegate_path(), {"num_threads": 4})
    """
    path = Path(__file__).absolute().parents[1] / _DELEGATE_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: build it with `pip install .` (or "
            "`./bazelw build //python/int8x`) in the folder of int8x's sources"
        )
    return str(path)


def load_runtime(name: str = "auto") -> Runtime:
    """Imports the runtime `name`, or for "auto" the first one installed, in the order of RUNTIMES.

    Raises ValueError for an unknown name and ImportError when it is not installed.
    """
    if name != "auto" and name not in RUNTIMES:
        raise ValueError(f"runtime must be one of auto, {', '.join(RUNTIMES)}; got {name!r}")
    for candidate in RUNTIMES if name == "auto" else (name,):
        try:
            return _import_runtime(candidate)
        except ImportError as error:
            reason = error
    if name == "auto":
        raise ImportError(
            "no TFLite runtime is installed: `pip install ai-edge-litert` gives the smallest one"
        )
    raise ImportError(f"the runtime {name} cannot be imported: {reason}") from reason


def _import_runtime(name: str) -> Runtime:
    if name == "tf.lite":
        tensorflow: Any = importlib.import_module("tensorflow")
        lite = tensorflow.lite
        return Runtime(
            name,
            tensorflow.__version__,
            lite.Interpreter,
            lite.experimental.load_delegate,
            lite.experimental.OpResolverType,
        )
    package: Any = importlib.import_module(name)
    module: Any = importlib.import_module(f"{name}.interpreter")
    version = getattr(package, "__version__", "unknown")
    return Runtime(name, version, module.Interpreter, module.load_delegate, module.OpResolverType)


def open_interpreter(
    runtime: Runtime,
    model: Model,
    num_threads: int,
    resolver: str = "default",
    delegates: Sequence[Any] = (),
) -> Any:
    """The runtime's own Interpreter with its tensors allocated, but where these need the sizes that
    the model leaves open beside the batch, of an image say: then once they are given.

    `resolver` picks the kernels outside the delegates: default (XNNPACK first), stock or reference.
    Raises FileNotFoundError for a missing file and ModelError for bytes that the runtime refuses.
    """
    if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
        raise ValueError(f"num_threads must be a whole number of at least 1, got {num_threads!r}")
    if resolver not in RESOLVERS:
        raise ValueError(f"resolver must be one of {', '.join(RESOLVERS)}; got {resolver!r}")
    label, source = _model_source(model)
    _check_bounds(label, source)
    kernels = getattr(runtime.resolver_type, RESOLVERS[resolver])
    try:
        interpreter = runtime.interpreter(
            **source,
            num_threads=num_threads,
            experimental_op_resolver_type=kernels,
            experimental_delegates=list(delegates) or None,
        )
        try:
            interpreter.allocate_tensors()
        except RuntimeError:
            if not _waits_for_sizes(interpreter):
                raise
    except (ValueError, RuntimeError) as error:
        text = " ".join(str(error).split()) or "it gives no reason"
        raise ModelError(
            f"{label}: {runtime.name} {runtime.version} refuses the model: {text}"
        ) from error
    return interpreter


def _waits_for_sizes(interpreter: Any) -> bool:
    signatures = (detail["shape_signature"] for detail in interpreter.get_input_details())
    return any(-1 in signature[1:] for signature in signatures)


def _model_source(model: Model) -> tuple[str, dict[str, Any]]:
    """A name for messages and the keyword argument that hands the model to a runtime."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        content = bytes(model)
        if not content:
            raise ModelError("the model is empty (0 bytes), wanted the bytes of a .tflite")
        return f"model of {len(content)} bytes", {"model_content": content}
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"model must be a path or the bytes of a .tflite, got {type(model).__name__}"
        )
    path = Path(model)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such model file")
    if not path.is_file():
        raise IsADirectoryError(f"{path}: wanted a .tflite file, this is not a file")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty, wanted a .tflite")
    return str(path), {"model_path": str(path)}


def _check_bounds(label: str, source: dict[str, Any]) -> None:
    """tflite-runtime trusts every offset of a file, the newer runtimes crash without a subgraph."""
    content = source.get("model_content") or Path(source["model_path"]).read_bytes()
    flatbuffer_check.check(content, label)


class Interpreter:
    """A TFLite interpreter with the int8x delegate in it, ready to run.

    model        a path, or the bytes of a .tflite
    num_threads  of the delegate's pool and of the kernels beside it
    runtime      auto, ai_edge_litert, tflite_runtime or tf.lite
    options      further options of the delegate (arch, allow_ops, deny_ops, profile, log_level,
    ...) resolver     kernels for what the delegate leaves: default (XNNPACK first), stock,
    reference

    All methods of TFLite's Interpreter are there (`allocate_tensors` has been called, but for sizes
    that must be given first); a call runs the model once:

        interpreter = int8x.Interpreter("model.int8.tflite", num_threads=4)
        logits = interpreter(images)                 # or interpreter(image=images)
        print(interpreter.claims.claimed_ops)        # share of the operators that int8x runs

    Raises ModelError for a broken model, ValueError for a wrong option, FileNotFoundError for a
    missing file.
    """

    def __init__(
        self,
        model: Model,
        num_threads: int = 1,
        runtime: str = "auto",
        options: Mapping[str, Any] | None = None,
        *,
        resolver: str = "default",
    ) -> None:
        self._runtime = load_runtime(runtime)
        _model_source(model)  # a missing or empty model is the first thing to say
        self._library = delegate_path()
        self._delegate = self._runtime.load_delegate(
            self._library, {"num_threads": num_threads, **(options or {})}
        )
        self._interpreter = open_interpreter(
            self._runtime, model, num_threads, resolver, [self._delegate]
        )

    @property
    def runtime(self) -> str:
        """Name and version of the runtime in use, as in "ai_edge_litert 2.3.0"."""
        return f"{self._runtime.name} {self._runtime.version}"

    @property
    def claims(self) -> _claims.Claims:
        """What the delegate took and left, with kernels and sizes; read anew each time, so profile
        times are current.
        """
        return _claims.of_delegate(self._delegate, self._library)

    def allocate_tensors(self) -> None:
        self._interpreter.allocate_tensors()

    def invoke(self) -> None:
        self._interpreter.invoke()

    def get_input_details(self) -> list[dict[str, Any]]:
        return self._interpreter.get_input_details()

    def get_output_details(self) -> list[dict[str, Any]]:
        return self._interpreter.get_output_details()

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        self._interpreter.set_tensor(tensor_index, value)

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> np.ndarray:
        return self._interpreter.get_tensor(tensor_index, subgraph_index)

    def resize_tensor_input(
        self, input_index: int, tensor_size: Sequence[int], strict: bool = False
    ) -> None:
        """As in TFLite: call `allocate_tensors` afterwards."""
        self._interpreter.resize_tensor_input(input_index, tensor_size, strict)

    def get_signature_runner(self, signature_key: str | None = None) -> Any:
        return self._interpreter.get_signature_runner(signature_key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"Interpreter has no attribute {name!r}")
        return getattr(self._interpreter, name)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """Runs once. Arrays in the order of the model's inputs, or by name (of the signature or of
        the tensor).

        A dimension that the model leaves open (-1) follows the array. Returns one array, or a tuple
        for several outputs.
        """
        details = self._interpreter.get_input_details()
        values = [np.asarray(value) for value in self._ordered(details, arrays, named)]
        resized = False
        for detail, value in zip(details, values, strict=True):
            _check_value(detail, value)
            if tuple(value.shape) != tuple(detail["shape"]):
                self._interpreter.resize_tensor_input(detail["index"], value.shape)
                resized = True
        if resized:
            self._interpreter.allocate_tensors()
        for detail, value in zip(details, values, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        outputs = tuple(
            self._interpreter.get_tensor(d["index"]) for d in self._interpreter.get_output_details()
        )
        return outputs[0] if len(outputs) == 1 else outputs

    def _ordered(
        self, details: list[dict[str, Any]], arrays: tuple[Any, ...], named: dict[str, Any]
    ) -> list[Any]:
        if arrays and named:
            raise ValueError("give the inputs in order or by name, not both")
        if not named:
            if len(arrays) != len(details):
                raise ValueError(f"the model has {len(details)} inputs, got {len(arrays)} arrays")
            return list(arrays)
        names = {detail["name"]: detail["index"] for detail in details}
        for signature in self._interpreter._get_full_signature_list().values():
            names.update(signature["inputs"])
        for name in named:
            if name not in names:
                raise ValueError(
                    f"the model has no input {name!r}; it has {', '.join(sorted(names))}"
                )
        by_index = {names[name]: value for name, value in named.items()}
        missing = [detail["name"] for detail in details if detail["index"] not in by_index]
        if missing or len(by_index) != len(named):
            raise ValueError(
                f"wanted each input once, got {sorted(named)}; missing: {missing or 'none'}"
            )
        return [by_index[detail["index"]] for detail in details]


def _check_value(detail: dict[str, Any], value: np.ndarray) -> None:
    name, wanted = detail["name"], np.dtype(detail["dtype"])
    if value.dtype != wanted:
        raise TypeError(f"input {name}: wanted {wanted}, got {value.dtype}")
    if value.shape == tuple(detail["shape"]):
        return
    signature = tuple(int(n) for n in detail["shape_signature"])
    if len(signature) != value.ndim or any(
        s not in (-1, n) for s, n in zip(signature, value.shape, strict=True)
    ):
        raise ValueError(f"input {name}: wanted shape {signature}, got {value.shape}")
