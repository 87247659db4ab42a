"""Samples for calibration and validation, from any of the forms that int8x takes, checked one by
one.

A source is one .npy whose first axis counts samples, a .npz keyed by input name, a folder of .npy;
in Python also an array, a dict of arrays by input name, or any iterable (a tf.data.Dataset too) of
arrays, of tuples in the inputs' order, of dicts by input name, or of (signature key, dict) as
TFLite's representative_dataset gives them; its elements are single samples or batches. Files are
read row by row.
"""

import dataclasses
import itertools
import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from int8x.errors import DataError
from int8x.numpy_files import Rows, open_arrays, read_array
from int8x.tflite.graph import Graph
from int8x.tflite.schema import NUMPY_TYPES

Sample = list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One model input. names: all it may be called by; shape: with batch, -1 for dimensions that
    are free. signatures: keys of the signatures that samples may name.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    signatures: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.names[-1]


def input_specs(graph: Graph) -> list[InputSpec]:
    """The inputs of a graph's first subgraph. Raises DataError for a type numpy cannot hold."""
    specs = []
    for tensor, names in zip(graph.main.inputs, graph.input_names(), strict=True):
        if tensor.dtype not in NUMPY_TYPES:
            raise DataError(
                f"input {names[-1]!r} is of type {tensor.dtype}, which calibration data cannot hold"
            )
        shape = tensor.signature or tensor.shape
        dtype = np.dtype(NUMPY_TYPES[tensor.dtype])
        specs.append(InputSpec(names, shape, dtype, graph.signature_keys()))
    return specs


