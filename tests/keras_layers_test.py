"""Every layer that QATCallback knows is exported in int8, on the grid it was trained with."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from int8_runs import Reference, quantized
from int8x.keras.handle import handle_of
from keras import layers as L
from trained_nets import off, steps_of_operators

X, Y, X_TEST, _ = nets.digits(64, 48)
EQUAL = 0.99  # of the results of each operator that reads what the trained model has
UNLIKE = {"RESIZE_BILINEAR": 0.95}  # TFLite's weights have 10 bits


def conv(x, channels=4, **options):
    return L.Conv2D(channels, 3, **options)(x)


def squeeze_excite(x):
    x = conv(x)
    return L.Multiply()(
        [x, L.Reshape((1, 1, 4))(L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(x)))]
    )


def half_fixed_concat(x):
    return L.Concatenate()([conv(x, activation="sigmoid"), conv(x)])


def concat(x):
    x = conv(x, padding="same")
    return L.Concatenate()(
        [x, L.MaxPooling2D(3, 1, "same")(conv(x, padding="same", activation="relu"))]
    )


def rows(x):
    return L.Reshape((8, 8))(x)


def tokens(x):
    """A row of an image is a token of twelve channels."""
    return L.Dense(12)(rows(x))


def attention(x, layer=None, **call):
    x = tokens(x)
    return (layer or L.MultiHeadAttention(2, 6))(x, x, **call)


def of_operations(query, key, value):
    scores = keras.ops.matmul(query, keras.ops.transpose(key, (0, 2, 1))) * 0.25
    return keras.ops.matmul(keras.ops.softmax(scores), value)


def of_dots(query, key, value):
    return L.Dot((2, 1))([L.Softmax()(L.Dot((2, 2))([query, key])), value])


def gated(x):
    """Two dilated convolutions of one tensor: WaveNet's (arXiv:1609.03499)."""
    x = L.Conv1D(6, 1)(rows(x))
    how = {"padding": "causal", "dilation_rate": 2}
    y = L.Multiply()(
        [L.Conv1D(6, 2, activation=name, **how)(x) for name in ("tanh", "sigmoid", "relu")]
    )
    return L.Conv1D(6, 1)(y)


def block(x):
    """A block of a transformer, normalized first."""
    x = tokens(x)
    y = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 6)(y, y)])
    y = L.LayerNormalization()(x)
    return L.Add()([x, L.Dense(12)(L.Dense(24, activation="gelu")(y))])


