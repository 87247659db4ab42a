"""Files that are no sound .tflite: always ModelError, in time that the file's size bounds, never a
crash.
"""

import random
import time

import numpy as np
import pytest
import real_models
from float_nets import small_network
from int8x.errors import Int8xError, ModelError
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph

SEED = 20240501


def refuse(data: bytes, told: str | None = None) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        Graph.from_bytes(bytes(data), "file.tflite")
    assert str(caught.value).startswith("file.tflite: ")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 4, b"TFL3", b"hello, this is no model", b"\x1c\0\0\0TFL3", b"PK\x03\x04" * 9],
)
def test_what_is_not_a_flatbuffer_is_refused(data):
    refuse(data)


def test_random_bytes_behind_the_identifier_are_refused():
    numbers = np.random.default_rng(SEED)
    for size in (8, 16, 100, 10_000):
        refuse(numbers.bytes(4) + b"TFL3" + numbers.bytes(size))


def test_every_truncation_is_refused():
    data = small_network().to_bytes()
    for size in range(0, len(data), 61):
        with pytest.raises(ModelError):
            Graph.from_bytes(data[:size])


KINDS = ["bytes", "offsets", "copies"]


def mutant(data: bytes, kind: str, dice: random.Random) -> bytes:
    """The file with a few bytes, one offset or a stretch changed."""
    changed = bytearray(data)
    at = dice.randrange(len(data) - 4)
    if kind == "bytes":
        for _ in range(dice.choice([1, 2, 8])):
            changed[dice.randrange(len(data))] = dice.randrange(256)
    elif kind == "offsets":
        word = dice.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, dice.randrange(1 << 20)])
        changed[at : at + 4] = word.to_bytes(4, "little")
    else:
        size, source = dice.randrange(64), dice.randrange(len(data))
        changed[at : at + size] = data[source : source + size]
    return bytes(changed)


def refused(data: bytes) -> bool:
    """Whether the file is refused, by int8x's own error and in little time, or read and written."""
    started = time.monotonic()
    try:
        graph = prepare(Graph.from_bytes(data))
        graph.to_bytes()
        graph.fingerprint()
        return False
    except Int8xError:
        return True
    finally:
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused_in_little_time(kind):
    data = small_network().to_bytes()
    print("seed", SEED)
    dice = random.Random(SEED)
    assert sum(refused(mutant(data, kind, dice)) for _ in range(250)) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_real_files_are_read_or_refused_in_little_time(kind):
    """The tables of a real file stand behind its weights, or before: both ends are hit the most."""
    names = [*real_models.STATEFUL_INT8_MODELS, "mediapipe/face_detection_full_range_sparse.tflite"]
    files = [real_models.path(name).read_bytes() for name in names]
    print("seed", SEED)
    dice, count = random.Random(SEED), 0
    for number in range(150):
        data = files[number % len(files)]
        near = min(len(data) // 2, 16384)
        if number % 3 == 0:
            data = mutant(data, kind, dice)
        elif number % 3 == 1:
            data = mutant(data[:near], kind, dice) + data[near:]
        else:
            data = data[:-near] + mutant(data[-near:], kind, dice)
        count += refused(data)
    assert count > 10


def test_a_vector_that_claims_four_billion_elements_is_refused_at_once():
    graph = small_network()
    data = bytearray(graph.to_bytes())
    at = data.find(b"kept as it is") - 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    started = time.monotonic()
    refuse(data, "4294967295 elements")
    assert time.monotonic() - started < 1


def test_tables_that_refer_to_each_other_a_billion_times_are_refused():
    """One vector of N offsets to one subgraph, whose vector has N offsets to one tensor: N * N
    tensors in 8 N bytes.
    """
    import flatbuffers
    from int8x.tflite.schema import make, schema

    tflite, count = schema(), 20_000
    builder = flatbuffers.Builder(1 << 20)

    def repeated(table: int, start) -> int:
        start(builder, count)
        for _ in range(count):
            builder.PrependUOffsetTRelative(table)
        return builder.EndVector()

    tensors = repeated(make("Tensor").Pack(builder), tflite.SubGraphStartTensorsVector)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensors)
    subgraphs = repeated(tflite.SubGraphEnd(builder), tflite.ModelStartSubgraphsVector)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    started = time.monotonic()
    refuse(builder.Output())
    assert time.monotonic() - started < 10


