"""Side effects of a commit: written to the outbox in the same transaction, and sent after it.

Several workers empty the outbox: `take` locks its rows against the others until the caller's transaction ends.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select, update

from models.database.acts_tables import outbox
from models.database.bulk import insert
from models.recording.evidence import Recorded
from models.rules.specimen import Specimen, Status


class Effect(Struct, frozen=True):
    """One row of the outbox. `tries`: how many attempts have failed."""

    id: int
    kind: Literal["alert", "alert-again", "print"]
    key: str
    payload: bytes
    tries: int


class PrintRequest(Struct, frozen=True):
    """The payload of a row that asks for a label."""

    accession: str
    printer: str


def request_labels(
    connection: Connection, new: Recorded, folded: Mapping[str, Specimen], printer: str, now_us: int
) -> None:
    """Request a label for each tube that was just collected and has none; once, as an event is recorded once.

    `printer`: its name; empty: no label is printed on collection.
    """
    if not printer:
        return
    accessions = {
        e.subject
        for e in new.events
        if e.type == "specimen.collected" and e.subject in folded and folded[e.subject].status == Status.COLLECTED
    }
    rows = [("print", a, msgspec.json.encode(PrintRequest(a, printer)), now_us) for a in sorted(accessions)]
    insert(connection, outbox, ("kind", "key", "payload", "created_us"), rows)


def any_due(connection: Connection, now_us: int) -> bool:
    """Whether any row is due at `now_us`, microseconds since 1970 (reads only)."""
    due = select(outbox.c.id).where(outbox.c.not_before_us <= now_us).limit(1)
    return connection.execute(due).first() is not None


def take(connection: Connection, now_us: int, limit: int) -> list[Effect]:
    """Up to `limit` due rows, the oldest first, except those that another worker has taken."""
    rows = connection.execute(
        select(outbox.c.id, outbox.c.kind, outbox.c.key, outbox.c.payload, outbox.c.tries)
        .where(outbox.c.not_before_us <= now_us)
        .order_by(outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Effect(row.id, row.kind, row.key, bytes(row.payload), row.tries) for row in rows]


def finish(connection: Connection, done: Sequence[Effect]) -> None:
    """Delete effects that are done."""
    if done:
        connection.execute(delete(outbox).where(outbox.c.id.in_([one.id for one in done])))


def postpone(connection: Connection, waits: Sequence[tuple[Effect, int, int]]) -> None:
    """Put effects back, each given as: the effect, its tries, and when it is due, microseconds since 1970."""
    if waits:
        change = update(outbox).where(outbox.c.id == bindparam("of"))
        connection.execute(
            change.values(tries=bindparam("count"), not_before_us=bindparam("then")),
            [{"of": one.id, "count": tries, "then": due_us} for one, tries, due_us in waits],
        )
