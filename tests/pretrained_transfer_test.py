"""int8x.keras.transfer: any pretrained model to a full int8 file of a new task, in one call."""

import contextlib
import os

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8_runs import Reference
from int8x.errors import DataError, ModelError
from int8x.keras import transfer
from keras import layers as L

X, Y, X_TEST, Y_TEST = nets.digits(256, 128)
KERAS = tuple(map(int, keras.__version__.split(".")[:2]))


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def base(shape=(8, 8, 1), name="base"):
    inputs = keras.Input(shape)
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = L.ReLU()(L.BatchNormalization()(x))
    return keras.Model(inputs, L.Conv2D(16, 3, activation="relu")(x), name=name)


def pretrained():
    """A base that has learned to tell even digits from odd ones."""
    inputs = keras.Input((8, 8, 1))
    features = base()
    outputs = L.Dense(2)(L.GlobalAveragePooling2D()(features(inputs)))
    model = nets.compiled(keras.Model(inputs, outputs), learning_rate=1e-2)
    model.fit(X, Y % 2, epochs=5, verbose=0)
    return features


def floats(graph):
    return [
        op.kind
        for op in graph.main.operators
        if any(t is not None and t.is_float for t in [*op.inputs, *op.outputs])
    ]


def run(given, path, **options):
    options = {"head_epochs": 1, "epochs": 2, "learning_rate": 1e-2, **options}
    return transfer(given, 10, (X, Y), path / "model.tflite", **options)


def test_a_pretrained_model_learns_a_new_task_and_becomes_an_int8_file(tmp_path):
    titles, steps = [], []

    @contextlib.contextmanager
    def progress(title, total=None, done=0):
        titles.append((title, total))
        yield lambda: steps.append(title)

    features = pretrained()
    result = run(
        features, tmp_path, head_epochs=4, epochs=8, validation=(X_TEST, Y_TEST), progress=progress
    )
    assert result.path == tmp_path / "model.tflite" and result.path.is_file()
    assert not floats(result.graph)
    assert titles[:2] == [("training the head", 32), ("fine-tuning quantization-aware", 64)]
    assert steps.count("training the head") == 32
    assert len(result.history["head"]["accuracy"]) == 4
    assert result.history["head"]["unfrozen_layers"] == [0] * 4
    assert result.history["tuning"]["unfrozen_layers"] == [0, 0, 1, 1, 2, 2, 2, 2]
    assert result.history["tuning"]["loss"][-1] < result.history["head"]["loss"][0]
    reference = Reference(result.path)
    off = np.abs(reference(X_TEST) - reference.steps_from(result.model.predict(X_TEST, verbose=0)))
    assert off.max() <= 2  # requantizing three layers in turn


def test_a_model_of_keras_applications_is_a_base(tmp_path):
    """MobileNet without its top and with its input's size open; random weights, so its
    BatchNormalization learns first what is there.
    """
    given = keras.applications.MobileNet(
        input_shape=(None, None, 3), alpha=0.25, include_top=False, weights=None
    )
    x = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    options = {"head_epochs": 0, "epochs": 1, "unfreeze": {0: "all"}, "freeze_bn": False}
    result = transfer(given, 3, (x, np.array([0, 1, 2, 0])), tmp_path / "m.tflite", **options)
    assert not floats(result.graph)
    assert result.history["tuning"]["unfrozen_layers"] == [27]  # 1 + 13 * 2 convolutions


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_is_a_base(suffix, tmp_path):
    features = base()
    features.save(tmp_path / f"base{suffix}")
    result = run(tmp_path / f"base{suffix}", tmp_path)
    assert not floats(result.graph)
    assert result.history["tuning"]["unfrozen_layers"] == [1, 2]


def test_a_saved_model_without_layers_is_a_base_that_stays_as_it_is(tmp_path):
    features = base()
    features.export(tmp_path / "saved", verbose=False)
    if KERAS < (3, 10):
        with pytest.raises(ModelError, match="or later was wanted for a SavedModel"):
            run(str(tmp_path / "saved"), tmp_path)
        return
    result = run(str(tmp_path / "saved"), tmp_path)
    assert not floats(result.graph)
    before = features.predict(X_TEST, verbose=0)
    after = result.model.layers[1].predict(X_TEST, verbose=0)
    assert np.allclose(before, after, atol=1e-5)


def test_heads_of_every_kind(tmp_path):
    layer = keras.Sequential([L.Flatten(), L.Dense(10, activation="softmax")])
    for head in (layer, lambda x: L.Dense(10)(L.Flatten()(x))):
        result = transfer(base(), head, (X, Y), tmp_path / "m.tflite", head_epochs=1, epochs=1)
        assert result.history["tuning"]["loss"][0] < 5
        assert not floats(result.graph)


