"""A hash of what a graph computes: statistics carry it, so that they are used with their own model
only.
"""

import hashlib
from typing import Any

import numpy as np

from int8x.tflite.subgraph import Operator, Subgraph, Tensor


def fingerprint(subgraphs: list[Subgraph]) -> str:
    """SHA-256, as hex, over tensors, constants, operators and their options, in order.

    It does not depend on the layout of the file, nor on ranges, metadata or descriptions.
    """
    digest = hashlib.sha256()
    for subgraph in subgraphs:
        index = {tensor: i for i, tensor in enumerate(subgraph.tensors)}
        parts = [_tensor(tensor) for tensor in subgraph.tensors]
        parts += [_operator(op, index) for op in subgraph.operators]
        parts += [[index[t] for t in side] for side in (subgraph.inputs, subgraph.outputs)]
        for part in parts:
            digest.update(repr(part).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _tensor(tensor: Tensor) -> Any:
    constant = None if tensor.buffer is None else hashlib.sha256(tensor.buffer.data).hexdigest()
    quant = None if tensor.quant is None else tensor.quant.to_json()
    kind = (tensor.dtype, tensor.shape, tensor.signature, tensor.is_variable)
    return [tensor.name, *kind, constant, quant]


def _operator(op: Operator, index: dict[Tensor, int]) -> Any:
    inputs = [None if tensor is None else index[tensor] for tensor in op.inputs]
    outputs = [index[tensor] for tensor in [*op.outputs, *op.intermediates]]
    fields = {} if op.options is None else vars(op.options)
    options = {n: np.asarray(f).tolist() for n, f in sorted(fields.items()) if f is not None}
    return [op.kind, op.version, op.custom_code, op.custom_options, inputs, outputs, options]