class Samples:
    """An iterator of samples: one array per model input, each with a batch axis of 1.

    source: see the module. len_hint() is their number where it is known, else None. Iterating
    raises DataError, naming the sample and the input, for a wrong shape or type, NaN, infinities or
    object arrays, and at the end when there was none.
    """

    def __init__(self, source: Any, specs: list[InputSpec]):
        self.specs = specs
        self.origin = str(source) if isinstance(source, (str, os.PathLike)) else "data"
        self._elements, self._count = self._open(source)

    def len_hint(self) -> int | None:
        return self._count

    def __length_hint__(self) -> int:
        return self._count or 0

    def __iter__(self) -> Iterator[Sample]:
        number = 0
        for element in self._elements:
            for sample in self._split(self._arrays(element, number), number):
                for spec, array in zip(self.specs, sample, strict=True):
                    if array.dtype.kind in "fc" and not np.isfinite(array).all():
                        raise DataError(
                            f"{self.origin}: sample {number} of input {spec.name!r} holds NaN "
                            "or infinities"
                        )
                yield sample
                number += 1
        if not number:
            raise DataError(f"{self.origin}: it holds no sample")

    def _open(self, source: Any) -> tuple[Iterable[Any], int | None]:
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            if path.is_dir():
                files = sorted(path.glob("*.npy"))
                if not files:
                    raise DataError(f"{path}: the folder holds no .npy file")
                return (read_array(file) for file in files), None
            source = open_arrays(path)
        if isinstance(source, (np.ndarray, Rows)):
            if not source.ndim:
                raise DataError(
                    f"{self.origin}: an array's first axis must count samples, got a scalar"
                )
            if len(self.specs) != 1:
                raise DataError(
                    f"{self.origin}: one array was given, the model has {len(self.specs)} inputs: "
                    f"give a dict or .npz keyed by {', '.join(repr(s.name) for s in self.specs)}"
                )
            self._check_types([source], 0)
            whole = self._one(source)
            return (row[None] if whole else row for row in source), len(source)
        if isinstance(source, Mapping):
            arrays = [
                array if isinstance(array, Rows) else np.asarray(array)
                for array in self._by_name(source, 0)
            ]
            lengths = {len(array) if array.ndim else 0 for array in arrays}
            if len(lengths) != 1:
                raise DataError(
                    f"{self.origin}: every input must have as many samples, got {sorted(lengths)}"
                )
            self._check_types(arrays, 0)
            return zip(*arrays, strict=True), lengths.pop()
        if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
            raise DataError(
                "data must be a path, an array, a dict or an iterable of them, got "
                f"{type(source).__name__}"
            )
        return source, operator.length_hint(source) or None

    def _one(self, array: np.ndarray | Rows) -> bool:
        """Whether a slice of one sample, its first axis kept, is already a whole input."""
        return _fits(array.shape[1:], self.specs[0].shape[1:]) and len(array.shape) == len(
            self.specs[0].shape
        )

    def _by_name(self, element: Mapping[Any, Any], number: int) -> list[Any]:
        chosen = []
        for spec in self.specs:
            name = next((n for n in spec.names if n in element), None)
            if name is None:
                raise DataError(
                    f"{self.origin}: sample {number} lacks input {spec.name!r}; it has "
                    f"{sorted(map(str, element))}"
                )
            chosen.append(element[name])
        known = {name for spec in self.specs for name in spec.names}
        unknown = sorted(str(name) for name in element if name not in known)
        if unknown:
            raise DataError(
                f"{self.origin}: the model has no input {unknown[0]!r}; its inputs are "
                f"{', '.join(repr(spec.name) for spec in self.specs)}"
            )
        return chosen

    def _of_signature(self, key: str, element: Any, number: int) -> Any:
        """What stands beside the key of a signature of the first subgraph."""
        known = self.specs[0].signatures if self.specs else ()
        if key not in known:
            raise DataError(
                f"{self.origin}: sample {number} is for signature {key!r}; those of the model's "
                f"first subgraph are {', '.join(map(repr, known)) or 'none'}"
            )
        return element

    def _arrays(self, element: Any, number: int) -> list[np.ndarray]:
        """An element's arrays, one per input."""
        if isinstance(element, tuple) and len(element) == 2 and isinstance(element[0], str):
            element = self._of_signature(*element, number)
        if isinstance(element, Mapping):
            parts = self._by_name(element, number)
        elif isinstance(element, (tuple, list)) and element and not np.isscalar(element[0]):
            # (features, labels), as tf.data gives them, when there is one input; else one entry per
            # input
            parts = (
                [element[0]]
                if len(self.specs) == 1 and isinstance(element, tuple)
                else list(element)
            )
            if len(parts) == 1 and isinstance(parts[0], Mapping):
                parts = self._by_name(parts[0], number)
        else:
            parts = [element]
        if len(parts) != len(self.specs):
            raise DataError(
                f"{self.origin}: sample {number} has {len(parts)} arrays, the model has "
                f"{len(self.specs)} inputs"
            )
        arrays = [np.asarray(part.numpy() if hasattr(part, "numpy") else part) for part in parts]
        self._check_types(arrays, number)
        return arrays

    def _check_types(self, arrays: Sequence[np.ndarray | Rows], number: int) -> None:
        for spec, array in zip(self.specs, arrays, strict=True):
            if array.dtype == object:
                raise DataError(
                    f"{self.origin}: sample {number} of input {spec.name!r} is an object array"
                )
            if array.dtype != spec.dtype:
                raise DataError(
                    f"{self.origin}: input {spec.name!r} takes {spec.dtype}, sample {number} is "
                    f"{array.dtype} "
                    f"(convert it: data.astype(numpy.{spec.dtype}))"
                )

    def _split(self, arrays: list[np.ndarray], number: int) -> Iterator[Sample]:
        """The samples in one element: itself, or the rows of a batch."""
        batches = []
        for spec, array in zip(self.specs, arrays, strict=True):
            one_batch = (1, *spec.shape[1:]) if spec.shape[:1] in ((1,), (-1,)) else spec.shape
            if len(array.shape) == len(spec.shape) and _fits(array.shape, one_batch):
                batches.append([array])
            elif spec.shape and _fits(array.shape, spec.shape[1:]):
                batches.append([array[None]])
            elif len(array.shape) == len(spec.shape) and _fits(array.shape[1:], spec.shape[1:]):
                batches.append([array[i : i + 1] for i in range(len(array))])
            else:
                raise DataError(
                    f"{self.origin}: input {spec.name!r} takes samples of shape "
                    f"{_text(spec.shape[1:])} (with batch "
                    f"{_text(spec.shape)}), sample {number} has {_text(array.shape)}"
                )
        if len({len(batch) for batch in batches}) > 1:
            raise DataError(
                f"{self.origin}: at sample {number} the inputs have {[len(b) for b in batches]} "
                "samples each"
            )
        for rows in zip(*batches, strict=True):
            yield [np.ascontiguousarray(row) for row in rows]


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        w in (-1, s) for s, w in zip(shape, wanted, strict=True)
    )


def _text(shape: tuple[int, ...]) -> str:
    return (
        "("
        + ", ".join("?" if d == -1 else str(d) for d in shape)
        + ("," if len(shape) == 1 else "")
        + ")"
    )


def take(samples: Iterable[Sample], skip: int) -> Iterator[Sample]:
    """The samples after the first `skip`."""
    return itertools.islice(iter(samples), skip, None)
