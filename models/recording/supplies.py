"""Supplies: update movements, lots and links for new and voided events.

Part of the store's one transaction (models/recording/store.py). An event's effect on stock is a set of rows keyed by
its id, which exist while the event is valid. models/recording/stock_levels.py folds the stock from them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import astuple, replace
from sqlalchemy import Connection, Table, bindparam, select

from models.database.bulk import ask_in, chunks, delete, insert_structs, select_in, select_pairs, upsert
from models.database.evidence_tables import events
from models.database.lots import LotRow, known_lots
from models.database.state_tables import linked_uses, lot_facts, movements, stock, usage_daily
from models.recording.evidence import Recorded
from models.rules.calendars import day_at, zone_of
from models.rules.event_types import SupplyRecalled, SupplyReceived, Voided
from models.rules.events import Event, of_kind, parse, stock_subject
from models.rules.keys import key
from models.rules.movements import MOVING, Movement, MovementKind, is_future, movements_of
from models.rules.specimen import LotFacts, Use, voided
from models.rules.times import MINUTE_US

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

Place = tuple[str, str]
T = TypeVar("T", bound=Struct)
MOVEMENT_COLUMNS = Movement.__struct_fields__
MOVEMENT_KEY = ("site", "item", "time_us", "rank", "event_id", "line")


class UseRow(Use, frozen=True, gc=False):
    """A row of `linked_uses`: a use of a lot, and the specimen that it names."""

    accession: str


_voids = (
    select(events.c.raw)
    .where(events.c.type == "event.voided")
    .where(events.c.subject.in_(bindparam("subjects", expanding=True)))
)


def voids_of(connection: Connection, subjects: Iterable[str]) -> list[Event[Voided]]:
    """The void events of these subjects, those of this transaction included."""
    found: list[Event] = []
    for chunk in chunks(subjects):
        found += [parse(bytes(raw), recorded=True) for (raw,) in connection.execute(_voids, {"subjects": chunk})]
    return of_kind(found, Voided)


def counting(connection: Connection, fresh: list[Event], older: set[str]) -> tuple[list[Event], set[str]]:
    """The events whose rows must now exist, and the ids of all events whose rows to check.

    New events that are not voided; and for subjects with a new void, every event that any void names. `older`:
    the subjects that had events before these.
    """
    voids: dict[str, list[Event[Voided]]] = {}
    newer = [e for e in of_kind(fresh, Voided) if e.subject not in older]
    for void in [*voids_of(connection, older), *newer]:
        voids.setdefault(void.subject, []).append(void)
    gone = {subject: voided(vs) for subject, vs in voids.items()}
    here = [e for e in fresh if e.id not in gone.get(e.subject, ())]
    looked_at = {e.id for e in fresh}
    reopened = {e.subject for e in of_kind(fresh, Voided)}
    named = {v.data.voids for s in reopened for v in voids[s]}
    for raw, appended_us in select_in(connection, events, ("raw", "appended_us"), "id", named - looked_at):
        event = parse(bytes(raw), appended_us, recorded=True)
        if event.subject in reopened:
            looked_at.add(event.id)
            if event.id not in gone[event.subject]:
                here.append(event)
    return here, looked_at


def facts_of(event: Event, skew_us: int) -> list[LotRow]:
    """What a receipt or a recall states about its lot."""
    data = event.data
    if not isinstance(data, (SupplyReceived, SupplyRecalled)):
        return []
    if not data.lot or not key(data.lot):
        return []  # the line without a lot is no lot that could expire or be recalled
    if is_future(event, skew_us):
        return []  # it doesn't count
    site, item = stock_subject(event.subject)
    row = LotRow(item, key(data.lot), event.id, event.time_us, data.lot, "" if site == "*" else site)
    if isinstance(data, SupplyReceived):
        return [replace(row, expires=data.expires.isoformat() if data.expires else None)]
    return [replace(row, notice=data.notice)]


def uses_of(event: Event) -> list[UseRow]:
    """The specimen that a use names, when the lot is known."""
    return [
        UseRow(m.item, m.lot_spelled or "", m.event_id, m.site, m.time_us, m.accession)
        for m in (movements_of(event, 0) if event.type.startswith("supply.") else ())
        if m.accession is not None and m.lot
    ]


def _sync(connection: Connection, table: Table, kind: type[T], want: list[T], have: set[T]) -> list[T]:
    """Insert and delete rows so that exactly those wanted exist. Returns the rows added or removed."""
    added, removed = [row for row in want if row not in have], list(have - set(want))
    keys = tuple(c.name for c in table.primary_key)
    delete(connection, table, keys, [tuple(getattr(row, key) for key in keys) for row in removed])
    insert_structs(connection, table, kind, added)
    return added + removed


class Changes(Struct, frozen=True):
    """What the new events changed outside of the specimens' histories."""

    added: list[Movement]
    removed: list[Movement]
    lots: set[tuple[str, str]]
    """(item, key of the lot) with another expiry or recall than before."""
    linked: set[str]
    """Accessions that a use was linked to or taken from."""


