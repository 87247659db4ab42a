"""What the file rounds besides kernels and activations, training rounds too: factors of layers that
stand alone, and biases beside INT4 weights.
"""

import int8x
import keras
import numpy as np
import pytest
import tensorflow as tf
from int8_runs import Reference
from int8x.keras import fake_quant
from int8x.keras.handle import handle_of
from keras import layers as L

SEED = 3
# The share of outputs that are equal. Of int8 weights training leaves out what a kernel's first
# rounding and the bias's do: for M = m * 2^-6 one result in 2^7 and a quarter of M.
EQUAL = 0.98


def uneven(kind):
    """An image layer that stands alone, with factors from 0.02 to 1."""
    factors = np.geomspace(0.02, 1, 8).astype(np.float32)
    if kind == "BatchNormalization":
        layer = L.BatchNormalization()
        layer.build((None, 4, 4, 8))
        layer.set_weights([factors, factors / 3, np.zeros(8), np.ones(8)])
        layer.trainable = False
        return layer
    return L.Normalization(mean=np.linspace(-0.2, 0.2, 8), variance=factors**-2)


def fitted(build, **settings):
    print(f"seed {SEED}")
    keras.utils.set_random_seed(SEED)
    random = np.random.default_rng(SEED)
    inputs = keras.Input((4, 4, 8))
    model = keras.Model(inputs, build(inputs))
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    x = random.uniform(-1, 1, (64, 4, 4, 8)).astype(np.float32)
    y = np.zeros((64, *model.output_shape[1:]), np.float32)
    callback = int8x.QATCallback(**settings)
    model.fit(x, y, batch_size=16, epochs=1, verbose=0, callbacks=[callback])
    return model, x


def off(model, x, path):
    int8x.export(model, path)
    run = Reference(path)
    return np.abs(run(x) - run.steps_from(model.predict(x, verbose=0)))


@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
@pytest.mark.parametrize("kind", ["BatchNormalization", "Normalization"])
def test_a_factor_that_stands_alone_is_rounded_as_in_the_file(kind, weights, tmp_path):
    model, x = fitted(lambda t: uneven(kind)(t), weights=weights)
    found = off(model, x, tmp_path / "model.tflite")
    assert found.max() <= 1
    assert (found == 0).mean() >= EQUAL


def test_a_batchs_own_statistics_meet_the_rounding_of_the_moving_ones():
    model, x = fitted(lambda t: L.BatchNormalization()(t), weights="per_tensor")
    layer, handle = model.layers[1], handle_of(model)
    layer.gamma.assign(np.geomspace(0.02, 1, 8))
    factor = layer.gamma.numpy() / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    rounded = fake_quant.fake_quant_weight(tf.constant(factor), ()).numpy()
    plan = next(call for call in handle.plan.calls if call.operation is layer)
    plan.outputs.clear()  # what lies before the rounding of the result
    batch = tf.constant(x[:16])
    fake = model(batch, training=True).numpy()
    with handle.plain():
        plain = model(batch, training=True).numpy()
    scale, zero_point = handle.ranges.constants(handle.plan.inputs[0])
    seen = fake_quant.fake_quant(batch, scale, zero_point).numpy()
    assert np.abs(rounded - factor).max() > 1e-3
    np.testing.assert_allclose(fake - plain, seen * (rounded - factor), atol=2e-2)


NETS = {
    "Conv2D": lambda x: L.Conv2D(8, 3, activation="relu")(x),
    "Conv2D, BatchNormalization": lambda x: L.BatchNormalization()(L.Conv2D(8, 3)(x)),
    "DepthwiseConv2D": lambda x: L.DepthwiseConv2D(3)(x),
    "SeparableConv2D": lambda x: L.SeparableConv2D(8, 3, depth_multiplier=2)(x),
    "SeparableConv1D, BatchNormalization": lambda x: L.BatchNormalization()(
        L.SeparableConv1D(8, 3)(L.Reshape((16, 8))(x))
    ),
    "Dense": lambda x: L.Dense(8)(L.Flatten()(x)),
}


@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
@pytest.mark.parametrize("name", NETS)
def test_a_bias_beside_int4_weights_is_rounded_as_in_the_file(name, weights, tmp_path):
    model, x = fitted(NETS[name], weight_bits=4, weights=weights)
    random = np.random.default_rng(SEED)
    for layer in model.layers:
        for part in ("bias", "beta"):
            variable = getattr(layer, part, None)
            if isinstance(variable, keras.Variable):
                variable.assign(random.uniform(-0.1, 0.1, variable.shape))
    found = off(model, x, tmp_path / "model.tflite")
    print(np.bincount(found.astype(int).ravel()))
    assert found.max() <= 1
    assert (found == 0).mean() >= EQUAL