def broken(edit) -> bytes:
    """The small network's bytes after `edit` of its schema objects."""
    import flatbuffers
    from int8x.tflite.schema import schema

    model = schema().ModelT.InitFromPackedBuf(small_network().to_bytes(), 0)
    edit(model, model.subgraphs[0])
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def assign(owner, name, value):
    setattr(owner, name, value)


@pytest.mark.parametrize(
    "edit, told",
    [
        (lambda m, g: assign(g.operators[0], "opcodeIndex", 99), "operator code .* got 99"),
        (
            lambda m, g: assign(g.operators[0], "inputs", [0, 1, 10_000]),
            "an input of operator 0 .* got 10000",
        ),
        (lambda m, g: assign(g.operators[0], "inputs", [-2, 1, 2]), "got -2"),
        (lambda m, g: assign(g.operators[0], "outputs", [-1]), "an output of operator 0 .* got -1"),
        (
            lambda m, g: assign(g.operators[0], "inputs", []),
            "must have 2 inputs and an output, got 0",
        ),
        (
            lambda m, g: assign(g.operators[0].builtinOptions, "strideW", 0),
            r"strideW must lie in \[1, 65536\], got 0",
        ),
        (
            lambda m, g: assign(g.operators[0], "builtinOptions", None),
            "its options must be Conv2DOptions, got none",
        ),
        (lambda m, g: assign(g, "inputs", [77_777]), "an input of subgraph 0"),
        (lambda m, g: assign(g.tensors[1], "buffer", 1234), "the buffer of tensor"),
        (
            lambda m, g: assign(g.tensors[1], "shape", [8, 3, 3, 4]),
            "takes 1152 bytes, its buffer has 864",
        ),
        (lambda m, g: assign(g.tensors[0], "shape", [1, -8, 8, 3]), "negative dimension"),
        (lambda m, g: assign(g.tensors[0], "type", 111), "unknown type 111"),
        (lambda m, g: assign(g.tensors[0], "shapeSignature", [1, 2]), "signature of 2"),
        (lambda m, g: assign(m, "version", 2), "schema version must be 3, got 2"),
        (lambda m, g: assign(m, "subgraphs", []), "no subgraph"),
        (lambda m, g: assign(m.metadata[0], "buffer", 4000), "a metadata buffer"),
        (
            lambda m, g: assign(m.signatureDefs[0], "subgraphIndex", 5),
            "the subgraph of a signature",
        ),
        (
            lambda m, g: assign(m.signatureDefs[0].inputs[0], "tensorIndex", 5000),
            "signature entry 'x'",
        ),
        (lambda m, g: g.operators.reverse(), "before anything writes it"),
        (lambda m, g: g.operators.append(g.operators[0]), "already has its value"),
        (
            lambda m, g: assign(m.metadata[0], "name", b"int8x.ranges"),
            "int8x.ranges metadata cannot be read",
        ),
    ],
)
def test_wrong_indices_sizes_and_orders_are_named(edit, told):
    refuse(broken(edit), told)


def test_a_custom_operator_is_read_and_refused_by_name_only_when_it_is_quantized():
    import int8x

    graph = small_network()
    graph.main.operators[-1].kind, graph.main.operators[-1].custom_code = "CUSTOM", "TheirOp"
    graph.main.operators[-1].options = None
    read = Graph.from_bytes(graph.to_bytes())
    with pytest.raises(int8x.QuantizeError, match="custom operator 'TheirOp'"):
        int8x.quantize(read, data=np.zeros((1, 8, 8, 3), np.float32))
