"""Labelled data for a fit: arrays or batches, looked at before they are used."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from int8x.errors import DataError

_SAMPLES = 128  # enough to calibrate what training gave no range


@dataclass(frozen=True)
class TrainingData:
    """What was given, and what it looks like.

    shape: of a sample. steps: in an epoch, None when not known. integers: whether labels are.
    labels: the arrays of all labels, of a data set those of the first batch.
    """

    name: str
    given: Any
    batch_size: int
    shape: tuple[int | None, ...]
    steps: int | None
    labels: np.ndarray

    @property
    def integers(self) -> bool:
        """Whether a label is a number, not a row of probabilities."""
        return self.labels.ndim == 1 or self.labels.shape[1:] == (1,)

    @property
    def samples(self) -> list[np.ndarray]:
        """Some samples [1, ...], to calibrate with."""
        return list(itertools.islice(self._each(), _SAMPLES))

    def arguments(self) -> dict[str, Any]:
        """The arguments of `model.fit`."""
        if isinstance(self.given, tuple):
            x, y = self.given
            return {"x": x, "y": y, "batch_size": self.batch_size}
        return {"x": self.given}

    def check_labels(self, classes: int | None) -> None:
        """DataError unless the labels fit so many classes."""
        if not self.integers:
            if self.labels.shape[-1] != classes:
                raise DataError(
                    f"transfer: {self.name}: labels of {classes} classes were wanted, "
                    f"got rows of {self.labels.shape[-1]}"
                )
            return
        whole = self.labels.astype(np.int64)
        if classes and classes > 1:
            low, high = int(whole.min()), int(whole.max())
            if low < 0 or high >= classes or np.any(whole != self.labels):
                raise DataError(
                    f"transfer: {self.name}: labels must be whole numbers in [0, {classes}), "
                    f"got some in [{low}, {high}]"
                )

    def _each(self) -> Iterator[np.ndarray]:
        batches = [self.given] if isinstance(self.given, tuple) else _batches(self.given)
        for batch in batches:
            x = np.asarray(batch[0])
            for number in range(len(x)):
                yield x[number : number + 1].astype(np.float32)


def read_training_data(name: str, given: Any, batch_size: int) -> TrainingData:
    """Looks at (x, y) arrays, a tf.data.Dataset or a PyDataset of batches (x, y).

    DataError, with `name` in it, for anything else, no samples, or x and y of different lengths.
    """
    import tensorflow as tf

    if isinstance(given, (tuple, list)) and len(given) == 2:
        x, y = (np.asarray(array) for array in given)
        steps: int | None = -(-len(x) // batch_size) if x.ndim else None
        given = (x, y)
    elif isinstance(given, (tf.data.Dataset, keras.utils.PyDataset)):
        first = next(iter(_batches(given)), None)
        if not isinstance(first, tuple) or len(first) < 2:
            came = "none" if first is None else type(first).__name__
            raise DataError(f"transfer: {name}: batches (x, y) were wanted, got {came}")
        x, y = np.asarray(first[0]), np.asarray(first[1])
        steps = _steps(given)
    else:
        raise DataError(
            f"transfer: {name}: (x, y) arrays, a tf.data.Dataset or a keras PyDataset were wanted, "
            f"got {type(given).__name__}"
        )
    for array in (x, y):
        if array.dtype.kind not in "fiub" or array.ndim == 0:
            raise DataError(f"transfer: {name}: arrays of numbers were wanted, got {array.dtype}")
    if len(x) == 0 or len(x) != len(y):
        raise DataError(
            f"transfer: {name}: as many labels as samples, and some, were wanted, "
            f"got {len(x)} and {len(y)}"
        )
    return TrainingData(name, given, batch_size, x.shape[1:], steps, y)


def _batches(given: Any) -> Iterator[Any]:
    import tensorflow as tf

    if isinstance(given, tf.data.Dataset):
        return given.as_numpy_iterator()
    return (given[number] for number in range(len(given)))


def _steps(given: Any) -> int | None:
    import tensorflow as tf

    if isinstance(given, tf.data.Dataset):
        count = int(given.cardinality())
        return count if count >= 0 else None
    return len(given)
