"""Whole networks as TensorFlow converts them from Keras: full int8, close to the float network,
loadable everywhere.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import int8x
import keras
import numpy as np
import pytest
import tensorflow as tf
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from keras import layers as L

SEED = 3


def cnn() -> keras.Model:
    """Residual add, depthwise, two pools, concatenation, zero padding, sigmoid gate, reshape and
    flatten with a free batch.
    """
    x = inputs = L.Input((16, 16, 3))
    x = a = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same")(x)))
    x = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
    x = L.Add()([L.Conv2D(8, 1)(x), a])
    x = L.Concatenate()(
        [L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x), L.MaxPooling2D(2)(x)]
    )
    x = L.ZeroPadding2D(1)(L.AveragePooling2D(2)(x))
    x = L.Multiply()([L.Conv2D(8, 3, activation="sigmoid")(x), L.Conv2D(8, 3)(x)])
    x = L.Flatten()(L.Reshape((2, 4))(L.GlobalAveragePooling2D()(x)))
    return keras.Model(inputs, L.Softmax()(L.Dense(10)(x)))


def mobilenet() -> keras.Model:
    return keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10)


def trained_looking(model: keras.Model) -> keras.Model:
    """BatchNormalization statistics as training leaves them: activations keep their size."""
    numbers = np.random.default_rng(SEED)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    numbers.uniform(0.8, 1.6, gamma.shape),
                    numbers.normal(0, 0.3, beta.shape),
                    numbers.normal(0, 0.1, mean.shape),
                    numbers.uniform(0.05, 0.3, variance.shape),
                ]
            )
    return model


def converted(model: keras.Model, half: bool = False) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def samples(size: int, count: int = 24) -> np.ndarray:
    """Smooth images: sums of a few waves."""
    numbers = np.random.default_rng(SEED)
    axis = np.linspace(0, 6, size)
    waves = np.sin(
        axis[:, None] * numbers.uniform(0, 2, (count, 3, 1, 1))
        + axis * numbers.uniform(0, 2, (count, 3, 1, 1))
    )
    return np.ascontiguousarray(np.moveaxis(waves, 1, 3), np.float32)


@pytest.fixture(scope="module", params=[(cnn, 16), (mobilenet, 32)], ids=["cnn", "mobilenet"])
def network(request):
    build, size = request.param
    keras.utils.set_random_seed(SEED)
    return converted(trained_looking(build())), samples(size)


def test_not_one_float_tensor_is_left_and_no_operator_is_added(network):
    model, data = network
    coded = int8x.quantize(model, data=data)
    assert {t.dtype for t in coded.main.tensors} <= {"INT8", "INT32"}
    assert [op.kind for op in coded.main.operators] == [
        op.kind for op in prepare(Graph.from_bytes(model)).main.operators
    ]
    assert not {"SHAPE", "PACK", "STRIDED_SLICE", "QUANTIZE", "DEQUANTIZE"} & {
        op.kind for op in coded.main.operators
    }


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"])
def test_it_stays_close_to_the_float_network(network, resolver):
    model, data = network
    recipe = {"observer": "percentile", "percentile": 99.99}
    coded = int8x.quantize(model, data=data, recipe=recipe)
    report = int8x.validate(model, coded, data[:8], resolver=resolver)
    assert report.agreement[0] >= 0.75
    assert np.median([t.sqnr_db for t in report.tensors]) > 20
    # The 99.99th percentile cuts off at most a share of 1e-4 of what was calibrated with.
    assert max(t.saturated for t in report.tensors) <= 1e-4 * len(data) / 8


def test_tensorflow_loads_the_file_too(network):
    model, data = network
    coded = int8x.quantize(model, data=data).to_bytes()
    interpreter = tf.lite.Interpreter(
        model_content=coded,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    ours = Runner(coded, "model", 1, "BUILTIN_REF")
    sample = (
        np.random.default_rng(SEED)
        .integers(-128, 128, interpreter.get_input_details()[0]["shape"])
        .astype(np.int8)
    )
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
    interpreter.invoke()
    ours.run([sample])
    index = interpreter.get_output_details()[0]["index"]
    np.testing.assert_array_equal(interpreter.get_tensor(index), ours.value(index))


def test_signatures_still_name_inputs_and_outputs(network):
    model, data = network
    coded = int8x.quantize(model, data=data).to_bytes()
    before, after = (
        tf.lite.Interpreter(model_content=m).get_signature_list() for m in (model, coded)
    )
    assert before == after


def test_float16_weights_quantize_like_float32_ones(network):
    keras.utils.set_random_seed(SEED)
    model = trained_looking(cnn())
    data = samples(16)
    half, full = converted(model, half=True), converted(model)
    assert any(t.dtype == "FLOAT16" for t in Graph.from_bytes(half).main.tensors)
    coded = int8x.quantize(half, data=data)
    assert [op.kind for op in coded.main.operators] == [
        op.kind for op in int8x.quantize(full, data=data).main.operators
    ]
    assert int8x.validate(full, coded, data[:8]).agreement[0] >= 0.75


@pytest.mark.parametrize(
    "recipe, kind", [("dynamic", "INT8"), ("weight_only", "INT8"), ("float16", "FLOAT16")]
)
def test_weights_inside_a_loop_are_stored_smaller_too(recipe, kind):
    keras.utils.set_random_seed(SEED)
    x = inputs = L.Input((10, 8), batch_size=1)
    x = L.Dense(4)(L.Flatten()(L.LSTM(24, return_sequences=True)(x)))
    model = converted(keras.Model(inputs, x))
    coded = int8x.quantize(model, recipe=recipe)
    loops = [
        s for s in coded.subgraphs[1:] if any(o.kind == "FULLY_CONNECTED" for o in s.operators)
    ]
    (body,) = loops
    assert sum(t.dtype == kind and t.size > 100 for t in body.tensors) == 2
    data = np.random.default_rng(SEED).normal(0, 1, (4, 10, 8)).astype(np.float32)
    assert not coded.quantization.float_operators
    report = int8x.validate(model, coded, data, resolver="BUILTIN_REF")
    assert report.tensor(report.outputs[0]).sqnr_db > 35


class FakeQuant(L.Layer):
    """A fake-quant node with constant ends, as quantization-aware training leaves it."""

    def __init__(self, low, high):
        super().__init__()
        self.ends = low, high

    def call(self, x):
        return tf.quantization.fake_quant_with_min_max_args(x, *self.ends)


def test_fake_quant_nodes_become_the_ranges_of_the_int8_model():
    x = inputs = L.Input((8, 8, 3), batch_size=1)
    x = FakeQuant(-1.0, 1.0)(x)
    x = FakeQuant(0.0, 5.1)(L.ReLU()(L.Conv2D(4, 3)(x)))
    x = FakeQuant(-3.0, 3.0)(L.Dense(5)(L.Flatten()(x)))
    coded = int8x.quantize(converted(keras.Model(inputs, x)))
    assert not [t for t in coded.main.tensors if t.is_float]
    conv, dense = coded.main.operators[0].outputs[0], coded.main.operators[-1].outputs[0]
    assert coded.main.inputs[0].quant.scale == pytest.approx(2 / 255, rel=1e-6)
    assert conv.quant.same_grid(int8x.QuantParams(5.1 / 255, -128))
    assert dense.quant.scale == pytest.approx(6 / 255, rel=1e-6)
    assert coded.quantization.grids[dense.name].source == "marker in the model"


def test_convert_takes_saved_keras_models_and_refuses_code_in_them(tmp_path):
    from int8x.cli import main

    keras.utils.set_random_seed(SEED)
    cnn().save(tmp_path / "m.keras")
    assert main(["convert", str(tmp_path / "m.keras"), "--output", str(tmp_path / "f.tflite")]) == 0
    assert "CONV_2D" in {op.kind for op in Graph.load(tmp_path / "f.tflite").main.operators}
    keras.Sequential([L.Input((2,)), L.Lambda(lambda x: x + 1)]).save(tmp_path / "code.keras")
    output = str(tmp_path / "none.tflite")
    for name in ("code.keras", "missing.keras"):
        assert main(["convert", str(tmp_path / name), "--output", output]) == 1
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    assert main(["convert", str(tmp_path / "broken.h5"), "--output", output]) == 1
    assert not (tmp_path / "none.tflite").exists()
