"""`labtrail drain`: wait until what was appended is in the tables."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from labtrail.progress import progress
from labtrail.shared import CommandError, Data, log_for, settings_for
from labtrail.stopping import heed

if TYPE_CHECKING:
    from agents.log.port import EventLog

LOOK_EVERY_S = 0.05
Place = tuple[str, int]


def lacking(ends: Mapping[Place, int], committed: Mapping[Place, int]) -> dict[Place, int]:
    """Records not yet committed, by topic and partition; only where there are some."""
    return {p: end - committed.get(p, 0) for p, end in sorted(ends.items()) if end > committed.get(p, 0)}


def wait_until_committed(log: "EventLog", group: str, timeout_s: float) -> int:
    """Wait for all that is in the log now to be committed by the group; how many records that were.

    Raises CommandError when it takes longer; the message says whether anything moves at all.
    """
    from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC

    ends = {p: end for p, end in log.ends().items() if p[0] in (SPECIMENS_TOPIC, SUPPLIES_TOPIC)}
    left = first = lacking(ends, log.committed(group))
    waiting = sum(first.values())
    deadline = time.monotonic() + timeout_s
    with progress("committing", waiting) as bar:
        while left:
            heed()
            if time.monotonic() >= deadline:
                raise CommandError(_late(left, moved=left != first, timeout_s=timeout_s))
            time.sleep(LOOK_EVERY_S)
            before, left = sum(left.values()), lacking(ends, log.committed(group))
            bar.advance(before - sum(left.values()))
    return waiting


def _late(left: Mapping[Place, int], *, moved: bool, timeout_s: float) -> str:
    topics = sorted({topic for topic, _ in left})
    parts = ", ".join(f"{sum(n for (t, _), n in left.items() if t == topic)} of {topic}" for topic in topics)
    hint = (
        "the workers are behind: give more --timeout" if moved else "no worker is at it: start labtrail up or worker"
    )
    return f"not committed after {timeout_s:g} s: {parts}: {hint}"


def drain(
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=0, help="Seconds to wait at most.")] = 300.0,
    data: Data = None,
) -> None:
    """Wait until all appended events are in the tables.

    Exit 1 if not in time; what is appended meanwhile is not waited for.
    """
    from agents.log.port import GROUP

    with log_for(settings_for(data)) as log:
        count = wait_until_committed(log, GROUP, timeout)
    typer.echo(f"all committed ({count} events waited for)")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail drain --timeout 60 --data var/demo")(drain)
