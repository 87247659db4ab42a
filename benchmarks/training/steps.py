"""How long a training step takes: float and quantization-aware, in turn, in the same process."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from training.fit import JIT, images

BATCH = 64
ROUNDS, STEPS, WARM_UP = 5, 24, 4  # steps a round; the first of each are not counted

Kind = Callable[[], tuple[Any, tuple[Any, ...]]]  # gives a model and its callbacks


def time_steps(keras: Any, kinds: dict[str, Kind]) -> dict[str, float]:
    """Median seconds of a step of each kind as `fit` runs it."""
    x, y, _, _ = images()
    made = {}
    for name, kind in kinds.items():
        model, callbacks = kind()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-4), loss, jit_compile=JIT)
        made[name] = (model, callbacks)
    clock = _clock(keras)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(ROUNDS + 1):
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
            if number:  # the first round traces
                for epoch in range(2, 4):  # learned ranges have begun by then
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
