"""The outcomes of appended events, from the tables: recorded, a duplicate, or in quarantine.

`progress` says how far each partition is committed, in the same transaction as the events themselves; so once it
has passed an event's offset, the tables have its outcome.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, select

from config.messages import loaded
from models.database.bulk import select_in
from models.database.columns import strings
from models.database.evidence_tables import events, progress, quarantine
from models.database.state_tables import specimens

Place = tuple[str, int, int]
"""Topic, partition, offset: where a record is in the log."""


class Asked(Struct, frozen=True):
    """An appended event: its id, the specimen that it is about (empty: none), its place in the log."""

    id: str
    accession: str
    place: Place


class Judged(Struct, frozen=True):
    """Its outcome, and its specimen's current status. `status` None: no specimen is on record."""

    outcome: Literal["recorded", "duplicate", "quarantined"]
    reason: str | None = None
    detail: str | None = None
    status: str | None = None
    discrepancies: tuple[str, ...] = ()


def committed_offsets(connection: Connection) -> dict[tuple[str, int], int]:
    """(topic, partition) -> the offset up to which its records are committed to the tables."""
    rows = connection.execute(select(progress.c.topic, progress.c.partition, progress.c.next_offset))
    return {(topic, partition): next_offset for topic, partition, next_offset in rows}


def judge(connection: Connection, asked: Sequence[Asked]) -> list[Judged | None]:
    """The outcome of each appended event; None where it is not committed yet."""
    reached = committed_offsets(connection)
    done = [one for one in asked if reached.get(one.place[:2], 0) > one.place[2]]
    if not done:
        return [None] * len(asked)
    recorded = {
        event_id: (topic, partition, offset)
        for event_id, topic, partition, offset in select_in(
            connection, events, ("id", "topic", "partition", "offset"), "id", {one.id for one in done}
        )
    }
    refused = _refused(connection, {one.place for one in done if recorded.get(one.id) != one.place})
    states = {
        accession: (status, strings(codes))
        for accession, status, codes in select_in(
            connection,
            specimens,
            ("accession", "status", "discrepancies"),
            "accession",
            {one.accession for one in done if one.accession},
        )
    }
    found: dict[Place, Judged] = {}
    for one in done:
        status, codes = states.get(one.accession, (None, ()))
        if recorded.get(one.id) == one.place:
            found[one.place] = Judged("recorded", None, None, status, codes)
        elif one.place in refused:
            found[one.place] = Judged("quarantined", *refused[one.place], status, codes)
        else:
            found[one.place] = Judged("duplicate", None, None, status, codes)
    return [found.get(one.place) for one in asked]


def _refused(connection: Connection, places: Collection[Place]) -> dict[Place, tuple[str, str]]:
    q = quarantine.c
    found: dict[Place, tuple[str, str]] = {}
    for (topic, partition), group in itertools.groupby(sorted(places), key=lambda place: place[:2]):
        rows = connection.execute(
            select(q.offset, q.reason, q.detail, q.message).where(
                q.topic == topic, q.partition == partition, q.offset.in_([place[2] for place in group])
            )
        )
        for offset, reason, detail, message in rows:
            found[topic, partition, offset] = (reason, loaded(detail, message))
    return found
