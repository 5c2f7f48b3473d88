"""`labtrail quarantine`: records that could not be processed: show, requeue or discard them."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from config.clock import now_us
from labtrail.shared import CommandError, Data, database_for, log_for, settings_for, store_for

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from models.views.exports import QuarantineRow

SHOWN_BYTES = 160
AT_A_TIME = 500

Numbers = Annotated[
    list[int] | None,
    typer.Argument(metavar="[NUMBER]...", help="Numbers from `quarantine list`.", show_default=False),
]
OfReason = Annotated[
    str | None,
    typer.Option("--reason", metavar="CODE", help="Only with this reason, like unknown-test.", show_default=False),
]
Everything = Annotated[bool, typer.Option("--all", help="All that are open, instead of numbers.")]


class State(StrEnum):
    open = "open"
    requeued = "requeued"
    discarded = "discarded"
    all = "all"


def show(
    state: Annotated[State, typer.Option("--state", help="Which ones.")] = State.open,
    reason: OfReason = None,
    data: Data = None,
) -> None:
    """Show what is in quarantine.

    Number, reason, where it came from, what is wrong, and how it begins.
    """
    from models.database.engine import reading
    from models.views.exports import quarantine_rows

    count = 0
    with database_for(settings_for(data)) as engine, reading(engine) as connection:
        for row in quarantine_rows(connection, state=None if state is State.all else state.value):
            if reason in (None, row.reason):
                typer.echo(_line(row))
                count += 1
    typer.echo(f"{count} shown" if count else "nothing in quarantine", err=True)


def _line(row: "QuarantineRow") -> str:
    from models.rules.times import utc_text

    # raw bytes are untrusted: as ASCII with escapes they can do nothing to a terminal
    beginning = ascii(row.raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace"))[1:-1]
    more = f" … ({len(row.raw)} bytes)" if len(row.raw) > SHOWN_BYTES else ""
    return (
        f"{row.id}  {row.reason}  {row.state}  {utc_text(row.appended_us)}  "
        f"{row.topic}/{row.partition}/{row.offset}\n    {ascii(row.detail)[1:-1]}\n    {beginning}{more}"
    )


def requeue(
    numbers: Numbers = None, reason: OfReason = None, everything: Everything = False, data: Data = None
) -> None:
    """Append open ones again, once fixed.

    All of them when none is named. What still can't be processed comes back under a new number.
    """
    from agents.log.port import NewRecord
    from models.rules.events import route

    settings = settings_for(data)
    with database_for(settings) as engine, log_for(settings) as log:
        store = store_for(settings, engine)
        rows = _wanted(engine, numbers, reason)
        for at in range(0, len(rows), AT_A_TIME):
            part = rows[at : at + AT_A_TIME]
            # appended first: if interrupted in between, one may be appended twice, and a duplicate does no harm
            log.append([NewRecord(*route(raw), raw) for raw in _raw(engine, part)])
            store.decide_quarantine(part, "requeued", now_us())
    del everything
    typer.echo(f"{len(rows)} requeued")


def discard(
    numbers: Numbers = None, reason: OfReason = None, everything: Everything = False, data: Data = None
) -> None:
    """Discard open ones for good.

    Their bytes stay on record.
    """
    if not numbers and reason is None and not everything:
        raise typer.BadParameter("say which: numbers, --reason CODE or --all", param_hint="NUMBER")
    settings = settings_for(data)
    with database_for(settings) as engine:
        rows = _wanted(engine, numbers, reason)
        store = store_for(settings, engine)
        for at in range(0, len(rows), AT_A_TIME):
            store.decide_quarantine(rows[at : at + AT_A_TIME], "discarded", now_us())
    typer.echo(f"{len(rows)} discarded")


def _wanted(engine: "Engine", numbers: list[int] | None, reason: str | None) -> list[int]:
    """Numbers of the open ones that were asked for. Raises CommandError when a named one is not open."""
    from models.database.engine import reading
    from models.views.exports import quarantine_rows

    with reading(engine) as connection:
        open_rows = {row.id: row.reason for row in quarantine_rows(connection)}
    for number in numbers or ():
        if number not in open_rows:
            raise CommandError(f"number {number} is not open in quarantine: see labtrail quarantine list --state all")
    return [n for n in (numbers or sorted(open_rows)) if reason in (None, open_rows[n])]


def _raw(engine: "Engine", numbers: list[int]) -> list[bytes]:
    from models.database.engine import reading
    from models.views.exports import quarantine_rows

    with reading(engine) as connection:
        return [row.raw for row in quarantine_rows(connection, ids=numbers)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Look at, retry or discard bad records.\n\nWhat could not be taken as an event is kept with its reason."
    )
    group.command("list", epilog="Example: labtrail quarantine list --data var/demo")(show)
    group.command(epilog="Example: labtrail quarantine requeue 3 4 --data var/demo")(requeue)
    group.command(epilog="Example: labtrail quarantine discard --reason not-json --data var/demo")(discard)
    app.add_typer(group, name="quarantine", epilog="Example: labtrail quarantine list --data var/demo")
