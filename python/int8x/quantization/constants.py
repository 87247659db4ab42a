"""The integer and float16 constants of a lowered subgraph, each made once, whoever reads it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from int8x.errors import QuantizeError
from int8x.quantization.precision_rules import HYBRID, plain_constant, stored_weights
from int8x.quantization.rules import RULES, Weights
from int8x.quantization.weights import (
    check_multiplier,
    plain_scales,
    quantize_bias,
    quantize_constant,
    quantize_weights,
    weight_scales,
)
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Operator, Subgraph, Tensor


class Constants:
    """Constants of one subgraph while it is lowered. sources: the grid of each one made."""

    def __init__(self, subgraph: Subgraph):
        self.subgraph = subgraph
        self.made: dict[Any, Tensor] = {}
        self.sources: dict[Tensor, QuantParams] = {}
        self.opened: dict[Tensor, Tensor] = {}  # of a stored constant: its float form

    def operand(self, tensor: Tensor, grid: QuantParams) -> Tensor:
        """A constant operand on a grid of activations."""
        key = (tensor, grid.bits, grid.scale, grid.zero_point)
        return self._stored(key, tensor.name, lambda: quantize_constant(tensor, grid), grid)

    def weigh(
        self, op: Operator, compute: str, data: QuantParams, output: QuantParams, per_channel: bool
    ) -> None:
        """Gives an operator with integer activations its integer weights and bias.

        compute: "int8", "int8_w4" or "int16x8". data, output: grids of its input and result.
        """
        place = RULES[op.kind].weights
        assert place is not None, op.kind
        weights, bias, axis = op.inputs[place.index], op.input(place.bias), place.axis
        wide = compute == "int16x8"
        real = (
            np.zeros(weights.shape[axis], np.float32) if bias is None else bias.values.reshape(-1)
        )
        bits, scale = 4 if compute == "int8_w4" else 8, float(data.scale)
        scales = weight_scales(
            op, weights, real, axis, per_channel, scale, float(output.scale), bits, wide
        )
        source = op.inputs[(RULES[op.kind].data or (0,))[0]]
        assert source is not None, op.kind
        check_multiplier(op, source.name, data, scales, output, wide)
        op.inputs[place.index] = self.weights(weights, scales, axis, bits)
        coded, bias_scales = quantize_bias(op, real, scale, scales, wide)
        op.inputs += [None] * (place.bias + 1 - len(op.inputs))
        op.inputs[place.bias] = self._stored(
            (op if bias is None else bias, "bias", wide, bias_scales.tobytes()),
            f"{op.name}/bias" if bias is None else bias.name,
            lambda: coded,
            _grid(bias_scales, 0, "input scale times weight scale", 64 if wide else 32),
        )

    def weights(self, weights: Tensor, scales: np.ndarray, axis: int, bits: int = 8) -> Tensor:
        """The weights as int8 or INT4 with these scales."""
        source = "max of the weights"
        if weights.range is not None and np.array_equal(scales, weights.range.scales):
            source = weights.range.source
        return self._stored(
            (weights, "weights", axis, bits, scales.tobytes()),
            weights.name,
            lambda: quantize_weights(weights, scales, axis, bits),
            _grid(scales, axis, source, bits),
        )

    def store(self, op: Operator, compute: str | None, per_channel: bool) -> list[Operator]:
        """Gives an operator that computes in float the weights that its precision wants, and
        returns what must run before it.
        """
        place, before = stored_weights(op), []
        if compute == "float16":
            indices = [i for i, tensor in enumerate(op.inputs) if plain_constant(tensor)]
            before = [self.opened_half(op, i) for i in indices]
        elif compute == "dynamic" and place is not None:
            self.hybrid(op, place, per_channel)
        elif compute == "weight_only" and place is not None:
            before = [self.opened_weights(op, place, per_channel)]
        return [made for made in before if made is not None]

    def hybrid(self, op: Operator, place: Weights, per_channel: bool) -> None:
        """Gives an operator with float activations int8 weights, for its hybrid kernel."""
        per_channel &= RULES[op.kind].weights is not None  # BATCH_MATMUL takes one scale
        scales = plain_scales(op, op.inputs[place.index], place.axis, per_channel)
        if len(scales) == 1 and op.kind == "DEPTHWISE_CONV_2D":
            # Its kernel reads a scale for each channel, whatever there is.
            scales = np.repeat(scales, op.inputs[place.index].shape[place.axis])
        op.inputs[place.index] = self.weights(op.inputs[place.index], scales, place.axis)
        if hasattr(op.options, "asymmetricQuantizeInputs"):
            op.options.asymmetricQuantizeInputs = True
        op.version = HYBRID[op.kind][len(scales) > 1]

    def opened_weights(self, op: Operator, place: Weights, per_channel: bool) -> Operator | None:
        """Gives the operator weights that are stored as int8 and read through a DEQUANTIZE: the new
        operator, when there was none yet.
        """
        weights = op.inputs[place.index]
        scales = plain_scales(op, weights, place.axis, per_channel)
        stored = self.weights(weights, scales, place.axis)
        return self._open(op, place.index, stored, 5 if len(scales) > 1 else 2)

    def opened_half(self, op: Operator, index: int) -> Operator | None:
        """As opened_weights(), for any constant input stored as float16."""
        tensor = op.inputs[index]
        key = (tensor, "half")
        if key not in self.made:
            largest = float(np.abs(tensor.values).max(initial=0))
            if not largest <= float(np.finfo(np.float16).max):
                raise QuantizeError(f"{tensor.name}: {largest:g} does not fit float16")
            self.made[key] = self.subgraph.add_constant(
                tensor.name, tensor.values.astype(np.float16)
            )
        return self._open(op, index, self.made[key], 3)

    def _open(self, op: Operator, index: int, stored: Tensor, version: int) -> Operator | None:
        before = None
        if stored not in self.opened:
            name = f"{stored.name}/float"
            self.opened[stored] = self.subgraph.add_tensor(name, stored.shape)
            table = make("DequantizeOptions")
            before = Operator("DEQUANTIZE", [stored], [self.opened[stored]], table, version)
        op.inputs[index] = self.opened[stored]
        return before

    def _stored(
        self, key: Any, name: str, array: Callable[[], np.ndarray], grid: QuantParams
    ) -> Tensor:
        """A new constant, made once for each key; the first keeps the float constant's name."""
        if key not in self.made:
            taken = sum(1 for other in self.made if other[0] is key[0])
            kind = f"int{grid.bits}"
            name += f"/{kind}#{taken}" if taken else ""
            if grid.bits == 4:
                made = self.subgraph.add_constant(name, np.zeros(0, np.int8), grid)
                made.store_int4(array())
            else:
                made = self.subgraph.add_constant(name, array(), grid)
            self.made[key] = made
            self.sources[made] = grid
        return self.made[key]


def _grid(scales: np.ndarray, axis: int, source: str, bits: int) -> QuantParams:
    if len(scales) == 1:
        return QuantParams(float(scales[0]), 0, None, bits, source)
    return QuantParams(scales, 0, axis, bits, source)
