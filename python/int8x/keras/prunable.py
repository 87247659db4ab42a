"""The kernels of a model that can be pruned, and why the others stay dense."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from int8x.keras import private
from int8x.keras.attention import is_attention
from int8x.keras.limits import no_plain_kernel
from int8x.keras.patterns import Pattern
from int8x.keras.projections import summed_axes

_L = keras.layers
_TRANSPOSED = (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)
_KERNEL = (_L.Dense, _L.Conv1D, _L.Conv2D, _L.Conv3D, *_TRANSPOSED)
_SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)
_DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)


@dataclass(frozen=True)
class Held:
    """A variable of a layer; `name` is the layer's attribute."""

    layer: keras.Layer
    name: str
    variable: keras.Variable

    @property
    def label(self) -> str:
        """What the layer is called in reports."""
        return self.layer.name

    def value(self) -> np.ndarray:
        """The variable as it stands."""
        return self.variable.numpy()


@dataclass(frozen=True)
class Kernel(Held):
    """A kernel variable: the axes count its channels."""

    output_axis: int
    input_axis: int
    within: str = ""  # the attention layer whose projection it is

    @property
    def label(self) -> str:
        return _label(self.layer, {id(self.layer): self.within})

    @property
    def output_axes(self) -> tuple[int, ...]:
        """The axes that together count output channels."""
        return (self.output_axis,)

    def to_rows(self, array: np.ndarray) -> np.ndarray:
        """Like TFLite's rows: [output channels, positions, input channels]."""
        moved = np.moveaxis(array, (self.output_axis, self.input_axis), (0, -1))
        return moved.reshape(moved.shape[0], -1, moved.shape[-1])

    def from_rows(self, rows: np.ndarray) -> np.ndarray:
        """The inverse of to_rows()."""
        shape = self.variable.shape
        axes = {self.output_axis, self.input_axis}
        inner = [size for axis, size in enumerate(shape) if axis not in axes]
        rows = rows.reshape(rows.shape[0], *inner, rows.shape[-1])
        return np.moveaxis(rows, (0, -1), (self.output_axis, self.input_axis))

    @property
    def channels(self) -> tuple[int, int]:
        """Output and input channels."""
        return self.variable.shape[self.output_axis], self.variable.shape[self.input_axis]


@dataclass(frozen=True)
class MatrixKernel(Kernel):
    """The kernel of an EinsumDense: its axes before `output_axis` together count input channels,
    the others output channels.
    """

    @property
    def output_axes(self) -> tuple[int, ...]:
        return tuple(range(self.output_axis, len(self.variable.shape)))

    def to_rows(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.channels[::-1]).T[:, None]

    def from_rows(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0].T.reshape(tuple(self.variable.shape))

    @property
    def channels(self) -> tuple[int, int]:
        inputs = math.prod(self.variable.shape[: self.output_axis])
        return math.prod(self.variable.shape) // inputs, inputs


def is_prunable(layer: keras.Layer) -> bool:
    """Whether a layer, once built, has a kernel that can be pruned."""
    if isinstance(layer, _L.EinsumDense):
        return summed_axes(layer) > 0
    return isinstance(layer, (*_KERNEL, *_SEPARABLE)) and not isinstance(layer, _DEPTHWISE)


def kernel_of(layer: keras.Layer) -> Kernel | None:
    """The layer's prunable kernel; None for layers without one, depthwise ones among them."""
    name = "pointwise_kernel" if isinstance(layer, _SEPARABLE) else "kernel"
    if not is_prunable(layer):
        return None
    variable = getattr(layer, name, None)
    if not isinstance(variable, keras.Variable):
        return None
    if isinstance(layer, _L.EinsumDense):
        axis = summed_axes(layer)
        return MatrixKernel(layer, name, variable, axis, axis - 1)
    rank = len(variable.shape)
    outputs, inputs = (
        (rank - 2, rank - 1) if isinstance(layer, _TRANSPOSED) else (rank - 1, rank - 2)
    )
    return Kernel(layer, name, variable, outputs, inputs)


