"""Graph: what is read, edited and written back is what was there."""

import json

import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.errors import ModelError
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams, from_range, real_range


def outputs(data: bytes, samples: np.ndarray) -> np.ndarray:
    graph, runner = Graph.from_bytes(data), Runner(data, "model")
    index = graph.main.tensors.index(graph.main.outputs[0])
    results = []
    for sample in samples:
        runner.run([sample[None]])
        results.append(np.array(runner.value(index)))
    return np.stack(results)


def with_biases() -> Graph:
    from int8x.quantization.passes import prepare

    return prepare(small_network())


def test_writing_what_was_read_gives_the_same_bytes():
    data = small_network().to_bytes()
    assert Graph.from_bytes(data).to_bytes() == data


def test_a_rewritten_model_computes_the_same():
    data = with_biases().to_bytes()
    samples = on_grid((1, 8, 8, 3))
    np.testing.assert_array_equal(
        outputs(data, samples), outputs(Graph.from_bytes(data).to_bytes(), samples)
    )


def test_signatures_metadata_and_description_are_kept():
    graph = small_network()
    graph.description = "a note"
    again = Graph.from_bytes(graph.to_bytes())
    assert [(name, bytes(array)) for name, array in again.metadata] == [("note", b"kept as it is")]
    assert again.description == "a note"
    (signature,) = again.signatures
    assert signature.signatureKey == b"serve"
    assert signature.inputs[0].tensorIndex is again.main.inputs[0]
    assert again.input_names() == [("x",)]


def test_custom_operators_keep_their_code_and_options():
    net = Net()
    x = net.input(1, 4)
    output = net.add("CUSTOM", [x], 1, 4)
    net.main.operators[-1].custom_code, net.main.operators[-1].custom_options = (
        "Mine",
        b"\x00\xffoptions",
    )
    again = Graph.from_bytes(net.done(output).to_bytes()).main.operators[0]
    assert (again.kind, again.custom_code, again.custom_options) == (
        "CUSTOM",
        "Mine",
        b"\x00\xffoptions",
    )


def test_several_subgraphs_and_shared_constants_survive():
    graph, other = small_network(), small_network(1).main
    other.name = "second"
    shared = graph.main.operators[0].inputs[1]
    other.operators[0].inputs[1].buffer = shared.buffer
    graph.subgraphs.append(other)
    again = Graph.from_bytes(graph.to_bytes())
    assert [s.name for s in again.subgraphs] == ["main", "second"]
    assert (
        again.subgraphs[1].operators[0].inputs[1].buffer is again.main.operators[0].inputs[1].buffer
    )


def test_constants_lie_at_multiples_of_sixteen_bytes():
    data = small_network().to_bytes()
    for tensor in Graph.from_bytes(data).main.tensors:
        if tensor.is_constant and tensor.buffer.size >= 64:
            assert data.find(tensor.buffer.tobytes()) % 16 == 0


def test_compact_drops_what_nothing_names():
    graph = small_network()
    unused = graph.main.add_constant("unused", np.ones(100, np.float32))
    graph.compact()
    assert unused not in graph.main.tensors
    assert b"unused" not in graph.to_bytes()


def test_replace_and_remove_reroute_readers_and_outputs():
    net = Net()
    x = net.input(1, 4)
    a = net.add("RELU", [x], 1, 4)
    b = net.add("LOGISTIC", [a], 1, 4)
    graph = net.done(b)
    graph.main.replace(a, x)
    graph.main.remove([graph.main.operators[0]])
    graph.compact()
    assert [op.kind for op in graph.main.operators] == ["LOGISTIC"]
    assert graph.main.tensors == [x, b]
    assert graph.main.links().producer(b).inputs == [x]


def test_int4_constants_are_unpacked_with_their_sign():
    net = Net()
    tensor = net.constant(np.zeros(3, np.int8))
    tensor.dtype, tensor.buffer = "INT4", np.array([0x87, 0x0F], np.uint8)
    assert tensor.data.tolist() == [7, -8, -1]


def test_ranges_are_kept_by_the_file_and_found_by_name_index_and_tensor():
    graph = small_network()
    weights = graph.main.operators[0].inputs[1]
    graph.ranges["x"] = QuantParams(0.1, -3, source="qat")
    graph.ranges[graph.main.tensors.index(weights)] = QuantParams([0.1] * 8, 0, axis=0)
    again = Graph.from_bytes(graph.to_bytes())
    assert again.ranges["x"] == QuantParams(0.1, -3, source="qat")
    assert {tensor.name: params for tensor, params in again.ranges.items()} == {
        tensor.name: params for tensor, params in graph.ranges.items()
    }
    assert again.to_bytes() == graph.to_bytes()
    del again.ranges["x"]
    assert len(again.ranges) == 1
    with pytest.raises(KeyError):
        again.ranges["x"]


@pytest.mark.parametrize(
    "params, told",
    [
        (QuantParams(0.1, 130), r"x: zero_point must lie in \[-128, 127\], got 130"),
        (QuantParams([0.1, 0.2], 0, axis=0), "2 scales do not fit axis 0"),
    ],
)
def test_ranges_that_do_not_fit_are_refused(params, told):
    with pytest.raises(ValueError, match=told):
        small_network().ranges["x"] = params


@pytest.mark.parametrize(
    "scale, axis",
    [(0.0, None), (-1.0, None), (np.inf, None), (np.nan, None), ([], 0), ([1, 2], None)],
)
def test_scales_that_are_none_are_refused(scale, axis):
    with pytest.raises(ValueError):
        QuantParams(scale, 0, axis)


def test_quant_params_survive_json_bit_for_bit():
    params = QuantParams(np.array([0.1, 1e-7], np.float32), 0, axis=3, source="weights")
    assert QuantParams.from_json(json.loads(json.dumps(params.to_json()))) == params


@pytest.mark.parametrize(
    "low, high",
    [(0.0, 6.0), (-1.0, 1.0), (-0.1, 3.3), (2.0, 5.0), (-5.0, -2.0), (0, 0), (-1e-30, 1e-30)],
)
def test_ranges_become_grids_with_an_exact_zero_that_hold_the_range(low, high):
    grid = from_range(low, high, "test")
    assert -128 <= grid.zero_point <= 127
    bottom, top = real_range(grid)
    half = grid.scale * 0.5000001
    assert bottom <= min(low, 0) + half and top >= max(high, 0) - half


def test_the_fingerprint_ignores_ranges_and_metadata_and_sees_a_weight():
    graph = small_network()
    before = graph.fingerprint()
    graph.ranges["x"] = QuantParams(0.1, -3)
    graph.metadata = []
    assert graph.fingerprint() == before == Graph.from_bytes(graph.to_bytes()).fingerprint()
    weights = graph.main.operators[0].inputs[1]
    weights.data = weights.data * 2
    assert graph.fingerprint() != before


def test_saving_to_a_folder_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(OSError):
        small_network().save(tmp_path / "none" / "m.tflite")
    small_network().save(tmp_path / "m.tflite")
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]


def test_a_missing_file_is_an_os_error_and_another_type_a_model_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Graph.load(tmp_path / "none.tflite")
    from int8x.tflite.graph import load

    with pytest.raises(ModelError, match="got int"):
        load(3)
