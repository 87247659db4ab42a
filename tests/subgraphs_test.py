"""Loops, branches, state and several signatures stay and run on, and what of them stays float is
told.
"""

import contextlib
import itertools
import os
import signal

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid
from int8x.cli import calibrate
from int8x.runtime.runner import Runner, module
from int8x.tflite.graph import Graph
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Subgraph, Tensor

SHAPE = (1, 8)
SAMPLES = on_grid(SHAPE, samples=16)
ALLOWED = int8x.Recipe(allow_float=True)


def add_subgraph(net: Net, name: str) -> Subgraph:
    net.graph.subgraphs.append(Subgraph(name))
    return net.graph.subgraphs[-1]


def dense(net: Net, subgraph: Subgraph, x: Tensor, weights: Tensor) -> Tensor:
    """x times weights, in any subgraph; a constant of another one is shared with it."""
    if weights not in subgraph.tensors:
        shared = Tensor(weights.name, weights.shape)
        shared.buffer = weights.buffer
        subgraph.tensors.append(shared)
        weights = shared
    y = subgraph.add_tensor(f"{subgraph.name}/dense{len(subgraph.operators)}", SHAPE)
    subgraph.add_operator("FULLY_CONNECTED", [x, weights], [y], options="FullyConnectedOptions")
    return y


def branches(net: Net) -> Graph:
    """dense, then IF the first input is positive RELU of a dense, ELSE twice the value; dense."""
    x = net.input(*SHAPE)
    weights = net.constant(net.weights(8, 8), "kernel")
    y = dense(net, net.main, x, weights)
    axes = net.constant(np.array([0, 1], np.int32))
    mean = net.add("MEAN", [x, axes], options="ReducerOptions")
    zero = net.constant(np.zeros((), np.float32))
    flag = net.add("GREATER", [mean, zero], dtype="BOOL", options="GreaterOptions")
    z = net.main.add_tensor("branch", SHAPE)
    net.main.add_operator(
        "IF", [flag, y], [z], options="IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2
    )
    for name in ("then", "else"):
        side = add_subgraph(net, name)
        side.inputs = [side.add_tensor(f"{name}/x", SHAPE)]
        if name == "then":
            inner = dense(net, side, side.inputs[0], weights)
            side.outputs = [side.add_tensor("then/relu", SHAPE)]
            side.add_operator("RELU", [inner], side.outputs)
        else:
            side.outputs = [side.add_tensor("else/twice", SHAPE)]
            side.add_operator("ADD", [side.inputs[0]] * 2, side.outputs, options="AddOptions")
    return net.done(dense(net, net.main, z, weights))


def loop(net: Net) -> Graph:
    """Three times x = tanh(dense(x)), between two dense."""
    x = net.input(*SHAPE)
    weights = net.constant(net.weights(8, 8) / 4, "kernel")
    y = dense(net, net.main, x, weights)
    zero = net.constant(np.zeros((), np.int32))
    count, z = net.main.add_tensor("count", (), "INT32"), net.main.add_tensor("looped", SHAPE)
    options = {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}
    net.main.add_operator("WHILE", [zero, y], [count, z], options="WhileOptions", **options)
    for name in ("cond", "body"):
        side = add_subgraph(net, name)
        i, h = side.add_tensor(f"{name}/i", (), "INT32"), side.add_tensor(f"{name}/h", SHAPE)
        side.inputs = [i, h]
        number = side.add_constant(f"{name}/n", np.array(3 if name == "cond" else 1, np.int32))
        if name == "cond":
            side.outputs = [side.add_tensor("cond/less", (), "BOOL")]
            side.add_operator("LESS", [i, number], side.outputs, options="LessOptions")
        else:
            more, result = (
                side.add_tensor("body/more", (), "INT32"),
                side.add_tensor("body/t", SHAPE),
            )
            side.add_operator("ADD", [i, number], [more], options="AddOptions")
            side.add_operator("TANH", [dense(net, side, h, weights)], [result])
            side.outputs = [more, result]
    return net.done(dense(net, net.main, z, weights))


