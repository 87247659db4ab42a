"""Rewrites a float subgraph at the precision of each operator, once every grid is chosen."""

import dataclasses
import math
from typing import Any

from int8x.quantization.constants import Constants
from int8x.quantization.grids import Grids, constant_grid
from int8x.quantization.markers import reads_integers
from int8x.quantization.precision import BITS, Precision
from int8x.quantization.precision_rules import int16_version
from int8x.quantization.rules import RULES, version_for
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

_FLOAT = ("FLOAT32", None, None)
IO_BITS = {"int8": 8, "uint8": 8, "int16": 16}


def lower(graph: Graph, grids: Grids, precision: Precision) -> dict[str, QuantParams]:
    """Gives the operators of the first subgraph their precision, with conversions where types or
    grids meet, and those of the others their weights, in place.

    Returns the grid of each tensor that was quantized, weights and biases included, by name.
    """
    lowering = _Lowering(graph, grids, precision)
    lowering.run()
    sources = {**lowering.sources, **lowering.constants.sources}
    for subgraph in graph.subgraphs[1:]:
        sources |= _store_weights(subgraph, precision)
    graph.compact()
    return {tensor.name: grid for tensor, grid in sources.items()}


class _Lowering:
    def __init__(self, graph: Graph, grids: Grids, precision: Precision):
        self.graph, self.subgraph, self.grids = graph, graph.main, grids
        self.precision, self.io = precision, precision.recipe.io
        # Read before any tensor changes its type: what is float now is what must be quantized.
        self.data_inputs = {
            op: RULES[op.kind].data_inputs(op)
            for op, compute in precision.compute.items()
            if compute in BITS
        }
        self.forms: dict[
            Tensor, dict[Any, Tensor]
        ] = {}  # of each float activation: its versions by type and grid
        self.home: dict[Tensor, Tensor] = {}
        self.constants = Constants(self.subgraph)
        self.emitted: list[Operator] = []
        self.sources: dict[Tensor, QuantParams] = {}

    def run(self) -> None:
        subgraph, floats = self.subgraph, [t for t in self.subgraph.tensors if t.is_float]
        self.names = {tensor: tensor.name for tensor in floats}
        subgraph.inputs = [self.input(t) for t in subgraph.inputs]
        for op in subgraph.operators:
            if reads_integers(op):
                self.read(op)
                continue
            if op in self.data_inputs:
                self.lower(op)
            else:
                op.inputs = [self.form(t, None) if t is not None else None for t in op.inputs]
                compute = self.precision.compute.get(op)
                per_channel = self.precision.per_channel.get(op, True)
                self.emitted += self.constants.store(op, compute, per_channel)
            self.emitted.append(op)
            self.land(op)
        subgraph.outputs = [self.output(t) for t in subgraph.outputs]
        subgraph.operators = self.emitted
        for tensor in floats:
            tensor.range = None

    # Activations: one float tensor may live as float and on several grids.

    def read(self, op: Operator) -> None:
        """A model input of integers serves as it is, or is converted once, to what is wanted."""
        coded, tensor = op.inputs[0], op.outputs[0]
        self.forms[tensor], self.home[tensor] = {}, coded
        if coded.dtype == "INT8":
            self.forms[tensor][_key(coded.grid)] = coded

    def land(self, op: Operator) -> None:
        """Notes the type in which an operator leaves its results."""
        for i, tensor in enumerate(op.outputs):
            if op in self.data_inputs and tensor.is_float:
                self.settle(tensor, tensor, self.written(op, i))
            elif tensor.is_float:
                self.forms[tensor], self.home[tensor] = {_FLOAT: tensor}, tensor

    def written(self, op: Operator, index: int) -> QuantParams:
        """The grid of an integer operator's result."""
        nominal = self.grids.nominal[op.outputs[index], self.bits(op)]
        return self.grids.writes.get((op, index), nominal)

    def bits(self, op: Operator) -> int:
        return BITS[self.precision.compute[op]]

    def settle(self, tensor: Tensor, form: Tensor, grid: QuantParams) -> None:
        """`form` is `tensor` on `grid`."""
        form.dtype, form.quant = f"INT{grid.bits}", grid
        self.forms.setdefault(tensor, {})[_key(grid)] = form
        self.home.setdefault(tensor, form)
        self.sources[form] = grid

    def form(self, tensor: Tensor, grid: QuantParams | None) -> Tensor:
        """The tensor as float (grid None) or on a grid; converted by a new operator when it does
        not exist yet.

        8 bits become 16 through float: no runtime after tflite-runtime 2.11's has a reference
        kernel for that QUANTIZE.
        """
        if tensor not in self.forms:
            return tensor
        key = _FLOAT if grid is None else _key(grid)
        forms = self.forms[tensor]
        if key not in forms:
            source = self.home[tensor]
            if grid is not None and grid.bits == 16 and source.dtype in ("INT8", "UINT8"):
                source = self.form(tensor, None)
            made = self.subgraph.add_tensor(
                self.names[tensor], tensor.shape, signature=tensor.signature
            )
            made.name = self.form_name(tensor, "float" if grid is None else f"int{grid.bits}")
            self.convert(source, made, grid)
            if grid is not None:
                self.settle(tensor, made, grid)
            forms[key] = made
        return forms[key]

    def convert(self, source: Tensor, result: Tensor, grid: QuantParams | None) -> None:
        """Appends the QUANTIZE to a grid, or the DEQUANTIZE, that makes `result`."""
        if grid is None:
            kind, options = "DEQUANTIZE", "DequantizeOptions"
            version = 3 if source.dtype == "INT16" else 2
        else:
            kind, options = "QUANTIZE", "QuantizeOptions"
            version = 2 if grid.bits == 16 else 1
        self.emitted.append(Operator(kind, [source], [result], make(options), version))

    def input(self, tensor: Tensor) -> Tensor:
        """The model's input in the recipe's type; operators read the forms that they need."""
        if not tensor.is_float:
            return tensor
        if self.io == "float":
            self.forms[tensor], self.home[tensor] = {_FLOAT: tensor}, tensor
            return tensor
        grid = self.grids.nominal[tensor, IO_BITS[self.io]]
        if self.io == "uint8":
            inner = self.subgraph.add_tensor(
                f"{self.names[tensor]}/int8", tensor.shape, signature=tensor.signature
            )
            tensor.dtype, tensor.quant = "UINT8", _unsigned(grid)
            self.convert(tensor, inner, grid)
            self.settle(tensor, inner, grid)
        else:
            self.settle(tensor, tensor, grid)
        return tensor

    def output(self, tensor: Tensor) -> Tensor:
        """The model's output in the recipe's type, under its name; an inner integer tensor steps
        aside.
        """
        if tensor.is_float and tensor.is_constant and self.io != "float":
            grid = self.grids.nominal[tensor, IO_BITS[self.io]]
            self.settle(tensor, self.constants.operand(tensor, grid), grid)
        if tensor not in self.forms:
            return tensor
        if self.io == "float":
            made = self.form(tensor, None)
        elif self.io == "uint8":
            inner = self.form(tensor, self.grids.nominal[tensor, 8])
            if "uint8" in self.forms[tensor]:
                made = self.forms[tensor]["uint8"]
            else:
                made = self.subgraph.add_tensor(
                    f"{self.names[tensor]}/uint8", tensor.shape, signature=tensor.signature
                )
                self.convert(inner, made, self.grids.nominal[tensor, 8])
                made.dtype, made.quant = "UINT8", _unsigned(self.grids.nominal[tensor, 8])
                self.forms[tensor]["uint8"] = made
        else:
            made = self.form(tensor, self.grids.nominal[tensor, IO_BITS[self.io]])
        if made is not tensor:
            self.stand_in(tensor, made)
        return made

    def stand_in(self, tensor: Tensor, made: Tensor) -> None:
        """`made` is the model's output in place of `tensor`: it takes its name, and its place in
        the signatures.
        """
        if tensor not in self.subgraph.inputs and made.name != self.names[tensor]:
            kind = "float" if tensor.is_float else tensor.dtype.lower()
            made.name, tensor.name = tensor.name, self.form_name(tensor, kind)
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
        """Makes an operator's activations, constants, weights and bias integers."""
        compute, bits = self.precision.compute[op], self.bits(op)
        read: dict[Tensor, QuantParams] = {}
        for i in self.data_inputs[op]:
            tensor = op.inputs[i]
            if tensor.is_constant:
                grid = self.constant_grid(op, i, bits)
                op.inputs[i] = self.constants.operand(tensor, grid)
            else:
                grid = self.grids.reads.get((op, i), self.grids.nominal[tensor, bits])
                op.inputs[i] = self.form(tensor, grid)
            read[op.inputs[i]] = op.inputs[i].grid
        for i, tensor in enumerate(op.outputs):
            if tensor.is_float:
                read[tensor] = self.written(op, i)
        if RULES[op.kind].weights is not None:
            data = op.inputs[(RULES[op.kind].data or (0,))[0]].grid
            per_channel = self.precision.per_channel[op]
            self.constants.weigh(op, compute, data, read[op.outputs[0]], per_channel)
        if bits == 16 and op.kind in ("ADD", "SUB"):
            # The schema's default is a kernel for scales that are powers of two only.
            op.options = op.options or make(f"{op.kind.capitalize()}Options")
            op.options.potScaleInt16 = False
        op.version = version_for(op, read) if bits == 8 else int16_version(op)

    def constant_grid(self, op: Operator, place: int, bits: int) -> QuantParams:
        """The grid of a constant operand: its own, or the operator's where all must share one."""
        if RULES[op.kind].scales == "same":
            return self.written(op, next(i for i, t in enumerate(op.outputs) if t.is_float))
        needed = self.grids.needed.get((op, place), (-math.inf, math.inf))
        return constant_grid(op.inputs[place], bits, *needed)


def _store_weights(subgraph: Subgraph, precision: Precision) -> dict[Tensor, QuantParams]:
    """Stores weights of an inner subgraph smaller; the grids of those that were quantized."""
    constants, operators = Constants(subgraph), []
    for op in subgraph.operators:
        compute, per_channel = precision.compute.get(op), precision.per_channel.get(op, True)
        operators += [*constants.store(op, compute, per_channel), op]
    subgraph.operators = operators
    return constants.sources


def _key(grid: QuantParams) -> tuple[str, Any, Any]:
    return (f"INT{grid.bits}", grid.scale, grid.zero_point)


def _unsigned(grid: QuantParams) -> QuantParams:
    return dataclasses.replace(grid, zero_point=grid.zero_point + 128)
