"""What stands behind the flatbuffer in a file: constants of large models, label files in a zip, and
the large options of custom operators. All of it survives.
"""

import io
import struct
import zipfile

import int8x
import numpy as np
import pytest
import real_models
from float_nets import Net, on_grid, small_network
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner
from int8x.tflite.appendix import moved
from int8x.tflite.graph import Graph, write_file
from int8x.tflite.schema import make, schema

SAMPLES = on_grid((1, 8, 8, 3))
SMALL = 4096  # a limit that the small network's constants exceed


def result(data: bytes) -> np.ndarray:
    graph = Graph.from_bytes(data)
    runner = Runner(data, "model")
    runner.run([SAMPLES[:1]])
    return np.array(runner.value(graph.main.tensors.index(graph.main.outputs[0])))


def behind(graph: Graph) -> bytes:
    return b"".join(graph.pieces(SMALL))


def test_constants_behind_the_flatbuffer_are_read_and_run_as_those_in_it():
    graph = prepare(small_network())
    inside, outside = graph.to_bytes(), behind(graph)
    model = schema().ModelT.InitFromPackedBuf(outside, 0)
    moved = [b for b in model.buffers if b.offset > 1]
    assert len(moved) >= 5 and all(b.offset % 64 == 0 and b.data is None for b in moved)
    assert result(outside).tobytes() == result(inside).tobytes()
    again = Graph.from_bytes(outside)
    assert again.fingerprint() == graph.fingerprint()
    assert behind(again) == outside and again.to_bytes() == inside
    assert again.metadata[0][1].tobytes() == b"kept as it is"


def test_a_model_whose_constants_stand_behind_it_is_quantized_to_the_same_bytes(tmp_path):
    graph = small_network()
    write_file(tmp_path / "large.tflite", *graph.pieces(SMALL))
    coded = int8x.quantize(tmp_path / "large.tflite", data=SAMPLES)
    assert coded.to_bytes() == int8x.quantize(graph, data=SAMPLES).to_bytes()


def test_a_mapped_file_is_read_as_one_in_memory_and_can_be_written_over(tmp_path, monkeypatch):
    path, graph = tmp_path / "model.tflite", small_network()
    write_file(path, *graph.pieces(SMALL))
    monkeypatch.setattr("int8x.tflite.graph._MAPPED_SIZE", 0)
    mapped = Graph.load(path)
    mapped.save(path)
    assert mapped.to_bytes() == graph.to_bytes() == path.read_bytes()


@pytest.mark.parametrize("edit", [lambda b: setattr(b, "offset", 1 << 40),
                                  lambda b: setattr(b, "size", 1 << 40)])  # fmt: skip
def test_constants_past_the_end_of_the_file_are_refused(edit):
    import flatbuffers

    model = schema().ModelT.InitFromPackedBuf(behind(small_network()), 0)
    edit(next(b for b in model.buffers if b.offset > 1))
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(int8x.ModelError, match=r"buffer \d+ ends at byte"):
        Graph.from_bytes(bytes(builder.Output()))


def labelled(largest: int = 1 << 31) -> tuple[bytes, bytes]:
    """The small network with a label file appended as TFLite's metadata tools do it."""
    model = b"".join(small_network().pieces(largest))
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
        archive.writestr("more.txt", "one\n" * 9)
    return file.getvalue(), file.getvalue()[len(model) :]