NO_CHANGES = Changes([], [], set(), set())


_CONCERNED = MOVING | {"supply.recalled", "event.voided"}


def project(
    connection: Connection, new: Recorded, catalog: "Catalog", policy: "Policy", *, afresh: bool = False
) -> Changes:
    """Write the movement, lot, use and usage rows of new events, and delete those of voided ones.

    `afresh`: the events are on record already, and any of them may have rows (a rebuild).
    """
    skew_us = round(policy.clock_skew_minutes * MINUTE_US)
    concerned = [e for e in new.events if e.type in _CONCERNED]
    if not concerned:
        return NO_CHANGES
    older = {e.subject for e in concerned if afresh or new.by_subject[e.subject].before}
    here, ids = counting(connection, concerned, older)
    if not afresh:
        ids -= {e.id for e in concerned}  # these have no rows yet
    facts_there = ask_in(connection, lot_facts, LotRow.__struct_fields__, "event_id", ids)
    uses_there = ask_in(connection, linked_uses, UseRow.__struct_fields__, "event_id", ids)
    moves_there = ask_in(connection, movements, MOVEMENT_COLUMNS, "event_id", ids)
    facts, had = [row for e in here for row in facts_of(e, skew_us)], {LotRow(*row) for row in facts_there()}
    lots = {(row.item, row.lot) for row in [*facts, *had]}
    old = known_lots(connection, lots)
    _sync(connection, lot_facts, LotRow, facts, had)
    now = known_lots(connection, lots)
    uses = [row for e in here for row in uses_of(e)]
    linked = _sync(connection, linked_uses, UseRow, uses, {UseRow(*row) for row in uses_there()})
    want = {(*m.key, m.site, m.item): m for e in here for m in movements_of(e, skew_us)}
    have = {(*m.key, m.site, m.item): m for m in (Movement(*row) for row in moves_there())}
    changes = Changes(
        added=[m for key, m in want.items() if key not in have],
        removed=[m for key, m in have.items() if key not in want],
        lots={lot for lot in lots if old.get(lot, LotFacts()) != now.get(lot, LotFacts())},
        linked={row.accession for row in linked},
    )
    insert_structs(connection, movements, Movement, changes.added)
    delete(connection, movements, MOVEMENT_KEY, [astuple(m)[: len(MOVEMENT_KEY)] for m in changes.removed])
    _add_usage(connection, changes, catalog)
    return changes


def _add_usage(connection: Connection, changes: Changes, catalog: "Catalog") -> None:
    daily: dict[tuple[str, str, int], int] = {}
    for sign, moves in ((1, changes.added), (-1, changes.removed)):
        for m in moves:
            if m.kind == MovementKind.USED and not m.future:
                day = (m.site, m.item, day_at(m.time_us, zone_of(m.site, catalog)).toordinal())
                daily[day] = daily.get(day, 0) + sign * m.quantity_u
    columns = ("site", "item", "day", "quantity_u")
    sums = (("quantity_u", "usage_daily.quantity_u + excluded.quantity_u"),)
    upsert(connection, usage_daily, columns, [(*of, total) for of, total in sorted(daily.items())], sums)


def places_of(connection: Connection, changes: Changes) -> set[Place]:
    """Every site and item whose stock these changes may affect."""
    places = {(m.site, m.item) for m in changes.added + changes.removed}
    found = select_pairs(connection, stock, ("site", "item"), ("item", "lot"), changes.lots)
    return places | {(site, item) for site, item in found}
