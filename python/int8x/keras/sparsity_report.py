"""What pruning left of a model: zeros by layer, and bytes of int8 weights raw and compressed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops

from int8x.keras import fake_quant
from int8x.keras.prunable import Kernel, kernels_of

_LEVEL = 9  # of zlib: what zip, apk and OTA archives do to the file


@dataclass(frozen=True)
class LayerSparsity:
    """One kernel: its weights, how many are exactly zero, and its int8 weights in bytes.

    `note` says why a layer was left dense, or how it was pruned.
    """

    layer: str
    weights: int
    zeros: int
    raw_bytes: int
    compressed_bytes: int
    note: str = ""

    @property
    def sparsity(self) -> float:
        """The share of zeros."""
        return self.zeros / self.weights


@dataclass(frozen=True)
class SparsityReport:
    """The kernels of a model; printing it shows a table."""

    layers: tuple[LayerSparsity, ...]
    dense: dict[str, str] = field(default_factory=dict)

    @property
    def sparsity(self) -> float:
        """The share of zeros over all kernels that can be pruned."""
        return sum(row.zeros for row in self.layers) / sum(row.weights for row in self.layers)

    @property
    def raw_bytes(self) -> int:
        """Bytes of all int8 kernels."""
        return sum(row.raw_bytes for row in self.layers)

    @property
    def compressed_bytes(self) -> int:
        """The same, each compressed by zlib."""
        return sum(row.compressed_bytes for row in self.layers)

    def __str__(self) -> str:
        wide = max(24, *(len(name) for name in (*self.dense, *(row.layer for row in self.layers))))
        head = f"{'layer':{wide}} {'weights':>9} {'zeros':>7} {'int8 bytes':>11} {'compressed':>11}"
        lines = [head]
        for row in self.layers:
            lines.append(
                f"{row.layer:{wide}} {row.weights:9,} {row.sparsity:7.1%} {row.raw_bytes:11,} "
                f"{row.compressed_bytes:11,}  {row.note}".rstrip()
            )
        others = [name for name in self.dense if name not in {row.layer for row in self.layers}]
        lines += [
            f"{name:{wide}} {'':9} {'':7} {'':11} {'':11}  {self.dense[name]}" for name in others
        ]
        total = sum(row.weights for row in self.layers)
        lines.append(
            f"{'all':{wide}} {total:9,} {self.sparsity:7.1%} {self.raw_bytes:11,} "
            f"{self.compressed_bytes:11,}"
        )
        return "\n".join(lines)


def sparsity_report(model: keras.Model, dense: dict[str, str] | None = None) -> SparsityReport:
    """Zeros and int8 sizes of each kernel; `dense` adds why layers were left as they are.

    ValueError for a model without a kernel.

    Example:
        >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32)])
        >>> int8x.keras.sparsity_report(model).raw_bytes
        2048
    """
    dense = dense or {}
    kernels = kernels_of(model)
    if not kernels:
        raise ValueError(f"{model.name}: a built model with Dense or Conv layers was wanted")
    return SparsityReport(tuple(_row(kernel, dense) for kernel in kernels), dense)


def sparsity_of(kernels: list[Kernel]) -> float:
    """The share of exact zeros over all of these."""
    values = [kernel.value() for kernel in kernels]
    return sum(int((v == 0).sum()) for v in values) / sum(v.size for v in values)


def _row(kernel: Kernel, dense: dict[str, str]) -> LayerSparsity:
    value = kernel.value().astype(np.float32)
    weight = ops.convert_to_tensor(value)
    scale = fake_quant.weight_scale(weight, kernel.output_axes)
    steps = fake_quant.weight_steps(weight, scale)
    raw = kernel.to_rows(np.nan_to_num(ops.convert_to_numpy(steps))).astype(np.int8).tobytes()
    return LayerSparsity(
        kernel.label,
        value.size,
        int((value == 0).sum()),
        len(raw),
        len(zlib.compress(raw, _LEVEL)),
        dense.get(kernel.label, ""),
    )
