"""Real models that nobody here trained: each becomes int8 and runs, or is refused by name."""

import functools

import int8x
import numpy as np
import pytest
import real_models
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph

SAMPLES = 4
# Photographs without faces, hands or people leave the last layers of a detector little to say, so
# what is held up is the middle of a net: half of its tensors reach this.
MEDIAN_SQNR_DB = 8.0

REFUSED = {
    "mediapipe/face_landmark_with_attention.tflite": "custom operator 'Landmarks2TransformMatrix'",
    "basic_pitch/nmp.tflite": "DIV .*divisor rounds to zero",
}


@functools.cache
def samples(shape: tuple[int, ...]) -> np.ndarray:
    return real_models.samples(shape, SAMPLES)


def run(graph: Graph, fed: np.ndarray, resolver: str) -> list[np.ndarray]:
    runner = Runner(graph.to_bytes(), graph.origin, 1, resolver)
    source = graph.main.inputs[0]
    if source.quant is not None:
        steps = np.round(fed / source.quant.scale) + source.quant.zero_point
        fed = np.clip(steps, -128, 127).astype(np.int8)
    runner.run([fed])
    return [np.array(runner.value(graph.main.tensors.index(t))) for t in graph.main.outputs]


@pytest.mark.parametrize("name", sorted(set(real_models.FLOAT_MODELS) - set(REFUSED)))
def test_a_real_model_becomes_int8_throughout_and_runs(name):
    graph = Graph.load(real_models.path(name))
    data = samples(graph.main.inputs[0].shape)
    coded = int8x.quantize(graph, data=data)
    assert not coded.quantization.float_operators
    assert not [t for t in coded.main.tensors if t.is_float]
    assert [t.name for t in coded.main.outputs] == [t.name for t in graph.main.outputs]
    assert [t.shape for t in coded.main.outputs] == [t.shape for t in graph.main.outputs]
    for resolver in ("BUILTIN_REF", "AUTO"):
        assert any(np.ptp(output) for output in run(coded, data[:1], resolver))
    report = int8x.validate(int8x.quantization.passes.prepare(graph), coded, data[:1])
    assert np.median([t.sqnr_db for t in report.tensors]) > MEDIAN_SQNR_DB


def test_a_model_with_odd_operators_runs_with_these_in_float():
    graph = Graph.load(real_models.path("basic_pitch/nmp.tflite"))
    data = samples(graph.main.inputs[0].shape)
    recipe = int8x.Recipe(allow_float=True)
    coded = int8x.quantize(graph, data=data, recipe=recipe)
    left = {kind for _, kind, _ in coded.quantization.float_operators}
    print("left in float:", sorted(left))
    assert left == {"DIV", "EQUAL"}
    assert all(np.ptp(o) for o in run(coded, data[:1], "BUILTIN_REF"))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_int8_is_refused_by_name(name):
    graph = Graph.load(real_models.path(name))
    with pytest.raises(int8x.QuantizeError, match=REFUSED[name]) as caught:
        int8x.quantize(graph, data=samples(graph.main.inputs[0].shape))
    print(caught.value)


def test_a_custom_operator_that_the_runtime_lacks_is_named_when_samples_would_run_it():
    graph = Graph.load(real_models.path("mediapipe/face_landmark_with_attention.tflite"))
    with pytest.raises(int8x.ModelError, match="Landmarks2TransformMatrix"):
        int8x.quantize(
            graph,
            data=samples(graph.main.inputs[0].shape),
            recipe=int8x.Recipe(allow_float=True),
        )


@pytest.mark.parametrize("name", real_models.STATEFUL_INT8_MODELS)
def test_a_model_that_is_int8_already_is_told_so(name):
    with pytest.raises(int8x.QuantizeError, match=r"already quantized: tensor .* is INT8"):
        int8x.quantize(real_models.path(name), data=np.zeros((1, 1, 3, 40), np.int8))


@pytest.mark.parametrize("name", real_models.FLOAT_MODELS + real_models.STATEFUL_INT8_MODELS)
def test_reading_and_writing_keeps_what_a_model_computes(name):
    graph = Graph.load(real_models.path(name))
    again = Graph.from_bytes(graph.to_bytes())
    assert again.fingerprint() == graph.fingerprint()
    assert again.to_bytes() == graph.to_bytes()
    assert [n for n, _ in again.metadata] == [n for n, _ in graph.metadata]