BODIES = {
    "Conv2D dilated": lambda x: conv(x, dilation_rate=2, padding="same"),
    "Conv1D, BatchNormalization, ReLU": lambda x: L.ReLU()(
        L.BatchNormalization()(L.Conv1D(6, 3)(rows(x)))
    ),
    "DepthwiseConv1D": lambda x: L.ReLU()(L.DepthwiseConv1D(3)(rows(x))),
    "SeparableConv1D": lambda x: L.SeparableConv1D(6, 3, activation="relu")(rows(x)),
    "SeparableConv2D twice": lambda x: L.BatchNormalization()(
        L.SeparableConv2D(6, 3)(L.SeparableConv2D(4, 3)(x))
    ),
    "Conv2DTranspose, BatchNormalization": lambda x: L.ReLU()(
        L.BatchNormalization()(L.Conv2DTranspose(4, 3, 2)(x))
    ),
    "Dense, BatchNormalization, ReLU": lambda x: L.ReLU()(
        L.BatchNormalization()(L.Dense(12)(L.Flatten()(x)))
    ),
    "Dense on images": lambda x: L.ReLU()(L.BatchNormalization()(L.Dense(5)(x))),
    "BatchNormalization alone on images": lambda x: conv(
        L.ReLU()(L.BatchNormalization()(L.MaxPooling2D()(conv(x)))), padding="same"
    ),
    "BatchNormalization alone on vectors": lambda x: L.BatchNormalization()(L.Flatten()(x)),
    "Rescaling": lambda x: conv(L.Rescaling(1 / 8, -1)(x)),
    "Normalization": lambda x: conv(L.Normalization(mean=[4.0], variance=[9.0])(x)),
    "AveragePooling2D": lambda x: L.AveragePooling2D(2)(conv(x)),
    "GlobalMaxPooling2D": lambda x: L.GlobalMaxPooling2D()(conv(x)),
    "Concatenate": concat,
    "Concatenate with sigmoid": half_fixed_concat,
    "Multiply with a gate": squeeze_excite,
    "Add of three, ReLU": lambda x: L.ReLU()(L.Add()([conv(x), conv(x), conv(x)])),
    "Subtract": lambda x: L.Subtract()([conv(x), conv(x)]),
    "tanh, LeakyReLU": lambda x: L.LeakyReLU()(conv(x, activation="tanh")),
    "leaky_relu as an activation": lambda x: conv(
        L.Activation("leaky_relu")(x), activation="leaky_relu"
    ),
    "leaky_relu of other kernels": lambda x: L.Dense(6, activation="leaky_relu")(
        L.SeparableConv2D(4, 3, activation="leaky_relu")(x)
    ),
    "ReLU with a slope": lambda x: L.ReLU(negative_slope=0.1)(conv(x)),
    "leaky_relu of keras.ops": lambda x: keras.ops.leaky_relu(conv(x), 0.3),
    "silu and gelu of keras.ops": lambda x: keras.ops.gelu(keras.ops.silu(conv(x))),
    "mean of keras.ops": lambda x: keras.ops.mean(conv(x), axis=(1, 2), keepdims=True),
    "mean of channels": lambda x: keras.ops.mean(conv(x, 5), axis=-1, keepdims=True),
    "log_softmax": lambda x: conv(L.Activation("log_softmax")(x), activation="log_softmax"),
    "PReLU": lambda x: L.PReLU(keras.initializers.Constant(0.2))(conv(x)),
    "hard_swish": lambda x: conv(x, activation="hard_swish"),
    "swish": lambda x: conv(x, activation="swish"),
    "TensorFlow's swish": lambda x: conv(L.Activation(tf.nn.swish)(x), activation=tf.nn.swish),
    "hard_sigmoid": lambda x: conv(L.Activation("hard_sigmoid")(x), activation="hard_sigmoid"),
    "softplus": lambda x: conv(L.Activation("softplus")(x), activation="softplus"),
    "mish": lambda x: conv(L.Activation("mish")(conv(x)), activation="mish"),
    "hard_tanh": lambda x: conv(L.Activation("hard_tanh")(conv(x)), activation="hard_tanh"),
    "exponential": lambda x: L.Dense(4, activation="exponential")(
        L.Activation("exponential")(conv(x, activation="tanh"))
    ),
    "activations of keras.ops": lambda x: keras.ops.softplus(
        keras.ops.hard_sigmoid(keras.ops.log_softmax(conv(x)))
    ),
    "UpSampling2D, ZeroPadding2D": lambda x: conv(L.ZeroPadding2D()(L.UpSampling2D()(conv(x)))),
    "Conv1DTranspose, BatchNormalization": lambda x: L.ReLU()(
        L.BatchNormalization()(L.Conv1DTranspose(4, 3, 2)(rows(x)))
    ),
    "UpSampling2D, bilinear": lambda x: L.UpSampling2D(interpolation="bilinear")(conv(x)),
    "Resizing": lambda x: L.Resizing(9, 5)(conv(x)),
    "Resizing, nearest": lambda x: L.Resizing(9, 5, interpolation="nearest")(conv(x)),
    "ReLU up to 1": lambda x: L.ReLU(max_value=1)(conv(x)),
    "ReLU of the input": lambda x: L.ReLU()(x),
    "LayerNormalization": lambda x: L.LayerNormalization()(tokens(x)),
    "LayerNormalization of pixels that are all alike": lambda x: L.LayerNormalization(
        center=False, scale=False
    )(L.ReLU()(L.Conv2D(6, 3)(x))),
    "GroupNormalization": lambda x: L.GroupNormalization(3)(conv(x, 6)),
    "GroupNormalization of tokens": lambda x: L.GroupNormalization(1, scale=False)(tokens(x)),
    "GroupNormalization of vectors": lambda x: L.GroupNormalization(4, center=False)(
        L.Dense(24)(L.Flatten()(x))
    ),
    "UnitNormalization": lambda x: L.UnitNormalization()(conv(x)),
    "normalize of keras.ops": lambda x: keras.ops.normalize(L.Dense(24)(L.Flatten()(x))),
    "l2_normalize in a Lambda": lambda x: L.Lambda(lambda y: tf.math.l2_normalize(y, axis=1))(
        L.Dense(24)(L.Flatten()(x))
    ),
    "RMSNormalization": lambda x: L.RMSNormalization()(tokens(x)),
    "EinsumDense to two axes": lambda x: L.EinsumDense(
        "abc,cde->abde", (8, 3, 5), bias_axes="de", activation="relu"
    )(tokens(x)),
    "EinsumDense of two axes": lambda x: L.EinsumDense("abcd,cde->abe", (3, 7))(conv(x, strides=2)),
    "MultiHeadAttention": attention,
    "MultiHeadAttention, causal": lambda x: attention(x, use_causal_mask=True),
    "MultiHeadAttention, causal, Dropout": lambda x: attention(
        x, L.MultiHeadAttention(2, 6, 5, dropout=0.2, use_bias=False), use_causal_mask=True
    ),
    "MultiHeadAttention's probabilities": lambda x: L.Concatenate()(
        [
            L.Flatten()(y)
            for y in attention(x, L.MultiHeadAttention(2, 6), return_attention_scores=True)
        ]
    ),
    "GroupQueryAttention": lambda x: attention(x, L.GroupQueryAttention(6, 4, 2)),
    "a block of a transformer": block,
    "attention of keras.ops": lambda x: of_operations(*(L.Dense(12)(rows(x)) for _ in range(3))),
    "attention of Dot": lambda x: of_dots(*(L.Dense(12)(rows(x)) for _ in range(3))),
    "Dot of unit vectors": lambda x: L.Dot(1)(
        [L.UnitNormalization()(L.Dense(6)(y)) for y in (L.Flatten()(x), L.Flatten()(conv(x)))]
    ),
    "operators without layers": lambda x: keras.ops.relu(conv(x) + conv(x)),
    "gated convolutions": gated,
    "Average": lambda x: L.Average()([conv(x), conv(x), conv(x)]),
    "sums of keras.ops": lambda x: L.Concatenate()(
        [keras.ops.sum(conv(x), axis=(1, 2)), keras.ops.sum(L.Flatten()(conv(x)), -1, True)]
    ),
    "a division by a constant": lambda x: (conv(x) + conv(x)) / 3.0,
    "squares": lambda x: keras.ops.square(conv(x)) + conv(x) ** 2,
    "exp, negative, log": lambda x: keras.ops.log(
        keras.ops.exp(-keras.ops.abs(conv(x))) + keras.ops.square(conv(x)) + 1.0
    ),
    "rsqrt": lambda x: keras.ops.rsqrt(keras.ops.relu(conv(x)) + 0.5),
    "relu in a Lambda": lambda x: L.Lambda(lambda y: tf.nn.relu6(y))(conv(x)),
    "einsum": lambda x: keras.ops.einsum("abc,abd->acd", rows(x), tokens(x)),
}


