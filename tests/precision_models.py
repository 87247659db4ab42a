"""Models in every precision, with inputs, for the runtimes that must run them alike.

    python precision_models.py cases.npz

writes them with the outputs that ai-edge-litert's reference gives, as write_cases.py does.
"""

import sys
from collections.abc import Iterator

import int8x
import numpy as np
from float_nets import on_grid, small_network
from float_operators import CASES, MORE, SHAPE, build
from int8x import _native
from int8x.quantization.overrides import COMPUTES
from int8x.tflite.graph import Graph
from operator_case import Case
from write_cases import write

# FULLY_CONNECTED of tflite-runtime 2.14 rounds in fixed point (docs/numerics.md, section 6), and
# takes neither INT4 weights nor per-channel ones in its hybrid form; GELU has no int16 kernel.
NEWER = ("FULLY_CONNECTED", "GELU")


PRESETS = [compute for compute in COMPUTES if compute != "float"]

# Precisions with float activations: sums of floats may differ in their last bits.
FLOAT = ("dynamic", "weight_only", "float16")


def feed(graph: Graph, sample: np.ndarray) -> tuple[np.ndarray]:
    """A float sample in the type of the model's input."""
    (source,) = graph.main.inputs
    if source.quant is None:
        return (sample,)
    kind = np.int16 if source.dtype == "INT16" else np.int8
    info, grid = np.iinfo(kind), source.quant
    coded = _native.quantize(sample, grid.scale, grid.zero_point, info.min, info.max)
    return (coded.astype(kind),)


def models() -> Iterator[tuple[str, str, Graph]]:
    """Operator, precision and model: each operator alone where the precision takes it, and a whole
    network.
    """
    for name in (*CASES, *MORE):
        graph, samples = build(name)
        for preset in PRESETS:
            try:
                yield name, preset, int8x.quantize(graph, data=samples, recipe=preset)
            except int8x.QuantizeError:
                continue
    for preset in PRESETS:
        yield (
            "network",
            preset,
            int8x.quantize(small_network(), data=on_grid((1, 8, 8, 3)), recipe=preset),
        )


def cases(old: bool = False) -> list[Case]:
    """old: only what tflite-runtime 2.14 computes as the current ones do."""
    made = []
    for name, preset, graph in models():
        if old and any(op.kind in NEWER for op in graph.main.operators):
            continue
        samples = on_grid((1, 8, 8, 3) if name == "network" else SHAPE, samples=2)
        feeds = tuple(feed(graph, sample[None]) for sample in samples)
        # The reference kernels of 2.14 know no DEQUANTIZE per channel.
        resolver = "stock" if preset in FLOAT else "reference"
        case = Case(name.split(" ")[0], f"{name}, {preset}", graph.to_bytes(), feeds, resolver)
        made.append(case)
    return made


if __name__ == "__main__":
    write(sys.argv[1], cases(old=True))
