"""Training as in fit.py, but with batches whose order this file draws: Keras 3 and tf_keras see the
very same ones, while `fit` of each shuffles as it likes.
"""

from typing import Any

import numpy as np
from training.fit import BATCH, JIT, RATE, images


def fit(keras: Any, model: Any, seed: int, epochs: int, callbacks: tuple[Any, ...] = ()) -> None:
    """Trains logits at the rate of every column."""
    keras.utils.set_random_seed(seed)
    batches = _batches(keras, seed)
    steps = len(batches) * epochs
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=JIT)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[*callbacks])


def _batches(keras: Any, seed: int) -> Any:
    x, y, _, _ = images()
    base = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence
    generator = np.random.default_rng(seed)

    class Batches(base):
        """All images in an order that is drawn anew for each epoch."""

        def __init__(self) -> None:
            if base.__init__ is not object.__init__:
                super().__init__()
            self.order = generator.permutation(len(x))

        def __len__(self) -> int:
            return -(-len(x) // BATCH)

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            chosen = self.order[number * BATCH : (number + 1) * BATCH]
            return x[chosen], y[chosen]

        def on_epoch_end(self) -> None:
            self.order = generator.permutation(len(x))

    return Batches()
