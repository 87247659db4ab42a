"""What an instrumented layer computes: its own `call` on rounded weights, results rounded.

Three ways to run: TRAIN watches ranges and rounds, INFER rounds, EXPORT rounds by constant markers
and writes BatchNormalization into the kernels, as the converter would, but on the int8 grid.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from int8x.keras import (
    activations,
    chains,
    fake_quant,
    kinds,
    merges,
    private,
    projections,
    tensors,
)
from int8x.keras.accumulators import Accumulators
from int8x.keras.kernel_grids import KernelGrid, KernelGrids
from int8x.keras.norms import affine, by_channel
from int8x.keras.plan import CallPlan, Site
from int8x.keras.ranges import Ranges
from int8x.keras.settings import Settings
from int8x.keras.tensors import Tensor

TRAIN, INFER, EXPORT = "train", "infer", "export"
_SLOPE = 0.2  # of keras.activations.leaky_relu, where none is given
_MEANS = (keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D)


@dataclass
class Switches:
    """What the callback turns on and off between steps; read when a step is traced."""

    active: bool = True  # False: the model computes in plain float
    observe: bool = False  # ranges follow the batches of training runs
    learn: bool = False  # the optimizer moves ranges and scales
    freeze_batchnorm: bool = False  # BatchNormalization uses its statistics and leaves them alone
    exporting: bool = False


@dataclass
class Run(threading.local):
    """The run under way in this thread: mode (None outside a run) and calls so far."""

    mode: str | None = None
    training: bool = False
    turns: dict[int, int] = field(default_factory=lambda: defaultdict(int))


class Forward:
    """Executes call plans with given ranges."""

    def __init__(
        self, ranges: Ranges, kernels: KernelGrids, settings: Settings, switches: Switches
    ) -> None:
        self.ranges = ranges
        self.kernels = kernels
        self.accumulators = Accumulators(ranges, kernels)
        self.bits = settings.activation_bits
        self.per_tensor = settings.per_tensor
        self.switches = switches
        self.watch: Callable[[Site, Any, Any], None] | None = None  # sees every rounding
        self.run = Run()

    def round(self, site: Site, x: Tensor) -> Tensor:
        """x on the int8 grid of its site, after watching it in a training run."""
        if self.run.mode == EXPORT:
            return fake_quant.marker(x, *self.ranges.constants(site), self.bits)
        if self.run.training and not site.in_training:
            return x
        observing = self.run.training and site.observe and self.switches.observe
        if observing:
            self.ranges.observe(site, x)
        if self._learns(site):
            from int8x.keras import learned  # of TensorFlow alone

            reach, _ = self.ranges.reach(site.group, site.room)
            return learned.learned_activation(x, reach, self.bits)
        scale, zero_point, seen = self.ranges.params(site.group, site.room)
        scale, zero_point = ops.stop_gradient(scale), ops.stop_gradient(zero_point)
        if site.average:
            rounded = fake_quant.fake_quant_average(x, scale, zero_point)
        else:
            rounded = fake_quant.fake_quant(x, scale, zero_point, self.bits)
        if observing or (self._traces_training() and self.ranges.seen(site.group)):
            return rounded
        if self.watch is not None:
            self.watch(site, x, rounded)
        return ops.where(seen > 0.0, rounded, x)

    @property
    def exporting(self) -> bool:
        """Whether the run under way is one for the file."""
        return self.run.mode == EXPORT

    @property
    def inferring(self) -> bool:
        """Whether it neither trains nor exports."""
        return self.run.mode == INFER

    def grid(self, site: Site) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The step, the least and the greatest real of a site's grid, no gradients, and the batches
        seen: without any the rest means nothing.
        """
        if self.exporting:
            scale, zero_point = self.ranges.constants(site)
            numbers = (scale, *fake_quant.ends(scale, zero_point, self.bits), 1.0)
            return tuple(ops.convert_to_tensor(number, "float32") for number in numbers)
        scale, zero_point, seen = self.ranges.params(site.group, site.room)
        low, high = fake_quant.ends(scale, zero_point, self.bits)
        return tuple(map(ops.stop_gradient, (scale, low, high, seen)))

    def multiplied(self, x: Tensor, factor: float, group: int | None) -> Tensor:
        """x of a group times a constant: the same integers, steps as many times as large."""
        y = x * ops.cast(factor, x.dtype)
        if group is None or not self.exporting:
            return y
        with tensors.outside_trace():
            scale, zero_point, _ = self.ranges.params(group)
            grid = float(fake_quant.short_scale(scale * factor)), int(zero_point)
        return fake_quant.marker(y, *grid, self.bits)

    def _traces_training(self) -> bool:
        """Whether what is known now holds as long as this trace is used: until a switch turns."""
        return tensors.READS_IN_TRACE and self.run.training

    def _rounded(self, grid: KernelGrid, weight: Tensor) -> Tensor:
        return grid.rounded(weight, grid.begun if self._traces_training() else None)

    def _learns(self, site: Site) -> bool:
        """Whether this run moves the site's range by gradients."""
        moving = self.run.training and self.switches.learn and not self.switches.observe
        return moving and site.group in self.ranges.learned and not site.average

    def round_all(self, sites: dict[int, Site], structure: Any) -> Any:
        """The structure with its floating tensors rounded by position."""
        if not sites:
            return structure
        position = -1

        def one(x: Any) -> Any:
            nonlocal position
            if not tensors.is_float_tensor(x):
                return x
            position += 1
            return self.round(sites[position], x) if position in sites else x

        return keras.tree.map_structure(one, structure)

    def call(
        self,
        plan: CallPlan,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """One call of an operation as its plan says."""
        args, kwargs = self.round_all(plan.inputs, (args, kwargs))
        exporting = self.run.mode == EXPORT
        if plan.kind == kinds.BOUNDARY:
            return self.round_all(plan.outputs, original(*args, **kwargs))
        if plan.kind == kinds.FLOAT:
            y = original(*args, **kwargs)
            return _mark_float(y) if exporting and plan.last else y
        if plan.kind == kinds.ATTENTION:
            return chains.attended(self, plan, *args, **kwargs)
        if plan.kind == kinds.WEIGHTS:
            y = self._weights(plan, original, args, kwargs)
        elif plan.kind == kinds.SEPARABLE:
            y = self._separable(plan, args[0])
        elif plan.partial:
            y = merges.merged(self, plan, args[0])
        elif plan.kind in (kinds.NORM, kinds.AFFINE):
            y = self._affine(plan, original, args, kwargs)
        elif plan.kind == kinds.LAYER_NORM:
            y = chains.normalized(self, plan, args[0])
        elif exporting and isinstance(plan.operation, keras.layers.UpSampling2D):
            from int8x.keras import free_sizes  # exports run on TensorFlow

            y = free_sizes.upsampled(plan.operation, args[0])
        elif exporting and self._clips_by_range(plan):
            y = ops.relu(args[0])
        elif isinstance(plan.operation, keras.layers.Activation):
            y = self._activated(plan, plan.operation.activation, args[0], plan.sources[-1])
        else:
            y = self._plain(plan, original, args, kwargs)
        if plan.ends is not None and 0 in plan.outputs:
            y = self._requantize(plan.ends, y, plan.outputs[0])
        return self.round_all(plan.outputs, y)

    def _clips_by_range(self, plan: CallPlan) -> bool:
        """Whether the range of a ReLU's output ends where the ReLU does: then a plain one, which
        fuses, is the same.
        """
        most = getattr(plan.operation, "max_value", getattr(plan.operation, "x_max", None))
        if plan.kind != kinds.RELU or most in (None, 6) or 0 not in plan.outputs:
            return False
        _, high = fake_quant.ends(*self.ranges.constants(plan.outputs[0]), self.bits)
        return float(high) <= most * (1 + 2.0**-12)

    def _affine(
        self,
        plan: CallPlan,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        """BatchNormalization, Normalization or Rescaling: folded into the kernel before it, else a
        1x1 depthwise convolution whose kernel, the factor, is rounded; a batch's own statistics
        meet the rounding of the moving ones.
        """
        x, layer = args[0], plan.operation
        own = plan.kind == kinds.NORM and self._normalizes_batches(layer, kwargs)
        if plan.folds_into is not None:
            if self.run.mode == EXPORT:
                return x
            if own:
                return original(*args, **kwargs)
            y = original(*args, **{**kwargs, "training": False})
            if not self.accumulators.rounds(plan.folds_into, self.run.training):
                return y
            return y + ops.cast(self.accumulators.folded_error(plan.folds_into), y.dtype)
        factor, offset = affine(layer)
        if own and not self.per_tensor:  # a factor alone on its grid is as good as exact
            return original(*args, **kwargs)
        if own:
            y = original(*args, **kwargs)
            error = ops.stop_gradient(fake_quant.fake_quant_weight(factor, ()) - factor)
            return y + ops.cast(ops.cast(x, "float32") * error, y.dtype)
        source = plan.sources[0] if plan.sources else None  # integers are of no group
        dtype = x.dtype if tensors.is_float_tensor(x) else layer.compute_dtype
        return ops.cast(self.scaled(plan, x, factor, offset, source), dtype)

    def scaled(
        self, plan: CallPlan, x: Tensor, factor: Tensor, offset: Tensor, source: int | None
    ) -> Tensor:
        """x, of the group `source`, times a factor plus an offset for each channel, in float32: a
        1x1 depthwise convolution.
        """
        axes = () if self.per_tensor or not len(factor.shape) else (0,)
        rounded = fake_quant.fake_quant_weight(factor, axes)
        if self.exporting:
            return _depthwise(x, rounded, offset)
        wide = ops.cast(x, "float32")
        if source is None or not self.sees_products(plan):
            return wide * rounded + offset
        scale = fake_quant.weight_scale(factor, axes)
        return self.accumulators.affine(source, plan.end, wide, rounded, offset, scale)

    def _normalizes_batches(self, layer: Any, kwargs: dict[str, Any]) -> bool:
        training = kwargs.get("training")
        training = self.run.training if training is None else training
        frozen = self.switches.freeze_batchnorm or not layer.trainable
        return bool(training) and not frozen and self.run.mode != EXPORT

    def _kernel(self, plan: CallPlan, name: str) -> tuple[Tensor, Tensor | None]:
        """The rounded kernel and, when exporting a folded BatchNormalization, the bias it adds.

        One scale for each channel commutes with BatchNormalization's factor for each channel: what
        is folded in the file needs no folding in training. One scale in all does not: there the
        kernel is rounded as folded with the moving statistics, and unfolded again, which in
        training leaves BatchNormalization its batch's own (arXiv:1806.08342).
        """
        grid = self.kernels[plan.operation, name]
        weight = private.master_value(getattr(plan.operation, name))
        exporting = self.run.mode == EXPORT
        if plan.norm is None or not (self.per_tensor or exporting):
            return self._rounded(grid, weight), None
        factor, offset = affine(plan.norm)
        factor = by_channel(ops.stop_gradient(factor), weight, grid.channel_axes)
        if self.per_tensor:
            rounded = self._rounded(grid, weight * factor)
            if exporting:
                return rounded, offset
            return rounded / ops.where(factor == 0.0, ops.ones_like(factor), factor), None
        scale = fake_quant.short_scale(grid.scale(weight) * ops.abs(factor))
        return grid.steps(weight) * scale * ops.sign(factor), offset

    def _weights(
        self,
        plan: CallPlan,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        layer = plan.operation
        kernel, offset = self._kernel(plan, "kernel")
        mapping = [(layer.kernel, kernel)]
        bias = getattr(layer, "bias", None)
        if offset is not None and bias is not None:
            factor, _ = affine(plan.norm)
            mapping.append((bias, bias * factor + offset))
        elif bias is not None and self._rounds_bias(plan):
            value = private.master_value(bias)
            mapping.append((bias, value + self.accumulators.bias_error(plan, value)))
        x, *rest = args
        exporting = self.run.mode == EXPORT
        flat = exporting and isinstance(layer, keras.layers.Dense) and len(x.shape) > 2
        if flat:  # the converter makes a matrix product of higher rank partly uint8
            sizes, x = projections.outer_sizes(x), ops.reshape(x, (-1, x.shape[-1]))
        if exporting:
            from int8x.keras import free_sizes  # exports run on TensorFlow

            if free_sizes.is_split(layer, x):
                original = functools.partial(free_sizes.dilated, layer)
            elif isinstance(layer, keras.layers.EinsumDense):
                original = functools.partial(projections.product, layer)
        activation = private.swap_attribute(layer, "activation", None)
        try:
            with private.substituted(mapping):
                y = original(x, *rest, **kwargs)
        finally:
            private.swap_attribute(layer, "activation", activation)
        if offset is not None and bias is None:
            y = y + offset
        if flat:
            y = ops.reshape(y, (*sizes, y.shape[-1]))
        return self._activate(plan, activation, y)

    def _separable(self, plan: CallPlan, x: Tensor) -> Tensor:
        """SeparableConv with the tensor between its kernels rounded: two operators in TFLite."""
        layer = plan.operation
        depthwise_grid = self.kernels[layer, "depthwise_kernel"]
        depthwise = self._rounded(depthwise_grid, private.master_value(layer.depthwise_kernel))
        pointwise, offset = self._kernel(plan, "pointwise_kernel")
        strides = layer.strides if len(set(layer.strides)) > 1 else layer.strides[0]
        common = {"data_format": layer.data_format, "padding": layer.padding}
        y = self._depthwise(layer, x, ops.cast(depthwise, x.dtype), strides=strides, **common)
        assert plan.middle is not None
        y = self.round(plan.middle, self._requantize(plan, y, plan.middle, first=True))
        y = keras.ops.conv(y, ops.cast(pointwise, y.dtype), strides=1, **common)
        bias = private.master_value(layer.bias) if layer.use_bias else None
        if offset is not None:
            bias = offset if bias is None else bias * affine(plan.norm)[0] + offset
        elif bias is not None and self._rounds_bias(plan):
            bias = bias + self.accumulators.bias_error(plan, bias)
        if bias is not None:
            y = y + ops.cast(bias, y.dtype)
        return self._activate(plan, layer.activation, y)

    def _depthwise(self, layer: Any, x: Tensor, kernel: Tensor, **how: Any) -> Tensor:
        """The first convolution of a separable one."""
        if self.run.mode == EXPORT:
            from int8x.keras import free_sizes  # exports run on TensorFlow

            if free_sizes.is_split(layer, x):
                return free_sizes.convolved(layer, x, kernel, depthwise=True)
        return keras.ops.depthwise_conv(x, kernel, dilation_rate=layer.dilation_rate, **how)

    def _rounds_bias(self, plan: CallPlan) -> bool:
        """Not of a folded BatchNormalization's layer: that rounds both together."""
        return plan.norm is None and self._sees_accumulator(plan)

    def _sees_accumulator(self, plan: CallPlan, first: bool = False) -> bool:
        if self.run.mode == EXPORT:
            return False
        return self.accumulators.rounds(plan, self.run.training, first)

    def _requantize(self, plan: CallPlan, y: Tensor, site: Site, first: bool = False) -> Tensor:
        """y, which lies where the call's operator ends, or the first of two, as its kernel's
        accumulator leaves it.
        """
        if not self._sees_accumulator(plan, first):
            return y
        if plan.norm is not None and not first and self._normalizes_batches(plan.norm, {}):
            return y
        return self.accumulators.requantized(plan, y, site.group, self.run.training, first)

    def sees_products(self, plan: CallPlan) -> bool:
        """Whether operators without a kernel round here as the file's do: when nothing is trained,
        of 8 bits, between grids that are known.
        """
        inferring = self.run.mode == INFER and self.bits == 8
        return inferring and plan.end is not None and None not in plan.sources

    def _plain(
        self,
        plan: CallPlan,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A call that its plan does not change, but for how its operator rounds."""
        seen = bool(args) and kwargs.get("mask") is None and self.sees_products(plan)
        if seen and plan.kind == kinds.JOIN and isinstance(args[0], (list, tuple)):
            return original(self.accumulators.rescaled(plan, list(args[0])), *args[1:], **kwargs)
        if self.exporting and kinds.normalizes(plan.operation):
            return _normalized(args[0])
        if self.exporting and plan.window:
            return ops.average_pool(args[0], *[plan.window] * 2, data_format="channels_last")
        if plan.inside:
            name = kinds.activation_of(plan.operation)
            return activations.activated(self, plan, name, args[0], plan.sources[-1])
        y = original(*args, **kwargs)
        slope = _slope(plan.operation)
        if seen and slope:
            return self.accumulators.leaky(args[0], y, slope, plan.sources[-1], plan.end)
        product = plan.kind == kinds.PRODUCT or isinstance(plan.operation, keras.layers.Multiply)
        factors = plan.sources * 2 if _squares(plan.operation, args) else plan.sources
        if seen and (product or factors != plan.sources) and len(factors) == 2:
            return self.accumulators.product(y, *factors, plan.end)
        count = _averaged(plan.operation, args[0]) if seen else 0
        if not count:
            return y
        total = kinds.is_operation(plan.operation, "Sum")
        return self.accumulators.mean(y, plan.sources[0], plan.end, count, total)

    def _activate(self, plan: CallPlan, activation: Callable[..., Any] | None, y: Tensor) -> Tensor:
        source = None
        if plan.inner is not None:
            source = plan.inner.group
            y = self.round(plan.inner, self._requantize(plan, y, plan.inner))
        return y if activation is None else self._activated(plan, activation, y, source)

    def _activated(
        self, plan: CallPlan, activation: Callable[..., Any], x: Tensor, source: int | None
    ) -> Tensor:
        """An activation of x, which is of the group `source`."""
        name = kinds.activation_name(activation)
        if name == "leaky_relu" and source is not None and self.sees_products(plan):
            return self.accumulators.leaky(x, activation(x), _SLOPE, source, plan.end)
        if not plan.inside:
            return activation(x)
        return activations.activated(self, plan, name, x, source)


def _slope(operation: Any) -> float:
    """That of an operation that is LEAKY_RELU, else 0."""
    homogeneous = isinstance(operation, keras.layers.ReLU) and not operation.threshold
    if isinstance(operation, keras.layers.LeakyReLU) or kinds.is_operation(operation, "LeakyRelu"):
        return float(operation.negative_slope)
    return float(operation.negative_slope) if homogeneous and operation.max_value is None else 0.0


def _squares(operation: Any, args: tuple[Any, ...]) -> bool:
    """Whether an operation multiplies its tensor by itself."""
    power = kinds.is_operation(operation, "Power") and len(args) == 2
    two = power and isinstance(args[1], (int, float)) and args[1] == 2
    return two or kinds.is_operation(operation, "Square")


def _averaged(operation: Any, x: Any) -> int:
    """How many numbers an operation averages or sums up; 0 for others, and when not known."""
    axes: Any = ()
    if isinstance(operation, _MEANS) and operation.data_format == "channels_last":
        axes = range(1, len(x.shape) - 1)
    elif kinds.is_operation(operation, "Mean") or kinds.is_operation(operation, "Sum"):
        axes = operation.axis or range(len(x.shape))
    sizes = [x.shape[axis] for axis in axes]
    return math.prod(sizes) if sizes and None not in sizes else 0


def _mark_float(y: Any) -> Any:
    """Marks the results of a layer that stays float, for int8x.keras.handover to find."""

    def one(x: Any) -> Any:
        known = tensors.is_float_tensor(x)
        return fake_quant.marker(x, fake_quant.FLOAT_MARK, 0) if known else x

    return keras.tree.map_structure(one, y)


def _normalized(x: Tensor) -> Tensor:
    """x over the L2 norm of its channels: one int8 operator in TFLite."""
    import tensorflow as tf  # exports run on TensorFlow

    return tf.math.l2_normalize(x, axis=-1)


def _depthwise(x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """x * factor + offset as a 1x1 depthwise convolution with bias: one int8 operator in TFLite."""
    import tensorflow as tf  # exports run on TensorFlow

    channels = x.shape[-1]
    kernel = ops.reshape(ops.broadcast_to(factor, [channels]), (1, 1, channels, 1))
    flat = x if len(x.shape) == 4 else ops.reshape(x, (1, -1, 1, channels))
    y = tf.nn.depthwise_conv2d(flat, kernel, (1, 1, 1, 1), "VALID") + ops.broadcast_to(
        offset, [channels]
    )
    return y if len(x.shape) == 4 else ops.reshape(y, (*projections.outer_sizes(x), channels))