def test_data_sets_and_rows_of_probabilities_are_data(tmp_path):
    import tensorflow as tf

    rows = np.eye(10, dtype=np.float32)[Y]
    data = tf.data.Dataset.from_tensor_slices((X, rows)).batch(64)
    result = transfer(base(), 10, data, tmp_path / "m.tflite", head_epochs=1, epochs=1)
    assert not floats(result.graph)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, number):
            return X[number * 64 : number * 64 + 64], Y[number * 64 : number * 64 + 64]

    result = transfer(base(), 10, Batches(), tmp_path / "m.tflite", head_epochs=1, epochs=1)
    assert not floats(result.graph)


def test_pruning_a_teacher_and_settings_of_training_go_with_it(tmp_path):
    teacher = run(base(), tmp_path).model
    result = run(
        base(name="student"),
        tmp_path,
        teacher=int8x.keras.strip(teacher),
        qat=int8x.QATCallback(weight_bits=4),
        callbacks=[int8x.PruningCallback(0.5, exclude=("logits",))],
    )
    assert result.history["tuning"]["sparsity"][-1] == pytest.approx(0.5, abs=0.02)
    assert "compute_loss" not in vars(result.model)
    weighted = [op for op in result.graph.main.operators if len(op.inputs) == 3]
    assert weighted and all(op.inputs[1].dtype == "INT4" for op in weighted)


def nothing(x):
    return None


BAD = {
    "base of no kind": (
        3,
        10,
        (X, Y),
        {},
        ModelError,
        "transfer: base: a Keras model, or the path",
    ),
    "base not there": ("none.keras", 10, (X, Y), {}, FileNotFoundError, "none.keras"),
    "base of another shape": (
        base((9, 9, 1)),
        10,
        (X, Y),
        {},
        ValueError,
        r"\(9, 9, 1\) were wanted by base base, got \(8, 8, 1\)",
    ),
    "base not built": (
        keras.Sequential([L.Dense(2)], name="raw"),
        10,
        (X, Y),
        {},
        ValueError,
        "base: raw",
    ),
    "head of one": (
        base(),
        1,
        (X, Y),
        {},
        ValueError,
        "head: two classes or more were wanted, got 1",
    ),
    "head a word": (
        base(),
        "dense",
        (X, Y),
        {},
        ValueError,
        "head: a number of classes, .* got 'dense'",
    ),
    "head of nothing": (
        base(),
        nothing,
        (X, Y),
        {},
        ValueError,
        "head: one output .* got NoneType",
    ),
    "labels beyond": (
        base(),
        5,
        (X, Y),
        {},
        DataError,
        r"data: labels must be whole numbers in \[0, 5\), got some in \[0, 9\]",
    ),
    "lengths": (base(), 10, (X, Y[:-1]), {}, DataError, "data: as many labels as samples"),
    "no data": (base(), 10, (X[:0], Y[:0]), {}, DataError, "and some, were wanted, got 0 and 0"),
    "words": (base(), 10, (X, np.array(["a"] * len(X))), {}, DataError, "arrays of numbers"),
    "data a path": (base(), 10, "x.npy", {}, DataError, "data: .* were wanted, got str"),
    "validation": (base(), 10, (X, Y), {"validation": (X, Y + 9)}, DataError, "validation: labels"),
    "epochs": (
        base(),
        10,
        (X, Y),
        {"epochs": 0},
        ValueError,
        "epochs must be a whole number from 1",
    ),
    "unfreeze": (
        base(),
        10,
        (X, Y),
        {"epochs": 2, "unfreeze": {2: "all"}},
        ValueError,
        "from epoch 2 on",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_base_head_or_data_is_refused_before_anything_is_trained(case, tmp_path):
    given, head, data, options, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        transfer(given, head, data, tmp_path / "m.tflite", **options)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no model"])
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".txt"])
def test_broken_files_are_refused_by_name(suffix, content, tmp_path):
    (tmp_path / f"bad{suffix}").write_bytes(content)
    with pytest.raises(ModelError, match=rf"bad\{suffix}"):
        transfer(tmp_path / f"bad{suffix}", 10, (X, Y), tmp_path / "m.tflite")


def test_broken_folders_are_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty: a SavedModel folder has saved_model.pb"):
        transfer(tmp_path / "empty", 10, (X, Y), tmp_path / "m.tflite")
    (tmp_path / "empty" / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="empty: not a SavedModel"):
        transfer(tmp_path / "empty", 10, (X, Y), tmp_path / "m.tflite")
