"""Calibration with awkward models and data: what can be done is done, the rest is refused by name,
and what comes out quantizes and runs.
"""

import re

import int8x
import numpy as np
import pytest
from float_nets import RELU, Net, on_grid, small_network
from int8x.quantization.range_choice import OBSERVERS
from int8x.runtime.runner import Runner
from int8x.tflite.schema import make

SHAPE = (1, 8, 8, 3)
MERGEABLE = [name for name in OBSERVERS if name != "moving_average"]


def exponential():
    net = Net()
    x = net.input(1, 4)
    return net.done(net.add("EXP", [x], 1, 4, options="ExpOptions"))


@pytest.mark.parametrize("workers", [1, 2])
def test_infinities_inside_the_model_name_tensor_and_sample(workers):
    data = np.ones((6, 4), np.float32)
    data[4, 1] = 1000
    with pytest.raises(int8x.DataError, match="sample 4: tensor 'exp0' holds NaN or infinities"):
        int8x.calibrate(exponential(), data, workers=workers)


@pytest.mark.parametrize("observer", MERGEABLE)
@pytest.mark.parametrize(
    "value", [0.0, 1.0, -2.5, 1e-30, 1e30], ids=["zero", "one", "negative", "tiny", "huge"]
)
def test_constant_data_give_grids_that_hold_it(observer, value):
    net = Net()
    x = net.input(1, 4, 4, 2)
    graph = net.done(net.add("RELU", [net.pool("MAX_POOL_2D", x)], 1, 2, 2, 2))
    data = np.full((3, 4, 4, 2), value, np.float32)
    int8 = int8x.quantize(graph, data=data, recipe=int8x.Recipe(observer=observer, io="float"))
    runner = Runner(int8.to_bytes(), "int8")
    runner.run([data[:1]])
    wanted = max(np.float32(value), np.float32(0))
    got = runner.value(int8.main.tensors.index(int8.main.outputs[0]))
    assert np.isfinite(got).all()
    # Half a step of each of two grids; below 2^-80 a scale is raised, and all is zero.
    assert np.abs(got - wanted).max() <= abs(np.float32(value)) / 255 + 2.0**-72


def spoilt(outlier: float) -> np.ndarray:
    data = on_grid(SHAPE, samples=60)
    data[3, 2, 2, 1] = outlier
    return data


@pytest.mark.parametrize("observer", ["entropy", "percentile"])
@pytest.mark.parametrize("outlier", [1e6, 1e30])
def test_entropy_and_percentile_leave_a_huge_outlier_out(observer, outlier):
    recipe = int8x.Recipe(observer=observer, percentile=99.0)
    grids = [
        int8x.quantize(small_network(), data=data, recipe=recipe).quantization.grids
        for data in (on_grid(SHAPE, samples=60), spoilt(outlier))
    ]
    assert grids[1]["x"].scale == pytest.approx(grids[0]["x"].scale, rel=0.2)


@pytest.mark.parametrize("observer", ["minmax", "average", "mse"])
def test_where_an_outlier_makes_a_grid_that_no_kernel_takes_the_operator_is_named(observer):
    told = (
        r"(\w*conv_2d\d): the output's scale .* too small(.|\n)*input '\w+' spans \[(.|\n)*"
        r'percentile(.|\n)*"range": (.|\n)*{"name": "\1", "compute": "float"}'
    )
    with pytest.raises(int8x.QuantizeError, match=told):
        int8x.quantize(small_network(), data=spoilt(1e30), recipe=int8x.Recipe(observer=observer))


@pytest.mark.parametrize("remedy", ["range", "float"])
def test_the_rules_that_the_error_of_an_outlier_names_lead_to_a_model(remedy):
    rules = []
    for _ in range(4):
        try:
            graph = int8x.quantize(
                small_network(), data=spoilt(1e30), recipe=int8x.Recipe(overrides=tuple(rules))
            )
        except int8x.QuantizeError as error:
            tensor, name = re.findall(r'{"(?:tensor|name)": "(\w+)"', str(error))
            if remedy == "range":
                rules.append({"tensor": tensor, "range": [-8.0, 8.0]})
            else:
                rules.append({"name": name, "compute": "float"})
        else:
            assert rules and graph.main.outputs[0].dtype == "INT8"
            return
    raise AssertionError(f"no model after {rules}")


