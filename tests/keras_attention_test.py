"""Transformers trained with QATCallback: masks, several inputs, shared and subclassed blocks."""

import copy

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from int8_runs import quantized
from int8x.errors import QuantizeError
from int8x.keras import kinds
from int8x.keras.handle import equalize_model, handle_of
from keras import layers as L

LENGTH, SIZE = 10, 12
GENERATOR = np.random.default_rng(5)
X = GENERATOR.normal(size=(96, LENGTH, 6)).astype("float32")
WORDS = GENERATOR.integers(1, 20, (96, LENGTH)).astype("int32")
WORDS[::2, 6:] = 0  # padding
Y = (X[:, :, 0].mean(1) > 0).astype("int32")


def head(x):
    return L.Dense(3)(L.GlobalAveragePooling1D()(x))


def block(x, **call):
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 6)(x, x, **call)]))
    y = L.Dense(SIZE)(L.Dense(16, activation="relu")(x))
    return L.LayerNormalization()(L.Add()([x, y]))


def transformer(length=LENGTH, **call):
    inputs = keras.Input((length, 6))
    return keras.Model(inputs, head(block(L.Dense(SIZE)(inputs), **call)))


def trained(model, x=X, eagerly=True, **settings):
    model = nets.compiled(model, run_eagerly=eagerly)
    model.fit(x, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback(**settings)])
    return model


def apart(model, path, *arrays):
    """The steps by which a file's results are off those of the net in Keras; they are off the
    delegate's by none. arrays: of the model's inputs.
    """
    stock = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    mine = int8x.Interpreter(path, resolver="reference")
    (sink,) = stock.get_output_details()
    scale, zero_point = sink["quantization"]
    wanted = model.predict(list(arrays) if len(arrays) > 1 else arrays[0], verbose=0)
    wanted, steps = np.round(wanted / np.float32(scale)) + zero_point, []
    for interpreter in (stock, mine):
        for detail in interpreter.get_input_details():
            shape = (1, *arrays[place_of(detail["name"])].shape[1:])
            interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
    for row in range(24):
        for interpreter in (stock, mine):
            for detail in interpreter.get_input_details():
                values = arrays[place_of(detail["name"])][row][None]
                if detail["quantization"][0]:
                    values = quantized(values, *detail["quantization"])
                interpreter.set_tensor(detail["index"], values)
            interpreter.invoke()
        got = stock.get_tensor(sink["index"])
        assert np.array_equal(got, mine.get_tensor(mine.get_output_details()[0]["index"]))
        steps.append(np.abs(got[0] - wanted[row]).astype(int))
    return np.array(steps)


def place_of(name):
    """That of a model's input among the others: the converter calls them x, x_1, x_2."""
    tail = name.split(":")[0].rpartition("_")[2]
    return int(tail) if tail.isdigit() and name.startswith("serving_default_x_") else 0


def floats(graph):
    return [op.kind for op in graph.main.operators for t in op.outputs if t.dtype == "FLOAT32"]


def embedded():
    """Word 0 is padding, to which nothing attends."""
    words = keras.Input((LENGTH,), dtype="int32")
    x = L.Embedding(20, SIZE, mask_zero=True)(words)
    return keras.Model(words, L.Dense(3)(L.Flatten()(block(x)))), (WORDS,)


def masked_by_input(dtype="bool"):
    x, mask = keras.Input((LENGTH, 6)), keras.Input((LENGTH,) * 2, dtype=dtype)
    model = keras.Model([x, mask], head(block(L.Dense(SIZE)(x), attention_mask=mask)))
    return model, (X, (GENERATOR.random((96, LENGTH, LENGTH)) > 0.3).astype(dtype))


def crossed():
    """Queries, keys and values of three lengths and sizes."""
    x, y = keras.Input((LENGTH, 6)), keras.Input((4, 6))
    heads = L.MultiHeadAttention(2, 6, value_dim=5)
    attended = heads(L.Dense(SIZE)(x), L.Dense(9)(y), L.Dense(7)(y))
    return keras.Model([x, y], head(attended)), (X, X[:, :4])


def shared():
    heads, norm = L.MultiHeadAttention(2, 6), L.LayerNormalization()
    inputs = keras.Input((LENGTH, 6))
    x = L.Dense(SIZE)(inputs)
    for _ in range(2):
        x = norm(L.Add()([x, heads(x, x)]))
    return keras.Model(inputs, head(x)), (X,)


def with_places():
    """Places are added as in most models: the embedding of constants."""
    inputs = keras.Input((LENGTH, 6))
    x = L.Dense(SIZE)(inputs) + L.Embedding(LENGTH, SIZE)(keras.ops.arange(LENGTH))
    return keras.Model(inputs, head(block(x))), (X,)


