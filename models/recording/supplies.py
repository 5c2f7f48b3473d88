"""The stockroom: bring movements, lots and links up to date with new and voided events.

Part of the store's one transaction (models/recording/store.py). What an event does to stock is a set of rows keyed
by its id; they are there while the event counts. models/recording/stock_levels.py folds the stock from them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, select

from models.database.bulk import ask_in, chunks, delete, insert, select_in, select_pairs
from models.database.evidence_tables import events
from models.database.lots import known_lots
from models.database.postgres_pipeline import Row
from models.database.state_tables import linked_uses, lot_facts, movements, stock
from models.rules.event_types import SupplyRecalled, SupplyReceived
from models.rules.events import Event, parse, stock_subject
from models.rules.specimen import LotFacts, voided
from models.rules.stock import Movement, movements_of

Place = tuple[str, str]
MOVEMENT_COLUMNS = (
    "site", "item", "time_us", "rank", "event_id", "line", "kind", "lot", "quantity_u", "supply_order", "accession",
)  # fmt: skip
MOVEMENT_KEY = ("site", "item", "time_us", "rank", "event_id", "line")
FACT_COLUMNS = ("item", "lot", "event_id", "time_us", "expires", "notice")
LINK_COLUMNS = ("accession", "event_id", "item", "lot", "site", "time_us")
_voids = (
    select(events.c.raw)
    .where(events.c.type == "event.voided")
    .where(events.c.subject.in_(bindparam("subjects", expanding=True)))
)


def voids_of(connection: Connection, subjects: Iterable[str]) -> list[Event]:
    """The void events of these subjects, those of this transaction included."""
    found = []
    for chunk in chunks(subjects):
        found += [parse(bytes(raw)) for (raw,) in connection.execute(_voids, {"subjects": chunk})]
    return found


def counting(
    connection: Connection, fresh: list[Event], before: Mapping[str, int] | None
) -> tuple[list[Event], set[str]]:
    """The events whose rows must now be there, and the ids of all whose rows are to be looked at.

    New events that no void takes out; and for subjects with a new void, every event that any void names.
    """
    voids: dict[str, list[Event]] = {}
    older = {e.subject for e in fresh if before is None or before[e.subject]}
    newer = (e for e in fresh if e.type == "event.voided" and e.subject not in older)
    for void in [*voids_of(connection, older), *newer]:
        voids.setdefault(void.subject, []).append(void)
    gone = {subject: voided(vs) for subject, vs in voids.items()}
    here = [e for e in fresh if e.id not in gone.get(e.subject, ())]
    looked_at = {e.id for e in fresh}
    reopened = {e.subject for e in fresh if e.type == "event.voided"}
    named = {v.data.voids for s in reopened for v in voids[s]}  # type: ignore[union-attr]  # the type is event.voided
    for (raw,) in select_in(connection, events, ("raw",), "id", named - looked_at):
        event = parse(bytes(raw))
        if event.subject in reopened:
            looked_at.add(event.id)
            if event.id not in gone[event.subject]:
                here.append(event)
    return here, looked_at


def facts_of(event: Event) -> list[tuple[Any, ...]]:
    """What a receipt or a recall says about its lot."""
    data = event.data
    if isinstance(data, SupplyReceived):
        return [
            (
                stock_subject(event.subject)[1],
                data.lot,
                event.id,
                event.time_us,
                data.expires.isoformat(),
                None,
            )
        ]
    if isinstance(data, SupplyRecalled):
        return [(stock_subject(event.subject)[1], data.lot, event.id, event.time_us, None, data.notice)]
    return []


def links_of(event: Event) -> list[tuple[Any, ...]]:
    """The specimen that a use names, when the lot is known."""
    return [
        (m.accession, m.event_id, m.item, m.lot, m.site, m.time_us)
        for m in (movements_of(event) if event.type.startswith("supply.") else ())
        if m.accession is not None and m.lot is not None
    ]


def _sync(connection: Connection, table: Table, columns: tuple[str, ...], want: list[Row],
          have: set[Row]) -> list[Row]:  # fmt: skip
    """Make the rows that are there just those wanted. Returns the rows added or removed."""
    added, removed = [row for row in want if row not in have], list(have - set(want))
    keys = tuple(c.name for c in table.primary_key)
    at = [columns.index(key) for key in keys]
    delete(connection, table, keys, [tuple(row[i] for i in at) for row in removed])
    insert(connection, table, columns, added)
    return added + removed


class Changes(msgspec.Struct):
    """What the new events changed outside the specimens' own histories."""

    added: list[Movement]
    removed: list[Movement]
    lots: set[tuple[str, str]]
    """(item, lot) with another expiry or recall notice than before."""
    expiries: set[tuple[str, str]]
    """(item, lot) with another expiry than before."""
    linked: set[str]
    """Accessions that a use was linked to or taken from."""


def project(connection: Connection, fresh: list[Event], before: Mapping[str, int] | None = None) -> Changes:
    """Write the movement, lot and link rows of new events, and take out those of voided ones.

    `before`: by subject, how many events were on record before these, which have no rows yet. None: some may have.
    """
    concerned = [e for e in fresh if e.type.startswith("supply.") or e.type in ("specimen.collected", "event.voided")]
    if not concerned:
        return Changes([], [], set(), set(), set())
    here, ids = counting(connection, concerned, before)
    if before is not None:
        ids -= {e.id for e in concerned}
    facts_there = ask_in(connection, lot_facts, FACT_COLUMNS, "event_id", ids)
    links_there = ask_in(connection, linked_uses, LINK_COLUMNS, "event_id", ids)
    moves_there = ask_in(connection, movements, MOVEMENT_COLUMNS, "event_id", ids)
    facts, had = [r for e in here for r in facts_of(e)], {tuple(r) for r in facts_there()}
    lots = {(r[0], r[1]) for r in [*facts, *had]}
    old = known_lots(connection, lots)
    _sync(connection, lot_facts, FACT_COLUMNS, facts, had)
    now = known_lots(connection, lots)
    links = _sync(connection, linked_uses, LINK_COLUMNS, [r for e in here for r in links_of(e)],
                  {tuple(r) for r in links_there()})  # fmt: skip
    want = {(*m.key, m.site, m.item): m for e in here for m in movements_of(e)}
    have = {(*m.key, m.site, m.item): m for m in (Movement(*r) for r in moves_there())}
    added = [m for key, m in want.items() if key not in have]
    removed = [m for key, m in have.items() if key not in want]
    insert(connection, movements, MOVEMENT_COLUMNS, [movement_row(m) for m in added])
    delete(connection, movements, MOVEMENT_KEY, [movement_row(m)[:6] for m in removed])
    return Changes(
        added, removed, {lot for lot in lots if old.get(lot) != now.get(lot)},
        {lot for lot in lots if old.get(lot, LotFacts()).expires != now.get(lot, LotFacts()).expires},
        {r[0] for r in links},
    )  # fmt: skip


def movement_row(m: Movement) -> tuple[Any, ...]:
    return (m.site, m.item, m.time_us, m.rank, m.event_id, m.line, m.kind, m.lot, m.quantity_u, m.supply_order,
            m.accession)  # fmt: skip


def places_of(connection: Connection, changes: Changes) -> set[Place]:
    """Every site and item whose stock these changes may touch."""
    places = {(m.site, m.item) for m in changes.added + changes.removed}
    return places | {(r[0], r[1]) for r in select_pairs(connection, stock, ("site", "item"), ("item", "lot"),
                                                        changes.expiries)}  # fmt: skip
