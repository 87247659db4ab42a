"""AdaRound's optimization for one layer: which weights to round up and which down."""

import dataclasses

import numpy as np

_STRETCH_LOW, _STRETCH_HIGH = -0.1, 1.1
_WARM = 0.2  # share of the iterations before the regularizer sets in
_BETA_FIRST, _BETA_LAST = 20.0, 2.0
_RATE, _DECAY_1, _DECAY_2 = 0.02, 0.9, 0.999
_ROWS_A_STEP = 128


@dataclasses.dataclass(frozen=True)
class Task:
    """A layer's products. inputs: float32 (groups, rows, terms), as the quantized layer reads them;
    wanted: (groups, rows, outputs), the float layer's results after the activation; weights:
    (groups, outputs, terms); scales: (groups, outputs, 1); bias: (groups, 1, outputs); low, high:
    the activation's bounds; limit: of the integers; learned: how many of the rows, the first ones,
    are learned from.
    """

    inputs: np.ndarray
    wanted: np.ndarray
    weights: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    low: float
    high: float
    limit: int
    learned: int

    def nearest(self) -> np.ndarray:
        """Weights rounded to nearest, half away from zero, as float32 integers."""
        steps = self.weights / self.scales
        rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        return np.asarray(np.clip(rounded, -self.limit, self.limit))

    def errors(self, steps: np.ndarray, rows: slice) -> np.ndarray:
        """Mean squared error of each output over those rows, (groups, outputs)."""
        came = self.inputs[:, rows] @ (steps * self.scales).transpose(0, 2, 1) + self.bias
        error = np.clip(came, self.low, self.high) - self.wanted[:, rows]
        return np.asarray(np.mean(np.square(error), axis=1, dtype=np.float64))


def learn(task: Task, iterations: int, regularizer: float) -> np.ndarray:
    """The integers, float32 (groups, outputs, terms): floor(w / scale) or one above.

    Minimizes over v, by Adam,

        sum of |f(w~ x + bias) - wanted|^2 / E  +  regularizer * sum of 1 - |2 h(v) - 1|^beta
        w~ = scale * clip(floor(w / scale) + h(v)),  h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1)

    with E the error that rounding to nearest makes on that output, per weight, so that the balance
    depends on no scale. beta falls from 20 to 2: h is pulled to 0 or 1. An output
    keeps its new rounding where that is better on the rows that were not learned from. Weights on
    the grid stay, zeros among them.
    """
    rows, train = task.inputs.shape[1], task.learned
    nearest = task.nearest()
    base = task.errors(nearest, slice(0, train))
    scaled = task.weights / task.scales
    floor = np.floor(scaled)
    part = np.clip(scaled - floor, 0.01, 0.99)
    v = -np.log(1.2 / (part + 0.1) - 1).astype(np.float32)
    keep = scaled == floor  # already on the grid, zeros among them
    v[keep] = -4
    first, second = np.zeros_like(v), np.zeros_like(v)
    step_rows = min(_ROWS_A_STEP, train)
    share = (task.weights.shape[2] / np.maximum(base, 1e-30)).astype(np.float32)
    share = np.where(base > 0, share, 0)[:, None, :] * np.float32(2 / step_rows)
    start, warm = 0, int(iterations * _WARM)
    for t in range(iterations):
        sigmoid = 1 / (1 + np.exp(-v))
        soft = sigmoid * np.float32(1.2) - np.float32(0.1)
        h = np.clip(soft, 0, 1)
        weights = np.clip(floor + h, -task.limit, task.limit) * task.scales
        if start + step_rows > train:
            start = 0
        x = task.inputs[:, start : start + step_rows]
        wanted = task.wanted[:, start : start + step_rows]
        start += step_rows
        came = x @ weights.transpose(0, 2, 1) + task.bias
        error = np.clip(came, task.low, task.high) - wanted
        error *= share
        error[(came <= task.low) | (came >= task.high)] = 0
        gradient = (error.transpose(0, 2, 1) @ x) * task.scales
        if t >= warm:
            done = (t - warm) / max(iterations - warm, 1)
            beta = _BETA_LAST + (_BETA_FIRST - _BETA_LAST) * 0.5 * (1 + np.cos(np.pi * done))
            off = 2 * h - 1
            pull = np.abs(off) ** np.float32(beta - 1) * np.sign(off)
            gradient -= np.float32(regularizer * 2 * beta) * pull
        gradient *= np.float32(1.2) * sigmoid * (1 - sigmoid)
        gradient[(soft <= 0) | (soft >= 1)] = 0
        first += (1 - _DECAY_1) * (gradient - first)
        second += (1 - _DECAY_2) * (gradient * gradient - second)
        size = _RATE / (1 - _DECAY_1 ** (t + 1))
        root = np.sqrt(second / (1 - _DECAY_2 ** (t + 1))) + 1e-8
        v -= size * first / root
    h = np.clip(1.2 / (1 + np.exp(-v)) - 0.1, 0, 1)
    learned = np.clip(floor + (h >= 0.5), -task.limit, task.limit)
    learned = np.where(keep, nearest, learned).astype(np.float32)
    judged = slice(train, rows) if train < rows else slice(0, rows)
    better = task.errors(learned, judged) < task.errors(nearest, judged)
    return np.where(better[:, :, None], learned, nearest)
