"""How long a training step takes: float and quantization-aware, in turn, in the same process; and
how much memory a fit needs, each in a process of its own.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from training.fit import JIT, images
from training.nets import NETS

BATCH = 64
ROUNDS, STEPS, WARM_UP = 2, 24, 4  # steps an epoch; the first of each are not counted

Kind = Callable[[], tuple[Any, tuple[Any, ...]]]  # gives a model and its callbacks


def int8x_kinds(net: str) -> dict[str, Kind]:
    """A net in float, and quantization-aware with either kind of ranges, which never freeze."""
    import keras
    from int8x import QATCallback

    def kind(**settings: Any) -> Kind:
        never = {"freeze_batchnorm": 1.0, "freeze_ranges": 1.0}
        return lambda: (NETS[net](keras), (QATCallback(**never, **settings),))

    return {
        "float": lambda: (NETS[net](keras), ()),
        "average": kind(),
        "lsq": kind(ranges="lsq"),
    }


def peak_memory(net: str, kind: str) -> float:
    """fit_memory() of one of int8x_kinds(), in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_int8x_memory, net, kind).result()


def _int8x_memory(net: str, kind: str) -> float:
    import keras

    return fit_memory(keras, int8x_kinds(net)[kind])


def fit_memory(keras: Any, kind: Kind) -> float:
    """MB by which a fit makes this process larger, at most, than it was with the net built."""
    model, callbacks = _compiled(keras, kind)
    x, y, _, _ = images()
    count = BATCH * STEPS
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is that of reading the images
    before = _resident("VmRSS")
    model.fit(x[:count], y[:count], batch_size=BATCH, epochs=4, verbose=0, callbacks=[*callbacks])
    return _resident("VmHWM") - before


def _resident(name: str) -> float:
    """A line of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _compiled(keras: Any, kind: Kind) -> tuple[Any, tuple[Any, ...]]:
    model, callbacks = kind()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss, jit_compile=JIT)
    return model, callbacks


def time_steps(keras: Any, kinds: dict[str, Kind]) -> dict[str, float]:
    """Median seconds of a step of each kind as `fit` runs it."""
    x, y, _, _ = images()
    made = {name: _compiled(keras, kind) for name, kind in kinds.items()}
    clock = _clock(keras)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (model, callbacks) in made.items():
            count = BATCH * STEPS
            clock.seconds = []
            model.fit(
                x[:count],
                y[:count],
                batch_size=BATCH,
                epochs=4,
                verbose=0,
                callbacks=[*callbacks, clock],
            )
            for epoch in range(2, 4):  # all is traced, and learned ranges have begun, by then
                seconds[name] += clock.seconds[epoch * STEPS + WARM_UP : (epoch + 1) * STEPS]
    return {name: statistics.median(each) for name, each in seconds.items()}


def _clock(keras: Any) -> Any:
    class Clock(keras.callbacks.Callback):
        """Notes how long each step takes."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    return Clock()
