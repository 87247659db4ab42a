"""Activations that are a chain of operators in TFLite, whose tensors between are rounded too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from keras import ops

from int8x.keras import kinds
from int8x.keras.tensors import Tensor

if TYPE_CHECKING:
    from int8x.keras.forward import Forward
    from int8x.keras.plan import CallPlan

Grid = tuple[float, int]


class _Steps:
    """The operators of one call's activation; `source` is the group of its input."""

    def __init__(self, forward: Forward, plan: CallPlan, source: int | None) -> None:
        self.forward, self.plan, self.source = forward, plan, source

    def round(self, name: str, y: Tensor) -> Tensor:
        """The tensor `name` on its grid."""
        return self.forward.round(self.plan.inside[name], y)

    def times(self, x: Tensor, name: str, y: Tensor) -> Tensor:
        """The input x times y, which becomes the tensor `name`: the activation's last operator."""
        y = self.round(name, y)
        if self.source is None or not self.forward.sees_products(self.plan):
            return x * y
        group = self.plan.inside[name].group
        return self.forward.accumulators.product(x * y, self.source, group, self.plan.end)


def _silu(steps: _Steps, x: Tensor) -> Tensor:
    return steps.times(x, "sigmoid", ops.sigmoid(x))


def _hard_sigmoid(steps: _Steps, x: Tensor) -> Tensor:
    return steps.round("moved", ops.relu6(x + 3.0)) * (1.0 / 6.0)


def _softplus(steps: _Steps, x: Tensor) -> Tensor:
    """RELU(x) - LOG(LOGISTIC(ABS(x))), whose tensors all have few steps of use, as in
    int8x.quantization.equivalents.
    """
    magnitude = steps.round("magnitude", ops.abs(x))
    likelihood = steps.round("likelihood", ops.sigmoid(magnitude))
    log = steps.round("log", ops.log(likelihood))
    return steps.round("positive", ops.relu(x)) - log


def _mish(steps: _Steps, x: Tensor) -> Tensor:
    softplus = steps.round("softplus", _softplus(steps, x))
    return steps.times(x, "tanh", ops.tanh(softplus))


_SOFTPLUS = ("magnitude", "likelihood", "log", "positive")
_CHAINS: dict[str, tuple[Callable[[_Steps, Tensor], Tensor], tuple[str, ...]]] = {
    "silu": (_silu, ("sigmoid",)),
    "hard_sigmoid": (_hard_sigmoid, ("moved",)),
    "softplus": (_softplus, _SOFTPLUS),
    "mish": (_mish, (*_SOFTPLUS, "softplus", "tanh")),
}


def tensors(name: str, bits: int) -> dict[str, Grid | None]:
    """The tensors between the operators of the activation `name`, in order, with the grid of those
    that have the same whatever is seen; none for one that is a single operator.

    >>> tensors("silu", 8)
    {'sigmoid': (0.00390625, -128)}
    """
    fixed = kinds.FIXED_GRIDS[bits]
    scale, zero_point = fixed["hard_sigmoid"]
    grids = {
        "sigmoid": fixed["sigmoid"],
        "likelihood": fixed["sigmoid"],
        "tanh": fixed["tanh"],
        "moved": (6 * scale, zero_point),
    }
    _, names = _CHAINS.get(name, (None, ()))
    return {tensor: grids.get(tensor) for tensor in names}


def activated(forward: Forward, plan: CallPlan, name: str, x: Tensor, source: int | None) -> Tensor:
    """What the activation `name`, which has tensors between its operators, makes of x."""
    compute, _ = _CHAINS[name]
    return compute(_Steps(forward, plan, source), x)