def variable(subgraph: Subgraph) -> Tensor:
    handle = subgraph.add_tensor(f"{subgraph.name}/handle", (), "RESOURCE")
    fields = {"container": b"", "sharedName": b"state"}
    subgraph.add_operator("VAR_HANDLE", [], [handle], options="VarHandleOptions", **fields)
    return handle


def state(net: Net) -> Graph:
    """state = tanh(dense(x) + dense(state)); the result is a dense of it."""
    x, main = net.input(*SHAPE), net.main
    weights = net.constant(net.weights(8, 8), "kernel")
    main.add_operator("CALL_ONCE", [], [], options="CallOnceOptions", initSubgraphIndex=1)
    handle, before = variable(main), main.add_tensor("before", SHAPE)
    main.add_operator("READ_VARIABLE", [handle], [before], options="ReadVariableOptions")
    both = net.binary("ADD", dense(net, main, x, weights), dense(net, main, before, weights))
    after = net.add("TANH", [both], *SHAPE)
    main.add_operator("ASSIGN_VARIABLE", [handle, after], [], options="AssignVariableOptions")
    start = add_subgraph(net, "start")
    zeros = start.add_constant("start/zeros", np.zeros(SHAPE, np.float32))
    start.add_operator(
        "ASSIGN_VARIABLE", [variable(start), zeros], [], options="AssignVariableOptions"
    )
    return net.done(dense(net, main, after, weights))


MODELS = {"IF": branches, "WHILE": loop, "variables": state}
LEFT = {
    "IF": ["GREATER", "IF", "FULLY_CONNECTED", "ADD"],
    "WHILE": ["WHILE", "FULLY_CONNECTED", "TANH"],
    "variables": ["READ_VARIABLE", "ASSIGN_VARIABLE", "ASSIGN_VARIABLE"],
}


def build(name: str) -> Graph:
    return Graph.from_bytes(MODELS[name](Net(2)).to_bytes())


def run(graph: Graph, samples: np.ndarray, resolver: str = "BUILTIN_REF") -> np.ndarray:
    """Real values of the output, sample after sample of one session: state is carried on."""
    runner = Runner(graph.to_bytes(), "model", 1, resolver)
    source, output = graph.main.inputs[0].quant, graph.main.outputs[0]
    results = []
    for sample in samples:
        if source is not None:
            steps = np.round(sample / source.scale) + source.zero_point
            sample = np.clip(steps, -128, 127).astype(np.int8)
        runner.run([sample[None]])
        coded = np.array(runner.value(graph.main.tensors.index(output)), np.float64)
        grid = output.quant
        results.append(coded if grid is None else (coded - grid.zero_point) * grid.scale)
    return np.concatenate(results)


@pytest.mark.parametrize("name", MODELS)
def test_control_flow_and_state_stay_and_what_stays_float_is_told(name):
    graph = build(name)
    with pytest.raises(int8x.QuantizeError, match="kept in float") as caught:
        int8x.quantize(graph, data=SAMPLES)
    assert [kind for _, kind, _ in caught.value.operators] == LEFT[name]
    coded = int8x.quantize(graph, data=SAMPLES, recipe=ALLOWED)
    assert [kind for _, kind, _ in coded.quantization.float_operators] == LEFT[name]
    assert len(coded.subgraphs) == len(graph.subgraphs)
    dense_ops = [op for op in coded.main.operators if op.kind == "FULLY_CONNECTED"]
    assert len(dense_ops) >= 2 and all(op.outputs[0].dtype == "INT8" for op in dense_ops)
    crossing = [
        t
        for op in coded.main.operators
        if op.kind in ("IF", "WHILE", "READ_VARIABLE", "ASSIGN_VARIABLE")
        for t in [*op.inputs, *op.outputs]
    ]
    assert not [t for t in crossing if t.quant is not None]
    for resolver in ("BUILTIN_REF", "AUTO"):
        expected, got = run(graph, SAMPLES), run(coded, SAMPLES, resolver)
        assert np.abs(got - expected).max() < 0.05 * np.abs(expected).max()
    again = Graph.from_bytes(coded.to_bytes())
    assert run(again, SAMPLES).tobytes() == run(coded, SAMPLES).tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_the_report_covers_a_model_with_subgraphs(name):
    graph = build(name)
    coded = int8x.quantize(graph, data=SAMPLES, recipe=ALLOWED)
    report = int8x.validate(graph, coded, SAMPLES)
    assert min(t.sqnr_db for t in report.tensors) > 20


