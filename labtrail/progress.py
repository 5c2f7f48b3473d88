"""Progress: a bar on standard error while that is a terminal; else nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """A progress bar; this one shows nothing: standard error is no terminal."""

    def advance(self, by: float) -> None:
        """This much more is done."""

    def at(self, done: float, total: float) -> None:
        """This much of the total is done."""


class TerminalBar(Bar):
    """The one that a person at a terminal sees."""

    def __init__(self, bar: "Progress", task: "TaskID") -> None:
        self._bar, self._task = bar, task

    def advance(self, by: float) -> None:
        self._bar.advance(self._task, by)

    def at(self, done: float, total: float) -> None:
        self._bar.update(self._task, completed=done, total=total)


@contextmanager
def progress(what: str, total: float | None = None, unit: str = "events") -> Iterator[Bar]:
    """A bar on standard error while it is a terminal; it goes away when the work is done. `total` None: not known."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    # rich takes a while to import
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
        TextColumn("" if unit == "bytes" else unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield TerminalBar(bar, bar.add_task(what, total=total))
