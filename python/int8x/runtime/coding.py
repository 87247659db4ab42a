"""Between the reals of a float model and the integers of its quantized form."""

from collections.abc import Sequence

import numpy as np

from int8x import _native
from int8x.errors import ModelError
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import NUMPY_TYPES
from int8x.tflite.subgraph import Tensor


def as_inputs(sample: Sequence[np.ndarray], inputs: Sequence[Tensor]) -> list[np.ndarray]:
    """A float sample in the types and on the grids of a quantized model's inputs."""
    return [as_input(array, tensor) for array, tensor in zip(sample, inputs, strict=True)]


def as_input(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """One input of it: q = round_half_away(x / scale) + zero_point, saturated. Raises ModelError
    where an integer input has no scale.
    """
    wanted: np.dtype = np.dtype(NUMPY_TYPES.get(tensor.dtype, np.void))
    if array.dtype == wanted:
        return array
    if tensor.quant is None or tensor.quant.axis is not None or wanted.kind not in "iu":
        raise ModelError(
            f"input {tensor.name!r} is {tensor.dtype} without a scale; the float model takes "
            f"{array.dtype}"
        )
    grid, info = tensor.quant, np.iinfo(wanted)
    return _native.quantize(array, grid.scale, grid.zero_point, info.min, info.max).astype(wanted)


def as_real(coded: np.ndarray, quant: QuantParams | None) -> np.ndarray:
    """Integers as the float32 that they stand for, (q - zero_point) * scale, with scales along
    quant.axis; floats as they are.
    """
    if quant is None or coded.dtype.kind not in "iu":
        return coded
    shape = [1] * coded.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    scales, zeros = quant.scales.reshape(shape), quant.zero_points.reshape(shape)
    return ((coded.astype(np.float64) - zeros) * scales).astype(np.float32)


def on_grid(array: np.ndarray, grid: QuantParams) -> np.ndarray:
    """Reals as the nearest reals of a one-scale grid, float32."""
    low, high = -(2 ** (grid.bits - 1)), 2 ** (grid.bits - 1) - 1
    coded = _native.quantize(array, grid.scale, grid.zero_point, low, high)
    return ((coded.astype(np.float32) - grid.zero_point) * np.float32(grid.scale)).astype(
        np.float32
    )
