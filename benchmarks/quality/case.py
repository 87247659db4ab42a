"""One row group of the benchmark: a float net with real data to calibrate and, others, to judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Outputs = Sequence[np.ndarray]  # one array for each output, samples first


@dataclass(frozen=True)
class Task:
    """What the net is for. score(outputs, float outputs) is higher when better; unit in words."""

    name: str
    score: Callable[[Outputs, Outputs], float]


@dataclass(frozen=True)
class Case:
    """model: a float .tflite with one input. calibration, evaluation: samples for it, disjoint.

    keras: the Keras model it came from, None for a .tflite.
    """

    name: str
    model: bytes
    calibration: np.ndarray
    evaluation: np.ndarray
    task: Task
    keras: Any = None


def accuracy(labels: np.ndarray) -> Task:
    """Percent of samples whose largest output is the label's."""

    def score(outputs: Outputs, _: Outputs) -> float:
        choices = outputs[0].reshape(len(labels), -1).argmax(axis=1)
        return 100 * float(np.mean(choices == labels))

    return Task("accuracy %", score)


def agreement(output: int = 0) -> Task:
    """Percent of top-1 choices, along the last axis, that equal the float net's."""

    def score(outputs: Outputs, reference: Outputs) -> float:
        same = outputs[output].argmax(axis=-1) == reference[output].argmax(axis=-1)
        return 100 * float(np.mean(same))

    return Task("same top-1 %", score)


def landmarks(output: int, size: float) -> Task:
    """Minus the mean distance from the float net's coordinates, in percent of the image's side."""

    def score(outputs: Outputs, reference: Outputs) -> float:
        return -100 * float(np.mean(np.abs(outputs[output] - reference[output]))) / size

    return Task("-% of side", score)


def overlap(output: int = 0, threshold: float = 0.5) -> Task:
    """Percent overlap (intersection over union) with the float net's values above `threshold`."""

    def score(outputs: Outputs, reference: Outputs) -> float:
        mine, theirs = outputs[output] > threshold, reference[output] > threshold
        return 100 * float((mine & theirs).sum() / max((mine | theirs).sum(), 1))

    return Task("overlap %", score)
