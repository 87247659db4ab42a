"""Reads what write_cases.py wrote; needs numpy alone."""

from collections.abc import Iterator

import numpy as np
from operator_case import Case


def _numbered(archive, prefix: str) -> list[np.ndarray]:
    found = []
    while f"{prefix}/{len(found)}" in archive:
        found.append(archive[f"{prefix}/{len(found)}"])
    return found


def read(path: str) -> Iterator[tuple[Case, list[list[np.ndarray]]]]:
    """Each case with its expected outputs, one list per feed."""
    with np.load(path, allow_pickle=False) as archive:
        archive = {key: archive[key] for key in archive.files}
    number = 0
    while f"{number}/name" in archive:
        feeds, expected = [], []
        while f"{number}/{len(feeds)}/out/0" in archive:
            prefix = f"{number}/{len(feeds)}"
            feeds.append(tuple(_numbered(archive, f"{prefix}/in")))
            expected.append(_numbered(archive, f"{prefix}/out"))
        name, operator, resolver = (
            str(archive[f"{number}/{key}"]) for key in ("name", "operator", "resolver")
        )
        model = archive[f"{number}/model"].tobytes()
        yield Case(operator, name, model, tuple(feeds), resolver), expected
        number += 1
