"""Writes the tables of docs/performance.md from files that benchmarks/models.py has written.

    python benchmarks/performance_table.py [benchmarks/epyc_vnni.json]

The first table is made from the file that is given, the others from epyc_vnni_layers.json,
epyc_vnni_sparse.json and epyc_vnni_16x8.json beside this script. Each stands between two marks;
what is around them is left alone.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "performance.md"
# Single layers: no part of the means over networks.
LAYERS = ("pointwise_", "depthwise_", "conv_2d_", "fully_connected_", "add_", "mul_")
LAYERS += ("average_pool_", "max_pool_", "softmax_", "logistic_", "tanh_")
NAMES = {"int8x": "int8x", "dense": "dense", "xnnpack": "XNNPACK", "stock": "stock"}
# Table: its file, the runners whose times are shown, those that int8x is compared with.
TABLES = {
    "table": ("epyc_vnni.json", ("int8x", "xnnpack", "stock"), ("xnnpack",)),
    "layers table": ("epyc_vnni_layers.json", ("int8x", "xnnpack"), ("xnnpack",)),
    "sparse table": ("epyc_vnni_sparse.json", ("int8x", "dense", "xnnpack"), ("dense", "xnnpack")),
    "16x8 table": ("epyc_vnni_16x8.json", ("int8x", "stock"), ("stock",)),
}


def table(
    measured: dict[str, Any],
    shown: tuple[str, ...] = ("int8x", "xnnpack", "stock"),
    peers: tuple[str, ...] = ("xnnpack",),
) -> str:
    """Markdown: a line for each model and thread count, then means over networks, and where."""
    times = {(r["model"], r["threads"], r["runner"]): r["median_ms"] for r in measured["rows"]}
    heads = [f"{NAMES[runner]} ms" for runner in shown]
    heads += [f"{NAMES[peer]} / int8x" for peer in peers]
    lines = ["| model | threads | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    ratios: dict[int, list[tuple[float, ...]]] = {}
    for model, threads in dict.fromkeys(key[:2] for key in times):
        found = {runner: times.get((model, threads, runner)) for runner in shown}
        if any(found[runner] is None for runner in ("int8x", *peers)):
            continue
        ahead = tuple(found[peer] / found["int8x"] for peer in peers)
        if not model.startswith(LAYERS):
            ratios.setdefault(threads, []).append(ahead)
        cells = ["" if found[runner] is None else f"{found[runner]:.3g}" for runner in shown]
        cells += [f"{ratio:.2f}" for ratio in ahead]
        lines.append(f"| {model} | {threads} | " + " | ".join(cells) + " |")
    lines += list(_means(ratios, len(shown)))
    machine, versions = measured["machine"], measured["versions"]
    lines += [
        "",
        f"Medians, runners in turn, one run, on {machine['cpu']}, {machine['cores']} cores, "
        f"ai-edge-litert {versions['ai-edge-litert']}:",
        "",
        f"    {measured['command']}",
    ]
    return "\n".join(lines)


def _means(ratios: dict[int, list[tuple[float, ...]]], shown: int) -> Iterator[str]:
    for threads, found in sorted(ratios.items()):
        means = [
            math.exp(sum(map(math.log, column)) / len(found)) for column in zip(*found, strict=True)
        ]
        cells = " | ".join(f"**{mean:.2f}**" for mean in means)
        name = f"**geometric mean of {len(found)} networks**"
        yield f"| {name} | {threads} |" + " |" * shown + f" {cells} |"


def main() -> None:
    text = DOCUMENT.read_text()
    for mark, (file, shown, peers) in TABLES.items():
        source = Path(sys.argv[1]) if mark == "table" and len(sys.argv) > 1 else HERE / file
        begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
        head, rest = text.split(begin)
        made = table(json.loads(source.read_text()), shown, peers)
        text = f"{head}{begin}\n{made}\n{end}{rest.split(end)[1]}"
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