def kernels_of(model: keras.Model) -> list[Kernel]:
    """The prunable kernels of a model in the order of its layers, each variable once."""
    found: dict[int, Kernel] = {}
    owners = _owners(model)
    for layer in private.all_layers(model):
        kernel = kernel_of(layer)
        if kernel is not None:
            kernel = replace(kernel, within=owners.get(id(layer), ""))
            found.setdefault(id(kernel.variable), kernel)
    return list(found.values())


def _owners(model: keras.Model) -> dict[int, str]:
    """The names of attention layers by the ids of the layers in them."""
    attention = [layer for layer in private.all_layers(model) if is_attention(layer)]
    return {
        id(inner): layer.name
        for layer in attention
        for inner in private.all_layers(layer)
        if inner is not layer
    }


def choose(
    model: keras.Model, pattern: Pattern, exclude: Iterable[Any]
) -> tuple[list[Kernel], dict[str, str]]:
    """The kernels to prune, and of every other layer with a kernel the reason why it stays dense.

    ValueError when none is left, or an entry of `exclude` fits no layer.
    """
    left_out = excluded(model, exclude, "PruningCallback")
    chosen, dense, owners = [], {}, _owners(model)
    for layer in private.all_layers(model):
        label = _label(layer, owners)
        if isinstance(layer, _DEPTHWISE):
            dense[label] = "depthwise"
        elif isinstance(layer, _L.EinsumDense) and not is_prunable(layer):
            dense[label] = f"{layer.equation} is no product of matrices"
        elif is_prunable(layer) and (reason := no_plain_kernel(layer)):
            dense[label] = reason
    for kernel in kernels_of(model):
        if no_plain_kernel(kernel.layer):
            continue
        misfit = pattern.misfit(*kernel.channels)
        if id(kernel.layer) in left_out:
            dense[kernel.label] = "excluded"
        elif not kernel.variable.trainable or not kernel.layer.trainable:
            dense[kernel.label] = "frozen"
        elif misfit is not None:
            dense[kernel.label] = misfit
        else:
            chosen.append(kernel)
    if not chosen:
        told = "; ".join(f"{name}: {reason}" for name, reason in dense.items())
        raise ValueError(
            f"{model.name}: a layer with {pattern} to prune was wanted, got none"
            f"{f' ({told})' if told else ''}"
        )
    return chosen, dense


def excluded(model: keras.Model, exclude: Iterable[Any], who: str) -> set[int]:
    """The ids of the layers that `exclude` names by name, pattern or class, and of those in them.

    ValueError for an entry that fits none.
    """
    layers, found, owners = private.all_layers(model), set(), _owners(model)
    for entry in exclude:
        fitting = {
            id(layer)
            for layer in layers
            if (
                isinstance(layer, entry)
                if isinstance(entry, type)
                else _named(layer, entry, owners)
            )
        }
        if not fitting:
            shown = entry.__name__ if isinstance(entry, type) else repr(entry)
            names = ", ".join(_label(layer, owners) for layer in layers if layer.weights)
            raise ValueError(
                f"{who}: exclude: no layer of {model.name} fits {shown}; it has {names}"
            )
        found |= fitting
        for layer in layers:
            if id(layer) in fitting:
                found |= {id(inner) for inner in private.all_layers(layer)}
    return found


def check_exclude(exclude: Any, who: str) -> tuple[Any, ...]:
    """The entries as a tuple; ValueError unless all are names, patterns or layer classes."""
    entries = tuple(exclude) if isinstance(exclude, (tuple, list, set)) else (exclude,)
    for entry in entries:
        if not isinstance(entry, (str, type)):
            raise ValueError(
                f"{who}: exclude must hold layer names, patterns or layer classes, got {entry!r}"
            )
    return entries


def _label(layer: keras.Layer, owners: dict[int, str]) -> str:
    """What a layer is called; those of attention layers have the same names in each of them."""
    within = owners.get(id(layer))
    return f"{within}/{layer.name}" if within else layer.name


def _named(layer: keras.Layer, pattern: str, owners: dict[int, str]) -> bool:
    names = {layer.name, _label(layer, owners)}
    return pattern in names or any(fnmatch.fnmatchcase(name, pattern) for name in names)
