"""Fashion-MNIST, and the nets trained on it."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from int8x.demo.datasets import fashion_mnist
from quality import fashion_nets
from quality.case import Case, accuracy
from quality.training import fit_classes, trained
from quality.uneven import uneven

CALIBRATION_SAMPLES = 200


@functools.cache
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels; pixels in [0, 1]."""
    data = fashion_mnist()
    return data.x / 255, data.y, data.x_test / 255, data.y_test


def _trained(name: str, epochs: int, rate: float = 2e-3) -> Any:
    def train(model: Any) -> None:
        x, y, _, _ = images()
        fit_classes(model, x, y, epochs, rate)

    how = f"{name} {epochs} {rate}"
    return trained(name, fashion_nets, how, getattr(fashion_nets, name), train)


def _case(name: str, model: Any) -> Case:
    from int8x.keras.conversion import to_bytes

    x, _, x_test, y_test = images()
    return Case(
        name, to_bytes(model), x[:CALIBRATION_SAMPLES], x_test, accuracy(y_test), keras=model
    )


def _cnn() -> Any:
    return _trained("cnn", 2)


CASES: dict[str, Callable[[], Case]] = {
    "fashion_cnn": lambda: _case("fashion_cnn", _cnn()),
    "fashion_cnn_uneven": lambda: _case("fashion_cnn_uneven", uneven(_cnn())),
    "fashion_mobilenet_v2": lambda: _case("fashion_mobilenet_v2", _trained("mobilenet_v2", 3)),
    "fashion_transformer": lambda: _case("fashion_transformer", _trained("transformer", 2, 1e-3)),
}
