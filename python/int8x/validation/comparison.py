"""How close a model's values are to those they stand for: figures summed over samples, for one
tensor or for two models at their outputs.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from int8x.data import Samples, input_specs
from int8x.errors import ModelError
from int8x.runtime.coding import as_inputs, as_real
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Tensor

# Values of this size and beyond stand for "lowest" or "nothing here", as PADV2 has before a
# max-pool: they saturate on purpose, and one of them would hide every other error.
LARGEST_COMPARED = 1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """x: the values wanted, y: those that came, as reals, over all samples.

    sqnr_db: 10 log10(sum x^2 / sum (x - y)^2), inf when equal, -inf when x is all zero and y is
    not. max_error: max |x - y|. cosine: of x and y. saturated: share of x beyond y's grid by more
    than half a step. steps: integers from the smallest to the largest that occurred; of_steps: how
    many the type has, 256 or 65,536 (both 0 for floats). left_out: values that were not compared,
    being NaN, infinite or beyond 1e30 on either side, or masked from a SOFTMAX.
    """

    sqnr_db: float
    max_error: float
    cosine: float
    saturated: float
    steps: int
    of_steps: int
    left_out: int


class Sums:
    """The running sums behind Figures. quant: the grid of y, None for floats."""

    def __init__(self, quant: QuantParams | None) -> None:
        self.quant = quant
        self.signal = self.noise = self.product = self.power = self.max_error = 0.0
        self.count = self.clipped = self.left_out = self.of_steps = 0
        self.lowest, self.highest = math.inf, -math.inf

    def add(self, wanted: np.ndarray, came: np.ndarray) -> None:
        """wanted: reals; came: as many values as the model has them, integers or floats."""
        x = wanted.astype(np.float64).reshape(-1)
        y = as_real(came, self.quant).astype(np.float64).reshape(-1)
        sound = (np.abs(x) < LARGEST_COMPARED) & (np.abs(y) < LARGEST_COMPARED)
        if not sound.all():
            self.left_out += int(x.size - np.count_nonzero(sound))
            x, y, came = x[sound], y[sound], came.reshape(-1)[sound]
        self.signal += float(x @ x)
        self.power += float(y @ y)
        self.product += float(x @ y)
        error = np.abs(x - y)
        self.noise += float(error @ error)
        self.max_error = max(self.max_error, float(error.max(initial=0)))
        self.count += x.size
        if self.quant is not None and came.dtype.kind in "iu" and x.size:
            info = np.iinfo(came.dtype)
            self.of_steps = int(info.max) - int(info.min) + 1
            steps = x / self.quant.scale + self.quant.zero_point
            outside = (steps < info.min - 0.5) | (steps > info.max + 0.5)
            self.clipped += int(np.count_nonzero(outside))
            self.lowest = min(self.lowest, int(came.min()))
            self.highest = max(self.highest, int(came.max()))

    def figures(self) -> dict[str, Any]:
        """The fields of Figures."""
        if self.noise == 0:
            sqnr = math.inf
        else:
            sqnr = 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf
        norm = math.sqrt(self.signal) * math.sqrt(self.power)
        return {
            "sqnr_db": sqnr,
            "max_error": self.max_error,
            "cosine": min(max(self.product / norm, -1.0), 1.0) if norm else 1.0,
            "saturated": self.clipped / max(self.count, 1),
            "steps": int(self.highest - self.lowest + 1) if math.isfinite(self.lowest) else 0,
            "of_steps": self.of_steps,
            "left_out": self.left_out,
        }


def compare_outputs(
    reference: Graph,
    tested: Graph,
    data: Any,
    *,
    resolver: str = "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    num_threads: int = 1,
) -> tuple[Figures, ...]:
    """Runs both graphs on the same samples: the figures of each output, paired by position.

    data: see int8x.data, in the types of the reference's inputs. Raises ModelError when the
    interfaces do not correspond, DataError for bad data.

    >>> figures = compare_outputs(prepared, quantized, "samples.npy")
    >>> min(f.sqnr_db for f in figures)
    """
    check_interfaces(reference, tested)
    runners = (
        Runner(reference.to_bytes(), reference.origin, num_threads, keep_all=False),
        Runner(tested.to_bytes(), tested.origin, num_threads, resolver, keep_all=False),
    )
    sums = [Sums(tensor.quant) for tensor in tested.main.outputs]
    for sample in Samples(data, input_specs(reference)):
        runners[0].run(sample)
        runners[1].run(as_inputs(sample, tested.main.inputs))
        for place, tensor in enumerate(reference.main.outputs):
            wanted, came = runners[0].output(place), runners[1].output(place)
            check_sizes(tensor, wanted, came)
            sums[place].add(wanted, came)
    return tuple(Figures(**each.figures()) for each in sums)


def check_interfaces(reference: Graph, tested: Graph) -> None:
    """Raises ModelError unless both have as many inputs and outputs."""
    for side in ("inputs", "outputs"):
        counts = [len(getattr(graph.main, side)) for graph in (reference, tested)]
        if counts[0] != counts[1]:
            raise ModelError(
                f"{tested.origin}: it has {counts[1]} {side}, the float model {counts[0]}"
            )


def check_sizes(tensor: Tensor, wanted: np.ndarray, came: np.ndarray) -> None:
    """Raises ModelError unless both hold as many values."""
    if wanted.size != came.size:
        raise ModelError(
            f"tensor {tensor.name!r} has shape {wanted.shape} in the float model, {came.shape} in "
            "the other"
        )