def test_constants_shared_between_subgraphs_are_stored_once_and_stay_float_where_they_are_read_so():
    graph = build("IF")
    kernels = [
        op.inputs[1] for s in graph.subgraphs for op in s.operators if op.kind == "FULLY_CONNECTED"
    ]
    assert len(kernels) == 3 and len({id(k.buffer) for k in kernels}) == 1
    coded = Graph.from_bytes(int8x.quantize(graph, data=SAMPLES, recipe=ALLOWED).to_bytes())
    first, last = (op.inputs[1] for op in coded.main.operators if op.kind == "FULLY_CONNECTED")
    assert first.dtype == "INT8" and first.buffer is last.buffer
    inner = next(op for op in coded.subgraphs[1].operators if op.kind == "FULLY_CONNECTED")
    np.testing.assert_array_equal(inner.inputs[1].data, kernels[1].data)


def two_signatures() -> Graph:
    net = Net(4)
    x = net.input(*SHAPE)
    weights = net.constant(net.weights(8, 8), "kernel")
    graph = net.done(dense(net, net.main, x, weights))
    other = add_subgraph(net, "other")
    y = other.add_tensor("y", SHAPE)
    other.inputs, other.outputs = [y], [dense(net, other, y, weights)]
    maps = [
        [make("TensorMap", name=name, tensorIndex=side[0])]
        for name, side in ((b"in", other.inputs), (b"out", other.outputs))
    ]
    graph.signatures.append(
        make("SignatureDef", inputs=maps[0], outputs=maps[1], signatureKey=b"more", subgraphIndex=1)
    )
    return Graph.from_bytes(graph.to_bytes())


def test_a_signature_on_another_subgraph_stays_and_runs_in_float():
    graph = two_signatures()
    with pytest.raises(int8x.QuantizeError, match="in subgraph 1, 'other'"):
        int8x.quantize(graph, data=SAMPLES)
    coded = int8x.quantize(graph, data=SAMPLES, recipe=ALLOWED)
    assert [(s.signatureKey, s.subgraphIndex) for s in coded.signatures] == [
        (b"serve", 0),
        (b"more", 1),
    ]
    outputs = []
    for model in (graph, coded):
        interpreter = module().Interpreter(model_content=model.to_bytes())
        runner = interpreter.get_signature_runner("more")
        outputs.append(runner(**{"in": SAMPLES[0][None]})["out"])
        assert interpreter.get_signature_runner("serve") is not None
    np.testing.assert_array_equal(outputs[0], outputs[1])


def test_several_inputs_and_outputs_and_several_signatures_of_one_subgraph_keep_their_names():
    net = Net(5)
    a, b = net.input(*SHAPE, name="a"), net.input(*SHAPE, name="b")
    y = net.binary("ADD", a, b)
    graph = net.done(y, net.dense(y, 8), a)
    second = make("SignatureDef", signatureKey=b"sum", subgraphIndex=0)
    second.inputs = [make("TensorMap", name=n, tensorIndex=t) for n, t in ((b"p", b), (b"q", a))]
    second.outputs = [make("TensorMap", name=b"sum", tensorIndex=y)]
    graph.signatures.append(second)
    graph = Graph.from_bytes(graph.to_bytes())
    data = {"a": SAMPLES, "b": SAMPLES[::-1].copy()}
    coded = Graph.from_bytes(int8x.quantize(graph, data=data).to_bytes())
    assert [t.name for t in coded.main.inputs] == ["a", "b"]
    assert [t.name for t in coded.main.outputs] == [t.name for t in graph.main.outputs]
    entries = {bytes(e.name): e.tensorIndex for e in coded.signatures[1].inputs}
    assert entries == {b"p": coded.main.inputs[1], b"q": coded.main.inputs[0]}
    assert coded.signatures[1].outputs[0].tensorIndex is coded.main.outputs[0]
    interpreter = module().Interpreter(model_content=coded.to_bytes())
    runner = interpreter.get_signature_runner("sum")
    ones = np.ones(SHAPE, np.int8)
    assert runner(p=ones, q=ones)["sum"].dtype == np.int8


