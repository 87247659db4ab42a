"""Rewrites a float subgraph into its int8 form, once every grid is chosen."""

import dataclasses
from typing import Any

import numpy as np

from int8x.graph import Graph
from int8x.grids import Grids
from int8x.quant_params import QuantParams, from_range
from int8x.recipe import Recipe
from int8x.rules import RULES, Weights, version_for
from int8x.schema import make
from int8x.subgraph import Operator, Tensor
from int8x.weights import (
    check_multiplier,
    quantize_bias,
    quantize_constant,
    quantize_weights,
    weight_scales,
)

_FLOAT = ("FLOAT32", None, None)


def lower(
    graph: Graph, operators: list[Operator], grids: Grids, recipe: Recipe
) -> dict[str, QuantParams]:
    """Makes `operators` of the first subgraph int8, with conversions where types or grids meet, in
    place.

    Returns the grid of each tensor that was quantized, weights and biases included, by name.
    """
    lowering = _Lowering(graph, operators, grids, recipe)
    lowering.run()
    return {tensor.name: grid for tensor, grid in lowering.sources.items()}


class _Lowering:
    def __init__(self, graph: Graph, operators: list[Operator], grids: Grids, recipe: Recipe):
        self.graph, self.subgraph, self.recipe, self.grids = graph, graph.main, recipe, grids
        # Read before any tensor changes its type: what is float now is what must be quantized.
        self.data_inputs = {op: RULES[op.kind].data_inputs(op) for op in operators}
        self.forms: dict[
            Tensor, dict[Any, Tensor]
        ] = {}  # of each float activation: its versions by type and grid
        self.home: dict[Tensor, Tensor] = {}
        self.constants: dict[Any, Tensor] = {}
        self.emitted: list[Operator] = []
        self.sources: dict[Tensor, QuantParams] = {}

    def run(self) -> None:
        subgraph, floats = self.subgraph, [t for t in self.subgraph.tensors if t.is_float]
        self.names = {tensor: tensor.name for tensor in floats}
        subgraph.inputs = [self.input(t) if t in self.grids.nominal else t for t in subgraph.inputs]
        for op in subgraph.operators:
            if op in self.data_inputs:
                self.lower(op)
            else:
                op.inputs = [self.form(t, None) if t is not None else None for t in op.inputs]
            self.emitted.append(op)
            self.land(op)
        subgraph.outputs = [
            self.output(t) if t in self.grids.nominal else self.form(t, None)
            for t in subgraph.outputs
        ]
        subgraph.operators = self.emitted
        for tensor in floats:
            tensor.range = None
        self.graph.compact()

    # Activations: one float tensor may live as float and on several grids.

    def land(self, op: Operator) -> None:
        """Notes the type in which an operator leaves its results."""
        for i, tensor in enumerate(op.outputs):
            if op in self.data_inputs and tensor.is_float:
                grid = self.grids.writes.get((op, i), self.grids.nominal[tensor])
                self.settle(tensor, tensor, grid)
            elif tensor.is_float:
                self.forms[tensor], self.home[tensor] = {_FLOAT: tensor}, tensor

    def settle(self, tensor: Tensor, form: Tensor, grid: QuantParams) -> None:
        """`form` is `tensor` on `grid`."""
        form.dtype, form.quant = "INT8", grid
        self.forms.setdefault(tensor, {})[_key(grid)] = form
        self.home.setdefault(tensor, form)
        self.sources[form] = grid

    def form(self, tensor: Tensor, grid: QuantParams | None) -> Tensor:
        """The tensor as float (grid None) or on a grid; converted by a new operator when it does
        not exist yet.
        """
        if tensor not in self.forms:
            return tensor
        key = _FLOAT if grid is None else _key(grid)
        forms = self.forms[tensor]
        if key not in forms:
            made = self.subgraph.add_tensor(
                self.names[tensor], tensor.shape, signature=tensor.signature
            )
            made.name = self.form_name(tensor, "float" if grid is None else "int8")
            self.convert(self.home[tensor], made, grid)
            if grid is not None:
                self.settle(tensor, made, grid)
            forms[key] = made
        return forms[key]

    def convert(self, source: Tensor, result: Tensor, grid: QuantParams | None) -> None:
        kind, options, version = (
            ("DEQUANTIZE", "DequantizeOptions", 2)
            if grid is None
            else ("QUANTIZE", "QuantizeOptions", 1)
        )
        self.emitted.append(Operator(kind, [source], [result], make(options), version))

    def input(self, tensor: Tensor) -> Tensor:
        """The model's input in the recipe's type; operators read it as int8."""
        if not tensor.is_float:
            return tensor
        grid = self.grids.nominal[tensor]
        if self.recipe.io == "int8":
            self.settle(tensor, tensor, grid)
            return tensor
        inner = self.subgraph.add_tensor(
            f"{self.names[tensor]}/int8", tensor.shape, signature=tensor.signature
        )
        if self.recipe.io == "uint8":
            tensor.dtype, tensor.quant = "UINT8", _unsigned(grid)
            self.convert(tensor, inner, grid)
            self.settle(tensor, inner, grid)
        else:
            self.forms[tensor], self.home[tensor] = {_FLOAT: tensor}, tensor
            self.convert(tensor, inner, grid)
            self.forms[tensor][_key(grid)] = inner
            self.settle(tensor, inner, grid)
        return tensor

    def output(self, tensor: Tensor) -> Tensor:
        """The model's output in the recipe's type, under its name; an inner int8 tensor steps
        aside.
        """
        if tensor not in self.forms:
            return tensor
        if self.recipe.io == "int8":
            made = self.form(tensor, self.grids.nominal[tensor])
        elif self.recipe.io == "float":
            made = self.form(tensor, None)
        else:
            inner = self.form(tensor, self.grids.nominal[tensor])
            if "uint8" in self.forms[tensor]:
                made = self.forms[tensor]["uint8"]
            else:
                made = self.subgraph.add_tensor(
                    f"{self.names[tensor]}/uint8", tensor.shape, signature=tensor.signature
                )
                self.convert(inner, made, self.grids.nominal[tensor])
                made.dtype, made.quant = "UINT8", _unsigned(self.grids.nominal[tensor])
                self.forms[tensor]["uint8"] = made
        if made is not tensor:
            self.stand_in(tensor, made)
        return made

    def stand_in(self, tensor: Tensor, made: Tensor) -> None:
        """`made` is the model's output in place of `tensor`: it takes its name, and its place in
        the signatures.
        """
        if tensor not in self.subgraph.inputs and made.name != self.names[tensor]:
            made.name, tensor.name = (
                tensor.name,
                self.form_name(tensor, "float" if tensor.is_float else "int8"),
            )
        for signature in self.graph.signatures:
            for entry in signature.outputs or []:
                if entry.tensorIndex is tensor:
                    entry.tensorIndex = made

    def form_name(self, tensor: Tensor, kind: str) -> str:
        """A free name for one more form of an activation."""
        taken, number = {form.name for form in self.forms[tensor].values()}, 1
        base = name = f"{self.names[tensor]}/{kind}"
        while name in taken:
            number += 1
            name = f"{base}#{number}"
        return name

    # Operators

    def lower(self, op: Operator) -> None:
        rule = RULES[op.kind]
        read: dict[Tensor, QuantParams] = {}
        for i in self.data_inputs[op]:
            tensor = op.inputs[i]
            if tensor.is_constant:
                op.inputs[i] = self.constant(op, i, tensor)
            else:
                grid = self.grids.reads.get((op, i), self.grids.nominal[tensor])
                op.inputs[i] = self.form(tensor, grid)
            read[op.inputs[i]] = op.inputs[i].grid
        for i, tensor in enumerate(op.outputs):
            if tensor.is_float:
                read[tensor] = self.grids.writes.get((op, i), self.grids.nominal[tensor])
        if rule.weights is not None:
            self.lower_weights(op, rule.weights, read[op.outputs[0]])
        op.version = version_for(op, read)

    def constant(self, op: Operator, index: int, tensor: Tensor) -> Tensor:
        """A constant operand on its own grid, or on the operator's where all must share one."""
        if RULES[op.kind].scales == "same":
            output = next(i for i, t in enumerate(op.outputs) if t.is_float)
            grid = self.grids.writes.get((op, output), self.grids.nominal[op.outputs[output]])
        elif tensor.range is not None and tensor.range.axis is None:
            grid = tensor.range
        else:
            values = tensor.values
            grid = from_range(
                float(values.min(initial=0)), float(values.max(initial=0)), "its values"
            )
        return self.stored(
            (tensor, _key(grid)), tensor.name, lambda: quantize_constant(tensor, grid), grid
        )

    def stored(self, key: Any, name: str, make: Any, grid: QuantParams) -> Tensor:
        """A new constant, made once for each key; the first keeps the float constant's name."""
        if key not in self.constants:
            taken = sum(1 for other in self.constants if other[0] is key[0])
            made = self.subgraph.add_constant(
                name + (f"/int8#{taken}" if taken else ""), make(), grid
            )
            self.constants[key] = made
            self.sources[made] = grid
        return self.constants[key]

    def lower_weights(self, op: Operator, place: Weights, output: QuantParams) -> None:
        weights, bias, axis = op.inputs[place.index], op.input(place.bias), place.axis
        data = op.inputs[(RULES[op.kind].data or (0,))[0]]
        input_scale = float(data.grid.scale)
        real = (
            np.zeros(weights.shape[axis], np.float32) if bias is None else bias.values.reshape(-1)
        )
        per_channel = self.recipe.weights == "per_channel"
        scales = weight_scales(
            op, weights, real, axis, per_channel, input_scale, float(output.scale)
        )
        check_multiplier(op, input_scale, scales, float(output.scale))
        source = "max of the weights"
        if weights.range is not None and not np.any(weights.range.zero_points):
            source = weights.range.source
        op.inputs[place.index] = self.stored(
            (weights, axis, scales.tobytes()),
            weights.name,
            lambda: quantize_weights(weights, scales, axis),
            _weight_grid(scales, axis, source, 8),
        )
        coded, bias_scales = quantize_bias(op, real, input_scale, scales)
        op.inputs += [None] * (place.bias + 1 - len(op.inputs))
        op.inputs[place.bias] = self.stored(
            (op if bias is None else bias, bias_scales.tobytes()),
            f"{op.name}/bias" if bias is None else bias.name,
            lambda: coded,
            _weight_grid(bias_scales, 0, "input scale times weight scale", 32),
        )


def _weight_grid(scales: np.ndarray, axis: int, source: str, bits: int) -> QuantParams:
    if len(scales) == 1:
        return QuantParams(float(scales[0]), 0, None, bits, source)
    return QuantParams(scales, 0, axis, bits, source)


def _key(grid: QuantParams) -> tuple[str, Any, Any]:
    return ("INT8", grid.scale, grid.zero_point)


def _unsigned(grid: QuantParams) -> QuantParams:
    return dataclasses.replace(grid, zero_point=grid.zero_point + 128)
