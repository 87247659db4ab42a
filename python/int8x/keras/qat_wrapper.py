"""A layer that is trained quantization-aware, for models that are built layer by layer."""

from __future__ import annotations

from typing import Any

import keras

from int8x.keras import kinds, private
from int8x.keras.attention import is_attention
from int8x.keras.layer_wrapper import LayerWrapper, told_by, wrappers_of
from int8x.keras.settings import Settings

_ALIKE = ("weights", "activation_bits", "ranges")


@keras.saving.register_keras_serializable(package="int8x")
class QATWrapper(LayerWrapper):
    """Marks a layer to be trained as the int8 file computes, by QATCallback or `qat`.

    In a model with such wrappers `QATCallback()` rounds the wrapped layers, with what these say,
    and leaves other layers that have weights in float, also in the file, as its `exclude` does.
    What has no weights, and a BatchNormalization, is rounded wherever the file needs it. The
    wrapper is saved with the model, and has the layer's variables and outputs; a file exported from
    a model whose layers are all wrapped equals that of the same model without wrappers.

    Args:
        layer: a layer with an int8 form.
        weights, weight_bits, activation_bits, ranges: as QATCallback takes them. Wrappers of one
            model agree in all but weight_bits.

    Raises ValueError for values that are not known, a layer without an int8 form, a model, a layer
    that is wrapped so already; and in `fit` for wrappers that disagree.

    Example:
        >>> import keras, numpy, int8x
        >>> wrap = int8x.keras.QATWrapper
        >>> model = keras.Sequential([keras.Input((4,)), wrap(keras.layers.Dense(2))])
        >>> model.compile("adam", "mse")
        >>> x = numpy.random.rand(64, 4).astype("float32")
        >>> history = model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    """

    driver = "int8x.QATCallback"
    prefix = "qat_"

    def __init__(
        self,
        layer: keras.Layer,
        weights: str = "per_channel",
        weight_bits: int = 8,
        activation_bits: int = 8,
        ranges: str = "average",
        **kwargs: Any,
    ) -> None:
        super().__init__(layer, **kwargs)
        if kinds.kind_of(self.inner) == kinds.UNKNOWN and not is_attention(self.inner):
            raise ValueError(
                f"QATWrapper: a layer with an int8 form was wanted, got "
                f"{type(self.inner).__name__} {self.inner.name!r}: leave it unwrapped, it stays in "
                "float"
            )
        with told_by("QATCallback", f"QATWrapper {self.inner.name!r}"):
            self.settings = Settings(weights, weight_bits, activation_bits, ranges)

    def waits(self) -> bool:
        return not private.is_patched(self.inner)

    def get_config(self) -> dict[str, Any]:
        names = ("weights", "weight_bits", "activation_bits", "ranges")
        return {**super().get_config(), **{name: getattr(self.settings, name) for name in names}}


def wrapped_settings(model: keras.Model) -> Settings | None:
    """What the model's QATWrappers say, or None when it has none; ValueError when they disagree."""
    wrappers = wrappers_of(model, QATWrapper)
    if not wrappers:
        return None
    first = wrappers[0]
    for other in wrappers:
        for name in _ALIKE:
            one, two = getattr(first.settings, name), getattr(other.settings, name)
            if one != two:
                raise ValueError(
                    f"{model.name}: one {name} for all QATWrappers was wanted, got {one!r} of "
                    f"{first.name} and {two!r} of {other.name}"
                )
    whole = _names([w.inner for w in wrappers if w.settings.weight_bits == 8])
    fours = _names([w.inner for w in wrappers if w.settings.weight_bits == 4])
    narrow = bool(fours)
    if narrow and (both := sorted(set(whole) & set(fours))):
        raise ValueError(
            f"{model.name}: QATWrappers want weights of 8 and of 4 bits for layers of one name, "
            f"{', '.join(both)}: one of the two was wanted for all of them"
        )
    return Settings(
        first.settings.weights,
        4 if narrow else 8,
        first.settings.activation_bits,
        first.settings.ranges,
        exclude=_unwrapped(model, [wrapper.inner for wrapper in wrappers]),
        eight_bits=whole if narrow else (),
    )


def _names(layers: list[keras.Layer]) -> tuple[str, ...]:
    """The names of layers and of their parts."""
    parts = [part for layer in layers for part in (layer, *private.all_layers(layer))]
    return tuple(dict.fromkeys(part.name for part in parts))


def _unwrapped(model: keras.Model, layers: list[keras.Layer]) -> tuple[str, ...]:
    """The names of layers with weights that are not wrapped, nor part of one that is, and hold no
    wrapped one.
    """
    wrapped = {id(part) for layer in layers for part in (layer, *private.all_layers(layer))}
    found = []
    for layer in private.all_layers(model):
        kind, parts = kinds.kind_of(layer), {id(part) for part in private.all_layers(layer)}
        if id(layer) in wrapped or parts & wrapped:
            continue
        if isinstance(layer, (keras.Model, LayerWrapper)) or kind in (kinds.NORM, kinds.AFFINE):
            continue
        if layer.weights or kind in (kinds.WEIGHTS, kinds.SEPARABLE):
            found.append(layer.name)
            wrapped |= parts  # they go with it: in other layers these names may stand for others
    return tuple(dict.fromkeys(found))