def test_the_statistics_of_a_model_with_state_are_those_of_one_session_in_order(tmp_path):
    graph, data = state(Net()), SAMPLES
    stats = int8x.calibrate(graph, data)
    assert stats.ordered
    assert stats != int8x.calibrate(graph, data[::-1])
    stats.save(tmp_path / "stats.npz")
    assert int8x.Stats.load(tmp_path / "stats.npz") == stats
    with pytest.raises(int8x.StatsError, match="keeps state between samples do not merge"):
        stats.merge(stats)
    with pytest.raises(int8x.WorkerError, match=r"keeps state .* 1 worker is wanted, got 2"):
        int8x.calibrate(graph, data, workers=2)
    with pytest.raises(int8x.StatsError, match=r"keeps state .* leave out --resume"):
        int8x.calibrate(graph, data, checkpoint=tmp_path / "stats.npz", resume=True)


def test_an_lstm_keeps_its_state_in_float_between_int8_neighbours():
    net = Net(6)
    x = net.input(1, 5, 8)

    def matrix(*shape: int) -> Tensor:
        return net.constant(np.float32(net.random.normal(size=shape) / 4))

    weights = [matrix(4, 8) for _ in range(4)] + [matrix(4, 4) for _ in range(4)]
    biases = [matrix(4) for _ in range(4)]
    states = [net.main.add_tensor(name, (1, 4)) for name in ("hidden", "cell")]
    for tensor in states:
        tensor.is_variable = True
    inputs = [net.dense(x, 8), *weights, None, None, None, *biases, None, None, *states]
    fields = {"fusedActivationFunction": 4, "timeMajor": False}
    y = net.add(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        *(1, 5, 4),
        options="UnidirectionalSequenceLSTMOptions",
        **fields,
    )
    net.dense(y, 3)
    for op in net.main.operators[0], net.main.operators[2]:
        op.options.keepNumDims = True
    result = net.main.operators[2].outputs[0]
    graph = Graph.from_bytes(net.done(result).to_bytes())
    samples = on_grid((1, 5, 8))
    with pytest.raises(int8x.QuantizeError, match="state and gates have no calibrated range"):
        int8x.quantize(graph, data=samples)
    coded = int8x.quantize(graph, data=samples, recipe=ALLOWED)
    assert [kind for _, kind, _ in coded.quantization.float_operators] == [
        "UNIDIRECTIONAL_SEQUENCE_LSTM"
    ]
    kinds = [op.kind for op in coded.main.operators]
    assert kinds.count("DEQUANTIZE") == kinds.count("QUANTIZE") == 1
    kept = coded.main.operators[2].inputs[18:20]
    assert all(tensor.is_variable and tensor.is_float for tensor in kept)
    expected, got = run(graph, samples), run(coded, samples)
    assert np.abs(got - expected).max() < 0.1 * np.abs(expected).max()


def test_a_branch_that_calls_a_subgraph_that_is_not_there_is_refused():
    graph = MODELS["IF"](Net(2))
    next(op for op in graph.main.operators if op.kind == "IF").options.thenSubgraphIndex = 9
    with pytest.raises(int8x.ModelError, match=r"the subgraph that operator .* calls"):
        Graph.from_bytes(graph.to_bytes())


def test_ctrl_c_keeps_statistics_of_a_model_with_state_but_none_to_resume_from(
    tmp_path, monkeypatch, capsys
):
    @contextlib.contextmanager
    def pressed(title: str, total: int | None, done: int = 0):
        steps = itertools.count(1)
        yield lambda: os.kill(os.getpid(), signal.SIGINT) if next(steps) == 3 else None

    monkeypatch.setattr("int8x.progress.bar", pressed)
    model, data, output = (tmp_path / name for name in ("m.tflite", "data.npy", "stats.npz"))
    build("variables").save(model)
    np.save(data, SAMPLES)
    with pytest.raises(KeyboardInterrupt):
        calibrate.command(model, data, output)
    assert "--resume cannot go on" in capsys.readouterr().err
    assert int8x.Stats.load(tmp_path / "stats.npz.partial").samples == 3
    with pytest.raises(int8x.StatsError, match="keeps state between samples"):
        calibrate.command(model, data, output, resume=True)
