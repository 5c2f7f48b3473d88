"""Recording: which records of a batch are new, their links in the hash chains, and which are quarantined.

Part of the store's one transaction (models/recording/store.py). Evidence is append-only.
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from config.messages import Message, dumped
from models.database.bulk import ask_in, insert_structs, select_in, upsert
from models.database.evidence_tables import chains, events, progress, quarantine
from models.ledger.chain import genesis, link
from models.rules.events import Event, Reason, Refused, check, parse, time_of

if TYPE_CHECKING:
    from config.catalog import Catalog


class Record(Struct, frozen=True, gc=False):
    """One record of the log. `appended_us`: when the log took it."""

    topic: str
    partition: int
    offset: int
    raw: bytes
    appended_us: int


DETAIL_CHARACTERS_MAX = 2000


class Verdict(StrEnum):
    """The outcome of a record."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


Fresh = tuple[Record, Event]
Heads = dict[str, tuple[int, bytes]]
"""By subject, the length of its chain and its last hash."""


class Outcome(Struct, frozen=True, gc=False):
    """The outcome of one record. `reason` and `detail` only for quarantined ones."""

    verdict: Verdict
    event_type: str
    appended_us: int
    reason: Reason | None = None
    detail: str = ""


class Item(Struct):
    """A record while the transaction processes it."""

    record: Record
    event: Event | None
    verdict: Verdict = Verdict.RECORDED
    reason: Reason | None = None
    detail: str = ""

    def refuse(self, reason: Reason, detail: str) -> None:
        shown = detail[:DETAIL_CHARACTERS_MAX].replace("\x00", "")
        self.verdict, self.reason, self.detail = Verdict.QUARANTINED, reason, detail if shown == detail else shown

    def outcome(self) -> Outcome:
        kind = self.event.type if self.event else ""
        return Outcome(self.verdict, kind, self.record.appended_us, self.reason, self.detail)


class Growth(Struct, frozen=True):
    """What one transaction adds to a subject's history. `before`: how many events were on record."""

    before: int
    events: list[Event]


class Recorded(Struct, frozen=True):
    """The new events of this transaction, in the order of the log, and by subject."""

    events: list[Event]
    by_subject: dict[str, Growth]


class EventRow(Struct, frozen=True, gc=False):
    """A row of `events`."""

    id: str
    subject: str
    chain_seq: int
    link_hash: bytes
    type: str
    time_us: int
    site: str
    actor: str
    raw: bytes
    topic: str
    partition: int
    offset: int
    appended_us: int
    recorded_us: int


class QuarantineRow(Struct, frozen=True, gc=False):
    """A row of `quarantine`, as inserted."""

    topic: str
    partition: int
    offset: int
    reason: str | None
    detail: str
    message: str | None
    raw: bytes
    appended_us: int
    time_us: int | None
    state: str = "open"


def read(records: Sequence[Record], catalog: "Catalog", outside: re.Pattern[str] | None) -> list[Item]:
    """Parse and check a batch. Pure: depends on the records and the catalog only, not on what is recorded."""
    items = []
    for record in records:
        event = None
        try:
            event = parse(record.raw, record.appended_us)
            check(event, catalog, outside)
            items.append(Item(record, event))
        except Refused as refused:
            item = Item(record, event)
            item.refuse(refused.reason, refused.detail)
            items.append(item)
    return items


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two records have the same content: the same bytes, or the same JSON written differently."""
    return one == other or msgspec.json.decode(one) == msgspec.json.decode(other)


def record(connection: Connection, items: Sequence[Item], now_us: int) -> Recorded:
    """Record new events with their links, quarantine refused records, and advance each partition's progress.

    Sets the outcome of each item.
    """
    fresh, heads = _deduplicate(connection, items)
    new = _append(connection, fresh, heads, now_us)
    _set_aside(connection, items)
    _advance(connection, items)
    return new


def accepted(items: Iterable[Item]) -> list[tuple[Item, Event]]:
    """The items that are not refused, with their events."""
    return [(item, item.event) for item in items if item.event is not None and item.verdict == Verdict.RECORDED]


def _deduplicate(connection: Connection, items: Sequence[Item]) -> tuple[list[Fresh], Heads]:
    """Mark duplicates and id conflicts; returns the events to record, and the heads of all chains concerned.

    The first recorded event of an id counts.
    """
    valid = accepted(items)
    there = ask_in(connection, events, ("id", "raw"), "id", {event.id for _, event in valid})
    ends = ask_in(connection, chains, ("subject", "length", "head"), "subject", {event.subject for _, event in valid})
    known: dict[str, bytes] = dict(tuple(row) for row in there())
    fresh = []
    for item, event in valid:
        raw = known.get(event.id)
        if raw is None:
            known[event.id] = item.record.raw
            fresh.append((item.record, event))
        elif same_content(raw, item.record.raw):
            item.verdict = Verdict.DUPLICATE
        else:
            detail = Message("the id {id!r} is on record with other content: give this one its own", id=event.id)
            item.refuse(Reason.ID_CONFLICT, detail)
    return fresh, {subject: (length, bytes(head)) for subject, length, head in ends()}


def _append(connection: Connection, fresh: Sequence[Fresh], heads: Heads, now_us: int) -> Recorded:
    """Write the events and their links, continuing the chains from these heads."""
    heads = dict(heads)
    new = Recorded([], {})
    rows = []
    for source, event in fresh:
        length, head = heads.get(event.subject) or (0, genesis(event.subject))
        head = link(head, length + 1, source.raw)
        heads[event.subject] = (length + 1, head)
        new.events.append(event)
        new.by_subject.setdefault(event.subject, Growth(length, [])).events.append(event)
        rows.append(
            EventRow(
                id=event.id,
                subject=event.subject,
                chain_seq=length + 1,
                link_hash=head,
                type=event.type,
                time_us=event.time_us,
                site=event.site,
                actor=event.actor,
                raw=source.raw,
                topic=source.topic,
                partition=source.partition,
                offset=source.offset,
                appended_us=source.appended_us,
                recorded_us=now_us,
            )
        )
    insert_structs(connection, events, EventRow, rows)
    touched = [(subject, *heads[subject]) for subject in new.by_subject]
    upsert(connection, chains, ("subject", "length", "head"), touched)
    return new


def _set_aside(connection: Connection, items: Sequence[Item]) -> None:
    """Quarantine the refused records, each occurrence once."""
    refused = [item for item in items if item.verdict == Verdict.QUARANTINED]
    known = {
        (topic, partition, offset)
        for topic, partition, offset in select_in(
            connection,
            quarantine,
            ("topic", "partition", "offset"),
            "offset",
            {i.record.offset for i in refused},
        )
    }
    rows = [
        QuarantineRow(
            topic=i.record.topic,
            partition=i.record.partition,
            offset=i.record.offset,
            reason=i.reason,
            detail=i.detail,
            message=dumped(i.detail),
            raw=i.record.raw,
            appended_us=i.record.appended_us,
            time_us=time_of(i.record.raw),
        )
        for i in refused
        if (i.record.topic, i.record.partition, i.record.offset) not in known
    ]
    insert_structs(connection, quarantine, QuarantineRow, rows)


def _advance(connection: Connection, items: Sequence[Item]) -> None:
    """Record how far each partition is committed to the tables."""
    reached: dict[tuple[str, int], int] = {}
    for item in items:
        place = (item.record.topic, item.record.partition)
        reached[place] = max(reached.get(place, 0), item.record.offset + 1)
    rows = [(topic, partition, offset) for (topic, partition), offset in sorted(reached.items())]
    upsert(connection, progress, ("topic", "partition", "next_offset"), rows)
