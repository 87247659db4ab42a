"""Samples: every form that is taken gives the same samples; every other is refused by name."""

import tracemalloc

import numpy as np
import pytest
from int8x.data import InputSpec, Samples
from int8x.errors import DataError

X = InputSpec(
    ("serving_default_x:0", "x"), (1, 4, 3), np.dtype(np.float32), ("serving_default", "other")
)
Y = InputSpec(("y",), (-1, 2), np.dtype(np.int32))
DATA = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
SECOND = np.arange(10, dtype=np.int32).reshape(5, 2)


class Eager:
    """What tf.data gives: an object that is no array and has numpy()."""

    def __init__(self, array):
        self.array = array

    def numpy(self):
        return self.array


def listed(source, specs=(X,)):
    return [[a.copy() for a in sample] for sample in Samples(source, list(specs))]


def expect(samples, *arrays):
    assert len(samples) == len(arrays[0])
    for i, sample in enumerate(samples):
        for got, array in zip(sample, arrays, strict=True):
            assert got.shape == (1, *array.shape[1:]) and got.flags.c_contiguous
            np.testing.assert_array_equal(got[0], array[i])


@pytest.mark.parametrize(
    "source",
    [
        DATA,
        DATA[:, None],
        list(DATA),
        list(DATA[:, None]),
        (sample for sample in DATA),
        [DATA[:2], DATA[2:]],
        {"x": DATA},
        {"serving_default_x:0": DATA},
        [{"x": sample} for sample in DATA],
        [{"x": DATA[:3]}, {"x": DATA[3:]}],
        [Eager(DATA[:4]), Eager(DATA[4:])],
        [(Eager(DATA[:4]), Eager(SECOND[:4, 0])), (Eager(DATA[4:]), Eager(SECOND[4:, 0]))],
        [({"x": sample}, 1) for sample in DATA],
        [("serving_default", {"x": sample}) for sample in DATA],
        [("other", {"x": DATA})],
    ],
    ids=range(15),
)
def test_every_form_gives_the_same_samples(source):
    expect(listed(source), DATA)


@pytest.mark.parametrize(
    "source",
    [
        {"x": DATA, "y": SECOND},
        [{"x": a, "y": b} for a, b in zip(DATA, SECOND, strict=True)],
        list(zip(DATA, SECOND, strict=True)),
        [(DATA, SECOND)],
    ],
    ids=range(4),
)
def test_models_with_two_inputs_take_dicts_and_tuples(source):
    expect(listed(source, (X, Y)), DATA, SECOND)


def test_files_give_the_same_samples(tmp_path):
    np.save(tmp_path / "d.npy", DATA)
    np.savez(tmp_path / "d.npz", x=DATA, y=SECOND)
    (tmp_path / "folder").mkdir()
    for i, sample in enumerate(DATA):
        np.save(tmp_path / "folder" / f"{i}.npy", sample)
    expect(listed(tmp_path / "d.npy"), DATA)
    expect(listed(str(tmp_path / "d.npz"), (X, Y)), DATA, SECOND)
    expect(listed(tmp_path / "folder"), DATA)


@pytest.mark.parametrize("saved", [np.save, np.savez, np.savez_compressed])
def test_files_are_read_row_by_row(tmp_path, saved):
    path = tmp_path / ("d.npy" if saved is np.save else "d.npz")
    data = np.ones((300, 4, 30_000), np.float32)  # 144 MB
    saved(path, **({"arr": data} if saved is np.save else {"x": data}))
    del data
    spec = InputSpec(("x",), (1, 4, 30_000), np.dtype(np.float32))
    tracemalloc.start()
    samples = Samples(path, [spec])
    assert samples.len_hint() == 300
    assert sum(1 for _ in samples) == 300
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_files_saved_by_columns_and_of_a_whole_input_are_read_too(tmp_path):
    np.save(tmp_path / "columns.npy", np.asfortranarray(DATA))
    np.save(tmp_path / "one.npy", DATA[:1])
    np.save(tmp_path / "batches.npy", DATA[:, None])
    expect(listed(tmp_path / "columns.npy"), DATA)
    expect(listed(tmp_path / "one.npy"), DATA[:1])
    expect(listed(tmp_path / "batches.npy"), DATA)


