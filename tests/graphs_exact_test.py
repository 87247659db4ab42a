"""Random small graphs equal the reference bit for bit, in one partition or in several."""

import archs
import int8x
import numpy as np
import pytest
from exactness import THREADS, difference, reference_outputs, run
from float_nets import Net
from random_graphs import UNCLAIMED, random_graph

pytest_plugins = ("arch_report",)

SEEDS_PER_BLOCK = 40


def open_graph(case, seed, **options):
    """The arch and the thread count go round with the seed."""
    forced = ["auto", *archs.on_this_cpu()]
    options = {"arch": forced[seed % len(forced)], **options}
    threads = THREADS[seed % len(THREADS)]
    return int8x.Interpreter(case.model, threads, "ai_edge_litert", options, resolver="reference")


@pytest.mark.parametrize("block", range(10))
def test_random_graphs_equal_the_reference(block):
    for seed in range(block * SEEDS_PER_BLOCK, (block + 1) * SEEDS_PER_BLOCK):
        case, operators = random_graph(seed)
        interpreter = open_graph(case, seed)
        refused = [node.op for node in interpreter.claims.refused]
        assert refused == [UNCLAIMED] * operators.count(UNCLAIMED), case.name
        different = difference(
            reference_outputs(case.model, case.feeds), run(interpreter, case.feeds)
        )
        assert not different, f"{case.name}: {different}"


@pytest.mark.parametrize("denied", ["ADD,MUL", "CONV_2D", "QUANTIZE,MAX_POOL_2D,LOGISTIC"])
def test_graphs_cut_into_many_partitions_equal_the_reference(denied):
    most = 0
    for seed in range(60):
        case, operators = random_graph(seed)
        interpreter = open_graph(case, seed, deny_ops=denied)
        left_out = [*denied.split(","), UNCLAIMED]
        assert {node.op for node in interpreter.claims.refused} == {
            op for op in operators if op in left_out
        }, case.name
        different = difference(
            reference_outputs(case.model, case.feeds), run(interpreter, case.feeds)
        )
        assert not different, f"{case.name}: {different}"
        most = max(most, interpreter.claims.partitions)
    assert most >= 3


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("below, beside", [(1, 0), (0, 1), (3, 2)])
def test_one_pixel_is_read_where_a_pad_put_it(below, beside, stride, arch):
    """The PAD moves into the 1x1 convolution, which then must not read past its input."""
    net = Net()
    frame = net.constant(np.int32([[0, 0], [0, below], [0, beside], [0, 0]]))
    x = net.input(1, 6, 6, 32)
    padded = net.add("PAD", [x, frame], 1, 6 + below, 6 + beside, 32, options="PadOptions")
    graph = net.done(net.conv(padded, 64, size=1, stride=stride))
    data = np.random.default_rng(0).normal(size=(8, 6, 6, 32)).astype(np.float32)
    model = int8x.quantize(graph, data=data).to_bytes()
    feeds = [
        [np.random.default_rng(seed).integers(-128, 128, (1, 6, 6, 32)).astype(np.int8)]
        for seed in range(3)
    ]
    interpreter = int8x.Interpreter(model, options={"arch": arch})
    assert [step.op for step in interpreter.claims.steps] == ["CONV_2D"]
    assert not difference(reference_outputs(model, feeds), run(interpreter, feeds))
