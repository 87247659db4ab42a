"""The code blocks of the guides run in order, each guide in a folder of its own."""

import re
from pathlib import Path

import keras_nets  # noqa: F401  (quiet TensorFlow first)
import pytest

GUIDES = Path(__file__).parent.parent / "docs"
NAMES = ("qat.md", "pruning.md", "transfer.md")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_the_code_of_a_guide_runs(name, tmp_path, monkeypatch):
    text = (GUIDES / name).read_text()
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 5 and len(blocks) == text.count("```python")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "guide"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], name, "exec"), names)