def test_a_file_that_ends_early_names_its_sample(tmp_path):
    np.save(tmp_path / "d.npy", DATA)
    np.savez_compressed(tmp_path / "d.npz", x=np.random.default_rng(0).random((500, 4, 3), "f"))
    whole = (tmp_path / "d.npy").read_bytes()
    (tmp_path / "d.npy").write_bytes(whole[:-60])
    with pytest.raises(DataError, match=r"d\.npy: the file ends within sample 3"):
        listed(tmp_path / "d.npy")
    damaged = bytearray((tmp_path / "d.npz").read_bytes())
    damaged[9000:9100] = bytes(100)
    (tmp_path / "d.npz").write_bytes(damaged)
    with pytest.raises(DataError, match=r"d\.npz: x\.npy: sample \d+ cannot be read"):
        listed(tmp_path / "d.npz")


def test_free_dimensions_take_any_size():
    spec = InputSpec(("x",), (-1, -1, 3), np.dtype(np.float32))
    assert [s[0].shape for s in Samples([DATA[0], DATA[1, :2]], [spec])] == [(1, 4, 3), (1, 2, 3)]


def with_value(value):
    data = DATA.copy()
    data[3, 1, 1] = value
    return data


@pytest.mark.parametrize(
    "source, told",
    [
        (
            np.zeros((5, 3, 4), np.float32),
            r"input 'x' takes samples of shape \(4, 3\) .* sample 0 has \(3, 4\)",
        ),
        ([DATA[0], DATA[1, :3]], r"sample 1 has \(3, 3\)"),
        (
            DATA.astype(np.float64),
            r"input 'x' takes float32, sample 0 is float64 .*astype\(numpy\.float32\)",
        ),
        (DATA.astype(np.uint8), "takes float32, sample 0 is uint8"),
        ([DATA[0], DATA[1].astype(np.float16)], "sample 1 is float16"),
        (np.array([DATA[0], None], object), "sample 0 of input 'x' is an object array"),
        ([np.array([None], object)], "object array"),
        (DATA[:0], "holds no sample"),
        ([], "holds no sample"),
        (iter([]), "holds no sample"),
        ({"x": DATA[:0]}, "holds no sample"),
        (with_value(np.nan), "sample 3 of input 'x' holds NaN"),
        (with_value(np.inf), "sample 3 of input 'x' holds NaN or infinities"),
        (
            [("train", {"x": DATA})],
            "sample 0 is for signature 'train'; those of the model's first subgraph are "
            "'serving_default', 'other'",
        ),
        ({"z": DATA}, "sample 0 lacks input 'x'; it has .'z'."),
        ({"x": DATA, "z": DATA}, "the model has no input 'z'; its inputs are 'x'"),
        (np.float32(3), "data must be a path"),
        (np.array(3, np.float32), "first axis must count samples"),
        (7, "got int"),
        ("nothing.npy", "nothing.npy: no such file"),
        ("data.csv", "must be a .npy"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(source, told):
    with pytest.raises(DataError, match=told):
        listed(source)


@pytest.mark.parametrize(
    "source, told",
    [
        (DATA, "one array was given, the model has 2 inputs"),
        ({"x": DATA, "y": SECOND[:4]}, r"as many samples, got \[4, 5\]"),
        ([(DATA[0],)], "sample 0 has 1 arrays, the model has 2 inputs"),
    ],
)
def test_two_inputs_need_two_equal_parts(source, told):
    with pytest.raises(DataError, match=told):
        listed(source, (X, Y))


def test_pickled_and_broken_files_are_refused(tmp_path):
    np.save(tmp_path / "object.npy", np.array([DATA, None], object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", x=np.array([DATA, None], object))
    (tmp_path / "broken.npy").write_bytes(b"no array")
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "empty").mkdir()
    for name in ("object.npy", "object.npz", "broken.npy", "broken.npz"):
        with pytest.raises(DataError, match=f"{name}: not a plain numpy file"):
            listed(tmp_path / name)
    with pytest.raises(DataError, match=r"holds no \.npy file"):
        listed(tmp_path / "empty")