if hasattr(L, "AdaptiveMaxPooling2D"):
    BODIES["AdaptiveAveragePooling2D"] = lambda x: L.AdaptiveAveragePooling2D((4, 2))(
        conv(x, padding="same")
    )
if not hasattr(L, "RMSNormalization"):  # before Keras 3.9
    del BODIES["RMSNormalization"]


@pytest.mark.parametrize("name", BODIES)
def test_layer_exports_to_int8_and_agrees(name, tmp_path):
    nets.seed()
    net = nets.functional(lambda x: nets.head(BODIES[name](x)))
    model = nets.compiled(net, run_eagerly=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    assert handle_of(model).plan.unranged == []
    graph = int8x.export(model, tmp_path / "model.tflite")
    for op, steps in steps_of_operators(model, graph, X_TEST):
        print(op.kind, np.bincount(steps.ravel()))
        assert steps.max() <= 1 and (steps == 0).mean() >= UNLIKE.get(op.kind, EQUAL), op
    run = Reference(tmp_path / "model.tflite")
    assert {kind for _, kind in run.operators()} == {"int8"}
    apart = np.abs(run(X_TEST) - run.steps_from(model.predict(X_TEST, verbose=0)))
    assert apart.max() <= 3
    assert (apart <= 1).mean() >= 0.98


def moved(x):
    x = keras.ops.swapaxes(keras.ops.flip(conv(x, padding="same"), axis=1), 1, 2)
    x = keras.ops.take(keras.ops.roll(x, 1, axis=2), [0, 2, 1, 3], axis=-1)
    x = keras.ops.image.resize(x, (4, 4), interpolation="nearest")
    parts = keras.ops.unstack(x, axis=1)
    return L.Concatenate()([keras.ops.min(parts[0], axis=1), keras.ops.amax(parts[2], axis=1)])


class Shuffle(L.Layer):
    """Channels of two groups, mixed (arXiv:1707.01083), behind a copy of the first row."""

    def call(self, x):
        x = keras.ops.concatenate([x[:, :1], x], axis=1)
        sizes = x.shape[1:]
        x = keras.ops.reshape(x, (-1, *sizes[:2], 2, sizes[2] // 2))
        return keras.ops.reshape(keras.ops.transpose(x, (0, 1, 2, 4, 3)), (-1, *sizes))


MOVES = {
    "keras.ops": moved,
    "a Lambda": lambda x: L.Lambda(lambda y: tf.nn.depth_to_space(tf.roll(y, 1, 2), 2))(conv(x, 8)),
    "a layer": lambda x: Shuffle()(conv(x)),
    "bounds": lambda x: keras.ops.minimum(keras.ops.maximum(conv(x), -0.5), 0.7),
    "zeros around": lambda x: keras.ops.pad(conv(x), ((0, 0), (1, 2), (0, 1), (0, 0))),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_values_stays_on_their_grid(name, tmp_path):
    nets.seed()
    model = nets.compiled(nets.functional(MOVES[name]), run_eagerly=True)
    target = np.zeros(model(X[:1]).shape[1:], np.float32)
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(X, np.stack([target] * len(X)), epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    assert handle_of(model).plan.unranged == []
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert "QUANTIZE" not in {op.kind for op in graph.main.operators}
    assert off(model, tmp_path / "model.tflite").max() == 0


class Token(L.Layer):
    """A row of its own before the others, far beyond their range."""

    def build(self, shape):
        start = keras.initializers.Constant(30.0)
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer=start)

    def call(self, x):
        sizes = (keras.ops.shape(x)[0], 1, self.token.shape[-1])
        return keras.ops.concatenate([keras.ops.broadcast_to(self.token, sizes), x], axis=1)


class Table(L.Layer):
    """As many numbers as its input has, whatever these are."""

    def build(self, shape):
        self.table = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal")

    def call(self, x):
        return tf.broadcast_to(self.table, tf.shape(x))


def with_table(x):
    x = rows(x)
    return L.Concatenate()([x, Table()(x)])


CONSTANTS = {
    "a token": lambda x: Token()(L.Rescaling(0.01)(rows(x))),
    "a table": with_table,
    "a frame": lambda x: keras.ops.pad(
        L.Rescaling(0.01)(x), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=9.0
    ),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_what_adds_constants_to_values_is_on_a_grid_of_its_own(name, tmp_path):
    nets.seed()
    model = nets.compiled(nets.functional(CONSTANTS[name]), run_eagerly=True)
    target = np.zeros((len(X), *model(X[:1]).shape[1:]), np.float32)
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, target, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    assert handle_of(model).plan.unranged == []
    int8x.export(model, tmp_path / "model.tflite")
    assert off(model, tmp_path / "model.tflite").max() <= 1


def test_averages_of_tensors_of_other_ranks_are_keras(tmp_path):
    nets.seed()

    def body(x):
        x = rows(x)
        return L.Dense(10)(L.Flatten()(L.Average()([x, L.GlobalAveragePooling1D()(x), x])))

    model = nets.compiled(nets.functional(body), run_eagerly=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    int8x.export(model, tmp_path / "model.tflite")
    assert off(model, tmp_path / "model.tflite").max() <= 1


UNKNOWN = {
    "a comparison": lambda t: tf.cast(t > 0.5, "float32") * t,
    "powers": lambda t: tf.pow(t, [2.0, 2.0, 1.0, 1.0]),
    "a clip": lambda t: tf.maximum(tf.minimum(t, 0.3), 0.0),
    "a kernel": lambda t: tf.einsum("abcd,de->abce", t, tf.ones((4, 3))),
    "two operators": lambda t: tf.abs(t - 1.0),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_rounds_several_times_in_one_call_is_named(name):
    nets.seed()
    layer = L.Lambda(UNKNOWN[name], name="several")
    model = nets.compiled(nets.functional(lambda x: nets.head(layer(conv(x)))))
    with pytest.warns(UserWarning, match="no range is learned for the inside of Lambda 'several'"):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[int8x.QATCallback()])


def test_a_clip_from_zero_and_a_maximum_of_zero_are_relus(tmp_path):
    nets.seed()
    net = nets.functional(
        lambda x: nets.head(keras.ops.clip(conv(x), 0, 0.7) + keras.ops.maximum(conv(x), 0.0))
    )
    model = nets.compiled(net, run_eagerly=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    assert handle_of(model).plan.unranged == []
    graph = int8x.export(model, tmp_path / "model.tflite")
    fused = [getattr(op.options, "fusedActivationFunction", 0) for op in graph.main.operators]
    assert [op.kind for op in graph.main.operators].count("CONV_2D") == sum(fused) == 2
    assert off(model, tmp_path / "model.tflite").max() <= 1


@pytest.mark.skipif(not hasattr(L, "AdaptiveMaxPooling2D"), reason="came with Keras 3.13")
def test_adaptive_maxima_stay_on_the_grid_they_are_of(tmp_path):
    nets.seed()
    net = nets.functional(lambda x: nets.head(L.AdaptiveMaxPooling2D((4, 3))(conv(x))))
    model = nets.compiled(net, run_eagerly=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert "QUANTIZE" not in {op.kind for op in graph.main.operators}
    assert off(model, tmp_path / "model.tflite").max() == 0


def test_an_embedding_is_int8_on_the_grid_of_its_rows(tmp_path):
    nets.seed()
    inputs = keras.Input((64,), dtype="int32")
    outputs = L.Dense(10)(L.GlobalAveragePooling1D()(L.Embedding(17, 8)(inputs)))
    model = nets.compiled(keras.Model(inputs, outputs), run_eagerly=True)
    words = X.reshape(-1, 64).astype("int32")
    model.fit(words, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    graph = int8x.export(model, tmp_path / "model.tflite")
    (gather,) = (op for op in graph.main.operators if op.kind == "GATHER")
    table = model.layers[1].embeddings.numpy()
    scale, zero_point = gather.outputs[0].quant.scale, gather.outputs[0].quant.zero_point
    wanted = np.clip(np.round(table / np.float32(scale)) + zero_point, -128, 127)
    np.testing.assert_array_equal(gather.inputs[0].data, wanted)
    assert steps_off(model, graph, words[:16]) <= 1


def steps_off(model, graph, samples):
    """The most steps by which an operator's results are off."""
    return max(steps.max() for _, steps in steps_of_operators(model, graph, samples))


def unet(x):
    """Halved, and back by interpolation and by a transposed convolution."""
    x = L.ReLU()(L.GroupNormalization(2)(conv(x, 6, padding="same")))
    half = L.AveragePooling2D(2)(x)
    up = L.UpSampling2D(interpolation="bilinear")(conv(half, 6, padding="same"))
    transposed = L.Conv2DTranspose(6, 2, strides=2, activation="relu")(L.MaxPooling2D()(x))
    return L.Conv2D(3, 1)(L.Concatenate()([x, up, L.UpSampling2D()(half), transposed]))


def dilated(x):
    x = conv(x, 6, padding="same", dilation_rate=2, activation="relu")
    x = L.ReLU()(L.DepthwiseConv2D(3, padding="same", dilation_rate=3)(x))
    return L.Dense(3)(L.SeparableConv2D(6, 3, padding="same", dilation_rate=(2, 2))(x))


def causal(x):
    x = L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    x = L.BatchNormalization()(L.Conv1D(6, 2, padding="causal", dilation_rate=4, use_bias=False)(x))
    x = L.DepthwiseConv1D(3, padding="same", dilation_rate=2, activation="relu")(x)
    return L.Dense(3)(L.Dense(5, activation="relu")(x))


FREE = {
    "unet": (unet, (None, None, 1), [(8, 8), (12, 6), (4, 20)]),
    "dilated": (dilated, (None, None, 1), [(8, 8), (12, 5), (3, 20)]),
    "causal": (causal, (None, 8), [(8,), (21,), (3,)]),
}


@pytest.mark.parametrize("name", FREE)
def test_a_net_of_free_sizes_is_exported_and_its_file_takes_others(name, tmp_path):
    body, free, sizes = FREE[name]
    nets.seed()
    model = nets.functional(body, free)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = X if len(free) == 3 else X[..., 0]
    marks = (x > 5).astype("int32") + (x > 10)
    marks = marks[..., 0] if len(free) == 3 else marks.max(-1)
    model.fit(x, marks, epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    path = tmp_path / "model.tflite"
    graph = int8x.export(model, path)
    assert not {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} & {op.kind for op in graph.main.operators}
    interpreter = int8x.Interpreter(path)
    stock = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    for size in sizes:
        shape = (1, *size, free[-1])
        values = np.random.default_rng(2).uniform(0, 16, shape).astype("float32")
        coded = quantized(values, *source["quantization"])
        stock.resize_tensor_input(source["index"], shape)
        stock.allocate_tensors()
        stock.set_tensor(source["index"], coded)
        stock.invoke()
        got = interpreter(coded)
        assert got.shape == (1, *size, 3)
        assert np.array_equal(got, stock.get_tensor(sink["index"]))
        scale, zero_point = sink["quantization"]
        steps = np.round(model(values, training=False).numpy() / scale) + zero_point
        assert np.abs(got - steps).max() <= 2
