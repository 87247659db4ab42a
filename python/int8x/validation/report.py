"""What validate() found, as plain data: text, JSON, CSV and a table."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from int8x.validation.comparison import Figures


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorReport(Figures):
    """How close one tensor of the quantized model is to its float original: the error of all
    operators so far. x, of Figures, is the float model's.

    operator: the kind that makes the tensor. scale, zero_point: of its grid, 0 for a float tensor.
    """

    name: str
    operator: str
    scale: float
    zero_point: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatorReport(Figures):
    """What one operator of the quantized model adds by itself: x, of Figures, is what the float
    operator makes of the dequantized values of the very inputs that this one read.

    index: in the quantized model. name: of its first output. covers: float operators that it stands
    for, 1 unless converters fused differently. effect_db: SQNR of the model's worst output (or what
    a last SOFTMAX reads) when this operator's own error, of the first samples, is added to the
    float model and nothing else is; None where that could not be measured.
    """

    index: int
    kind: str
    name: str
    covers: int
    effect_db: float | None = None


@dataclasses.dataclass(frozen=True)
class Report:
    """tensors, operators: in execution order. outputs: names of the outputs, which are among the
    tensors.

    agreement: per output, the share of top-1 choices (arg max along the last axis) that are equal.
    float_accuracy, int8_accuracy: of the first output's choice against the labels, None without
    labels. notes: what could not be compared, and why.
    """

    samples: int
    tensors: tuple[TensorReport, ...]
    outputs: tuple[str, ...]
    agreement: tuple[float, ...]
    float_accuracy: float | None = None
    int8_accuracy: float | None = None
    operators: tuple[OperatorReport, ...] = ()
    notes: tuple[str, ...] = ()

    def tensor(self, name: str) -> TensorReport:
        """The tensor of that name. Raises KeyError."""
        found = next((t for t in self.tensors if t.name == name), None)
        if found is None:
            raise KeyError(f"no tensor {name!r} in the report")
        return found

    @property
    def worst_operator(self) -> OperatorReport | None:
        """The operator whose own error costs the outputs the most, by effect_db, or where that was
        not measured the one of the lowest SQNR of its own; None when none loses anything.
        """
        losing = [o for o in self.operators if o.sqnr_db < math.inf]
        known = [o for o in losing if o.effect_db is not None]
        return min(known or losing, key=_lost, default=None)

    @property
    def verdict(self) -> str:
        """Which operator lost the most, in a line."""
        worst = self.worst_operator
        if worst is None:
            return "no operator could be compared" if not self.operators else "no operator lost"
        return (
            f"lost the most: operator {worst.index}, {worst.kind} {worst.name.split(';')[0]}, "
            f"{worst.sqnr_db:.1f} dB by itself"
            + ("" if worst.effect_db is None else f", {worst.effect_db:.1f} dB at the outputs")
        )

    def to_json(self) -> str:
        """JSON text; an infinite SQNR (nothing differs, or nothing was wanted) is null."""
        plain = dataclasses.asdict(self)
        for side in ("tensors", "operators"):
            plain[side] = [_row(entry) for entry in getattr(self, side)]
        worst = self.worst_operator
        plain["worst_operator"] = None if worst is None else worst.index
        return json.dumps(plain, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """CSV text: a line for each tensor, then one for each operator; `part` tells which."""
        rows = [{"part": "tensor", **_row(t)} for t in self.tensors]
        rows += [{"part": "operator", **_row(o)} for o in self.operators]
        fields = ["part", *_FIRST, *(f.name for f in dataclasses.fields(Figures)), *_LAST]
        text = io.StringIO()
        writer = csv.DictWriter(text, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def table(self) -> Any:
        """A rich Table of the tensors, the worst SQNR marked."""
        shown = _table(f"{self.samples} samples: error so far, tensor by tensor", "tensor")
        worst = min((t.sqnr_db for t in self.tensors), default=math.inf)
        for t in self.tensors:
            marked = t.sqnr_db == worst and worst < math.inf
            style = "bold red" if marked else "bold" if t.name in self.outputs else None
            _add(shown, t.name, t.operator, t, style)
        return shown

    def operator_table(self) -> Any:
        """A rich Table of what each operator adds by itself, the one that lost the most marked."""
        shown = _table("error of its own, operator by operator", "operator's output")
        shown.add_column("outputs dB", justify="right", no_wrap=True, min_width=10)
        worst = self.worst_operator
        for o in self.operators:
            kind = o.kind if o.covers == 1 else f"{o.kind} ({o.covers} in float)"
            effect = "" if o.effect_db is None else f"{o.effect_db:.1f}"
            _add(shown, o.name, kind, o, "bold red" if o is worst else None, effect)
        return shown


def _lost(operator: OperatorReport) -> tuple[float, float]:
    effect = operator.effect_db
    return (operator.sqnr_db if effect is None else effect), operator.sqnr_db


_FIRST = ("index", "name", "operator", "kind")
_LAST = ("scale", "zero_point", "covers", "effect_db")


def _row(entry: Figures) -> dict[str, Any]:
    """The fields of a tensor or an operator, names first, infinities as None."""
    plain = dataclasses.asdict(entry)
    order = [*_FIRST, *(f.name for f in dataclasses.fields(Figures)), *_LAST]
    row = {name: plain[name] for name in order if name in plain}
    return {n: None if isinstance(v, float) and not math.isfinite(v) else v for n, v in row.items()}


def _table(title: str, first: str) -> Any:
    from rich.table import Table

    shown = Table(title=title, title_justify="left")
    shown.add_column(first, no_wrap=True, overflow="ellipsis", max_width=40)
    shown.add_column("operator", no_wrap=True)
    for column in ("SQNR dB", "max error", "cosine", "saturated", "steps"):
        shown.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    return shown


def _add(shown: Any, name: str, kind: str, figures: Figures, style: str | None, *more: str) -> None:
    from rich.markup import escape

    cells: Sequence[str] = (
        escape(name.split(";")[0]),
        kind,
        f"{figures.sqnr_db:.1f}",
        f"{figures.max_error:.3g}",
        f"{figures.cosine:.5f}",
        f"{figures.saturated:.2%}",
        str(figures.steps) if figures.of_steps else "",
    )
    shown.add_row(*cells, *more, style=style)
