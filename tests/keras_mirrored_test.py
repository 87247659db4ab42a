"""Under MirroredStrategy replicas hold equal ranges and masks, those of the global batch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def fit(tmp_path, replicas, learning_rate=2e-3, rate=(), **settings):
    """What every replica holds, by variable (its number and name) and replica."""
    output = tmp_path / "found.npz"
    script = Path(__file__).with_name("mirrored_fit.py")
    arguments = [str(output), str(replicas), json.dumps(settings), str(learning_rate)]
    arguments += map(str, rate)
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = {}
    with np.load(output) as saved:
        for key in saved.files:
            number, name, replica = key.split(" ")
            found.setdefault((int(number), name), {})[int(replica)] = saved[key]
    return found


@pytest.mark.parametrize("ranges", ["average", "lsq"])
def test_every_replica_holds_the_same_ranges_masks_and_zeros(ranges, tmp_path):
    found = fit(tmp_path, 2, ranges=ranges)
    ends = [name.rsplit("/", 1)[-1] for _, name in found]
    assert ends.count("kernel_mask") == 2
    assert any(end.endswith("_log") for end in ends) == (ranges == "lsq")
    for (_, name), parts in found.items():
        assert len(parts) == 2
        if not name.startswith("moving"):  # BatchNormalization's are each replica's own
            assert np.array_equal(parts[0], parts[1]), name
        if name == "kernel":
            assert (parts[0] == 0).mean() == 0.5


def test_any_number_of_replicas_finds_the_ranges_of_the_global_batch(tmp_path):
    """The learning rate is 0 and BatchNormalization frozen."""
    ranges = []
    for replicas in (1, 2, 4):
        found = fit(tmp_path, replicas, 0.0, freeze_ranges=1.0)
        ranges.append([parts[0] for parts in found.values() if parts[0].shape == (3,)])
    assert len(ranges[0]) == 3 and all(state[2] == 4 for state in ranges[0])  # low, high, batches
    assert np.array_equal(ranges[0], ranges[1])
    assert np.array_equal(ranges[0], ranges[2])


def test_any_number_of_replicas_takes_steps_of_each_layers_own_rate(tmp_path):
    """BatchNormalization is frozen."""
    one, two = (fit(tmp_path, replicas, 0.02, [0.25]) for replicas in (1, 2))
    kernels = [key for key in one if key[1] in ("kernel", "bias")]
    assert len(kernels) == 4
    for key in kernels:
        assert np.array_equal(*two[key].values()), key
        np.testing.assert_allclose(two[key][0], one[key][0], rtol=1e-3, atol=1e-6)


def test_uneven_channels_are_evened_out_on_every_replica(tmp_path):
    """The learning rate is too small to change a power of two by a thousandth."""
    for equalize, least, most in ((True, 5.5, 7.5), (False, 11.9, 12.1)):
        found = fit(tmp_path, 2, 1e-8, uneven=True, equalize=equalize)
        (gammas,) = (parts for (_, name), parts in found.items() if name == "gamma")
        assert np.array_equal(gammas[0], gammas[1])
        assert least < np.ptp(np.log2(gammas[0])) < most  # of 12, what reads them takes half
