"""Rows: the arrays of .npy and .npz files, read row by row: memory does not grow with them."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from int8x.errors import DataError


class Rows:
    """An array of a file, as an iterable of its rows in order. Raises DataError for a file that
    ends too early.

    >>> for sample in open_arrays("samples.npy"):
    ...     print(sample.shape)
    """

    def __init__(self, file: IO[bytes], origin: str):
        self._file, self._origin = file, origin
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"version {version} of the format is not read")
        self.shape, self._by_columns, self.dtype = read(file)
        if self.dtype.hasobject:
            raise ValueError("it holds Python objects")
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._by_columns and self.ndim > 1:  # a row lies all over the file
            yield from self._read(self.shape[::-1], 0).T
            return
        for number in range(len(self)):
            yield self._read(self.shape[1:], number)

    def _read(self, shape: tuple[int, ...], number: int) -> np.ndarray:
        wanted = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        try:
            data = self._file.read(wanted)
        except Exception as error:  # whatever zip or its decompressor raise
            raise DataError(f"{self._origin}: sample {number} cannot be read ({error})") from None
        if len(data) != wanted:
            raise DataError(f"{self._origin}: the file ends within sample {number}")
        return np.frombuffer(data, self.dtype).reshape(shape)


def open_arrays(path: Path) -> Rows | dict[str, Rows]:
    """The array of a .npy, the arrays of a .npz by name. Raises DataError for anything else, and
    for object arrays: pickles are never read.
    """
    if path.suffix not in (".npy", ".npz"):
        raise DataError(f"{path}: data must be a .npy, a .npz or a folder of .npy")
    try:
        if path.suffix == ".npy":
            return Rows(path.open("rb"), str(path))
        archive = zipfile.ZipFile(path)
        return {
            name.removesuffix(".npy"): Rows(archive.open(name), f"{path}: {name}")
            for name in archive.namelist()
        }
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # whatever tokenizer, zip or header parser raise
        raise DataError(f"{path}: not a plain numpy file ({error})") from None


def read_array(path: Path) -> np.ndarray:
    """The whole array of a .npy, under the same conditions."""
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:
        raise DataError(f"{path}: not a plain numpy file ({error})") from None
