"""What the demo promises of its int8 file, checked."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from int8x.progress import Progress
from int8x.runtime.interpreter import Interpreter, load_runtime, open_interpreter
from int8x.tflite.graph import Graph

THREADS = (1, 2, 4)
Model = str | os.PathLike[str] | bytes


@dataclass(frozen=True)
class Claims:
    """Shares of operators and multiply-accumulates that the delegate runs, and its partitions."""

    ops: float
    macs: float
    partitions: int


def float_operators(graph: Graph) -> list[str]:
    """Names of the operators that read or write float tensors."""
    return [
        f"{op.kind} {op.name!r}"
        for op in graph.main.operators
        if any(tensor is not None and tensor.is_float for tensor in [*op.inputs, *op.outputs])
    ]


def quantized(images: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Float images as int8: round half away from zero, as QUANTIZE does."""
    ratio = images / np.float32(scale)
    rounded = np.trunc(ratio + np.copysign(np.float32(0.5), ratio))
    return np.clip(rounded + zero_point, -128, 127).astype(np.int8)


def run(interpreter: Any, images: np.ndarray, title: str, progress: Progress) -> np.ndarray:
    """The output of an interpreter with one int8 or float32 input, one run for each float image."""
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    inputs = quantized(images, *source["quantization"]) if source["dtype"] is np.int8 else images
    outputs = []
    with progress(title, len(inputs), 0) as advance:
        for image in inputs:
            interpreter.set_tensor(source["index"], image[None])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(sink["index"])[0])
            advance()
    return np.array(outputs)


def float_outputs(model: Model, images: np.ndarray, progress: Progress) -> np.ndarray:
    """What a float file gives, in the runtime's default kernels."""
    return run(
        open_interpreter(load_runtime(), model, 1), images, "running the float file", progress
    )


def int8_outputs(model: Model, images: np.ndarray, progress: Progress) -> tuple[np.ndarray, Claims]:
    """What an int8 file gives with the delegate, and what the delegate took of it."""
    interpreter = Interpreter(model)
    outputs = run(interpreter, images, "running the int8 file", progress)
    claims = interpreter.claims
    return outputs, Claims(claims.claimed_ops, claims.claimed_macs, claims.partitions)


def bit_exact(model: Model, images: np.ndarray, progress: Progress) -> bool:
    """Whether the delegate gives the reference kernels' bytes for each image at each of THREADS."""
    reference = open_interpreter(load_runtime(), model, 1, "reference")
    wanted = run(reference, images, "running the reference kernels", progress)
    equal = [
        np.array_equal(
            run(Interpreter(model, threads), images, f"comparing, {threads} threads", progress),
            wanted,
        )
        for threads in THREADS
    ]
    return all(equal)
