"""int8x inspect MODEL"""

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from int8x.cli import writable

if TYPE_CHECKING:
    from int8x.inspection.inspector import Inspection, OperatorView, TensorView


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite model.")],
    json: Annotated[Path | None, typer.Option(help="Also write everything as JSON.")] = None,
) -> None:
    """Show a model's operators, types, scales, sizes and sparsity, which of them the delegate
    takes, and what is wrong or wasted in it.
    """
    from json import dumps

    from int8x.benchmark_tables import show
    from int8x.inspection.inspector import inspect
    from int8x.tflite.graph import write_file

    if json is not None:
        writable(json)
    report = inspect(model)
    if json is not None:
        write_file(json, (dumps(report.to_json(), indent=1, allow_nan=False) + "\n").encode())
    show(_table(report))
    for line in summary(report):
        typer.echo(line)


def summary(report: "Inspection") -> list[str]:
    """What the table adds up to, one fact a line."""
    lines = [
        f"file: {report.file_bytes:,} bytes, {report.constant_bytes:,} of them constants",
        f"operators: {len(report.operators)}, multiply-accumulates: {report.macs:,}",
        *_sparsity(report),
    ]
    claims = report.claims
    if claims is None:
        lines.append(f"delegate: unknown, {report.problem}")
    else:
        taken = sum(node.claimed for node in claims.nodes)
        lines.append(
            f"delegate ({claims.arch}): takes {taken} of {len(claims.nodes)} operators, "
            f"{claims.claimed_macs:.1%} of the multiply-accumulates, in {claims.partitions} "
            f"{'partition' if claims.partitions == 1 else 'partitions'}; "
            f"arena {claims.arena_bytes:,} bytes, packed weights {claims.packed_bytes:,} bytes"
        )
        lines += [f"  left: {n.op} (operator {n.index}): {n.reason}" for n in claims.refused]
    if not report.float_islands:
        lines.append("float islands: none")
    kinds = {(op.subgraph, op.index): op.kind for op in report.operators}
    for number, island in enumerate(report.float_islands, 1):
        members = ", ".join(f"{index} {kinds[graph, index]}" for graph, index in island)
        lines.append(f"float island {number}: {members}")
    lines.append("lints: none" if not report.findings else f"lints: {len(report.findings)}")
    lines += [f"  {finding}" for finding in report.findings]
    return lines


def _sparsity(report: "Inspection") -> list[str]:
    """How much of the weights is zero, each constant counted once."""
    weights = {t.name: t for op in report.operators for t in op.inputs if t.zeros is not None}
    if not weights:
        return []
    sizes = {name: prod(t.shape) for name, t in weights.items()}
    zeros = sum((t.zeros or 0) * sizes[name] for name, t in weights.items())
    blocked = [name for name, t in weights.items() if t.zero_blocks is not None]
    blocks = sum((weights[name].zero_blocks or 0) * sizes[name] for name in blocked)
    told = f"weights: {sum(sizes.values()):,}, {zeros / max(sum(sizes.values()), 1):.1%} zeros"
    if blocked:
        whole = sum(sizes[name] for name in blocked)
        told += f"; {blocks / max(whole, 1):.1%} of the 1x4 blocks are zero"
    stored = sum(t.sparse for t in weights.values())
    return [told + (f"; {stored} tensors stored sparse" if stored else "")]


def _table(report: "Inspection") -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=report.model, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("#", "operator", "types", "output", "scale", "zero", "zeros", "MACs", "by"):
        right = column in ("#", "scale", "zero", "zeros", "MACs")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    several = len({op.subgraph for op in report.operators}) > 1
    for op in report.operators:
        output = op.outputs[0] if op.outputs else None
        table.add_row(
            f"{op.subgraph}:{op.index}" if several else str(op.index),
            op.kind,
            _types(op),
            "x".join(map(str, output.shape)) if output else "",
            _scale(output),
            str(output.zero_points[0]) if output and output.zero_points else "",
            _zeros(op),
            f"{op.macs:,}" if op.macs else "",
            {True: "int8x", False: "TFLite", None: "?"}[op.claimed],
        )
    return table


def _types(op: "OperatorView") -> str:
    """As in "int8 * int8/64 > int8": activations, weights with 64 scales, result."""
    read = dict.fromkeys(t.dtype for t in op.inputs if not t.bytes)
    weights = [t for t in op.inputs[1:2] if t.bytes and t.scales]
    scales = [f" * {t.dtype}/{len(t.scales)}" for t in weights]
    written = dict.fromkeys(t.dtype for t in op.outputs)
    return f"{' '.join(read)}{''.join(scales)} > {' '.join(written)}".lower()


def _zeros(op: "OperatorView") -> str:
    """Share of zeros in the weights, "12%"; with that of 1x4 blocks, "75%/70%", where there are
    any.
    """
    told = [t for t in op.inputs if t.zeros is not None]
    if not told:
        return ""
    blocks = f"/{told[0].zero_blocks:.0%}" if told[0].zero_blocks else ""
    return f"{told[0].zeros:.0%}{blocks}"


def _scale(tensor: "TensorView | None") -> str:
    if tensor is None or not tensor.scales:
        return ""
    return f"{tensor.scales[0]:.4g}" if len(tensor.scales) == 1 else f"{len(tensor.scales)} scales"
