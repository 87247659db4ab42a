"""What is wrong with a quantized model, or wasted in it, though runtimes may load it: LINTS, one
small function each.
"""

from int8x.lints import activations, structure, weights
from int8x.lints.finding import Finding, Lint, Place
from int8x.tflite.graph import Graph

# error: the model computes something else than it should, or a runtime refuses or aborts.
# warning: accuracy or speed is lost for nothing. note: worth a look.
LINTS: list[Lint] = [
    Lint("error", weights.bias_scale),
    Lint("error", weights.bias_scale_refused),
    Lint("error", weights.bias_grid),
    Lint("error", weights.channel_axis),
    Lint("error", weights.weight_zero_point),
    Lint("warning", weights.weight_range),
    Lint("note", weights.channel_scale_spread),
    Lint("error", weights.missing_bias),
    Lint("error", activations.unequal_scales),
    Lint("error", activations.fixed_output),
    Lint("error", activations.int16_zero_point),
    Lint("error", activations.output_scale_too_small),
    Lint("warning", activations.unused_negatives),
    Lint("warning", structure.float_island),
    Lint("warning", structure.missed_fusion),
    Lint("warning", structure.needless_conversion),
    Lint("warning", structure.version_too_high),
    Lint("warning", structure.wide_softmax),
]


def find(graph: Graph) -> tuple[Finding, ...]:
    """Every finding of every lint, in the order of the operators.

    >>> [str(finding) for finding in find(Graph.load("model.int8.tflite"))]
    """
    found = []
    for number, subgraph in enumerate(graph.subgraphs):
        links = subgraph.links()
        for index, op in enumerate(subgraph.operators):
            place = Place(subgraph, index, op, links)
            for lint in LINTS:
                for tensor, wanted, came in lint.check(place):
                    name = "" if tensor is None else tensor.name
                    kind = op.custom_code or op.kind if op.kind == "CUSTOM" else op.kind
                    where = (number, index, kind, name)
                    found.append(Finding(lint.name, lint.severity, *where, wanted, came))
    return tuple(found)


__all__ = ["LINTS", "Finding", "Lint", "Place", "find"]
