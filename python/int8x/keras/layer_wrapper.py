"""What the wrappers have in common: they say how what they wrap is trained, and compute nothing.

A wrapper is its layer in everything but its configuration: the callbacks find it in the model and
do with its layer what they do with any. So files that are exported from a wrapped model and from
one of plain layers are the same.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from int8x.keras import private
from int8x.keras.attention import is_attention


class LayerWrapper(keras.layers.Wrapper):
    """A layer, or of `wraps_models` also a model, with a statement about it. `driver` names the
    callback that acts on it; `prefix` and the layer's name make its own.
    """

    driver = ""
    prefix = ""
    wraps_models = False

    def __init__(self, layer: keras.Layer, **kwargs: Any) -> None:
        kind = type(self).__name__
        if not isinstance(layer, keras.Layer):
            raise ValueError(f"{kind}: a Keras layer was wanted, got {layer!r}")
        if isinstance(layer, keras.Model) and not self.wraps_models:
            raise ValueError(
                f"{kind}: a layer was wanted, got the model {layer.name!r}: wrap its layers"
            )
        super().__init__(layer, **{"name": self.prefix + layer.name, **kwargs})
        if any(isinstance(one, type(self)) for one in self.wrapped()[1:]):
            raise ValueError(f"{kind}: {self.inner.name!r} has such a wrapper already")
        self.supports_masking = layer.supports_masking
        self._told = False

    def waits(self) -> bool:
        """Whether the layer trains as a plain one for want of the callback."""
        return False

    def wrapped(self) -> list[keras.Layer]:
        """This wrapper, those within it, and the layer itself."""
        found: list[keras.Layer] = [self]
        while isinstance(found[-1], LayerWrapper):
            found.append(found[-1].layer)
        return found

    @property
    def inner(self) -> keras.Layer:
        """The layer itself, within all wrappers."""
        return self.wrapped()[-1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic calls make the wrapper a node of the model; all others go to the layer."""
        tensors = keras.tree.flatten((args, kwargs))
        if not self.inner.built and is_attention(self.inner):
            _build(self.inner, args, kwargs)
        if not self.built or any(isinstance(t, keras.KerasTensor) for t in tensors):
            return super().__call__(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if training and not self._told and self.waits():
            self._told = True
            warnings.warn(
                f"{type(self).__name__} {self.name!r}: {self.driver} was wanted among the "
                "callbacks of fit, got none yet: the layer trains as a plain one",
                stacklevel=2,
            )
        if training is not None and _takes_training(self.layer):
            kwargs["training"] = training
        return self.layer(inputs, *args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if is_attention(self.inner):  # Keras tells a shape from that of the first input alone
            return self.layer.compute_output_spec(*args, **kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)


def _build(layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Builds a layer of several inputs, which Keras's wrappers build by the shape of the first."""
    given = inspect.signature(type(layer).call).bind(layer, *args, **kwargs).arguments
    names = [name.removesuffix("_shape") for name in inspect.signature(layer.build).parameters]
    shapes = {f"{name}_shape": given[name].shape for name in names if given.get(name) is not None}
    layer.build(**shapes)


def _takes_training(layer: keras.Layer) -> bool:
    return "training" in inspect.signature(type(layer).call).parameters


def wrappers_of(model: keras.Layer, kind: type[LayerWrapper]) -> list[Any]:
    """The wrappers of a class in a model, each once."""
    return [layer for layer in private.all_layers(model) if isinstance(layer, kind)]


@contextlib.contextmanager
def told_by(callback: str, wrapper: str) -> Iterator[None]:
    """Within, a ValueError that names the callback names the wrapper instead."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{wrapper}: {str(error).removeprefix(f'{callback}: ')}") from None
