"""`labtrail publish`: append lines to the log, each as it is."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from config.errors import LabtrailError
from embedded.records import VALUE_BYTES_MAX
from labtrail.progress import Bar, progress
from labtrail.shared import CommandError, Data, log_for, settings_for

if TYPE_CHECKING:
    from agents.log.port import EventLog

LINE_BYTES_MAX = VALUE_BYTES_MAX
READ_BYTES = 1024 * 1024
APPEND_RECORDS_MAX = 5000
TOO_LONG_NAMED_MAX = 10


class Lines(NamedTuple):
    """What one read of the input brought."""

    lines: list[bytes]
    too_long: list[int]
    """Numbers, from 1, of lines over LINE_BYTES_MAX, which are skipped."""
    bytes_read: int


def read_lines(read: Callable[[int], bytes]) -> Iterator[Lines]:
    """The lines of an input, as many at a time as are available: a slow pipe is not waited for.

    `read(n)` gives at most n bytes, none at the end. Lines lose their line end only (LF or CR LF); blank ones
    are skipped. Memory is bounded by two reads, whatever the length of a line.
    """
    rest, number, skipping = b"", 0, False
    while chunk := read(READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        kept, too_long = [], []
        for ended in whole:
            line = ended.removesuffix(b"\r")
            number += 1
            if skipping or len(line) > LINE_BYTES_MAX:
                too_long.append(number)
                skipping = False
            elif line.strip():
                kept.append(line)
        if len(rest) > LINE_BYTES_MAX + 1:
            rest, skipping = b"", True
        yield Lines(kept, too_long, len(chunk))
    if skipping or len(rest) > LINE_BYTES_MAX:
        yield Lines([], [number + 1], 0)
    elif rest.strip():
        yield Lines([rest], [], 0)


def _append(log: "EventLog", source: int, bar: Bar) -> tuple[int, list[int]]:
    """Everything from this file descriptor; how many were appended, and the lines that were too long."""
    from agents.log.port import NewRecord
    from models.rules.events import route

    count = 0
    too_long: list[int] = []
    for part in read_lines(lambda size: os.read(source, size)):
        for at in range(0, len(part.lines), APPEND_RECORDS_MAX):
            batch = part.lines[at : at + APPEND_RECORDS_MAX]
            try:
                log.append([NewRecord(*route(line), line) for line in batch])
            except LabtrailError as fault:
                raise CommandError(f"{count} events are in the log, the others not: {fault}") from fault
            count += len(batch)
        too_long += part.too_long[: TOO_LONG_NAMED_MAX - len(too_long)]
        bar.advance(part.bytes_read)
    return count, too_long


def publish(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON Lines, one event a line; - is standard input.")],
    data: Data = None,
) -> None:
    """Append events, one a line, to the log.

    Each line is appended as it is, bad ones too; returns when all are durable.
    """
    from config.home import make_home

    settings = settings_for(data)
    if settings.embedded:
        settings = make_home(settings)
    with ExitStack() as stack:
        source, size = sys.stdin.fileno(), None
        if file != "-":
            opened = stack.enter_context(Path(file).open("rb"))
            source, size = opened.fileno(), os.fstat(opened.fileno()).st_size
        log = stack.enter_context(log_for(settings))
        count, too_long = _append(log, source, stack.enter_context(progress("publishing", size, "bytes")))
    typer.echo(f"{count} events appended")
    if too_long:
        which = ", ".join(map(str, too_long))
        raise CommandError(f"left out over {LINE_BYTES_MAX} bytes, which no event may have: line {which}: mend it")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail publish day.jsonl --data var/demo")(publish)
