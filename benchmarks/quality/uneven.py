"""The same net with channels of unlike scale: what cross-layer equalization is for."""

from typing import Any

import numpy as np


def uneven(model: Any, seed: int = 0) -> Any:
    """The same function with channels of unlike scale: each channel that a ReLU makes is multiplied
    by a random power of two from 2^-4 to 2^4, and what reads it divided by the same.
    """
    from keras import layers

    generator = np.random.default_rng(seed)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    readers = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))][
        1:
    ]
    for norm, reader in zip(norms, readers, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        factors = 2.0 ** generator.integers(-4, 5, len(gamma)).astype(np.float32)
        norm.set_weights([gamma * factors, beta * factors, mean, variance])
        kernel, *bias = reader.get_weights()
        reader.set_weights([kernel / factors[:, None], *bias])
    return model
