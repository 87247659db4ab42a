"""calibrate: what it gathers, what it refuses, and that Ctrl-C loses nothing."""

import functools
import os
import signal

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.calibration.calibrator import calibrate_prepared
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner

SHAPE = (1, 8, 8, 3)


def test_the_ranges_are_those_of_the_float_models_tensors():
    graph, samples = prepare(small_network()), on_grid(SHAPE)
    stats = calibrate_prepared(graph, samples, recipe=int8x.Recipe())
    assert stats.samples == len(samples) and stats.fingerprint == graph.fingerprint()
    runner = Runner(graph.to_bytes(), "model")
    low, high = {}, {}
    for sample in samples:
        runner.run([sample[None]])
        for index, tensor in enumerate(graph.main.tensors):
            if tensor.name in stats.tensors:
                value = np.array(runner.value(index))
                low[tensor.name] = min(low.get(tensor.name, np.inf), value.min())
                high[tensor.name] = max(high.get(tensor.name, -np.inf), value.max())
    assert set(stats.tensors) == {t.name for op in graph.main.operators for t in op.outputs} | {"x"}
    for name, seen in stats.tensors.items():
        assert (seen.min, seen.max) == (low[name], high[name])


def test_batches_order_and_shards_give_the_same_bits():
    graph, samples = small_network(), on_grid(SHAPE, samples=9)
    whole = int8x.calibrate(graph, samples)
    assert int8x.calibrate(graph, [samples[:5], samples[5:]]) == whole
    assert int8x.calibrate(graph, samples[::-1]) == whole
    shards = [int8x.calibrate(graph, samples[i::3]) for i in (2, 0, 1)]
    assert functools.reduce(int8x.Stats.merge, shards).to_bytes() == whole.to_bytes()


def test_one_and_two_threads_give_the_same_bits():
    assert int8x.calibrate(small_network(), on_grid(SHAPE)) == int8x.calibrate(
        small_network(), on_grid(SHAPE), num_threads=2
    )


def test_not_a_number_inside_the_model_names_tensor_and_sample():
    net = Net()
    x = net.input(1, 4)
    root = net.add("SQRT", [x], 1, 4)
    graph = net.done(net.add("RELU", [root], 1, 4))
    data = np.ones((5, 4), np.float32)
    data[3, 2] = -1
    with pytest.raises(int8x.DataError, match="sample 3: tensor 'sqrt0' holds NaN"):
        int8x.calibrate(graph, data)


def test_a_model_that_the_runtime_refuses_is_a_model_error():
    net = Net()
    x = net.input(1, 4)
    output = net.add("CUSTOM", [x], 1, 4)
    net.main.operators[-1].custom_code = "TheirOp"
    with pytest.raises(int8x.ModelError, match=r"TFLite cannot run this model.*TheirOp"):
        int8x.calibrate(net.done(output), np.ones((1, 4), np.float32))


class Interrupted:
    """Samples during which Ctrl-C is pressed."""

    def __init__(self, samples, at):
        self.samples, self.at = samples, at

    def __iter__(self):
        for number, sample in enumerate(self.samples):
            if number == self.at:
                os.kill(os.getpid(), signal.SIGINT)
            yield sample


def test_ctrl_c_keeps_what_was_gathered_and_resume_goes_on(tmp_path):
    graph, samples, kept = small_network(), on_grid(SHAPE, samples=7), tmp_path / "kept.npz"
    with pytest.raises(KeyboardInterrupt):
        int8x.calibrate(graph, Interrupted(samples, 3), checkpoint=kept)
    assert int8x.Stats.load(kept).samples == 4
    assert [p.name for p in tmp_path.iterdir()] == ["kept.npz"]
    assert int8x.calibrate(graph, samples, checkpoint=kept, resume=True) == int8x.calibrate(
        graph, samples
    )
    assert not kept.exists()


def test_without_resume_a_checkpoint_is_not_read(tmp_path):
    kept = tmp_path / "kept.npz"
    kept.write_bytes(b"something old")
    assert int8x.calibrate(small_network(), on_grid(SHAPE), checkpoint=kept).samples == 8


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    kept = tmp_path / "kept.npz"
    int8x.calibrate(small_network(1), on_grid(SHAPE)).save(kept)
    with pytest.raises(int8x.StatsError, match="another model"):
        int8x.calibrate(small_network(), on_grid(SHAPE), checkpoint=kept, resume=True)


def test_progress_hears_of_every_sample():
    import contextlib

    heard = []

    @contextlib.contextmanager
    def progress(title, total, done):
        heard.append((title, total, done))
        yield lambda: heard.append(1)

    int8x.calibrate(small_network(), on_grid(SHAPE, samples=3), progress=progress)
    assert heard == [("calibrating", 3, 0), 1, 1, 1]
