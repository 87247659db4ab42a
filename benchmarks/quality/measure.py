"""Runs a model on samples with the reference's integers; compares it with the float net."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from int8x import _native, delegate_path
from int8x.errors import ModelError
from int8x.tflite.graph import load

KERNELS = ("int8x", "reference", "stock", "xnnpack")


def open_interpreter(model: bytes, kernels: str) -> Any:
    """reference: BUILTIN_REF. int8x: the same with int8x's delegate, whose integers are equal, for
    what it takes. stock, xnnpack: the runtime's own kernels without and with its default delegate.
    """
    from ai_edge_litert import interpreter as litert

    resolver = {
        "int8x": "BUILTIN_REF",
        "reference": "BUILTIN_REF",
        "stock": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
        "xnnpack": "AUTO",
    }[kernels]
    delegates = [litert.load_delegate(delegate_path())] if kernels == "int8x" else None
    interpreter = litert.Interpreter(
        model_content=model,
        num_threads=1,
        experimental_delegates=delegates,
        experimental_op_resolver_type=getattr(litert.OpResolverType, resolver),
    )
    interpreter.allocate_tensors()
    return interpreter


def outputs_of(model: bytes, samples: np.ndarray, kernels: str) -> list[np.ndarray]:
    """Every output in reals, one array each, samples first. samples: in the float model's type.

    With int8x's kernels the first sample is also run in the reference's alone; AssertionError when
    one bit differs. RuntimeError when the runtime fails, or dies.
    """
    outputs = _apart(model, samples, kernels)
    if kernels == "int8x":
        truth = _apart(model, samples[:1], "reference")
        for mine, theirs in zip(outputs, truth, strict=True):
            np.testing.assert_array_equal(mine[:1], theirs, "int8x differs from the reference")
    return outputs


def _apart(model: bytes, samples: np.ndarray, kernels: str) -> list[np.ndarray]:
    """_run() in a process of its own: kernels abort on what they do not expect. Raises RuntimeError
    with what it raised, or with the signal that ended it.

    The process is not forked from this one: where TensorFlow has converted a model, that may die.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(there, _run, model, samples, kernels))
    process.start()
    there.close()
    try:
        result = here.recv()
    except EOFError:
        process.join()
        name = signal.Signals(-process.exitcode).name if process.exitcode < 0 else "exit"
        raise RuntimeError(f"the interpreter died in {kernels} kernels: {name}") from None
    process.join()
    if isinstance(result, str):
        raise RuntimeError(result)
    return result


def _report(
    there: Connection, run: Callable[..., Any], model: bytes, samples: np.ndarray, kernels: str
) -> None:
    try:
        there.send(run(model, samples, kernels))
    except Exception as error:  # whatever the runtime raises is told
        there.send(f"{type(error).__name__}: {error}")


def _run(model: bytes, samples: np.ndarray, kernels: str) -> list[np.ndarray]:
    interpreter = open_interpreter(model, kernels)
    (into,), out = interpreter.get_input_details(), interpreter.get_output_details()
    results: list[list[np.ndarray]] = [[] for _ in out]
    for sample in _coded(samples, into):
        interpreter.set_tensor(into["index"], sample[None])
        interpreter.invoke()
        for place, detail in enumerate(out):
            results[place].append(interpreter.get_tensor(detail["index"])[0])
    return [_real(np.stack(each), detail) for each, detail in zip(results, out, strict=True)]


def _coded(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if array.dtype == detail["dtype"]:
        return array
    (scale, zero_point), limits = detail["quantization"], np.iinfo(detail["dtype"])
    real = np.ascontiguousarray(array, np.float32)
    return _native.quantize(real, scale, zero_point, limits.min, limits.max).astype(detail["dtype"])


def _real(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if array.dtype.kind == "f":
        return array
    scale, zero_point = detail["quantization"]
    return ((array.astype(np.float64) - zero_point) * scale).astype(np.float32)


def sqnr(real: np.ndarray, other: np.ndarray) -> float:
    """10 log10(sum x^2 / sum (x - y)^2) in dB."""
    x, y = real.astype(np.float64), other.astype(np.float64).reshape(real.shape)
    noise, signal = float(((x - y) ** 2).sum()), float((x**2).sum())
    return 10 * float(np.log10(max(signal, 1e-300) / max(noise, 1e-300)))


def float_operators(model: bytes) -> int | None:
    """Operators that compute on floats: not those that convert or hand on. None for a file that
    int8x refuses to read: a peer's may hold tensors that do not fit their buffers.
    """
    try:
        graph = load(model)
    except ModelError:
        return None
    passing = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SHAPE")
    return sum(
        op.kind not in passing
        and any(t is not None and t.is_float for t in [*op.inputs, *op.outputs])
        for subgraph in graph.subgraphs
        for op in subgraph.operators
    )
