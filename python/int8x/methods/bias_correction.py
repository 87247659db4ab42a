"""Bias correction: takes the mean error that quantization puts on a channel off its bias."""

from collections.abc import Sequence

import numpy as np

from int8x.calibration.tensor_stats import Accumulator
from int8x.data import Sample
from int8x.methods.adaround import ROUNDED
from int8x.methods.draft import Draft
from int8x.methods.layers import Layer, find_layers, plain_piece, set_bias, split_activations
from int8x.methods.pieces import Walk
from int8x.progress import Progress, silent
from int8x.runtime.coding import as_real
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph


def correct_biases(
    graph: Graph, draft: Draft, samples: Sequence[Sample], progress: Progress = silent
) -> Graph:
    """A prepared graph with corrected biases; its quantized form has, channel by channel, the float
    model's mean before the activation of each operator with integer weights.

        bias[c] += E[w x + bias][c] - E[w~ x~ + bias~][c]

    over samples and positions, where w~, bias~ and x~ are what the quantized operator holds and
    reads. Operators are corrected in execution order, so that each x~ has seen the corrections
    before it. Sums are exact (int8x.calibration.tensor_stats). Layers whose weights bring scales of
    their own were trained with their biases, and keep them.

    draft: quantizes on trial. Empirical bias correction, Nagel et al. 2019,
    section 4.2 (arXiv:1906.04721).

    >>> corrected = correct_biases(graph, draft, samples)
    """
    corrected = graph.copy()
    quantized = draft.quantized(corrected)
    layers = [layer for layer in find_layers(corrected, quantized) if not _trained(layer)]
    with progress("bias correction", len(layers), 0) as advance:
        wanted = _float_means(corrected, {layer.name for layer in layers}, samples)
        walk = Walk(quantized, samples)
        for layer in layers:
            walk.until(layer.coded)
            (piece, read), came = plain_piece(layer), Accumulator()
            for each in zip(*map(walk.value, read), strict=True):
                reals = [as_real(x, t.quant) for x, t in zip(each, read, strict=True)]
                came.add(piece.run(reals)[0])
            error = came.stats.channel_means() - wanted[layer.name]
            set_bias(corrected, layer, layer.bias().astype(np.float64) - error)
            advance()
    corrected.compact()
    return corrected


def _trained(layer: Layer) -> bool:
    given = layer.weights.range
    return given is not None and given.source != ROUNDED


def _float_means(graph: Graph, names: set[str], samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Per channel, each operator's mean before its activation in the float model."""
    split, places = split_activations(graph)
    means = {name: Accumulator() for name in places if name in names}
    runner = Runner(split.to_bytes(), split.origin, 1)
    for sample in samples:
        runner.run(sample)
        for name, mean in means.items():
            mean.add(runner.value(places[name]))
    return {name: mean.stats.channel_means() for name, mean in means.items()}
