"""Fake-quant nodes over weights become the rounded weights: plain constants on their grid.

TFMOT rounds weights in the graph. Left there, TensorFlow's converter makes quantized constants of
some and stumbles over others (per channel, before a matrix product); constants it only moves and
folds, and int8x finds their grid again (int8x.quantization.markers).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_FAKE_QUANT = ("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")


def bake_weights(frozen: Any) -> Any:
    """A concrete function without variables, with its fake-quant nodes over constants evaluated;
    those over activations stay, with constant ends.
    """
    definition = frozen.graph.as_graph_def()
    varying = _depending(definition, {tensor.op.name for tensor in frozen.inputs})
    nodes = {node.name: node for node in definition.node}
    wanted = []
    for node in definition.node:
        if node.op in _FAKE_QUANT:
            wanted += [f"{node.name}:0"] if node.name not in varying else _ends(node, varying)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run(wanted)
    for name, value in zip(wanted, values, strict=True):
        node = nodes[name.split(":")[0]]
        dtype = tf.as_dtype(value.dtype)
        node.Clear()
        node.name, node.op = name.split(":")[0], "Const"
        node.attr["dtype"].type = dtype.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))
    inputs = [tensor.name for tensor in frozen.inputs]
    outputs = [tensor.name for tensor in frozen.outputs]
    wrapped = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(definition, name=""), []
    )
    return wrapped.prune(inputs, outputs)


def _depending(definition: Any, sources: set[str]) -> set[str]:
    """The names of all nodes that depend on the sources."""
    readers: dict[str, list[str]] = {}
    for node in definition.node:
        for source in node.input:
            readers.setdefault(_name(source), []).append(node.name)
    found, pending = set(sources), list(sources)
    while pending:
        for reader in readers.get(pending.pop(), ()):
            if reader not in found:
                found.add(reader)
                pending.append(reader)
    return found


def _ends(node: Any, varying: set[str]) -> list[str]:
    """The tensors that give a fake-quant node its ends, unless they are computed from inputs."""
    names = [_name(source) for source in node.input[1:3]]
    return [f"{name}:0" for name in names if name not in varying]


def _name(source: str) -> str:
    return source.lstrip("^").split(":")[0]
