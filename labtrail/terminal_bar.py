"""The progress bar that a person at a terminal sees, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from labtrail.progress import Bar


class TerminalBar(Bar):
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, by: float) -> None:
        self._bar.advance(self._task, by)

    def at(self, done: float, total: float) -> None:
        self._bar.update(self._task, completed=done, total=total)


@contextmanager
def terminal_bar(what: str, total: float | None, unit: str) -> Iterator[Bar]:
    """A bar that goes away when the work is done."""
    done = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (
        TextColumn(what),
        BarColumn(),
        done,
        TextColumn("" if unit == "bytes" else unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield TerminalBar(bar, bar.add_task(what, total=total))
