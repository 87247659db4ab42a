"""The operators with weights of a prepared graph beside their quantized forms."""

import copy
import dataclasses

import numpy as np

from int8x.methods.pieces import Piece
from int8x.quantization.rules import RULES, Weights
from int8x.runtime.coding import as_real
from int8x.tflite.graph import Graph
from int8x.tflite.schema import names
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

_INTEGERS = ("INT8", "INT4")


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """One operator with integer weights. op: in the prepared graph; coded: in the quantized one."""

    op: Operator
    coded: Operator
    place: Weights

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def data_index(self) -> int:
        return (RULES[self.op.kind].data or (0,))[0]

    @property
    def weights(self) -> Tensor:
        """The float weights."""
        return self.op.inputs[self.place.index]

    @property
    def coded_weights(self) -> Tensor:
        return self.coded.inputs[self.place.index]

    @property
    def coded_data(self) -> Tensor:
        """The activation that the quantized operator reads."""
        return self.coded.inputs[self.data_index]

    def bias(self) -> np.ndarray:
        """The float bias, zeros when there is none."""
        bias = self.op.input(self.place.bias)
        if bias is None:
            return np.zeros(self.op.outputs[0].shape[-1], np.float32)
        return bias.values.reshape(-1)

    def coded_bias(self) -> np.ndarray:
        """The bias as the quantized operator has it, in reals."""
        bias = self.coded.input(self.place.bias)
        return self.bias() if bias is None else as_real(bias.values, bias.quant).reshape(-1)


def find_layers(prepared: Graph, quantized: Graph) -> list[Layer]:
    """The layers of a prepared graph that got integer weights, in execution order.

    quantized: what the prepared graph was lowered to; its operators with weights stand in the same
    order.
    """
    pairs = zip(_weighted(prepared.main), _weighted(quantized.main), strict=True)
    layers = [Layer(op, coded, _place(op)) for op, coded in pairs]
    return [
        layer
        for layer in layers
        if layer.coded_weights.is_constant and layer.coded_weights.dtype in _INTEGERS
    ]


def split_activations(graph: Graph) -> tuple[Graph, dict[str, int]]:
    """A float graph in which fused activations of operators with weights stand alone, and the index
    of the tensor before the activation, by the operator's name.
    """
    split = graph.copy()
    before: dict[str, Tensor] = {}
    for op in _weighted(split.main):
        name, kind = op.name, activation(op)
        before[name] = op.outputs[0]
        if kind == "NONE":
            continue
        result = op.outputs[0]
        plain = split.main.add_tensor(f"{name}/plain", result.shape, signature=result.signature)
        before[name], op.outputs[0] = plain, plain
        op.options = copy.copy(op.options)
        op.options.fusedActivationFunction = 0
        place = split.main.operators.index(op) + 1
        split.main.operators.insert(place, Operator(kind, [plain], [result]))
    return split, {name: split.main.tensors.index(tensor) for name, tensor in before.items()}


def activation(op: Operator) -> str:
    """The name of an operator's fused activation: "NONE", "RELU", ..."""
    number = getattr(op.options, "fusedActivationFunction", 0) or 0
    return names("ActivationFunctionType")[number]


def plain_piece(layer: Layer) -> tuple[Piece, list[Tensor]]:
    """The layer as a float model of its own, to its result before the activation, with the weights
    and the bias that the quantized operator has; and the activations of that operator that the
    model reads: the data, as reals, and whatever else is computed, an output's shape for instance.
    """
    op, weights = layer.op, layer.coded_weights
    inputs = list(op.inputs)
    inputs += [None] * (layer.place.bias + 1 - len(inputs))
    inputs[layer.place.index] = _constant("weights", as_real(weights.values, weights.quant))
    inputs[layer.place.bias] = _constant("bias", layer.coded_bias())
    read = {}
    for i, tensor in enumerate(inputs):
        if tensor is not None and not tensor.is_constant:
            coded = layer.coded.inputs[i]
            inputs[i] = Tensor(f"input{i}", coded.shape, tensor.dtype, signature=coded.signature)
            read[i] = inputs[i]
    options = copy.copy(op.options)
    options.fusedActivationFunction = 0
    result = Tensor(op.name, op.outputs[0].shape, signature=op.outputs[0].signature)
    part = [Operator(op.kind, inputs, [result], options, op.version)]
    return Piece(part, list(read.values()), [result]), [layer.coded.inputs[i] for i in read]


def set_bias(graph: Graph, layer: Layer, bias: np.ndarray) -> None:
    """Gives both forms of the layer a bias of their own, in the quantized one rounded to its
    grid.
    """
    index = layer.place.bias
    layer.op.inputs += [None] * (index + 1 - len(layer.op.inputs))
    old = layer.op.inputs[index]
    name = f"{layer.name}/bias" if old is None else old.name
    layer.op.inputs[index] = graph.main.add_constant(name, bias.astype(np.float32))
    coded = layer.coded.input(index)
    if coded is None:
        return
    made = Tensor(coded.name, coded.shape, coded.dtype, quant=coded.quant)
    if coded.quant is None:
        made.data = bias.astype(np.float32)
    else:
        steps = bias.astype(np.float64) / coded.quant.scales
        rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        info = np.iinfo(coded.values.dtype)
        limit = min(info.max, 2**62)
        made.data = np.clip(rounded, -limit, limit).astype(coded.values.dtype)
    layer.coded.inputs[index] = made


def _constant(name: str, array: np.ndarray) -> Tensor:
    tensor = Tensor(name, array.shape)
    tensor.data = array
    return tensor


def _place(op: Operator) -> Weights:
    place = RULES[op.kind].weights
    assert place is not None, op.kind
    return place


def _weighted(subgraph: Subgraph) -> list[Operator]:
    rules = ((op, RULES.get(op.kind)) for op in subgraph.operators)
    return [op for op, rule in rules if rule is not None and rule.weights is not None]
