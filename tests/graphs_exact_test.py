"""Random small graphs equal the reference bit for bit, in one partition or in several."""

import archs
import int8x
import pytest
from exactness import THREADS, difference, reference_outputs, run
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
