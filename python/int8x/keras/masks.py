"""Masks: weights that stay exactly zero through every later step of every optimizer.

The mask is a variable in a sub-layer beside the kernel, saved with it; the kernel's `constraint`,
which Keras applies after each update, multiplies with it. Classes, configurations and weight files
stay plain.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from int8x.keras import private
from int8x.keras.prunable import Kernel, kernels_of

SUBLAYER = "_int8x_prune"
# From this share of zeros on a kernel counts as pruned: initializers and training leave none.
PRUNED = 0.05


class MaskState(private.StateLayer):
    """The mask of one kernel: True where a weight may differ from zero."""

    def __init__(self, host: str, shape: tuple[int, ...]) -> None:
        super().__init__(host, "int8x_prune")
        self.mask = self.add_weight(
            name="mask", shape=shape, initializer="ones", dtype="bool", trainable=False
        )


class MaskConstraint(keras.constraints.Constraint):
    """Multiplies with a mask, after the constraint that the variable had before."""

    def __init__(self, mask: keras.Variable, inner: Any) -> None:
        self.mask, self.inner = mask, inner

    def __call__(self, w: Any) -> Any:
        if self.inner is not None:
            w = self.inner(w)
        w = keras.ops.convert_to_tensor(w)
        return keras.ops.where(self.mask, w, keras.ops.zeros_like(w))


def mask_of(kernel: Kernel) -> np.ndarray | None:
    """The kernel's mask, or None when it has none."""
    constraint = kernel.variable.constraint
    if not isinstance(constraint, MaskConstraint):
        return None
    return constraint.mask.numpy()


def set_mask(model: keras.Model, kernel: Kernel, mask: np.ndarray) -> None:
    """Gives the kernel a mask, which a later call may only tighten, and zeroes what it hides.

    ValueError when the shapes differ.
    """
    if mask.shape != tuple(kernel.variable.shape):
        raise ValueError(
            f"{kernel.layer.name}: a mask of shape {tuple(kernel.variable.shape)} was wanted, got "
            f"{mask.shape}"
        )
    old = mask_of(kernel)
    if old is None:
        _hang(model, kernel)
    else:
        mask = mask & old
    kernel.variable.constraint.mask.assign(mask)
    apply_mask(kernel)


def apply_mask(kernel: Kernel) -> None:
    """Zeroes what the kernel's mask hides: for values that came past the optimizer."""
    mask = mask_of(kernel)
    if mask is not None:
        value = kernel.value()
        kernel.variable.assign(np.where(mask, value, 0).astype(value.dtype))


def _hang(model: keras.Model, kernel: Kernel) -> None:
    state = getattr(kernel.layer, SUBLAYER, None)
    if state is not None:  # of a kernel that the layer has no more
        private.remove_sublayer(kernel.layer, SUBLAYER)
    with private.scope_of(model):
        state = MaskState(kernel.layer.name, tuple(kernel.variable.shape))
    private.add_sublayer(kernel.layer, SUBLAYER, state)
    kernel.variable.constraint = MaskConstraint(state.mask, kernel.variable.constraint)


def remove_masks(model: keras.Model) -> None:
    """Takes masks away; the zeros stay as values, and the variables' own constraints return."""
    for kernel in kernels_of(model):
        if isinstance(kernel.variable.constraint, MaskConstraint):
            kernel.variable.constraint = kernel.variable.constraint.inner
    for layer in private.all_layers(model):
        if hasattr(layer, SUBLAYER):
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
    masked, changed = [], False
    for kernel in kernels_of(model):
        if mask_of(kernel) is None:
            stays = kernel.value() != 0
            if not stays.any() or stays.mean() > 1 - PRUNED:
                continue
            set_mask(model, kernel, stays)
            changed = True
        masked.append(kernel.layer.name)
    if changed:
        private.reset_functions(model)
    return masked


__all__ = ["MaskConstraint", "apply_mask", "keep_zeros", "mask_of", "remove_masks", "set_mask"]
