"""Range search takes, of the observers' grids, the one that the readers of an activation want."""

import dataclasses

import int8x
import numpy as np
import pytest
from float_nets import Net
from int8x.methods.draft import Draft
from int8x.methods.range_search import SEARCHED, search_ranges
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph
from uneven_nets import SHAPE, gaussian, images

PLAIN = int8x.Recipe(io="float")
SEARCH = dataclasses.replace(PLAIN, range_search=True)
GAIN_DB = 6.0


def saturating(seed: int) -> Graph:
    """LOGISTIC, to which nothing beyond about 8 matters, before a convolution."""
    net = Net(seed)
    graph = net.done(net.conv(net.add("LOGISTIC", [net.input(*SHAPE)], *SHAPE), 8))
    gaussian(net)
    return graph


def with_outliers(samples: int, seed: int) -> np.ndarray:
    """One value in 2000 is a hundred times too large."""
    data, random = images(samples, seed), np.random.default_rng(seed)
    data[random.random(data.shape) < 1 / 2000] *= 100
    return data


def sqnr(graph: Graph, coded: Graph, data: np.ndarray) -> float:
    report = int8x.validate(graph, coded, data)
    return report.tensor(report.outputs[0]).sqnr_db


@pytest.mark.parametrize("seed", range(3))
def test_outliers_that_no_reader_cares_for_are_cut_off(seed):
    graph, data = saturating(seed), with_outliers(128, seed)
    plain, searched = (int8x.quantize(graph, data=data, recipe=r) for r in (PLAIN, SEARCH))
    unseen = with_outliers(64, seed + 100)
    before, after = sqnr(graph, plain, unseen), sqnr(graph, searched, unseen)
    print(f"seed {seed}: {before:.1f} to {after:.1f} dB")
    assert after > before + GAIN_DB
    source = searched.quantization.grids["x/int8"].source
    assert not source.startswith("minmax") and source.endswith(SEARCHED)


def test_outliers_that_carry_the_output_stay():
    """A model output is its own reader: cutting its largest values off costs the most."""
    net = Net(0)
    graph = net.done(net.conv(net.input(*SHAPE), 8))
    gaussian(net)
    data = with_outliers(128, 0)
    searched = int8x.quantize(graph, data=data, recipe=int8x.Recipe(range_search=True))
    minmax = int8x.quantize(graph, data=data, recipe="minmax")
    output = graph.main.outputs[0].name
    grids = (g.quantization.grids[output] for g in (searched, minmax))
    assert next(grids).same_grid(next(grids))


def test_tensors_that_share_a_grid_get_one_together():
    net = Net(1)
    x = net.input(*SHAPE)
    a, b = net.conv(x, 4), net.conv(x, 6)
    c = net.concat([a, b])
    graph = net.done(net.add("LOGISTIC", [c], *c.shape))
    gaussian(net)
    data = with_outliers(64, 1)
    plain, searched = (int8x.quantize(graph, data=data, recipe=r) for r in (PLAIN, SEARCH))
    assert [op.kind for op in plain.main.operators] == [op.kind for op in searched.main.operators]
    grids = searched.quantization.grids
    assert grids[a.name].same_grid(grids[c.name]) and grids[b.name].same_grid(grids[c.name])
    assert grids[c.name].source.endswith(SEARCHED)


def test_given_ranges_and_fixed_grids_stay():
    graph, data = saturating(2), with_outliers(32, 2)
    graph.ranges["x"] = int8x.QuantParams(0.125, 3, source="qat")
    chosen = search_ranges(
        prepare(graph.copy()),
        Draft(PLAIN, int8x.calibrate(graph, data)),
        [[s[None]] for s in data],
    )
    assert chosen.ranges["x"] == int8x.QuantParams(0.125, 3, source="qat")
    assert chosen.main.operators[0].outputs[0].range is None
    assert chosen.main.outputs[0].range.source.endswith(SEARCHED)
