"""A pytest plugin (`pytest_plugins = ("arch_report",)`): names, at the end, the instruction sets
that were not run.
"""


def pytest_terminal_summary(terminalreporter) -> None:
    import archs

    terminalreporter.write_line(
        f"not run on this CPU: {', '.join(archs.not_on_this_cpu()) or 'none'}"
    )
