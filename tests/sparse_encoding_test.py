"""sparse_encoding: int8 weights in TFLite's 1x16 form: the same integers, never a larger file."""

import subprocess
import sys

import archs
import int8x
import numpy as np
import pytest
from exactness import difference, reference_outputs, run
from float_nets import Net, on_grid
from hypothesis import given, settings
from hypothesis import strategies as st
from int8x.runtime.interpreter import load_runtime, open_interpreter
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
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


def perceptron(columns=256, rows=64, share=0.75, batch=1):
    net = Net()
    y = net.dense(net.dense(net.input(batch, columns), rows), 32)
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


def first_layer(graph):
    """The graph's first operator alone: nothing after it hides a difference."""
    graph = Graph.from_bytes(graph.to_bytes())
    graph.main.operators = graph.main.operators[:1]
    graph.main.outputs = [graph.main.operators[0].outputs[0]]
    graph.signatures.clear()
    graph.main.compact()
    return graph


def expect_exact(graph, rows):
    """The delegate takes every operator and equals the reference, in each way to run it."""
    data = graph.to_bytes()
    feeds = [(row,) for row in rows]
    expected = reference_outputs(data, feeds)
    for arch in archs.on_this_cpu():
        for sparse in ("on", "off", "auto"):
            options = {"arch": arch, "sparse": sparse}
            interpreter = int8x.Interpreter(
                data, 2, "ai_edge_litert", options, resolver="reference"
            )
            assert not interpreter.claims.refused
            assert not difference(expected, run(interpreter, feeds)), f"{arch} sparse={sparse}"
    return expected


@pytest.mark.parametrize("rows", [1, 17])
@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
def test_the_delegate_takes_sparse_operators_bit_for_bit(weights, rows):
    recipe = {"name": "int8", "weights": weights}
    graph = first_layer(
        quantized(perceptron(share=0.8, batch=rows), recipe=recipe, sparse_encoding=True)
    )
    values = np.random.default_rng(SEED).integers(-128, 128, (30, rows, 256)).astype(np.int8)
    (outputs,) = zip(*expect_exact(graph, values), strict=True)
    assert np.std(outputs) > 10


@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
def test_a_multiplier_is_rounded_where_the_sparse_kernel_rounds_it(weights):
    """Large biases near ties tell the product of scales in double from that in float."""
    recipe = {"name": "int8", "weights": weights}
    graph = first_layer(quantized(perceptron(), recipe=recipe, sparse_encoding=True))
    operator, random = graph.main.operators[0], np.random.default_rng(SEED)
    source, scales = operator.inputs[0].quant, operator.inputs[1].quant.scales.astype(np.float32)
    scale = np.float32(source.scales[0])
    step = np.float32(float(scale) * float(scales[0]) * 2**23 * 1.3)
    operator.outputs[0].quant = QuantParams(step, 0)
    products = [float(scale) * float(f) / float(step) for f in scales] * (64 // len(scales))
    floats = [float(scale * f) / float(step) for f in scales] * (64 // len(scales))
    ties = random.integers(60, 120, 64) + 0.5
    between = ties / ((np.array(products) + np.array(floats)) / 2)
    operator.inputs[2].data = np.minimum(np.rint(between), 2**31 - 1).astype(np.int32)
    zero = np.full((1, 256), source.zero_points[0], np.int8)
    expect_exact(graph, [zero])


@pytest.mark.parametrize("spoil", ["index", "order", "segments"])
def test_the_delegate_refuses_blocks_out_of_range(spoil):
    graph = first_layer(quantized(perceptron(), sparse_encoding=True))
    blocks = graph.main.operators[0].inputs[1].raw.sparsity.dimMetadata[1]
    places, starts = np.array(blocks.arrayIndices.values), np.array(blocks.arraySegments.values)
    if spoil == "index":
        places[3] = 16
    elif spoil == "order":
        places[: starts[1]] = places[starts[1] - 1 :: -1].copy()
    else:
        starts[5] = 10**6
    blocks.arrayIndices.values, blocks.arraySegments.values = places, starts
    interpreter = int8x.Interpreter(graph.to_bytes())  # run by nobody
    assert [node.reason for node in interpreter.claims.refused] == [
        "sparse weights whose blocks are out of range"
    ]


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
