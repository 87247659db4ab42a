"""Writes the table of docs/performance.md from a file that benchmarks/models.py has written.

    python benchmarks/performance_table.py [benchmarks/epyc_vnni.json]

The table stands between two marks; what is around them is left alone.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
LAYERS = ("pointwise_", "depthwise_")  # single layers: no part of the means over networks


def table(measured: dict[str, Any]) -> str:
    """Markdown: a line for each model and thread count, then means over networks, and where."""
    times = {(r["model"], r["threads"], r["runner"]): r["median_ms"] for r in measured["rows"]}
    lines = ["| model | threads | int8x ms | XNNPACK ms | stock ms | XNNPACK / int8x |"]
    lines.append("|---|---|---|---|---|---|")
    ratios: dict[int, list[float]] = {}
    for model, threads in dict.fromkeys(key[:2] for key in times):
        ours, peer, stock = (
            times.get((model, threads, runner)) for runner in ("int8x", "xnnpack", "stock")
        )
        if ours is None or peer is None:
            continue
        if not model.startswith(LAYERS):
            ratios.setdefault(threads, []).append(peer / ours)
        shown = "" if stock is None else f"{stock:.3g}"
        lines.append(
            f"| {model} | {threads} | {ours:.3g} | {peer:.3g} | {shown} | {peer / ours:.2f} |"
        )
    for threads, found in sorted(ratios.items()):
        mean = math.exp(sum(map(math.log, found)) / len(found))
        lines.append(
            f"| **geometric mean of {len(found)} networks** | {threads} | | | | **{mean:.2f}** |"
        )
    machine, versions = measured["machine"], measured["versions"]
    lines += [
        "",
        f"Medians, runners in turn, one run, on {machine['cpu']}, {machine['cores']} cores, "
        f"ai-edge-litert {versions['ai-edge-litert']}:",
        "",
        f"    {measured['command']}",
    ]
    return "\n".join(lines)


def main() -> None:
    source = Path(
        sys.argv[1]
        if len(sys.argv) > 1
        else DOCUMENT.parent.parent / "benchmarks" / "epyc_vnni.json"
    )
    text = DOCUMENT.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    DOCUMENT.write_text(f"{head}{BEGIN}\n{table(json.loads(source.read_text()))}\n{END}{tail}")


if __name__ == "__main__":
    main()
