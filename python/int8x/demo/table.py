"""The demo's result as rich tables."""

from typing import Any

from rich.table import Table

from int8x.validation.validator import Report


def summary(result: dict[str, Any], report: Report) -> Table:
    """Agreement, errors, exactness of the last file: one line each."""
    worst = min(report.tensors, key=lambda tensor: tensor.sqnr_db)
    threads = ", ".join(str(count) for count in result["bit_exact_threads"])
    lines = [
        ("agreement int8, float", _percent(result["agreement"])),
        ("agreement int8, trained model", _percent(result["agreement_with_training"])),
        (
            "tensors, worst SQNR",
            f"{len(report.tensors)}, {worst.sqnr_db:.1f} dB ({worst.operator})",
        ),
        ("float operators left", str(len(result["float_operators"]))),
        ("zeros in pruned kernels", _percent(result["sparsity"])),
        ("claimed by the delegate", _claimed(result)),
        ("bit exact", f"{'yes' if result['bit_exact'] else 'no'}"),
        ("compared", f"{result['bit_exact_inputs']} inputs at {threads} threads"),
    ]
    table = Table(
        title="pruned + QAT",
        title_justify="left",
        show_header=False,
    )
    for name, value in lines:
        table.add_row(name, value)
    return table


def steps(result: dict[str, Any]) -> Table:
    """What each step of the road brought."""
    table = Table(
        title=f"{result['data']}, {result['test_images']:,} test images", title_justify="left"
    )
    table.add_column("model")
    for name in ("accuracy", "bytes", "zipped", "median ms"):
        table.add_column(name, justify="right")
    for name, step in result["steps"].items():
        table.add_row(
            name,
            _percent(step["accuracy"]),
            f"{step['bytes']:,}",
            f"{step['zipped_bytes']:,}",
            f"{step['median_ms']:.4f}",
        )
    return table


def latency(result: dict[str, Any]) -> Table:
    """Median latency of each runner, and how many times as fast int8x is."""
    table = Table(title=f"pruned + QAT, 1 thread, {result['machine']['cpu']}", title_justify="left")
    table.add_column("runner")
    table.add_column("median ms", justify="right")
    table.add_column("int8x is", justify="right")
    own = result["latency_ms"]["int8x"]
    for runner, median in result["latency_ms"].items():
        table.add_row(
            runner,
            f"{median:.4f}",
            "" if runner == "int8x" else f"{median / own:.2f} times as fast",
        )
    return table


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _claimed(result: dict[str, Any]) -> str:
    ops, macs, partitions = result["claimed_ops"], result["claimed_macs"], result["partitions"]
    return f"{ops:.0%} of operators, {macs:.0%} of multiply-accumulates, {partitions} partition(s)"
