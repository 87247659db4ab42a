"""The grids of kernels: largest value over the last step, or scales that training moves."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from int8x.keras import fake_quant, kinds, private, tensors
from int8x.keras.norms import affine, by_channel
from int8x.keras.plan import CallPlan
from int8x.keras.settings import Settings
from int8x.keras.tensors import Tensor

SUBLAYER = "_int8x_qat_kernel"
_CANDIDATES = np.linspace(0.3, 1.0, 71)  # of the largest value, for the scale to begin with


class ScaleState(private.StateLayer):
    """Learned scales by kernel name: `first`, those to begin with, zeros until then; `log`, the
    logarithm of scale / first.
    """

    def __init__(self, host: str, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__(host, "int8x_qat_kernel")
        self.first: dict[str, keras.Variable] = {}
        self.log: dict[str, keras.Variable] = {}
        for name, shape in shapes.items():
            make = {"shape": shape, "initializer": "zeros", "autocast": False}
            self.first[name] = self.add_weight(
                name=f"{name}_first", trainable=False, aggregation="mean", **make
            )
            self.log[name] = self.add_weight(name=f"{name}_log", **make)
            self.log[name].trainable = False  # until learning begins


class KernelGrid:
    """The grid of one kernel of one layer; `name` is the layer's attribute.

    channel_axes: those that together count output channels. axes: those with a scale for each.
    """

    def __init__(
        self, layer: Any, name: str, channel_axes: tuple[int, ...], settings: Settings
    ) -> None:
        self.layer, self.name, self.channel_axes = layer, name, channel_axes
        self.axes: tuple[int, ...] = () if settings.per_tensor else channel_axes
        self.bits = settings.bits_of(layer.name) if kinds.takes_int4(layer) else 8
        self.learns = settings.learned

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the scales, which broadcasts against the kernel."""
        sizes = getattr(self.layer, self.name).shape
        return tuple(size if axis in self.axes else 1 for axis, size in enumerate(sizes))

    @property
    def state(self) -> ScaleState:
        """Where the scales are learned."""
        return getattr(self.layer, SUBLAYER)

    @property
    def begun(self) -> bool:
        """Whether scales are learned by now (not only when a graph is run)."""
        with tensors.outside_trace():
            return self.learns and bool(ops.any(private.master_value(self._first) > 0.0))

    @property
    def _first(self) -> keras.Variable:
        return self.state.first[self.name]

    def scale(self, weight: Tensor, begun: bool = False) -> Tensor:
        """The scales, float32, 16 significant bits; begun: that `begun` is known to hold."""
        if not self.learns:
            return fake_quant.weight_scale(weight, self.axes, self.bits)
        from int8x.keras import learned  # of TensorFlow alone

        first, log = map(private.master_value, (self._first, self.state.log[self.name]))
        scale = learned.learned_scale(first, log)
        if begun:
            return scale
        return ops.where(first > 0.0, scale, fake_quant.weight_scale(weight, self.axes, self.bits))

    def steps(self, weight: Tensor) -> Tensor:
        """The kernel's integers, as float32."""
        return fake_quant.weight_steps(weight, self.scale(weight), self.bits)

    def rounded(self, weight: Tensor, begun: bool | None = None) -> Tensor:
        """The kernel on its grid, with gradients for the kernel and for learned scales; begun: what
        `begun` is known to be, if it is.
        """
        if not self.learns or begun is False:
            return fake_quant.fake_quant_weight(weight, self.axes, self.bits)
        from int8x.keras import learned  # of TensorFlow alone

        return learned.learned_weight(weight, self.scale(weight, bool(begun)), self.bits)


class KernelGrids:
    """The grids of all kernels of a plan's calls."""

    def __init__(self, calls: list[CallPlan], settings: Settings) -> None:
        self.grids: dict[tuple[int, str], KernelGrid] = {}
        self.norms: dict[tuple[int, str], Any] = {}
        for call in calls:
            for name, axes in kernels(call):
                key = (id(call.operation), name)
                grid = KernelGrid(call.operation, name, axes, settings)
                self.grids.setdefault(key, grid)
                inner = (call.kind, name) == (kinds.SEPARABLE, "depthwise_kernel")
                self.norms.setdefault(key, None if inner else call.norm)
        if settings.learned:
            for layer in {id(g.layer): g.layer for g in self.grids.values()}.values():
                _hang(layer, {g.name: g.shape for g in self.grids.values() if g.layer is layer})

    def __getitem__(self, key: tuple[Any, str]) -> KernelGrid:
        return self.grids[id(key[0]), key[1]]

    def begin(self) -> None:
        """Sets the learned scales to those of least squared error, unless they are there."""
        for key, grid in self.grids.items():
            first = grid.state.first[grid.name]
            if not np.any(first.numpy()):
                weight = getattr(grid.layer, grid.name).numpy()
                if not grid.axes and self.norms[key] is not None:
                    factor, _ = affine(self.norms[key])
                    weight = weight * by_channel(factor, weight, grid.channel_axes).numpy()
                first.assign(best_scale(weight, grid.axes, grid.bits))

    def variables(self) -> list[keras.Variable]:
        """The learned variables."""
        return [grid.state.log[grid.name] for grid in self.grids.values() if grid.learns]

    def remove(self) -> None:
        """Takes the sub-layers away again."""
        for grid in self.grids.values():
            if hasattr(grid.layer, SUBLAYER):
                private.remove_sublayer(grid.layer, SUBLAYER)


def _hang(layer: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    old = getattr(layer, SUBLAYER, None)
    if old is not None and {n: tuple(v.shape) for n, v in old.first.items()} == shapes:
        return
    if old is not None:
        private.remove_sublayer(layer, SUBLAYER)
    private.add_sublayer(layer, SUBLAYER, ScaleState(layer.name, shapes))


def kernels(call: CallPlan) -> list[tuple[str, tuple[int, ...]]]:
    """(attribute, channel axes) of each kernel of a call, in the order of TFLite's operators."""
    if call.kind == kinds.SEPARABLE:
        rank = len(call.operation.depthwise_kernel.shape)
        return [("depthwise_kernel", (rank - 2, rank - 1)), ("pointwise_kernel", (rank - 1,))]
    if call.kind == kinds.WEIGHTS:
        return [("kernel", kinds.channel_axes(call.operation))]
    return []


def best_scale(weight: np.ndarray, axes: tuple[int, ...], bits: int) -> np.ndarray:
    """The scales whose rounding has the least squared error, among shares of max|w| / last step.

    Shaped to broadcast against the weight. A channel of zeros gets 1.
    """
    largest = fake_quant.LARGEST_WEIGHT[bits]
    others = tuple(axis for axis in range(weight.ndim) if axis not in axes)
    most = np.abs(weight).max(axis=others, keepdims=True)
    best, least = np.where(most > 0, most / largest, 1.0), np.full(most.shape, np.inf)
    for share in _CANDIDATES:
        scale = np.where(most > 0, most * share / largest, 1.0)
        rounded = np.clip(np.round(weight / scale), -largest, largest) * scale
        error = ((rounded - weight) ** 2).sum(axis=others, keepdims=True)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best.astype(np.float32)
