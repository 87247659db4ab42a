"""Workers: several processes give the bits of one, from any data; what goes wrong is told."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.calibration import workers as module
from int8x.calibration.gathering import job_of
from int8x.quantization.passes import prepare

SHAPE = (1, 8, 8, 3)


@functools.cache
def samples():
    return on_grid(SHAPE, samples=13)


@functools.cache
def whole():
    return int8x.calibrate(small_network(), samples())


@pytest.mark.parametrize("workers", [2, 3, 20])
def test_any_number_of_workers_gives_the_bits_of_one(workers):
    stats = int8x.calibrate(small_network(), samples(), workers=workers)
    assert stats.to_bytes() == whole().to_bytes()


@pytest.mark.parametrize("recipe", ["int8", "auto"])
def test_a_model_quantized_with_workers_has_the_bytes_of_one_worker(recipe):
    made, calls = [], []
    for workers in (1, 2, 3):
        start = module.Workers.__init__

        def counted(self, count, *rest, start=start):
            calls.append(count)
            start(self, count, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module.Workers, "__init__", counted)
            graph = int8x.quantize(small_network(), data=samples(), recipe=recipe, workers=workers)
        made.append(graph.to_bytes())
    assert made[1] == made[0] and made[2] == made[0]
    assert set(calls) == {2, 3}


def test_export_shares_the_samples_out_too(tmp_path):
    small_network().save(tmp_path / "float.tflite")
    out = tmp_path / "int8.tflite"
    made = []
    for workers in (1, 2):
        int8x.export(tmp_path / "float.tflite", out, samples(), "minmax", workers=workers)
        made.append(out.read_bytes())
    assert made[0] == made[1]
    with pytest.raises(int8x.WorkerError, match="workers must be a whole number from 1 on, got 0"):
        int8x.export(tmp_path / "float.tflite", out, samples(), "minmax", workers=0)


def test_generators_batches_and_files_are_shared_out_too(tmp_path):
    np.save(tmp_path / "d.npy", samples())
    for data in ((s for s in samples()), [samples()[:9], samples()[9:]], tmp_path / "d.npy"):
        assert int8x.calibrate(small_network(), data, workers=2) == whole()


def test_one_progress_hears_of_every_sample_of_all_workers():
    heard = []

    @contextlib.contextmanager
    def progress(title, total, done):
        heard.append((title, total, done))
        yield lambda: heard.append(1)

    int8x.calibrate(small_network(), samples(), workers=3, progress=progress)
    assert heard == [("calibrating", 13, 0), *[1] * 13]


def interrupted_at(number):
    for i, sample in enumerate(samples()):
        if i == number:
            os.kill(os.getpid(), signal.SIGINT)
        yield sample


@pytest.mark.parametrize("first, second", [(2, 3), (2, 1), (1, 2)])
def test_ctrl_c_keeps_whole_samples_and_another_number_of_workers_goes_on(tmp_path, first, second):
    kept = tmp_path / "kept.npz"
    with pytest.raises(KeyboardInterrupt):
        int8x.calibrate(small_network(), interrupted_at(6), checkpoint=kept, workers=first)
    assert (
        int8x.Stats.load(kept).to_bytes()
        == int8x.calibrate(small_network(), samples()[:7]).to_bytes()
    )
    resumed = int8x.calibrate(
        small_network(), samples(), checkpoint=kept, resume=True, workers=second
    )
    assert resumed.to_bytes() == whole().to_bytes()
    assert not kept.exists()


def square_root():
    net = Net()
    x = net.input(1, 4)
    return net.done(net.add("RELU", [net.add("SQRT", [x], 1, 4)], 1, 4))


def test_the_first_bad_sample_of_the_data_is_the_one_named():
    data = np.ones((40, 4), np.float32)
    data[[17, 18, 19, 30], 2] = -1
    with pytest.raises(int8x.DataError, match="sample 17: tensor 'sqrt0' holds NaN"):
        int8x.calibrate(square_root(), data, workers=4)


def test_a_model_that_the_runtime_refuses_is_told_as_in_one_process():
    net = Net()
    x = net.input(1, 4)
    output = net.add("CUSTOM", [x], 1, 4)
    net.main.operators[-1].custom_code = "TheirOp"
    with pytest.raises(int8x.ModelError, match=r"TFLite cannot run this model.*TheirOp"):
        int8x.calibrate(net.done(output), np.ones((3, 4), np.float32), workers=2)


def test_a_worker_that_dies_is_named():
    job = job_of(prepare(small_network()))
    with module.Workers(2, job, None, lambda: None) as running:
        running.add(0, [samples()[:1]])
        victim = running._workers[1]._process
        victim.kill()
        victim.wait()
        told = rf"worker 1 of 2 \(process {victim.pid}\) was ended by signal 9"
        with pytest.raises(int8x.WorkerError, match=told):
            for number in range(1, 5):
                running.add(number, [samples()[number : number + 1]])
            running.stats()
    assert all(worker._process.returncode is not None for worker in running._workers)


def test_a_worker_that_cannot_start_is_named_with_its_last_words(monkeypatch):
    job = job_of(prepare(small_network()))
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    told = r"worker 0 of 2 .* ended with status 1; its last words: (.|\n)*No module named"
    with (
        pytest.raises(int8x.WorkerError, match=told),
        module.Workers(2, job, None, lambda: None) as running,
    ):
        running.add(0, [samples()[:1]])
        running.stats()


def test_files_of_the_working_folder_are_not_taken_for_modules(tmp_path, monkeypatch):
    for name in ("numpy", "queue", "platform", "ai_edge_litert"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the module')")
    monkeypatch.chdir(tmp_path)
    assert int8x.calibrate(small_network(), samples(), workers=2) == whole()


@pytest.mark.parametrize("workers", [0, -1, 1.5, None])
def test_a_number_of_workers_that_cannot_be_is_refused(workers):
    with pytest.raises(int8x.WorkerError, match="workers must be a whole number"):
        int8x.calibrate(small_network(), samples(), workers=workers)


STARTED = f"""
import resource, sys, time
from int8x.calibration import workers
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from float_nets import on_grid, small_network
from int8x.calibration.gathering import job_of
from int8x.errors import WorkerError
from int8x.quantization.passes import prepare
running = workers.Workers(2, job_of(prepare(small_network())), None, lambda: None)
running.add(0, [on_grid({SHAPE})[:1]])
running.add(1, [on_grid({SHAPE})[:1]])
running.stats()
"""


def test_workers_start_in_under_a_second_each():
    measure = """
running.__exit__(None, None, None)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print((used.ru_utime + used.ru_stime) / 2)
"""
    done = subprocess.run(
        [sys.executable, "-c", STARTED + measure], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1  # of the CPU: the machine may be busy with other work


def test_a_worker_imports_no_framework():
    code = """
import sys
from int8x.calibration import workers
from int8x.runtime.runner import module
print(module().__name__, *sorted({"tensorflow", "keras", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ai_edge_litert.interpreter\n"


def test_no_worker_outlives_its_parent():
    rest = """
print(*(worker._process.pid for worker in running._workers), flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTED + rest], stdout=subprocess.PIPE, text=True
    )
    processes = [int(word) for word in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    assert len(processes) == 2
    deadline = time.monotonic() + 20
    while any(alive(process) for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Whether a process still runs: it is neither gone nor a zombie."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
