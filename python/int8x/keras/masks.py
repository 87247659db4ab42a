"""Masks: weights that stay exactly zero through every later step of every optimizer.

The mask is a variable in a sub-layer beside the kernel, saved with it; the kernel's `constraint`,
which Keras applies after each update, multiplies with it. Classes, configurations and weight files
stay plain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from int8x.keras import private
from int8x.keras.prunable import Held, kernels_of

SUBLAYER = "_int8x_prune"
# From this share of zeros on a kernel counts as pruned: initializers and training leave none.
PRUNED = 0.05


class MaskState(private.StateLayer):
    """The masks of one layer by attribute: True where a value may differ from zero."""

    def __init__(self, host: str) -> None:
        super().__init__(host, "int8x_prune")
        self.masks: dict[str, keras.Variable] = {}

    def add(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """A mask of ones."""
        self.masks[name] = self.add_weight(
            name=f"{name}_mask", shape=shape, initializer="ones", dtype="bool", trainable=False
        )
        return self.masks[name]


class MaskConstraint(keras.constraints.Constraint):
    """Multiplies with a mask, after the constraint that the variable had before.

    chosen: the mask's value, for the fit of another model on JAX, whose step does not know it.
    """

    def __init__(self, mask: keras.Variable, inner: Any) -> None:
        self.mask, self.inner = mask, inner
        self.chosen: np.ndarray | None = None
        self.owner: Any = None  # the callback that chose it last

    def __call__(self, w: Any) -> Any:
        if self.inner is not None:
            w = self.inner(w)
        w = keras.ops.convert_to_tensor(w)
        mask = private.master_value(self.mask, self.chosen)
        return keras.ops.where(mask, w, keras.ops.zeros_like(w))


def is_masked(layer: keras.Layer) -> bool:
    """Whether a layer has masks."""
    return hasattr(layer, SUBLAYER)


def mask_of(held: Held) -> np.ndarray | None:
    """The variable's mask, or None when it has none."""
    constraint = held.variable.constraint
    if not isinstance(constraint, MaskConstraint):
        return None
    return constraint.mask.numpy()


def set_mask(model: keras.Model, held: Held, mask: np.ndarray) -> None:
    """Gives a variable a mask, which a later call may only tighten, and zeroes what it hides.

    ValueError when the shapes differ.
    """
    if mask.shape != tuple(held.variable.shape):
        raise ValueError(
            f"{held.label}: a mask of shape {tuple(held.variable.shape)} was wanted, got "
            f"{mask.shape}"
        )
    old = mask_of(held)
    if old is None:
        _hang(model, held)
    else:
        mask = mask & old
    held.variable.constraint.mask.assign(mask)
    held.variable.constraint.chosen = mask
    apply_mask(held)


def claim(kernels: Iterable[Held], owner: Any) -> None:
    """Notes who chooses the masks of kernels from now on."""
    for kernel in kernels:
        kernel.variable.constraint.owner = owner


def is_claimed(held: Held, owner: Any) -> bool:
    """Whether nobody else has claimed the variable's mask since."""
    return held.variable.constraint.owner is owner


def apply_mask(held: Held) -> None:
    """Zeroes what the variable's mask hides: for values that came past the optimizer."""
    mask = mask_of(held)
    if mask is not None:
        value = held.value()
        held.variable.assign(np.where(mask, value, 0).astype(value.dtype))


def _hang(model: keras.Model, held: Held) -> None:
    state, shape = getattr(held.layer, SUBLAYER, None), tuple(held.variable.shape)
    if state is None:
        with private.scope_of(model):
            state = MaskState(held.layer.name)
        private.add_sublayer(held.layer, SUBLAYER, state)
    mask = state.masks.get(held.name)
    if mask is None or tuple(mask.shape) != shape:  # or that of a variable which is no more there
        with private.scope_of(model):
            mask = state.add(held.name, shape)
    held.variable.constraint = MaskConstraint(mask, held.variable.constraint)


def remove_masks(model: keras.Model) -> None:
    """Takes masks away; the zeros stay as values, and the variables' own constraints return."""
    for variable in model.variables:
        if isinstance(variable.constraint, MaskConstraint):
            variable.constraint = variable.constraint.inner
    for layer in private.all_layers(model):
        if is_masked(layer):
            private.remove_sublayer(layer, SUBLAYER)


def keep_zeros(model: keras.Model) -> list[str]:
    """Gives every kernel that has been pruned, here or elsewhere, a mask over its exact zeros; the
    names of all layers with a mask.

    Kernels that have a mask keep it. A kernel counts as pruned when at least 5 percent of it, and
    not all, are exactly zero. PruningCallback, QATCallback and `qat` do this when they begin: only
    a plain fit of a model that was loaded from a file asks for it.

    Example:
        >>> model = keras.saving.load_model("pruned.keras")
        >>> int8x.keras.keep_zeros(model)
        ['conv2d', 'dense']
        >>> model.fit(x, y)
    """
    masked = []
    for kernel in kernels_of(model):
        if mask_of(kernel) is None:
            stays = kernel.value() != 0
            if not stays.any() or stays.mean() > 1 - PRUNED:
                continue
            set_mask(model, kernel, stays)
        masked.append(kernel.label)
    if masked:
        private.reset_functions(model)
    return masked


__all__ = ["MaskConstraint", "apply_mask", "keep_zeros", "mask_of", "remove_masks", "set_mask"]
