"""Small tf_keras nets, trained with TFMOT, for the tests of its environment."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster
from tf_keras import layers as L

SEED = 11
CLUSTERS = 8


def data(count=128):
    """Images that only their brightest quarter tells apart, and which."""
    random = np.random.default_rng(SEED)
    y = random.integers(0, 4, count)
    x = random.random((count, 8, 8, 1), np.float32)
    for image, label in zip(x, y, strict=True):
        down, right = divmod(label, 2)
        image[4 * down : 4 * down + 4, 4 * right : 4 * right + 4] += 1
    return x, y


def net():
    """Conv, depthwise, BatchNormalization, a residual Add, both poolings, Dense."""
    print(f"seed {SEED}")
    tf_keras.utils.set_random_seed(SEED)
    inputs = tf_keras.Input((8, 8, 1))
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = skip = L.ReLU()(L.BatchNormalization()(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = L.ReLU(6.0)(L.BatchNormalization()(x))
    x = L.BatchNormalization()(L.Conv2D(8, 1)(x))
    x = L.MaxPooling2D()(L.ReLU()(L.Add()([skip, x])))
    x = L.Conv2D(16, 3, activation="relu")(x)
    x = L.GlobalAveragePooling2D()(x)
    return tf_keras.Model(inputs, L.Dense(4, activation="softmax")(x))


def fit(model, epochs=3, callbacks=(), eagerly=False):
    adam = tf_keras.optimizers.Adam(5e-3)
    model.compile(adam, "sparse_categorical_crossentropy", run_eagerly=eagerly)
    model.fit(*data(), epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


def quantized(model=None):
    return fit(tfmot.quantization.keras.quantize_model(model or fit(net())))


def pruned():
    """Half of the weights of each layer, by TFMOT's wrappers, which stay on."""
    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(0.2, 0.5, begin_step=0, end_step=6, frequency=2)
    model = sparsity.prune_low_magnitude(net(), pruning_schedule=schedule)
    return fit(model, epochs=2, callbacks=[sparsity.UpdatePruningStep()], eagerly=True)


def clustered(model=None):
    """Few values in each kernel, by TFMOT's wrappers, which stay on; zeros of a model that is given
    stay zero.
    """
    centroids = tfmot.clustering.keras.CentroidInitialization.LINEAR
    return fit(
        cluster.cluster_weights(
            net() if model is None else model,
            number_of_clusters=CLUSTERS,
            cluster_centroids_init=centroids,
            preserve_sparsity=model is not None,
        ),
        epochs=1,
        eagerly=True,
    )


def prune_preserving():
    """PQAT: TFMOT's scheme that keeps zeros."""
    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    return _quantized(tfmot.sparsity.keras.strip_pruning(pruned()), scheme)


def cluster_preserving():
    """CQAT: TFMOT's scheme that keeps clusters."""
    scheme = tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(False)
    return _quantized(tfmot.clustering.keras.strip_clustering(clustered()), scheme)


def prune_cluster_preserving():
    """PCQAT: TFMOT's scheme that keeps zeros and clusters."""
    model = clustered(tfmot.sparsity.keras.strip_pruning(pruned()))
    scheme = tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(True)
    return _quantized(tfmot.clustering.keras.strip_clustering(model), scheme)


def _quantized(model, scheme):
    keras = tfmot.quantization.keras
    model = keras.quantize_apply(keras.quantize_annotate_model(model), scheme)
    return fit(model, epochs=1, eagerly=True)


def converted(model):
    """TFMOT's own road: TFLiteConverter with its defaults, int8 in and out."""
    spec = tf.TensorSpec((1, 8, 8, 1), tf.float32)
    infer = tf.function(lambda x: model(x, training=False), input_signature=[spec])
    function = infer.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()
