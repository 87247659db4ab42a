"""Stats: the statistics of all activations of one prepared model, merged, saved and loaded without
losing a bit.
"""

import dataclasses
import io
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from int8x.errors import StatsError
from int8x.graph import write_file
from int8x.tensor_stats import BINS, LIMBS, TensorStats, empty, merge

_FORMAT = "int8x.stats/1"


@dataclasses.dataclass(frozen=True)
class Stats:
    """Statistics by tensor name. Values are frozen; merge() makes new ones.

    fingerprint: of the prepared graph they belong to. samples: how many were run. environment:
    interpreter version and CPU features of each kind of worker that took part, sorted; more than
    one makes `mixed` true.

    >>> stats = int8x.calibrate("float.tflite", data)
    >>> stats.save("stats.npz")
    >>> functools.reduce(Stats.merge, [Stats.load(p) for p in shards])
    """

    tensors: Mapping[str, TensorStats]
    fingerprint: str
    samples: int
    environment: tuple[str, ...]

    @property
    def mixed(self) -> bool:
        """Whether workers of unlike interpreter versions or CPUs took part: their last float bits
        may differ.
        """
        return len(self.environment) > 1

    def merge(self, other: "Stats") -> "Stats":
        """The statistics of both sets of samples; the same bits for every order and grouping.

        Raises StatsError for statistics of another model; warns when interpreter versions or CPU
        features differ.
        """
        if self.fingerprint != other.fingerprint:
            raise StatsError(
                f"statistics of two different models do not merge: {self.fingerprint[:12]} and "
                f"{other.fingerprint[:12]}"
            )
        environment = tuple(sorted({*self.environment, *other.environment}))
        if self.environment != other.environment:
            warnings.warn(
                f"merging statistics from unlike machines: {' | '.join(environment)}", stacklevel=2
            )
        names = sorted({*self.tensors, *other.tensors})
        tensors = {
            name: merge(self.tensors.get(name, _NOTHING), other.tensors.get(name, _NOTHING))
            for name in names
        }
        return Stats(tensors, self.fingerprint, self.samples + other.samples, environment)

    def save(self, path: str | os.PathLike) -> None:
        """Writes an .npz (plain arrays, no pickle) of all or nothing; equal statistics give equal
        bytes.
        """
        write_file(path, self.to_bytes())

    def to_bytes(self, **extra: Any) -> bytes:
        """The .npz file's bytes; `extra` is plain data kept beside the statistics."""
        names = sorted(self.tensors)
        each = [self.tensors[name] for name in names]
        header = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "samples": self.samples,
            "names": names,
            "environment": list(self.environment),
            "extra": extra,
        }
        arrays: dict[str, Any] = {
            "header": np.frombuffer(
                json.dumps(header, sort_keys=True).encode("utf-8", "surrogatepass"), np.uint8
            ),
            "counts": np.array(
                [(s.samples, s.count, s.exponent, len(s.channel_min)) for s in each], np.int64
            ).reshape(-1, 4),
            "ranges": np.array([(s.min, s.max) for s in each], np.float32).reshape(-1, 2),
            "bins": np.array([s.bins for s in each], np.int64).reshape(-1, BINS),
            "sample_sums": np.array([s.sample_sums for s in each], np.int64).reshape(-1, 2, LIMBS),
            "channel_min": np.concatenate(
                [np.zeros(0, np.float32), *(s.channel_min for s in each)]
            ),
            "channel_max": np.concatenate(
                [np.zeros(0, np.float32), *(s.channel_max for s in each)]
            ),
            "channel_sums": np.concatenate(
                [np.zeros((0, LIMBS), np.int64), *(s.channel_sums for s in each)]
            ),
        }
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Stats":
        """Reads what save() wrote. Raises StatsError, naming the file, for anything else."""
        return cls.load_with_extra(path)[0]

    @classmethod
    def load_with_extra(cls, path: str | os.PathLike) -> tuple["Stats", dict[str, Any]]:
        """The statistics and the plain data that to_bytes() was given beside them."""
        data = Path(path).read_bytes()
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return _unpacked(arrays)
        except Exception as error:  # numpy raises whatever tokenizer, zip or header parser raised
            raise StatsError(
                f"{path}: not statistics that int8x saved ({type(error).__name__}: {error})"
            ) from None


_NOTHING = empty()


def _unpacked(arrays: dict[str, np.ndarray]) -> tuple[Stats, dict[str, Any]]:
    header = json.loads(arrays["header"].tobytes().decode("utf-8", "surrogatepass"))
    if header["format"] != _FORMAT:
        raise ValueError(f"format must be {_FORMAT}, got {header['format']}")
    names, counts, ranges = header["names"], arrays["counts"], arrays["ranges"]
    shapes = {
        "counts": (len(names), 4),
        "ranges": (len(names), 2),
        "bins": (len(names), BINS),
        "sample_sums": (len(names), 2, LIMBS),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {arrays[name].shape}")
    ends = np.cumsum(counts[:, 3])
    if np.any(counts < 0) and np.any(counts[:, [0, 1, 3]] < 0):
        raise ValueError("a count is negative")
    if (int(ends[-1]) if len(ends) else 0) != len(arrays["channel_min"]):
        raise ValueError("the per-channel arrays do not fit the counts")
    tensors = {}
    for i, name in enumerate(names):
        channels = slice(int(ends[i] - counts[i, 3]), int(ends[i]))
        tensors[name] = TensorStats(
            int(counts[i, 0]),
            int(counts[i, 1]),
            float(ranges[i, 0]),
            float(ranges[i, 1]),
            int(counts[i, 2]),
            arrays["bins"][i].astype(np.int64),
            arrays["sample_sums"][i].astype(np.int64),
            arrays["channel_min"][channels],
            arrays["channel_max"][channels],
            arrays["channel_sums"][channels],
        )
    stats = Stats(
        tensors, str(header["fingerprint"]), int(header["samples"]), tuple(header["environment"])
    )
    return stats, dict(header["extra"])
