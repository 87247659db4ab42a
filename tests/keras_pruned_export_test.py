"""Pruning and quantization-aware training in one fit: the zeros are zeros of the int8 file."""

import int8x
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
