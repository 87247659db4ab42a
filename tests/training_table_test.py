"""docs/training.md shows the benchmark's file; a result is old when what made it has changed."""

import functools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import keras_training
from quality import markdown
from training import emotions, results, sources
from training.nets import NETS
from training.results import Result

_ROOT = Path(__file__).parent.parent
RESULTS = _ROOT / "benchmarks" / "keras_training.json"


def test_the_table_in_the_document_is_that_of_the_file():
    document = (_ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    shown = keras_training.shown(RESULTS, 4, [*NETS, emotions.NET])
    assert markdown.into(document, shown) == document


def _result(column, seed, accuracy):
    return Result("mlp", seed, column, 4, "", accuracy, 1.0)


def test_a_column_has_its_mean_and_what_it_loses_to_float_seed_by_seed():
    rows = [_result("float", 0, 90.0), _result("float", 1, 92.0), _result("float", 2, 80.0)]
    rows += [_result("qat", 0, 89.0), _result("qat", 1, 90.0)]
    columns = {"float": ("float", ""), "qat": ("QAT", "float"), "none": ("not run", "float")}
    table = results.table(rows, columns)
    assert "| float | 87.33 \u00b1 6.43 (3) |  |" in table
    assert "| QAT | 89.50 \u00b1 0.71 (2) | -1.50 \u00b1 0.50 |" in table
    assert "not run" not in table


def test_two_columns_are_held_against_each_other_seed_by_seed():
    rows = [_result("qat", 0, 90.0), _result("qat", 1, 91.0), _result("qat", 2, 80.0)]
    rows += [_result("peer", 0, 89.0), _result("peer", 1, 91.0)]
    pairs = {"QAT - peer": ("qat", "peer"), "none": ("qat", "not run")}
    shown = results.differences(rows, pairs)
    assert shown.splitlines() == ["| | mlp |", "|---|---|", "| QAT - peer | +0.50 ± 0.50 |"]


def test_a_new_result_takes_the_place_of_the_old_one_alone(tmp_path):
    path = tmp_path / "rows.json"
    assert results.load(path) == []
    for row in (_result("qat", 0, 88.0), _result("qat", 1, 90.0), _result("qat", 0, 89.0)):
        results.store(path, row)
    assert [(row.seed, row.accuracy) for row in results.load(path)] == [(0, 89.0), (1, 90.0)]
    assert results.origin(path).count("keras") == 1


def _make(start, rate=1.0):
    """Doubles."""
    return 2 * start * rate


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"""Another."""\n\n\nx = 1  # a comment\nif x > 2:\n    raise ValueError("no")', True),
        ('"""A docstring."""\nx = 1\nif x > 2:\n    raise ValueError(f"{x} is too large")', True),
        ('"""A docstring."""\nx = 1\nif x > 2:\n    raise TypeError("x")', False),
        ('"""A docstring."""\nx = 2\nif x > 2:\n    raise ValueError("x")', False),
    ],
)
def test_words_do_not_make_a_result_old_and_code_does(text, same, tmp_path):
    path = tmp_path / "a.py"
    path.write_text('"""A docstring."""\nx = 1\nif x > 2:\n    raise ValueError("x")\n')
    before = sources.fingerprint(_make, [path])
    path.write_text(text)
    assert (sources.fingerprint(_make, [path]) == before) == same
    assert sources.fingerprint(functools.partial(_make, rate=2.0), [path]) != before


def test_a_module_comes_with_what_it_imports_and_nothing_else():
    names = {path.stem for path in sources.imported("int8x.keras.qat_callback")}
    assert {"qat_callback", "handle", "forward", "fake_quant"} <= names
    assert not {"pruners", "transfer_callback", "demo"} & names
