"""shrink: a smaller dense model without the channels that pruning made zero."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from int8x.keras.channels import Channels, channels_of, is_depthwise, is_separable
from int8x.keras.norms import affine
from int8x.keras.prunable import kernel_of


def shrink(model: keras.Model) -> keras.Model:
    """A new model of the same class without the channels that are zero whatever comes in, with the
    same outputs.

    A channel goes when every kernel, bias and BatchNormalization that makes it is zero there, as
    PruningCallback(pattern="filters") leaves them, through residual additions, depthwise
    convolutions, Flatten, Concatenate and gates (squeeze and excite). One channel of each layer
    stays. The result is not compiled.

    ValueError for a model that is not Sequential or Functional, and for an instrumented one: shrink
    first, then train quantization-aware.

    Example:
        >>> model.fit(x, y, callbacks=[int8x.PruningCallback(0.5, pattern="filters")])
        >>> small = int8x.keras.shrink(model)
    """
    from int8x.keras.handle import handle_of

    if handle_of(model) is not None:
        raise ValueError(f"{model.name}: shrink it before QATCallback, or strip it first")
    functional = getattr(model, "_functional", None) or model
    if not hasattr(functional, "operations"):
        raise ValueError(
            f"{model.name}: a built Sequential or Functional model was wanted, got "
            f"{type(model).__name__}"
        )
    channels = channels_of(model)
    gone = dead_classes(channels)
    cut = {key: _Cut(channels, key, gone) for key in channels.layers}
    made: dict[int, tuple[Any, Any]] = {}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if id(layer) in cut:
            config.update(cut[id(layer)].sizes(config))
        new = type(layer).from_config(config)
        made[id(layer)] = (layer, new)
        return new

    small = keras.models.clone_model(model, clone_function=clone, recursive=True)
    for key, (old, new) in made.items():
        if key in cut:
            cut[key].copy(old, new)
        elif isinstance(old, keras.Layer) and old.weights:
            new.set_weights(old.get_weights())
    return small


def dead_classes(channels: Channels) -> set[int]:
    """The classes of channels that are zero whatever comes in, one of each layer left alive."""
    alive: set[int] = set()
    for key, numbers in channels.makes.items():
        rows = kernel_of(channels.layers[key])
        assert rows is not None
        filled = np.abs(rows.to_rows(rows.value())).sum((1, 2)) > 0
        alive |= _where(channels, numbers, filled | _offset(channels.layers[key], len(numbers)))
    for key, numbers in channels.reads.items():
        layer = channels.layers[key]
        if isinstance(layer, keras.layers.BatchNormalization):
            alive |= _where(channels, numbers, np.asarray(affine(layer)[1]) != 0)
        elif is_depthwise(layer):
            biased = _offset(layer, len(numbers) * layer.depth_multiplier)
            alive |= _where(channels, np.repeat(numbers, layer.depth_multiplier), biased)
    found: set[int] = set()
    for numbers in channels.makes.values():
        classes = channels.classes(numbers)
        found |= set(classes[~channels.pinned(numbers)].tolist()) - alive
    for numbers in channels.makes.values():
        classes = channels.classes(numbers)
        if set(classes.tolist()) <= found:
            found.discard(int(classes[0]))
    return found


def _where(channels: Channels, numbers: np.ndarray, chosen: np.ndarray) -> set[int]:
    return set(channels.classes(numbers)[chosen].tolist())


def _offset(layer: Any, count: int) -> np.ndarray:
    """Where the layer's bias is not zero."""
    return layer.bias.numpy() != 0 if layer.use_bias else np.zeros(count, bool)


class _Cut:
    """What of one layer stays."""

    def __init__(self, channels: Channels, key: int, gone: set[int]) -> None:
        self.layer = channels.layers[key]
        reads, makes = channels.reads[key], channels.makes.get(key)
        self.reads = ~np.isin(channels.classes(reads), list(gone))
        self.makes = None if makes is None else ~np.isin(channels.classes(makes), list(gone))

    def sizes(self, config: dict[str, Any]) -> dict[str, Any]:
        """The entries of the layer's configuration that change."""
        if isinstance(self.layer, keras.layers.Reshape):
            *others, last = config["target_shape"]
            return {"target_shape": (*others, last if last < 0 else int(self.reads.sum()))}
        if self.makes is None:
            return {}
        name = "units" if isinstance(self.layer, keras.layers.Dense) else "filters"
        return {name: int(self.makes.sum())}

    def copy(self, old: Any, new: Any) -> None:
        """Gives the new layer the old one's remaining weights."""
        for name, axes in self._axes().items():
            variable = getattr(old, name, None)
            if variable is None:
                continue
            value = variable.numpy()
            for axis, keep in axes.items():
                value = np.compress(keep, value, axis=axis)
            getattr(new, name).assign(value)

    def _axes(self) -> dict[str, dict[int, np.ndarray]]:
        """By attribute and axis, which entries stay."""
        layer = self.layer
        if isinstance(layer, keras.layers.Reshape):
            return {}
        if isinstance(layer, keras.layers.BatchNormalization):
            names = ("gamma", "beta", "moving_mean", "moving_variance")
            return {name: {0: self.reads} for name in names}
        if is_depthwise(layer):
            repeated = np.repeat(self.reads, layer.depth_multiplier)
            return {"kernel": {-2: self.reads}, "bias": {0: repeated}}
        assert self.makes is not None
        if is_separable(layer):
            repeated = np.repeat(self.reads, layer.depth_multiplier)
            return {
                "depthwise_kernel": {-2: self.reads},
                "pointwise_kernel": {-2: repeated, -1: self.makes},
                "bias": {0: self.makes},
            }
        kernel = kernel_of(layer)
        assert kernel is not None
        axes = {kernel.input_axis: self.reads, kernel.output_axis: self.makes}
        return {"kernel": axes, "bias": {0: self.makes}}
