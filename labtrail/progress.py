"""Progress: a bar on standard error while that is a terminal; else nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Bar:
    """A progress bar; this one shows nothing: standard error is no terminal."""

    def advance(self, by: float) -> None:
        """So much more is done."""

    def at(self, done: float, total: float) -> None:
        """So much of so much is done."""


@contextmanager
def progress(what: str, total: float | None = None, unit: str = "events") -> Iterator[Bar]:
    """A bar on standard error while it is a terminal. `total` None: not known."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    from labtrail.terminal_bar import terminal_bar  # takes a while to import

    with terminal_bar(what, total, unit) as bar:
        yield bar
