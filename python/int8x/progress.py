"""Progress of long steps: a Progress is called with a title, the total or None, and what is done
already, and is a context manager that gives a function to call once per step. The library shows
nothing unless it is given `bar`.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Progress = Callable[[str, int | None, int], AbstractContextManager[Callable[[], None]]]


@contextlib.contextmanager
def silent(title: str, total: int | None = None, done: int = 0) -> Iterator[Callable[[], None]]:
    """Shows nothing."""
    yield lambda: None


@contextlib.contextmanager
def bar(title: str, total: int | None = None, done: int = 0) -> Iterator[Callable[[], None]]:
    """A bar on stderr with count, rate and time left (rich).

    >>> with bar("calibrating", 100) as advance:
    ...     advance()
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Rich
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second."""

        def render(self, task: "object") -> Text:
            speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
            return Text(f"{speed:.1f}/s" if speed else "", style="cyan")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Rich(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=total, completed=done)
        yield lambda: shown.advance(task)
