"""Whole networks, made int8 by TensorFlow's converter, become one partition and equal the reference
bit for bit.
"""

import sys
from pathlib import Path

import int8x
import numpy as np
import pytest
from exactness import THREADS, difference, reference_outputs, run
from int8x.benchmarking import random_input
from int8x.tflite.graph import Graph

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from networks import NETWORKS, application_network, build

# The large ones at 96 x 96, so that building and the reference kernels stay within seconds, and
# with 100 classes: the reference's SOFTMAX ends the process on 512 equal logits.
LARGE = {
    "mobilenet_v1": application_network("mobilenet_v1", "MobileNet", 96, classes=100),
    "mobilenet_v2": application_network("mobilenet_v2", "MobileNetV2", 96, classes=100),
    "resnet_50": application_network("resnet_50", "ResNet50", 96, classes=100),
}
SMALL = {name: NETWORKS[name] for name in ("mobilenet_v1_0.25_96", "resnet_8_32", "ds_cnn")}


@pytest.fixture(scope="module", params=[*LARGE, *SMALL])
def content(request) -> bytes:
    return build((LARGE | SMALL)[request.param])


def feeds(content: bytes, count: int) -> list[list[np.ndarray]]:
    details = int8x.Interpreter(content, resolver="stock").get_input_details()
    return [[random_input(d["shape"], d["dtype"], seed) for d in details] for seed in range(count)]


def with_inner_outputs(content: bytes) -> bytes:
    """The same network with every fourth tensor, and the logits, as outputs too: softmax hides what
    lies before it.
    """
    graph = Graph.from_bytes(content)
    inner = [op.outputs[0] for op in graph.main.operators[:-1]]
    graph.main.outputs += inner[::-1][::4]
    graph.signatures.clear()
    return graph.to_bytes()


def test_a_network_is_one_partition(content):
    claims = int8x.Interpreter(content, runtime="ai_edge_litert").claims
    assert [f"{node.op}: {node.reason}" for node in claims.refused] == []
    assert claims.partitions == 1
    assert claims.claimed_ops == claims.claimed_macs == 1


def test_a_network_and_its_inner_tensors_equal_the_reference(content):
    inputs = feeds(content, 2)
    opened = with_inner_outputs(content)
    expected = reference_outputs(opened, inputs)
    assert sum(len(np.unique(output)) > 50 for output in expected[0]) >= len(expected[0]) // 2
    for threads in THREADS:
        interpreter = int8x.Interpreter(opened, threads, "ai_edge_litert", resolver="reference")
        assert interpreter.claims.partitions == 1
        assert not difference(expected, run(interpreter, inputs)), f"{threads} threads"
    whole = int8x.Interpreter(content, 2, "ai_edge_litert", resolver="reference")
    assert not difference(reference_outputs(content, inputs), run(whole, inputs))


def test_float_inputs_and_outputs_are_part_of_the_partition():
    content = build(NETWORKS["ds_cnn"], io="float32")
    inputs = feeds(content, 4)
    interpreter = int8x.Interpreter(content, 2, "ai_edge_litert", resolver="reference")
    assert interpreter.claims.partitions == 1 and not interpreter.claims.refused
    assert [step.op for step in interpreter.claims.steps][
        0 :: len(interpreter.claims.steps) - 1
    ] == ["QUANTIZE", "DEQUANTIZE"]
    assert not difference(reference_outputs(content, inputs), run(interpreter, inputs))


def test_a_signature_runs_like_the_interpreter():
    content = build(NETWORKS["ds_cnn"])
    interpreter = int8x.Interpreter(content)
    (feed,) = feeds(content, 1)[0]
    signature = interpreter.get_signature_runner("serving_default")
    (name,) = signature.get_input_details()
    (result,) = signature(**{name: feed}).values()
    other = int8x.Interpreter(content)  # while a runner lives, TFLite lets nobody else run
    np.testing.assert_array_equal(result, other(feed))
    np.testing.assert_array_equal(result, other(**{name: feed}))
