"""docs/quantization.md shows the rows of one run, and pieces of other runs never mix with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import quantization_quality
from quality import markdown, report, result_file

_ROOT = Path(__file__).parent.parent
RESULTS = _ROOT / "benchmarks" / "quantization_quality.json"


def _row(method: str, score: float, db: float | None = None, **more: object) -> report.Row:
    return report.Row("net", method, "accuracy %", score, db, **more)


ROWS = [
    _row("float", 90.0),
    _row("tensorflow", 80.0, 30.0),
    _row("litert-quantizer", 84.0, 20.0),
    _row("int8x int8", 88.5, 33.25),
    _row("int8x minmax", 88.0, 29.5, float_operators=2),
    _row("int8x int16x8", 89.95, 40.0),
]


def test_the_tables_in_the_document_are_those_of_the_file():
    document = (_ROOT / "docs" / "quantization.md").read_text(encoding="utf-8")
    shown = markdown.tables(result_file.load(RESULTS), list(quantization_quality.CASES))
    assert markdown.into(document, shown) == document


def test_every_net_in_the_file_has_a_row_for_each_usual_method():
    rows = result_file.load(RESULTS)["rows"]
    found = {(row.model, row.method) for row in rows}
    nets = {row.model for row in rows}
    wanted = {(net, m) for net in nets for m in ("float", *quantization_quality.usual(net))}
    assert nets and not wanted - found


def _shown(rows: list[report.Row]) -> str:
    machine = {"cpu": "a CPU", "features": ["avx2"], "cores": 2}
    versions = {"tensorflow": "2.21.0"}
    origin = {"sources": "def", "machine": machine, "versions": versions}
    return markdown.tables({**origin, "rows": rows}, ["net", "another"])


def test_tables_show_gains_losses_and_what_is_kept():
    text = _shown(ROWS)
    assert "| `net` | 30.00 | 20.00 | **33.25** | *29.50* |" in text
    assert "| `net` | tensorflow | 30.00 | 33.25 | +3.25 | better | 10.00 | 1.50 |" in text
    assert "Of 1 nets `int8x int8` is better on 1, alike on 0, worse on 0" in text
    assert "Kept by `int8x int16x8` on 1 of 1 nets." in text
    assert "- `net`: the peers lose 6.00 or more, 75 % less" in text
    assert "- `net`, int8x minmax: 2" in text and "Failures: none." in text


def test_a_net_without_rows_is_named():
    assert "Not in this run: `another`." in _shown(ROWS)


def test_tables_go_between_the_marks_of_a_document():
    document = f"a\n{markdown.BEGIN}\nold\n{markdown.END}\nb\n"
    assert markdown.into(document, "new\n") == document.replace("old", "new")
    with pytest.raises(ValueError, match="must have <!-- rows: begin -->"):
        markdown.into("a\n", "new\n")


def test_a_peer_that_fails_is_named_with_its_reason():
    rows = [*ROWS[:2], report.Row("net", "litert-quantizer", "accuracy %", failure="no such op")]
    text = _shown([*rows, ROWS[3]])
    assert "| `net` | 30.00 | fails |" in text
    assert "- `net`, litert-quantizer: no such op" in text


def test_pieces_of_one_run_join_and_a_net_run_again_replaces_its_rows(tmp_path):
    path = tmp_path / "rows.json"
    result_file.save(path, ROWS)
    result_file.save(path, [_row("int8x int8", 89.0, 34.0), report.Row("other", "float", "x", 1.0)])
    rows = result_file.load(path)["rows"]
    assert len(rows) == len(ROWS) + 1
    assert [row.sqnr_db for row in rows if row.method == "int8x int8"] == [34.0]


@pytest.mark.parametrize("name", ["sources", "machine", "versions"])
def test_rows_that_something_else_made_are_not_mixed_in(tmp_path, name):
    path = tmp_path / "rows.json"
    result_file.save(path, ROWS)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, name: "another"}))
    with pytest.raises(result_file.OtherRun, match=f"its rows have {name} another"):
        result_file.check(path)
    before = path.read_bytes()
    with pytest.raises(result_file.OtherRun):
        result_file.save(path, ROWS)
    assert path.read_bytes() == before


def test_the_command_in_a_file_has_no_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/a/b/run.py", "--models", "net", "--output", "/c/d.json"])
    result_file.save(tmp_path / "rows.json", ROWS)
    command = result_file.load(tmp_path / "rows.json")["command"]
    assert command == "run.py --models net --output d.json"


def test_rows_are_old_when_anything_changes_that_quantize_imports():
    code = "import sys, int8x.quantizer as q; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported = {name.split(".")[1] for name in told.stdout.split() if name.startswith("int8x.")}
    telling = {"_native", "_version", "errors", "progress"}
    assert imported - telling == {Path(name).stem for name in result_file.QUANTIZING}


def test_a_file_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"schema": "int8x-benchmark-1"}')
    with pytest.raises(ValueError, match="must be int8x-quality-1, got int8x-benchmark-1"):
        result_file.load(path)