def lookup(indices: str):
    """Integer indices look rows of a table up: an embedding."""
    net = Net()
    tokens = net.input(1, 5, name="tokens")
    tokens.dtype = indices
    table = net.constant(net.weights(20, 6), "table")
    rows = net.add("GATHER", [table, tokens], 1, 5, 6, options="GatherOptions", axis=0)
    return net.done(net.dense(rows, 4, activation=RELU))


@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_integer_inputs_are_fed_as_they_are_and_have_no_statistics(indices):
    data = np.random.default_rng(3).integers(0, 20, (8, 5)).astype(indices)
    stats = int8x.calibrate(lookup(np.dtype(indices).name.upper()), data)
    assert stats.samples == 8 and "tokens" not in stats.tensors
    assert {"gather0", "fully_connected1"} <= set(stats.tensors)
    with pytest.raises(int8x.DataError, match=r"'tokens' takes int\d\d, sample 0 is float32"):
        int8x.calibrate(lookup(np.dtype(indices).name.upper()), data.astype(np.float32))


def test_samples_of_a_dynamic_shape_may_differ_in_size():
    net = Net()
    x = net.input(1, 8, 8, 3)
    x.signature = (-1, -1, -1, 3)
    graph = net.done(net.conv(x, 4, activation=RELU))
    graph.main.outputs[0].signature = (-1, -1, -1, 4)
    sizes = [(8, 8), (5, 9), (16, 3), (8, 8)]
    dice = np.random.default_rng(5)
    samples = [dice.normal(size=(*size, 3)).astype(np.float32) for size in sizes]
    whole = int8x.calibrate(graph, samples)
    assert whole.tensors["x"].count == sum(a.size for a in samples)
    assert whole.tensors["x"].max == max(a.max() for a in samples)
    assert len(whole.tensors["x"].channel_min) == 3
    assert int8x.calibrate(graph, samples, workers=2).to_bytes() == whole.to_bytes()


def test_samples_by_signature_names_and_keys_are_those_by_tensor_name():
    graph = small_network()
    names = {"inputs": ("image", graph.main.inputs), "outputs": ("scores", graph.main.outputs)}
    for key in (b"classify", b"again"):
        sides = {
            side: [make("TensorMap", name=name.encode(), tensorIndex=tensors[0])]
            for side, (name, tensors) in names.items()
        }
        graph.signatures.append(make("SignatureDef", **sides, signatureKey=key, subgraphIndex=0))
    data = on_grid(SHAPE)
    wanted = int8x.calibrate(graph, data)
    for form in (
        ({"image": sample} for sample in data),
        (("classify", {"image": sample}) for sample in data),
        ((("classify", "again")[i % 2], {"image": sample}) for i, sample in enumerate(data)),
        ([sample] for sample in data),
    ):
        assert int8x.calibrate(graph, form) == wanted
    with pytest.raises(int8x.DataError, match=r"for signature 'train'; .* 'serve', 'classify'"):
        int8x.calibrate(graph, [("train", {"image": data[0]})])


def test_every_form_of_tf_data_gives_the_same_statistics():
    import tensorflow as tf

    data, labels = on_grid(SHAPE, samples=7), np.arange(7)
    wanted = int8x.calibrate(small_network(), data)
    plain = tf.data.Dataset.from_tensor_slices(data)
    with_labels = tf.data.Dataset.from_tensor_slices((data, labels))
    by_name = tf.data.Dataset.from_tensor_slices({"x": data})
    for form in (plain, plain.batch(3), with_labels, with_labels.batch(3), by_name.batch(2)):
        assert int8x.calibrate(small_network(), form) == wanted
    assert int8x.calibrate(small_network(), plain.batch(3), workers=2) == wanted
