"""Models that TFMOT trained in tf_keras: the file has their ranges, weights, zeros, clusters."""

import int8x
import numpy as np
import pytest
import tfmot_nets as nets
from int8x.errors import ModelError
from int8x.keras2.conversion import convert
from int8x.tflite.graph import load

# Float32 products that TensorFlow's converter and int8x round in another order.
SCALE = 1e-5
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


MODELS = {
    "QAT": nets.quantized,
    "PQAT": nets.prune_preserving,
    "CQAT": nets.cluster_preserving,
    "PCQAT": nets.prune_cluster_preserving,
}


@pytest.fixture(scope="module", params=MODELS)
def pair(request, tmp_path_factory):
    """The graph of int8x's file and of TFLiteConverter's, and the files' bytes."""
    path = tmp_path_factory.mktemp("files") / "model.tflite"
    trained = MODELS[request.param]()
    int8x.export(trained, path)
    theirs = nets.converted(trained)
    return load(path.read_bytes()), load(theirs), path.read_bytes(), theirs


def weights_of(graph):
    return [op.input(1) for op in graph.main.operators if op.kind in WEIGHTED]


def test_every_activation_has_the_grid_of_tfmots_training(pair):
    mine, theirs, _, _ = pair
    assert [op.kind for op in mine.main.operators] == [op.kind for op in theirs.main.operators]
    for ours, other in zip(mine.main.operators, theirs.main.operators, strict=True):
        a, b = ours.outputs[0].quant, other.outputs[0].quant
        np.testing.assert_allclose(a.scales, b.scales, rtol=SCALE, err_msg=ours.name)
        assert a.zero_points.tolist() == b.zero_points.tolist(), ours.name
        assert ours.outputs[0].dtype == other.outputs[0].dtype == "INT8"


def test_every_weight_is_what_tfmot_trained(pair, request):
    """As reals; as integers too, unless all of a channel happen to have a common divisor."""
    mine, theirs, _, _ = pair
    for a, b in zip(weights_of(mine), weights_of(theirs), strict=True):
        if request.node.callspec.params["pair"] == "QAT":
            np.testing.assert_array_equal(a.values, b.values, a.name)
        ours, other = (real(weights) for weights in (a, b))
        np.testing.assert_allclose(ours, other, rtol=SCALE, err_msg=a.name)


def real(weights):
    quant = weights.quant
    shape = [1] * len(weights.shape)
    if quant.axis is not None:
        shape[quant.axis] = -1
    return weights.values * quant.scales.reshape(shape)


def test_the_file_computes_what_tfmots_own_file_computes(pair):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    results = []
    for content in pair[2:]:
        interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
        (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
        scale, zero_point = into["quantization"]
        steps = np.clip(np.round(nets.data()[0] / scale) + zero_point, -128, 127).astype(np.int8)
        results.append([])
        for image in steps:
            interpreter.set_tensor(into["index"], image[None])
            interpreter.invoke()
            results[-1].append(interpreter.get_tensor(out["index"])[0])
    a, b = np.asarray(results, np.int32)
    assert (a != b).mean() <= 0.01 and np.abs(a - b).max() <= 1  # biases: another last float bit


def test_masks_of_wrappers_that_stayed_on_are_zeros_of_the_file(tmp_path):
    model = nets.pruned()
    graph = int8x.export(model, tmp_path / "model.tflite", data=nets.data()[0])
    shares = [float(np.mean(w.values == 0)) for w in weights_of(graph)]
    kinds = [op.kind for op in graph.main.operators if op.kind in WEIGHTED]
    for kind, share in zip(kinds, shares, strict=True):
        if kind != "DEPTHWISE_CONV_2D":  # TFMOT leaves these dense
            assert share >= 0.5, (kind, share)


def test_clusters_of_wrappers_that_stayed_on_are_the_values_of_the_file():
    graph = convert(nets.clustered())
    for op in graph.main.operators:
        if op.kind == "FULLY_CONNECTED":  # no BatchNormalization folds into it
            assert 1 < len(np.unique(op.input(1).values)) <= nets.CLUSTERS


def test_zeros_and_clusters_that_training_preserves_are_those_of_the_file(pair, request):
    kept = request.node.callspec.params["pair"]
    for op in pair[0].main.operators:
        if op.kind not in ("CONV_2D", "FULLY_CONNECTED"):  # TFMOT does neither to depthwise kernels
            continue
        steps = op.input(1).values
        if kept in ("PQAT", "PCQAT"):
            assert np.mean(steps == 0) >= 0.5, op.name
        if kept in ("CQAT", "PCQAT"):
            assert all(len(np.unique(row)) <= nets.CLUSTERS for row in steps), op.name
            assert len(np.unique(steps)) > 2


def test_a_plain_model_is_calibrated_and_says_so_without_data(tmp_path):
    x, y = nets.data()
    model = nets.fit(nets.net(), epochs=8)
    with pytest.raises(ValueError, match=r"has no ranges.*quantize_model, or give data"):
        int8x.export(model, tmp_path / "model.tflite")
    int8x.export(model, tmp_path / "model.tflite", data=x)
    interpreter = int8x.Interpreter(str(tmp_path / "model.tflite"))
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    scale, zero_point = detail["quantization"]
    steps = np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)
    choices = [int(np.argmax(interpreter(image[None]))) for image in steps]
    wanted = model.predict(x, verbose=0).argmax(axis=1)
    assert np.mean(wanted == y) > 0.9  # a net that has learned something
    assert np.mean(choices == wanted) >= 0.97  # 8 bits may turn a near tie


def test_a_model_that_was_never_called_is_refused(tmp_path):
    import tf_keras

    model = tf_keras.Sequential([tf_keras.layers.Dense(2)])
    with pytest.raises(ModelError, match="built tf_keras model was wanted"):
        int8x.export(model, tmp_path / "model.tflite")
