"""EinsumDense as what it is in nearly every model: a matrix product over the last axes."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from int8x.keras.tensors import Tensor


def summed_axes(layer: Any) -> int:
    """Over how many axes a keras.layers.EinsumDense sums: the last ones of its input, the first
    ones of its kernel; the kernel's others are the result's last ones. 0 when its equation is not
    of that form, or the bias is not one number for each channel.

    >>> import keras
    >>> summed_axes(keras.layers.EinsumDense("abcd,cde->abe", (None, 8)))
    2
    """
    operands, result = layer.equation.replace(" ", "").replace("...", "").split("->")
    x, kernel = operands.split(",")
    for count in range(1, len(kernel)):
        summed, made = kernel[:count], kernel[count:]
        kept = x[: len(x) - count]
        if x == kept + summed and result == kept + made and not set(summed) & set(result):
            return count if layer.bias_axes in (None, made) else 0
    return 0


def product(layer: Any, x: Tensor, training: Any = None) -> Tensor:
    """The layer's result as a product of matrices, which in TFLite is FULLY_CONNECTED."""
    count = summed_axes(layer)
    kernel = ops.convert_to_tensor(layer.kernel)
    made = kernel.shape[count:]
    rows = ops.reshape(x, (-1, math.prod(kernel.shape[:count])))
    y = ops.matmul(rows, ops.reshape(kernel, (-1, math.prod(made))))
    if layer.bias is not None:
        y = y + ops.reshape(ops.convert_to_tensor(layer.bias), (-1,))
    return ops.reshape(y, (*outer_sizes(x, count), *made))


def outer_sizes(x: Tensor, last: int = 1) -> tuple[Any, ...]:
    """The sizes of x but the last ones; -1 is a single one that is not known."""
    known = tuple(x.shape[:-last])
    if known.count(None) > 1:
        return tuple(ops.shape(x)[:-last])
    return tuple(-1 if size is None else size for size in known)
