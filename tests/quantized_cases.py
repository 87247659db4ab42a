"""Models that int8x.quantize made, as cases to run elsewhere."""

import int8x
import numpy as np
from float_nets import on_grid, small_network
from float_operators import CASES, MORE, build
from operator_case import Case

SHAPE = (1, 8, 8, 3)


def quantized_cases() -> list[Case]:
    """A small network with each type of interface, and samples in that type."""
    cases = []
    for io, kind in (("int8", np.int8), ("uint8", np.uint8), ("float", np.float32)):
        graph = int8x.quantize(small_network(), data=on_grid(SHAPE), recipe={"io": io})
        feeds = on_grid(SHAPE, seed=1)
        if io != "float":
            low = np.iinfo(kind).min
            steps = np.random.default_rng(1).integers(low, low + 256, feeds.shape)
            feeds = steps.astype(kind)
        single = tuple((feed[None],) for feed in feeds)
        cases.append(Case("graph", f"int8x.quantize, {io}", graph.to_bytes(), single))
    return cases


def quantized_operators() -> list[Case]:
    """Each operator alone as int8x.quantize writes it, at the lowest version that it needs."""
    cases = []
    for name in (*CASES, *MORE):
        graph, samples = build(name)
        coded = int8x.quantize(graph, data=samples)
        steps = np.random.default_rng(2).integers(-128, 128, coded.main.inputs[0].shape)
        cases.append(Case("quantized", name, coded.to_bytes(), ((steps.astype(np.int8),),)))
    return cases
