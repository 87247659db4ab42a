"""The samples that methods work on: few enough to keep in memory, spread evenly over the data."""

from collections.abc import Iterable, Iterator
from typing import Any

from int8x.data import InputSpec, Sample, Samples

LIMIT = 256
ROOM = 2**27  # bytes, whatever the limit says; of large samples at least _FEW are kept
_FEW = 16


class KeptSamples:
    """Hands samples on and remembers at most `limit` of them, and about 128 MiB, evenly spaced:
    while the data go on, every second one is forgotten whenever there are too many. Deterministic,
    and without a look ahead.

    data: see int8x.data; iterating gives every sample, once. kept: what is remembered so far.

    >>> kept = KeptSamples(data, input_specs(graph))
    >>> stats = calibrate_prepared(graph, kept, recipe=recipe)
    >>> kept.kept
    """

    def __init__(self, data: Any, specs: list[InputSpec], limit: int = LIMIT):
        self._samples = Samples(data, specs)
        self._limit = limit
        self.kept: list[Sample] = []
        self._numbers: list[int] = []

    def __iter__(self) -> Iterator[Sample]:
        self.kept, self._numbers, spacing = [], [], 1
        for number, sample in enumerate(self._samples):
            if number % spacing == 0:
                self.kept.append(sample)
                self._numbers.append(number)
                if self._too_many():
                    spacing *= 2
                    self.kept, self._numbers = self.kept[::2], self._numbers[::2]
            yield sample

    def _too_many(self) -> bool:
        size = sum(array.nbytes for array in self.kept[0])
        return len(self.kept) > min(self._limit, max(ROOM // max(size, 1), _FEW))

    def __length_hint__(self) -> int:
        return self._samples.len_hint() or 0

    def read(self) -> list[Sample]:
        """The kept samples, after the data were iterated here when nobody has yet."""
        if not self.kept:
            for _ in self:
                pass
        return self.kept

    def numbers(self) -> list[int]:
        """The place of each kept sample in the data: which label is its own."""
        return list(self._numbers)


def split(samples: Iterable[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Three quarters to learn from and one quarter, every fourth, to judge by; with fewer than
    eight samples, all of them for both.
    """
    every = list(samples)
    if len(every) < 8:
        return every, every
    return [s for i, s in enumerate(every) if i % 4 != 3], every[3::4]
