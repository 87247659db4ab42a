"""sparse_encoding: int8 weights in TFLite's 1x16 form: the same integers, never a larger file."""

import subprocess
import sys

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid
from hypothesis import given, settings
from hypothesis import strategies as st
from int8x.runtime.interpreter import load_runtime, open_interpreter
from int8x.tflite.graph import Graph
from int8x.tflite.sparse_encoding import encode_sparse
from int8x.tflite.sparsity import dense, is_sparse

SEED = 11
RUNTIMES = ("ai_edge_litert", "tf.lite")


def prune(op, share, block=16):
    """Blocks of zeros in a float FULLY_CONNECTED or CONV_2D."""
    random = np.random.default_rng(SEED)
    weights = op.inputs[1].values.copy()
    blocks = weights.reshape(-1, block)
    blocks[random.permutation(len(blocks))[: round(share * len(blocks))]] = 0
    op.inputs[1].data = weights


def perceptron(columns=256, rows=64, share=0.75):
    net = Net()
    y = net.dense(net.dense(net.input(1, columns), rows), 32)
    for op in net.main.operators:
        prune(op, share)
    return Graph.from_bytes(net.done(y).to_bytes())


def quantized(graph, **options):
    data = on_grid(tuple(graph.main.inputs[0].shape))
    return int8x.quantize(graph, data=data, **options)


@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
def test_the_integers_are_those_of_the_dense_file_and_the_file_is_smaller(weights):
    recipe = {"name": "int8", "weights": weights}
    plain = quantized(perceptron(), recipe=recipe)
    sparse = quantized(perceptron(), recipe=recipe, sparse_encoding=True)
    assert plain.quantization.sparse == ()
    assert len(sparse.quantization.sparse) == 2
    less = len(plain.to_bytes()) - len(sparse.to_bytes())
    told = sum(part.dense_bytes - part.sparse_bytes for part in sparse.quantization.sparse)
    assert less >= told > 10000
    again = Graph.from_bytes(sparse.to_bytes())
    for one, two in zip(plain.main.operators, again.main.operators, strict=True):
        assert is_sparse(two.inputs[1]) and two.version >= 8
        assert np.array_equal(dense(two.inputs[1]), one.inputs[1].data)
        assert np.array_equal(two.inputs[1].quant.scales, one.inputs[1].quant.scales)


@pytest.mark.parametrize("resolver", ["default", "reference"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_todays_runtimes_load_it_and_are_at_most_one_step_off(name, resolver):
    files = [quantized(perceptron(), sparse_encoding=on).to_bytes() for on in (False, True)]
    results = []
    for data in files:
        interpreter = open_interpreter(load_runtime(name), data, 1, resolver)
        source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        rows = []
        for row in np.random.default_rng(SEED).integers(-128, 128, (20, 1, 256)):
            interpreter.set_tensor(source["index"], row.astype(np.int8))
            interpreter.invoke()
            rows.append(interpreter.get_tensor(sink["index"])[0].astype(int))
        results.append(np.array(rows))
    assert np.abs(results[0] - results[1]).max() <= 1
    assert results[0].std() > 10


def test_the_delegate_leaves_sparse_operators_to_the_runtime():
    interpreter = int8x.Interpreter(quantized(perceptron(), sparse_encoding=True).to_bytes())
    assert len(interpreter.claims.refused) == 2
    assert interpreter(np.zeros((1, 256), np.int8)).shape == (1, 32)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.floats(0, 1), st.integers(0, 99))
def test_the_file_is_never_larger(rows, blocks, share, seed):
    random = np.random.default_rng(seed)
    weights = random.integers(-127, 128, (rows, blocks, 16)).astype(np.int8)
    weights[random.random((rows, blocks)) < share] = 0
    net = Net()
    y = net.dense(net.input(1, 16 * blocks), rows)
    net.main.operators[0].inputs[1].data = weights.reshape(rows, -1)
    for tensor in (net.main.inputs[0], y):
        tensor.dtype = "INT8"
    graph = Graph.from_bytes(net.done(y).to_bytes())
    before = len(graph.to_bytes())
    found = encode_sparse(graph)
    assert len(graph.to_bytes()) < before if found else len(graph.to_bytes()) == before
    if share > 0.9 and rows * blocks > 100 and np.any(weights):
        assert found
    kernel = graph.main.operators[0].inputs[1]
    values = dense(kernel) if found else kernel.data
    assert np.array_equal(values, weights.reshape(rows, -1))


def convolution():
    net = Net()
    y = net.conv(net.input(1, 6, 6, 16), 64)
    prune(net.main.operators[0], 0.9)
    return Graph.from_bytes(net.done(y).to_bytes())


def test_weights_that_two_operators_read_are_encoded_once():
    net = Net()
    y = net.dense(net.dense(net.input(1, 64), 64), 64)
    first, second = net.main.operators
    prune(first, 0.9)
    second.inputs[1] = first.inputs[1]
    net.main.compact()
    graph = Graph.from_bytes(net.done(y).to_bytes())
    plain, sparse = (quantized(graph.copy(), sparse_encoding=on) for on in (False, True))
    kernels = {id(op.inputs[1]) for op in plain.main.operators}
    assert len(sparse.quantization.sparse) == len(kernels)
    assert all(is_sparse(op.inputs[1]) for op in sparse.main.operators)


@pytest.mark.parametrize(
    "make, recipe",
    [
        (convolution, "int8"),
        (lambda: perceptron(columns=40, share=0), "int8"),
        (lambda: perceptron(share=0), "int8"),
        (perceptron, "int16x8"),
        (perceptron, "int8_w4"),
        (perceptron, "dynamic"),
    ],
)
def test_what_has_no_sparse_kernel_or_would_grow_stays_dense(make, recipe):
    graph = quantized(make(), recipe=recipe, sparse_encoding=True)
    assert graph.quantization.sparse == ()
    assert graph.to_bytes() == quantized(make(), recipe=recipe).to_bytes()


def test_rows_of_more_blocks_than_the_kernel_counts_stay_dense():
    graph = quantized(perceptron(columns=16 * 256, rows=16), sparse_encoding=True)
    assert not is_sparse(graph.main.operators[0].inputs[1])


def test_the_command_line_says_what_it_saved(tmp_path):
    perceptron().save(tmp_path / "float.tflite")
    np.save(tmp_path / "data.npy", on_grid((1, 256)))
    arguments = ["float.tflite", "--data", "data.npy", "--output", "int8.tflite"]
    done = subprocess.run(
        [sys.executable, "-m", "int8x", "quantize", *arguments, "--sparse-encoding"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sparse: 2 constants" in done.stdout
    operators = Graph.load(tmp_path / "int8.tflite").main.operators
    assert all(is_sparse(op.inputs[1]) for op in operators)
