"""Rows as the tables of docs/quantization.md, every net and every loss in them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from quality.methods import PEERS, PEERS_16X8
from quality.report import MARGIN_DB, Row

BEGIN, END = "<!-- rows: begin -->", "<!-- rows: end -->"

_INT8 = ("int8x int8", "int8x minmax")
_INT16 = ("int8x int16x8", "int8x int16x8 minmax", "int8x int16x8 adaround")
# What 16x8 shall keep of the float net: so many dB, or all but so many points of its score.
_KEPT_DB, _KEPT_POINTS = 50.0, 0.1

_Rows = dict[tuple[str, str], Row]


def tables(document: dict[str, Any], cases: Sequence[str]) -> str:
    """All tables and the lines around them, as Markdown. document: as result_file.load gives it;
    cases: the names of all nets, of which those without rows are named.
    """
    rows = document["rows"]
    found = {(row.model, row.method): row for row in rows}
    nets = [name for name in cases if (name, "float") in found]
    missing = [f"`{name}`" for name in cases if name not in nets]
    parts = [
        _origin(document),
        *(["", f"Not in this run: {', '.join(missing)}."] if missing else []),
        "",
        *_sqnr(found, nets),
        *_scores(found, nets),
        *_against(found, nets, "int8x int8"),
        *_sixteen(found, nets),
        *_others(found, nets),
        *_notes([row for net in nets for row in rows if row.model == net]),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _origin(document: dict[str, Any]) -> str:
    machine, versions = document["machine"], document["versions"]
    packages = ("tensorflow", "keras", "ai-edge-litert", "litert-quantizer")
    named = [f"{name} {versions[name]}" for name in packages if name in versions]
    return (
        f"Sources `{document['sources']}`; {machine['cpu']} "
        f"({', '.join(machine['features'])}), {machine['cores']} cores; {', '.join(named)}."
    )


def _shown() -> tuple[str, ...]:
    return ("float", *PEERS, *_INT8, *PEERS_16X8, *_INT16)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]], title: str) -> list[str]:
    rule = "|" + "---|" * len(head)
    return [title, "", _line(head), rule, *map(_line, lines), ""]


def _short(method: str) -> str:
    return method.removeprefix("int8x ")


def _decibels(row: Row | None) -> str:
    if row is None:
        return ""
    return "fails" if row.failure else f"{row.sqnr_db:.2f}"


def _points(score: float) -> str:
    """Two digits, without a minus before zero."""
    return f"{round(score, 2) + 0.0:.2f}"


def _peer(found: _Rows, net: str) -> Row | None:
    """The int8 peer of most dB."""
    rows = [row for method in PEERS if (row := found.get((net, method))) and not row.failure]
    return max(rows, key=lambda row: row.sqnr_db or 0, default=None)


def _over(row: Row | None, peer: Row | None) -> float | None:
    """dB that a row has over a peer's, as the tables round them."""
    if row is None or peer is None or row.sqnr_db is None or peer.sqnr_db is None:
        return None
    return round(row.sqnr_db - peer.sqnr_db, 2)


def _marked(row: Row | None, peer: Row | None) -> str:
    over, text = _over(row, peer), _decibels(row)
    if over is None or abs(over) <= MARGIN_DB:
        return text
    return f"**{text}**" if over > 0 else f"*{text}*"


def _sqnr(found: _Rows, nets: Sequence[str]) -> list[str]:
    head = ["net", *PEERS, *map(_short, _INT8)]
    lines = [
        [
            f"`{net}`",
            *(_decibels(found.get((net, method))) for method in PEERS),
            *(_marked(found.get((net, method)), _peer(found, net)) for method in _INT8),
        ]
        for net in nets
    ]
    title = (
        "Output SQNR in dB, int8; **bold** beats both peers by more than 0.2 dB, *italic* loses by "
        "more than that:"
    )
    return _grid(head, lines, title)


def _scores(found: _Rows, nets: Sequence[str]) -> list[str]:
    methods = _shown()

    def cell(net: str, method: str) -> str:
        row = found.get((net, method))
        if row is None:
            return ""
        return "fails" if row.failure else _points(row.score or 0)

    lines = [
        [f"`{net}`", found[net, "float"].task, *(cell(net, method) for method in methods)]
        for net in nets
    ]
    return _grid(["net", "score", *map(_short, methods)], lines, "The score of the task:")


def _lost(found: _Rows, row: Row) -> float:
    """Points of the score that the float net has and the row has not."""
    return (found[row.model, "float"].score or 0) - (row.score or 0)


