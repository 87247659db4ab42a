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

from int8x.calibration.tensor_stats import BINS, LIMBS, MovingRange, TensorStats, empty, merge
from int8x.errors import StatsError
from int8x.tflite.graph import write_file

_FORMAT = "int8x.stats/2"


@dataclasses.dataclass(frozen=True)
class Stats:
    """Statistics by tensor name. Values are frozen; merge() makes new ones.

    fingerprint: of the prepared graph they belong to. samples: how many were run. environment:
    interpreter version and CPU features of each kind of worker that took part, sorted; more than
    one makes `mixed` true. ordered: the model keeps state from sample to sample, so that their
    order counts.

    >>> stats = int8x.calibrate("float.tflite", data)
    >>> stats.save("stats.npz")
    >>> functools.reduce(Stats.merge, [Stats.load(p) for p in shards])
    """

    tensors: Mapping[str, TensorStats]
    fingerprint: str
    samples: int
    environment: tuple[str, ...]
    ordered: bool = False

    @property
    def mixed(self) -> bool:
        """Whether workers of unlike interpreter versions or CPUs took part: their last float bits
        may differ.
        """
        return len(self.environment) > 1

    @property
    def moving(self) -> bool:
        """Whether a moving average was kept beside what merges."""
        return any(stats.moving is not None for stats in self.tensors.values())

    def merge(self, other: "Stats") -> "Stats":
        """The statistics of both sets of samples; the same bits for every order and grouping.

        Raises StatsError for statistics of another model, and for those with a moving average,
        which depends on the order of the samples, as those of a model with state do; warns when
        interpreter versions or CPU features differ.
        """
        if self.ordered or other.ordered:
            raise StatsError(
                "statistics of a model that keeps state between samples do not merge: they depend "
                "on the order of the samples; calibrate with all of them in one run"
            )
        if self.moving or other.moving:
            raise StatsError(
                "statistics with a moving average do not merge: it depends on the order of the "
                "samples; calibrate the parts with another observer"
            )
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
        used = [np.flatnonzero(s.bins) for s in each]
        header = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "samples": self.samples,
            "names": names,
            "environment": list(self.environment),
            "extra": extra,
        }
        if self.ordered:
            header["ordered"] = True
        arrays: dict[str, Any] = {
            "header": np.frombuffer(
                json.dumps(header, sort_keys=True).encode("utf-8", "surrogatepass"), np.uint8
            ),
            "counts": np.array(
                [
                    (s.samples, s.count, len(bins), len(s.channel_min))
                    for s, bins in zip(each, used, strict=True)
                ],
                np.int64,
            ).reshape(-1, 4),
            "ranges": np.array([(s.min, s.max) for s in each], np.float32).reshape(-1, 2),
            "moving": np.array([_moving(s.moving) for s in each], np.float64).reshape(-1, 3),
            "bins": np.concatenate([np.zeros(0, np.uint16), *used]).astype(np.uint16),
            "bin_counts": np.concatenate(
                [np.zeros(0, np.int64), *(s.bins[b] for s, b in zip(each, used, strict=True))]
            ),
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
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    @classmethod
    def from_bytes(cls, data: bytes, origin: str) -> tuple["Stats", dict[str, Any]]:
        """As load_with_extra(), of the file's bytes; errors call them `origin`."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return _unpacked(arrays)
        except Exception as error:  # numpy raises whatever tokenizer, zip or header parser raised
            raise StatsError(
                f"{origin}: not statistics that int8x saved ({type(error).__name__}: {error})"
            ) from None


_NOTHING = empty()


def _unpacked(arrays: dict[str, np.ndarray]) -> tuple[Stats, dict[str, Any]]:
    header = json.loads(arrays["header"].tobytes().decode("utf-8", "surrogatepass"))
    if header["format"] != _FORMAT:
        raise ValueError(
            f"format must be {_FORMAT}, got {header['format']}: calibrate again with this version"
        )
    names, counts, ranges = header["names"], arrays["counts"], arrays["ranges"]
    shapes = {
        "counts": (len(names), 4),
        "ranges": (len(names), 2),
        "moving": (len(names), 3),
        "sample_sums": (len(names), 2, LIMBS),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {arrays[name].shape}")
    if np.any(counts < 0) or np.any(arrays["bin_counts"] < 0):
        raise ValueError("a count is negative")
    each_bins = _parts(counts[:, 2], arrays, "bins", "bin_counts")
    each_channels = _parts(counts[:, 3], arrays, "channel_min", "channel_max", "channel_sums")
    tensors = {}
    for i, (name, used, channels) in enumerate(zip(names, each_bins, each_channels, strict=True)):
        bins = np.zeros(BINS, np.int64)
        bins[arrays["bins"][used]] = arrays["bin_counts"][used]
        moving = (
            None if np.isnan(arrays["moving"][i, 0]) else MovingRange(*arrays["moving"][i].tolist())
        )
        tensors[name] = TensorStats(
            int(counts[i, 0]),
            int(counts[i, 1]),
            float(ranges[i, 0]),
            float(ranges[i, 1]),
            bins,
            arrays["sample_sums"][i].astype(np.int64),
            arrays["channel_min"][channels],
            arrays["channel_max"][channels],
            arrays["channel_sums"][channels],
            moving,
        )
    stats = Stats(
        tensors,
        str(header["fingerprint"]),
        int(header["samples"]),
        tuple(header["environment"]),
        bool(header.get("ordered", False)),
    )
    return stats, dict(header["extra"])


def _moving(moving: MovingRange | None) -> tuple[float, float, float]:
    return (np.nan,) * 3 if moving is None else (moving.momentum, moving.low, moving.high)


def _parts(lengths: np.ndarray, arrays: dict[str, np.ndarray], *names: str) -> list[slice]:
    """Where each tensor's part of concatenated arrays lies. Raises ValueError when the arrays are
    not as long as that.
    """
    ends = np.cumsum(lengths)
    for name in names:
        if len(arrays[name]) != (int(ends[-1]) if len(ends) else 0):
            raise ValueError(f"{name} does not fit the counts")
    return [slice(int(end - length), int(end)) for end, length in zip(ends, lengths, strict=True)]
