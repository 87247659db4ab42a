"""How every column trains: Adam, a rate that falls along a cosine to zero, batches of 128.

For Keras 3 and tf_keras alike. A column is one such training of the same float checkpoint.
"""

import functools
import random
from typing import Any

import numpy as np
from int8x.demo.datasets import fashion_mnist

BATCH = 128
RATE = 5e-4  # of every column
JIT = False  # Keras 3's own choice is XLA, in which depthwise takes 15 times as long on a CPU


@functools.cache
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels; pixels in [0, 1]."""
    data = fashion_mnist()
    return data.x / 255, data.y, data.x_test / 255, data.y_test


def fit(
    keras: Any,
    model: Any,
    seed: int,
    epochs: int,
    rate: float = RATE,
    callbacks: tuple[Any, ...] = (),
    part: tuple[int, int] = (0, 1),
) -> None:
    """Trains logits. part: (number, count) when `epochs` are shared out over several fits."""
    number, count = part
    x, y, _, _ = images()
    keras.utils.set_random_seed(1000 * number + seed)
    random.seed(seed)
    steps = -(-len(x) // BATCH) * epochs
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    first, last = epochs * number // count, epochs * (number + 1) // count
    optimizer.iterations.assign(first * steps // epochs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=JIT)
    model.fit(x, y, batch_size=BATCH, epochs=last - first, verbose=0, callbacks=[*callbacks])
