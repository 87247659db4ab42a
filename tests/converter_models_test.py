"""Files that TFLiteConverter quantized: every operator is paired with its float one, and no lint
calls what is sound a fault.
"""

import int8x
import numpy as np
import pytest
import tensorflow as tf
from int8x.lints import find

SAMPLES = 8
INT16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


def convolutions(layers) -> tf.keras.Model:
    """Two inputs and outputs, twin branches of equal shape, a residual ADD, SAME and pools."""
    picture, numbers = layers.Input((16, 16, 3), name="picture"), layers.Input((8,), name="numbers")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(picture)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.ReLU(6)(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Add()([layers.Conv2D(8, 1)(x), layers.Conv2D(8, 1)(x)])
    pooled = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()([pooled, x]))
    y = layers.Dense(16, activation="tanh")(numbers)
    x = layers.Concatenate()([x, y])
    return tf.keras.Model(
        [picture, numbers],
        [layers.Dense(10, activation="softmax")(x), layers.Dense(3, activation="sigmoid")(x)],
    )


def attention(layers) -> tf.keras.Model:
    """A block of a transformer: LayerNormalization, which TensorFlow leaves a NEG of in float."""
    x = entry = layers.Input((16, 24), name="tokens")
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 12)(y, y)])
    return tf.keras.Model(entry, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def converted(build, kind: str) -> tuple[bytes, bytes, dict[str, np.ndarray]]:
    """The float file, the file that TFLiteConverter quantized, and samples."""
    tf.keras.utils.set_random_seed(5)
    model = build(tf.keras.layers)
    random = np.random.default_rng(5)
    data = {
        i.name: random.normal(size=(SAMPLES, *i.shape[1:])).astype(np.float32) for i in model.inputs
    }

    def convert(**fields) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        for name, field in fields.items():
            setattr(converter, name, field)
        return converter.convert()

    fields: dict = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if kind != "dynamic":
        fields["representative_dataset"] = lambda: (
            {name: array[i : i + 1] for name, array in data.items()} for i in range(SAMPLES)
        )
    if kind == "int8":
        fields |= {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
    if kind == "int16x8":
        builtins = tf.lite.OpsSet.TFLITE_BUILTINS
        fields["target_spec"] = tf.lite.TargetSpec(supported_ops=[INT16, builtins])
    return convert(), convert(**fields), data


@pytest.mark.parametrize("kind", ["int8", "float in and out", "int16x8", "dynamic"])
def test_convolutions_are_paired_and_sound(kind):
    plain, coded, data = converted(convolutions, kind)
    report = int8x.validate(plain, coded, data)
    assert report.notes == () and min(report.agreement) > 0.5
    graph = int8x.Graph.from_bytes(coded)
    assert len(report.operators) == len(graph.main.operators)
    assert all(o.covers == 1 for o in report.operators)
    assert find(graph) == ()


def test_a_transformer_is_paired_and_its_float_operators_are_the_only_findings():
    plain, coded, data = converted(attention, "int8")
    report = int8x.validate(plain, coded, data)
    assert report.notes == ()
    graph = int8x.Graph.from_bytes(coded)
    assert len(report.operators) == len(graph.main.operators)
    assert {(f.lint, f.kind) for f in find(graph)} == {("float-island", "NEG")}
