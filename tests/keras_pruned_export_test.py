"""Pruning and quantization-aware training in one fit: the zeros are zeros of the int8 file."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8_runs import Reference
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)


def net():
    def build(x):
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, use_bias=False, name="first")(x)))
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, name="second")(x)))
        return L.Dense(12, name="dense")(L.GlobalAveragePooling2D()(x))

    return nets.functional(build)


def in_file(graph, kind, number):
    return [op for op in graph.main.operators if op.kind == kind][number].inputs[1].data


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("first", ["pruning", "qat"])
def test_blocks_of_zeros_are_blocks_of_zeros_in_the_file(jit, first, tmp_path):
    nets.seed()
    model = nets.compiled(net(), jit=jit)
    callbacks = [
        int8x.PruningCallback(sparsity=0.75, block=(1, 4), exclude=("first",)),
        int8x.QATCallback(),
    ]
    callbacks = callbacks if first == "pruning" else callbacks[::-1]
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    graph = int8x.export(model, tmp_path / "model.tflite")
    second, dense = in_file(graph, "CONV_2D", 1), in_file(graph, "FULLY_CONNECTED", 0)
    wanted = model.get_layer("second").kernel.numpy().transpose(3, 0, 1, 2) == 0
    assert (second[wanted] == 0).all()
    for weights in (second, dense):
        blocks = (weights.reshape(-1, 4) == 0).all(1)
        assert blocks.mean() >= 0.75
    run = Reference(tmp_path / "model.tflite")
    off = np.abs(run(X_TEST) - run.steps_from(model.predict(X_TEST, verbose=0)))
    assert off.max() <= 2


def test_two_of_four_hold_in_the_file_after_later_quantization_aware_training(tmp_path):
    nets.seed()
    model = nets.compiled(net())
    pruning = int8x.PruningCallback(pattern="2:4", exclude=("first",))
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[pruning])
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=[int8x.QATCallback()])
    graph = int8x.export(model, tmp_path / "model.tflite")
    for weights in (in_file(graph, "CONV_2D", 1), in_file(graph, "FULLY_CONNECTED", 0)):
        assert ((weights.reshape(-1, 4) != 0).sum(1) <= 2).all()


PROJECTIONS = ("query", "key", "value", "attention_output")


def former():
    """Two attention layers, whose projections have the same names."""

    def build(x):
        x = L.Dense(16, name="dense")(L.Reshape((8, 8))(x))
        x = L.Add()([x, L.MultiHeadAttention(2, 8, name="one")(x, x)])
        x = L.Add()([x, L.MultiHeadAttention(4, 4, name="two")(x, x)])
        return L.Dense(10, name="end")(L.GlobalAveragePooling1D()(x))

    return nets.functional(build)


@pytest.mark.parametrize("how", [{"block": (1, 4)}, {"block": (4, 1)}, {"pattern": "2:4"}])
def test_projections_of_attention_are_pruned_and_stay_so_in_the_file(how, tmp_path):
    nets.seed()
    model = nets.compiled(former())
    pruning = int8x.PruningCallback(**how, exclude=("end", "two"))
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[pruning, int8x.QATCallback()])
    assert {row.layer: row.sparsity >= 0.5 for row in pruning.report.layers} == {
        "dense": True,
        **{f"one/{name}": True for name in PROJECTIONS},
        **{f"two/{name}": False for name in PROJECTIONS},
        "end": False,
    }
    assert pruning.report.dense["two/query"] == "excluded"
    graph = int8x.export(model, tmp_path / "model.tflite")
    products = [op for op in graph.main.operators if op.kind == "FULLY_CONNECTED"]
    pruned = [op.inputs[1].data for op in products if (op.inputs[1].data == 0).mean() >= 0.5]
    assert len(pruned) == 5
    for weights in pruned:
        rows, columns = how.get("block", (1, 4))
        outputs, inputs = weights.shape
        blocks = weights.reshape(outputs // rows, rows, inputs // columns, columns) == 0
        whole = blocks.all((1, 3)).mean() if "block" in how else (blocks.sum(3) >= 2).mean()
        assert whole >= (0.5 if "block" in how else 1)
    run = Reference(tmp_path / "model.tflite")
    assert np.abs(run(X_TEST) - run.steps_from(model.predict(X_TEST, verbose=0))).max() <= 2


def test_a_projection_has_a_sparsity_of_its_own_and_keeps_its_zeros_when_loaded(tmp_path):
    nets.seed()
    model = nets.compiled(former())
    pruning = int8x.PruningCallback({"one/query": 0.75, "two/*": 0.25})
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[pruning])
    found = {row.layer: row.sparsity for row in pruning.report.layers}
    assert found["one/query"] == 0.75 and found["two/value"] == 0.25 and found["one/key"] < 0.01
    model.save(tmp_path / "model.keras")
    again = nets.compiled(keras.saving.load_model(tmp_path / "model.keras"))
    int8x.keras.keep_zeros(again)
    again.fit(X, Y, epochs=1, verbose=0)
    report = int8x.keras.sparsity_report(again)
    assert {row.layer: row.sparsity for row in report.layers}["one/query"] == 0.75


def test_a_projection_is_excluded_by_the_name_that_the_report_gives_it():
    nets.seed()
    model = nets.compiled(former())
    pruning = int8x.PruningCallback(0.5, exclude=("one/query", "two/*"))
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[pruning])
    excluded = {name for name, why in pruning.report.dense.items() if why == "excluded"}
    assert excluded == {"one/query", *(f"two/{name}" for name in PROJECTIONS)}


def test_an_equation_that_is_no_product_of_matrices_stays_dense_and_is_named():
    nets.seed()
    model = nets.compiled(
        nets.functional(
            lambda x: nets.head(L.EinsumDense("abcd,ce->abed", (8, 6, 1), name="odd")(x))
        )
    )
    pruning = int8x.PruningCallback(0.5)
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[pruning])
    assert pruning.report.dense["odd"] == "abcd,ce->abed is no product of matrices"


def test_filters_of_attention_stay():
    nets.seed()
    model = nets.compiled(former())
    pruning = int8x.PruningCallback(0.5, pattern="filters")
    with pytest.raises(ValueError, match="a layer with filters to prune was wanted, got none"):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[pruning])


def test_a_channel_pruned_whole_keeps_its_bias_in_the_file(tmp_path):
    nets.seed()
    model = nets.compiled(net(), learning_rate=1e-4)
    dense = model.get_layer("dense")
    kernel = dense.kernel.numpy()
    kernel[:, 3] = 0
    dense.kernel.assign(kernel)
    dense.bias.assign(np.linspace(-1, 1, 12))
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=[int8x.QATCallback()])
    assert (dense.kernel.numpy()[:, 3] == 0).all()
    int8x.export(model, tmp_path / "model.tflite")
    run = Reference(tmp_path / "model.tflite")
    off = np.abs(run(X_TEST) - run.steps_from(model.predict(X_TEST, verbose=0)))
    assert off[:, 3].max() <= 1
