"""The demo's data: scikit-learn's digits, and Fashion-MNIST as Debian packages it."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from int8x.errors import DataError, Int8xError

NAMES = ("digits", "fashion-mnist")
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FASHION_HELP = "`apt-get install dataset-fashion-mnist` puts it there (Debian, Ubuntu; 31 MB)"


@dataclass(frozen=True)
class Dataset:
    """Images [n, height, width, 1], float32 as they are stored, and labels int64 in [0, 10)."""

    name: str
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(name: str) -> Dataset:
    """The data set `name`. Raises DataError or Int8xError, saying how to get what is missing.

    >>> load("digits").x_test.shape
    (897, 8, 8, 1)
    """
    if name == "digits":
        return digits()
    if name == "fashion-mnist":
        return fashion_mnist()
    raise DataError(f"--data must be one of {', '.join(NAMES)}, got {name!r}")


def digits() -> Dataset:
    """900 training and 897 test images of 8x8 pixels from 0 to 16, every class split alike."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise Int8xError("the digits come with scikit-learn: pip install 'int8x[keras]'") from None
    data = load_digits()
    images = data.images[..., None].astype(np.float32)
    x, x_test, y, y_test = train_test_split(
        images, data.target.astype(np.int64), train_size=900, stratify=data.target, random_state=0
    )
    return Dataset("digits", x, y, x_test, y_test)


def fashion_mnist(folder: Path = FASHION_FOLDER) -> Dataset:
    """60,000 training and 10,000 test images of 28x28 pixels from 0 to 255."""
    parts = []
    for part in ("train", "t10k"):
        parts.append(
            read_idx(folder / f"{part}-images-idx3-ubyte.gz")[..., None].astype(np.float32)
        )
        parts.append(read_idx(folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int64))
    return Dataset("fashion-mnist", *parts)


def read_idx(path: Path) -> np.ndarray:
    """A gzip-compressed IDX file of unsigned bytes. Raises DataError when it is none."""
    if not path.is_file():
        raise DataError(f"{path}: Fashion-MNIST is not installed; {_FASHION_HELP}")
    try:
        with gzip.open(path) as file:
            data = file.read()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: not a gzip file of Fashion-MNIST ({error})") from None
    rank = data[3] if len(data) > 3 else 0
    shape = np.frombuffer(data, ">u4", rank, 4) if len(data) >= 4 + 4 * rank else np.zeros(0)
    if data[:3] != b"\0\0\x08" or not rank or len(data) != 4 + 4 * rank + int(np.prod(shape)):
        raise DataError(
            f"{path}: an IDX file of unsigned bytes was wanted, got {len(data)} other bytes"
        )
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape([int(size) for size in shape])