def members(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, place and content of each, by the directory's own offsets: readers in C
    refuse a zip whose directory is not where it says.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        end = data.rindex(b"PK\x05\x06")
        size, offset = struct.unpack_from("<II", data, end + 12)
        assert offset + size == end and data[offset : offset + 4] == b"PK\x01\x02"
        found = archive.infolist()
        for info in found:
            assert data[info.header_offset :][:4] == b"PK\x03\x04"
        return [(info.filename, info.header_offset, archive.read(info)) for info in found]


@pytest.mark.parametrize("largest", [1 << 31, SMALL])
def test_label_files_behind_the_model_survive_and_stand_where_their_directory_says(largest):
    data, appended = labelled(largest)
    graph = Graph.from_bytes(data)
    assert graph.appendix == appended
    coded = int8x.quantize(graph, data=SAMPLES)
    sizes = set()
    for written in (graph.to_bytes(), behind(graph), coded.to_bytes()):
        start = len(written) - len(appended)
        assert members(written) == [
            ("labels.txt", start, b"cat\ndog\n"),
            ("more.txt", start + 48, b"one\n" * 9),
        ]
        sizes.add(start)
    assert len(sizes) == 3  # the zip did move
    assert b"".join(graph.pieces(largest)) == data


def test_a_zip_that_was_concatenated_survives_byte_for_byte():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    graph = Graph.from_bytes(small_network().to_bytes() + file.getvalue())
    coded = int8x.quantize(graph, data=SAMPLES).to_bytes()
    assert coded.endswith(file.getvalue())
    with zipfile.ZipFile(io.BytesIO(coded)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"


def test_a_damaged_zip_is_left_as_it_is():
    data, appended = labelled(1 << 31)
    start = len(data) - len(appended)
    dice = np.random.default_rng(4)
    print("seed 4")
    for _ in range(300):
        broken = bytearray(appended)
        broken[dice.integers(len(broken))] = dice.integers(256)
        made = moved(bytes(broken), start, start - 1000)
        assert len(made) == len(broken)
        assert moved(made, start - 1000, start) == bytes(broken)
    for end in range(len(appended)):
        assert moved(appended[:end], start, start + 5) == appended[:end]


def test_what_follows_a_model_may_be_anything():
    model = small_network().to_bytes()
    for appended in (b"x", b"\0" * 100, b"\0\0note", bytes(range(256))):
        graph = Graph.from_bytes(model + appended)
        assert graph.appendix == appended
        assert graph.to_bytes() == model + appended


@pytest.mark.parametrize("name", ["hand_landmark_full", "palm_detection_full"])
def test_the_labels_of_a_real_model_are_in_the_quantized_file(name):
    data = real_models.path(f"mediapipe/{name}.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        expected = {file: archive.read(file) for file in archive.namelist()}
    graph = Graph.from_bytes(data)
    samples = real_models.samples(graph.main.inputs[0].shape, 1)
    coded = int8x.quantize(graph, data=samples).to_bytes()
    assert {file: content for file, _, content in members(coded)} == expected != {}
    assert dict(Graph.from_bytes(coded).metadata).keys() == dict(graph.metadata).keys()
    for (_, before), (_, after) in zip(
        graph.metadata, Graph.from_bytes(coded).metadata, strict=True
    ):
        assert before.tobytes() == after.tobytes()


def custom(options: bytes) -> Graph:
    net = Net()
    x = net.input(1, 8, 8, 3)
    y = net.add("CUSTOM", [net.conv(x, 4)], 1, 8, 8, 4)
    op = net.main.operators[-1]
    op.custom_code, op.custom_options, op.version = "TheirOp", options, 3
    return net.done(y)


def test_the_options_of_a_custom_operator_survive_byte_for_byte():
    graph = Graph.from_bytes(custom(bytes(range(256))).to_bytes())
    graph.ranges["x"], graph.ranges["conv_2d0"] = (int8x.QuantParams(0.1, 3) for _ in range(2))
    graph.ranges[graph.main.outputs[0]] = int8x.QuantParams(0.2, 0)
    coded = int8x.quantize(graph, recipe=int8x.Recipe(allow_float=True))
    op = next(o for o in Graph.from_bytes(coded.to_bytes()).main.operators if o.kind == "CUSTOM")
    assert (op.custom_code, op.custom_options, op.version) == ("TheirOp", bytes(range(256)), 3)


def test_options_that_stand_behind_the_flatbuffer_are_read_and_written_in_it():
    import flatbuffers

    options = b"0123456789" * 7

    def packed(at: int) -> bytes:
        model = schema().ModelT.InitFromPackedBuf(custom(b"").to_bytes(), 0)
        raw = model.subgraphs[0].operators[-1]
        raw.customOptions = None
        raw.largeCustomOptionsOffset, raw.largeCustomOptionsSize = at, len(options)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    graph = Graph.from_bytes(packed(len(packed(1 << 40))) + options)
    assert graph.main.operators[-1].custom_options == options and not graph.appendix
    again = Graph.from_bytes(graph.to_bytes())
    assert again.main.operators[-1].custom_options == options
    with pytest.raises(int8x.ModelError, match=r"the options of operator 1 .* end at byte"):
        Graph.from_bytes(packed(1 << 40) + options)


def test_an_operator_that_int8x_does_not_quantize_keeps_its_options():
    net = Net()
    x = net.input(1, 8, 8, 3)
    y = net.add("LOCAL_RESPONSE_NORMALIZATION", [net.conv(x, 4)], 1, 8, 8, 4)
    fields = {"radius": 2, "bias": 1.5, "alpha": 0.25, "beta": 0.75}
    net.main.operators[-1].options = make("LocalResponseNormalizationOptions", **fields)
    coded = int8x.quantize(net.done(y), data=SAMPLES, recipe=int8x.Recipe(allow_float=True))
    op = Graph.from_bytes(coded.to_bytes()).main.operators
    kept = next(o for o in op if o.kind == "LOCAL_RESPONSE_NORMALIZATION")
    assert {name: getattr(kept.options, name) for name in fields} == fields
