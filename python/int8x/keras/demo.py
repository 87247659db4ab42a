"""The demo's net and its trainings: float, quantization-aware, the same pruned too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from int8x.demo.datasets import Dataset
from int8x.keras.handle import strip
from int8x.keras.pruning_callback import PruningCallback
from int8x.keras.qat_callback import QATCallback
from int8x.progress import Progress

SEED = 0
SPARSITY = 0.5
BLOCK = (1, 4)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    `stride` is of the first convolution, `shift` how many pixels an image may move in training.
    """

    stride: int
    shift: int
    batch: int
    epochs: int
    rate: float
    qat_epochs: int
    qat_rate: float


SCHEDULES = {
    "digits": Schedule(
        stride=1, shift=1, batch=64, epochs=40, rate=4e-3, qat_epochs=12, qat_rate=2e-3
    ),
    "fashion-mnist": Schedule(
        stride=2, shift=0, batch=128, epochs=6, rate=3e-3, qat_epochs=2, qat_rate=2e-3
    ),
}


def make_reproducible() -> None:
    """The same numbers on the same machine: seeds, and TensorFlow's deterministic kernels."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()


def build(shape: tuple[int, ...], stride: int, width: int = 32) -> keras.Model:
    """Two stages of a convolution and a residual depthwise block, pooling, ten probabilities."""
    inputs = keras.Input(shape)
    x = _conv_norm_relu(inputs, width, stride)
    x = L.MaxPooling2D()(_residual(x, width))
    x = _residual(_conv_norm_relu(x, 2 * width, 1), 2 * width)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(10, activation="softmax")(x))


def _conv_norm_relu(x: Any, width: int, stride: int) -> Any:
    x = L.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
    return L.ReLU()(L.BatchNormalization()(x))


def _residual(x: Any, width: int) -> Any:
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    y = L.ReLU()(L.BatchNormalization()(y))
    y = L.Conv2D(width, 1, use_bias=False)(y)
    return L.ReLU()(L.Add()([x, L.BatchNormalization()(y)]))


def train_float(model: keras.Model, data: Dataset, progress: Progress) -> None:
    """Trains the model in float."""
    plan = SCHEDULES[data.name]
    _fit(model, data, plan.batch, plan.epochs, plan.rate, "training float", progress, [])


def train_int8(
    model: keras.Model, data: Dataset, weights: list[np.ndarray], prune: bool, progress: Progress
) -> float:
    """Fine-tunes the model quantization-aware from these float weights, and with `prune` in the
    same fit prunes all kernels together but the first, which reads one channel; the share of zeros
    in them.
    """
    strip(model).set_weights(weights)
    plan = SCHEDULES[data.name]
    title = "pruning, training quantization-aware" if prune else "training quantization-aware"
    callbacks: list[keras.callbacks.Callback] = [QATCallback()]
    if prune:
        first = model.layers[1].name
        callbacks.insert(0, PruningCallback(SPARSITY, BLOCK, scope="global", exclude=(first,)))
    history = _fit(
        model, data, plan.batch, plan.qat_epochs, plan.qat_rate, title, progress, callbacks
    )
    return float(history.get("sparsity", [0.0])[-1])


def _fit(
    model: keras.Model,
    data: Dataset,
    batch: int,
    epochs: int,
    rate: float,
    title: str,
    progress: Progress,
    callbacks: list[keras.callbacks.Callback],
) -> dict[str, list[float]]:
    batches = _Shifted(data, batch, SCHEDULES[data.name].shift)
    total = epochs * len(batches)
    decay = keras.optimizers.schedules.CosineDecay(rate, total)
    model.compile(
        keras.optimizers.Adam(decay), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    with progress(title, total, 0) as advance:
        step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda number, logs: advance())
        return model.fit(batches, epochs=epochs, verbose=0, callbacks=[*callbacks, step]).history


class _Shifted(keras.utils.PyDataset):
    """Shuffled batches of training images, each image moved by up to `shift` pixels."""

    def __init__(self, data: Dataset, batch: int, shift: int) -> None:
        super().__init__()
        self.data, self.batch, self.shift = data, batch, shift
        self.random = np.random.default_rng(SEED)
        self.padded = np.pad(data.x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
        self.order = self.random.permutation(len(data.x))

    def __len__(self) -> int:
        return -(-len(self.data.x) // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        shifts = self.random.integers(0, 2 * self.shift + 1, (len(chosen), 2))
        height, width = self.data.x.shape[1:3]
        images = [
            self.padded[number, down : down + height, right : right + width]
            for number, (down, right) in zip(chosen, shifts, strict=True)
        ]
        return np.stack(images), self.data.y[chosen]

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.data.x))


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's outputs, [n, 10]."""
    return np.concatenate([np.asarray(model(part, training=False)) for part in _parts(images)])


def _parts(images: np.ndarray, size: int = 500) -> Iterator[np.ndarray]:
    for start in range(0, len(images), size):
        yield images[start : start + size]