MODELS = {
    "padding": embedded,
    "a mask": masked_by_input,
    "other keys": crossed,
    "shared layers": shared,
    "places": with_places,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_transformer_is_exported_without_data_as_it_was_trained(name, tmp_path):
    nets.seed()
    model, arrays = MODELS[name]()
    model = trained(model, list(arrays) if len(arrays) > 1 else arrays[0])
    assert handle_of(model).plan.unranged == []
    path = tmp_path / "model.tflite"
    assert not floats(int8x.export(model, path))
    # SELECT_V2 parts nothing; only the RESHAPE of a mask, which is bool, is the runtime's.
    assert int8x.Interpreter(path).claims.partitions == (2 if name == "a mask" else 1)
    steps = apart(model, path, *arrays)
    assert steps.max() <= 2 and (steps == 0).mean() >= 0.95, np.bincount(steps.ravel())


def test_a_mask_of_floats_trains_and_the_export_names_what_makes_it_one_of_truths(tmp_path):
    nets.seed()
    model, arrays = masked_by_input("float32")
    model = trained(model, list(arrays))
    with pytest.raises(QuantizeError, match="1 operators cannot be made int8: CAST"):
        int8x.export(model, tmp_path / "model.tflite")
    recipe = {"name": "mixed", "compute": "int8", "allow_float": True}
    graph = int8x.export(model, tmp_path / "model.tflite", recipe=recipe)
    assert [op.kind for op in graph.main.operators if op.kind == "BATCH_MATMUL"]


class Block(L.Layer):
    def __init__(self):
        super().__init__()
        self.heads, self.norm = L.MultiHeadAttention(2, 6, dropout=0.1), L.LayerNormalization()
        self.dense, self.drop = L.Dense(SIZE, activation="relu"), L.Dropout(0.1)

    def call(self, x, training=None):
        y = self.heads(x, x, use_causal_mask=True, training=training)
        return self.norm(x + self.drop(self.dense(y), training=training))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.blocks = L.Dense(SIZE), [Block(), Block()]
        self.pool, self.end = L.GlobalAveragePooling1D(), L.Dense(3)

    def call(self, x, training=None):
        x = self.dense(x)
        for part in self.blocks:
            x = part(x, training=training)
        return self.end(self.pool(x))


def test_blocks_and_models_of_classes_of_ones_own(tmp_path):
    nets.seed()
    model = trained(Net(), eagerly=False)
    path = tmp_path / "model.tflite"
    graph = int8x.export(model, path)
    assert not floats(graph)
    assert {"MINIMUM", "SELECT_V2"} & {op.kind for op in graph.main.operators}
    claims = int8x.Interpreter(path).claims
    assert all(node.claimed for node in claims.nodes)  # the masks, which are constant, too
    assert apart(model, path, X).max() <= 2


@pytest.mark.parametrize(
    "settings",
    [
        {"ranges": "lsq"},
        {"weight_bits": 4},
        {"weights": "per_tensor"},
        {"start_epoch": 1},
    ],
    ids=str,
)
def test_every_setting_trains_transformers(settings, tmp_path):
    nets.seed()
    model = trained(transformer(use_causal_mask=True), **settings)
    path = tmp_path / "model.tflite"
    assert not floats(int8x.export(model, path))
    steps = apart(model, path, X)
    assert steps.max() <= 2 and (steps == 0).mean() >= 0.9


def test_what_is_masked_has_no_weight():
    nets.seed()
    model = trained(transformer(use_causal_mask=True))
    later = X[:8].copy()
    later[:, 5:] += GENERATOR.normal(size=later[:, 5:].shape)
    heads = next(layer for layer in model.layers if isinstance(layer, L.MultiHeadAttention))
    upto = keras.Model(model.inputs, heads.output)
    before, after = (upto(x, training=False).numpy()[:, :5] for x in (X[:8], later))
    assert np.abs(before - after).max() <= 0.02 * np.abs(before).max()


def test_lengths_that_are_not_known_are_exported(tmp_path):
    nets.seed()
    model = trained(transformer(None))
    path = tmp_path / "model.tflite"
    int8x.export(model, path)
    for length in (LENGTH, 4, 7):
        assert apart(model, path, X[:, :length]).max() <= 2


def test_int16_activations_take_attention_and_name_what_has_no_kernel(tmp_path):
    nets.seed()
    inputs = keras.Input((LENGTH, 6))
    x = L.Dense(SIZE)(inputs)
    model = trained(keras.Model(inputs, head(L.MultiHeadAttention(2, 6)(x, x))), activation_bits=16)
    graph = int8x.export(model, tmp_path / "wide.tflite")
    assert {t.dtype for op in graph.main.operators for t in op.outputs} == {"INT16"}
    model = trained(transformer(), activation_bits=16)
    with pytest.raises(QuantizeError, match="2 operators cannot be made int16x8: RSQRT"):
        int8x.export(model, tmp_path / "model.tflite")
    model = trained(transformer(), activation_bits=16, exclude=(L.LayerNormalization,))
    recipe = {"name": "mixed", "compute": "int16x8", "allow_float": True}
    assert floats(int8x.export(model, tmp_path / "model.tflite", recipe=recipe))


def test_a_transformer_is_saved_attached_and_stripped(tmp_path):
    nets.seed()
    plain = transformer()
    want = plain.predict(X, verbose=0)
    with_callback = trained(plain)
    rounded = with_callback.predict(X, verbose=0)
    with_callback.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    int8x.keras.attach(again)
    again.load_weights(tmp_path / "model.keras")
    assert np.array_equal(again.predict(X, verbose=0), rounded)
    in_float = copy.deepcopy(with_callback).predict(X, verbose=0)
    stripped = int8x.keras.strip(with_callback)
    assert not np.array_equal(in_float, rounded) and not np.array_equal(in_float, want)
    np.testing.assert_array_equal(stripped.predict(X, verbose=0), in_float)
    heads = next(layer for layer in stripped.layers if isinstance(layer, L.MultiHeadAttention))
    assert "_compute_attention" not in vars(heads)


class Sharpened(L.MultiHeadAttention):
    """Attention that is computed in another way."""

    def _compute_attention(self, query, key, value, *args, **kwargs):
        return super()._compute_attention(2 * query, key, value, *args, **kwargs)


def test_attention_that_is_computed_otherwise_is_not_taken_for_keras_s():
    inputs = keras.Input((LENGTH, 6))
    x = L.Dense(SIZE)(inputs)
    model = keras.Model(inputs, head(Sharpened(2, 6)(x, x)))
    with pytest.warns(UserWarning, match="no range is learned for .*Softmax"):
        trained(model)


def test_channels_before_a_normalization_are_not_evened_out():
    nets.seed()
    model = transformer()
    dense = model.layers[1]
    scales = 2.0 ** (np.arange(SIZE) % 6)
    dense.kernel.assign(dense.kernel.numpy() * scales)
    before = model.predict(X, verbose=0)
    equalize_model(model)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


def wrapped(wrap):
    inputs = keras.Input((LENGTH, 6))
    x = wrap(L.Dense(SIZE))(inputs)
    x = x + wrap(L.MultiHeadAttention(2, 6, name="heads"))(x, x, use_causal_mask=True)
    x = wrap(L.LayerNormalization())(x)
    return keras.Model(inputs, wrap(L.Dense(3))(L.GlobalAveragePooling1D()(x)))


def test_wrapped_attention_is_trained_saved_and_exported_as_plain_attention(tmp_path):
    files = []
    for wrap in (lambda layer: layer, int8x.keras.QATWrapper):
        keras.backend.clear_session()  # or names count on
        nets.seed()
        model = trained(wrapped(wrap))
        files.append(int8x.export(model, tmp_path / "model.tflite").to_bytes())
    assert files[0] == files[1]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    int8x.keras.attach(again)
    again.load_weights(tmp_path / "model.keras")
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    int8x.export(again, tmp_path / "again.tflite")
    assert apart(model, tmp_path / "again.tflite", X).max() <= 1


def test_attention_that_is_not_wrapped_stays_in_float_among_wrappers(tmp_path):
    nets.seed()

    def wrap(layer):
        return layer if layer.name == "heads" else int8x.keras.QATWrapper(layer)

    model = trained(wrapped(wrap))
    recipe = {"name": "mixed", "compute": "int8", "allow_float": True}
    graph = int8x.export(model, tmp_path / "model.tflite", recipe=recipe)
    assert "BATCH_MATMUL" in floats(graph)


def test_wrappers_tell_layers_of_one_name_in_two_attentions_apart_or_refuse(tmp_path):
    def two(wrap):
        inputs = keras.Input((LENGTH, 6))
        x = int8x.keras.QATWrapper(L.Dense(SIZE))(inputs)
        x = x + int8x.keras.QATWrapper(L.MultiHeadAttention(2, 6, name="first"))(x, x)
        x = x + wrap(L.MultiHeadAttention(2, 6, name="second"))(x, x)
        return keras.Model(inputs, head(x))

    nets.seed()
    model = trained(two(lambda layer: layer))
    kept = {call.operation.name for call in handle_of(model).plan.calls if call.kind == kinds.FLOAT}
    assert {"second"} <= kept and not {"first", "query"} & kept
    with pytest.raises(ValueError, match=r"8 and of 4 bits for layers of one name, .*query"):
        trained(two(lambda layer: int8x.keras.QATWrapper(layer, weight_bits=4)))