def _against(found: _Rows, nets: Sequence[str], method: str) -> list[str]:
    """Net by net beside the best peer, and how many are better, alike, worse."""
    lines, verdicts = [], []
    for net in nets:
        row, peer = found.get((net, method)), _peer(found, net)
        over = _over(row, peer)
        if row is None or peer is None or over is None:
            continue
        verdicts.append("alike" if abs(over) <= MARGIN_DB else "better" if over > 0 else "worse")
        lost = [_points(_lost(found, each)) for each in (peer, row)]
        decibels = [_decibels(peer), _decibels(row), f"{over:+.2f}"]
        lines.append([f"`{net}`", peer.method, *decibels, verdicts[-1], *lost])
    if not lines:
        return []
    name = f"int8x {_short(method)}"
    head = [
        "net",
        "best peer",
        "its dB",
        f"`{name}`",
        "difference",
        "",
        "points lost by it",
        f"by `{name}`",
    ]
    counts = ", ".join(f"{word} on {verdicts.count(word)}" for word in ("better", "alike", "worse"))
    return [
        *_grid(head, lines, f"`{name}` beside the best peer of each net:"),
        f"Of {len(verdicts)} nets `{name}` is {counts} (alike: within {MARGIN_DB} dB).",
        "",
        *_cuts(found, nets, method),
    ]


def _cuts(found: _Rows, nets: Sequence[str], method: str) -> list[str]:
    """How much of what every peer loses is not lost, where that is more than a point."""
    lines = []
    for net in nets:
        row = found.get((net, method))
        peers = [peer for m in PEERS if (peer := found.get((net, m))) and not peer.failure]
        least = min((_lost(found, peer) for peer in peers), default=0.0)
        if row is not None and not row.failure and least > 1:
            cut = 100 * (1 - _lost(found, row) / least)
            lines.append(f"- `{net}`: the peers lose {_points(least)} or more, {cut:.0f} % less")
    return (
        ["Where both peers lose more than a point of the score:", "", *lines, ""] if lines else []
    )


def _sixteen(found: _Rows, nets: Sequence[str]) -> list[str]:
    methods = (*PEERS_16X8, *_INT16)
    lines = []
    kept: dict[str, list[bool]] = {method: [] for method in _INT16}
    for net in nets:
        rows = [row for method in _INT16 if (row := found.get((net, method))) and not row.failure]
        if not rows:
            continue
        for row in rows:
            kept[row.method].append(_keeps(found, row))
        lost = [_points(_lost(found, row)) for row in rows]
        held = ["yes" if _keeps(found, row) else "no" for row in rows]
        cells = [_decibels(found.get((net, method))) for method in methods]
        lines.append([f"`{net}`", *cells, " / ".join(lost), " / ".join(held)])
    if not lines:
        return []
    head = ["net", *map(_short, methods), "points lost", "kept"]
    goal = f"{_KEPT_DB:g} dB, or all but {_KEPT_POINTS} points of the score"
    counts = ", ".join(f"`{m}` on {sum(k)} of {len(k)} nets" for m, k in kept.items() if k)
    return [
        *_grid(head, lines, f"Output SQNR in dB, int16x8; kept means {goal}:"),
        f"Kept by {counts}.",
        "",
    ]


def _keeps(found: _Rows, row: Row) -> bool:
    return (row.sqnr_db or 0) >= _KEPT_DB or round(_lost(found, row), 3) <= _KEPT_POINTS


def _others(found: _Rows, nets: Sequence[str]) -> list[str]:
    """Rows of methods that stand in no other table."""
    methods = [m for m in dict.fromkeys(method for _, method in found) if m not in _shown()]
    lines = [
        [
            f"`{net}`",
            f"`{method}`",
            _decibels(row),
            _points(row.score or 0),
            str(row.float_operators),
        ]
        for net in nets
        for method in methods
        if (row := found.get((net, method))) and not row.failure
    ]
    head = ["net", "method", "SQNR dB", "score", "float operators"]
    return _grid(head, lines, "Other recipes:") if lines else []


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """Failures, and operators left in float."""
    yield from _listed("Failures", rows, lambda row: row.failure)
    floats = [row for row in rows if row.method != "float" and row.float_operators]
    yield from _listed("Operators left in float", floats, lambda row: str(row.float_operators))


def _listed(title: str, rows: Sequence[Row], told: Callable[[Row], str]) -> Iterator[str]:
    given = [f"- `{row.model}`, {row.method}: {told(row)}" for row in rows if told(row)]
    yield from [f"{title}:", "", *given, ""] if given else [f"{title}: none.", ""]


def into(text: str, shown: str) -> str:
    """A document's text with `shown` between its two marks. Raises ValueError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document must have {BEGIN} and {END}")
    return f"{before}{begin}\n{shown}{end}{after}"
