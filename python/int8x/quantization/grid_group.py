"""Tensors that share one integer grid, while grids are being chosen."""

from int8x.tflite.quant_params import QuantParams, real_range
from int8x.tflite.subgraph import Tensor

Range = tuple[float, float]


class GridGroup:
    """Tensors on one grid of 8 or 16 bits. pin: the grid they must have, if any."""

    def __init__(self, tensor: Tensor, bits: int):
        self.tensors = [tensor]
        self.bits = bits
        self.pin: QuantParams | None = None
        self.range: Range | None = None
        self.source = ""
        self.least_scale = 0.0

    def cover(self, low: float, high: float, source: str = "") -> None:
        if self.range is not None:
            low, high = min(low, self.range[0]), max(high, self.range[1])
        self.range, self.source = (low, high), self.source or source

    def real(self) -> Range | None:
        return real_range(self.pin) if self.pin is not None else self.range
