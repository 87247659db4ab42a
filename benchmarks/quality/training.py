"""Trained nets, kept in the cache under a hash of how they were made."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def cache_folder() -> Path:
    """Where everything lies that is made or fetched once."""
    return Path(os.environ.get("INT8X_CACHE") or Path.home() / ".cache" / "int8x") / "quality"


def trained(
    name: str,
    module: ModuleType,
    how: str,
    build: Callable[[], Any],
    train: Callable[[Any], None],
    seed: int = 1,
) -> Any:
    """The Keras model of `build` after `train`, or with the cached weights of an earlier run.

    A change of `how` (in words), or of the file of `module`, which builds it, trains anew.
    """
    import keras

    made_by = Path(str(module.__file__)).read_bytes() + how.encode()
    digest = hashlib.sha256(made_by).hexdigest()[:12]
    path = cache_folder() / "trained" / f"{name}-{digest}.weights.h5"
    keras.utils.set_random_seed(seed)
    model = build()
    if path.exists():
        model.load_weights(path)
        return model
    print(f"training {name}", flush=True)
    train(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{os.getpid()}-{path.name}")
    model.save_weights(partial)
    os.replace(partial, path)
    return model


def fit_classes(model: Any, x: np.ndarray, y: np.ndarray, epochs: int, rate: float = 2e-3) -> None:
    """Trains logits with Adam, the rate falling along a cosine to zero; batches of 128."""
    import keras

    steps = epochs * -(-len(x) // 128)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=2)
