"""The stockroom: bring movements, lots and stock up to date with new and voided events.

Part of the store's one transaction (models/store.py). What an event does to stock is a set of rows keyed by its id;
they are there while the event counts. Stock itself is folded from the movements of one site and item in order of
time: a movement later than all before is applied to the stored state, an earlier one starts again from the last mark
before it.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, select

from models.bulk import delete, insert, select_in, upsert
from models.events import Event, SupplyRecalled, SupplyReceived, parse, stock_subject
from models.history import LotFacts, voided
from models.stock import DAY_US, Expiry, Key, Movement, StockState, Taken, apply, movements_of, to_u
from models.tables import (
    events,
    linked_uses,
    lot_facts,
    movements,
    stock,
    stock_items,
    stock_marks,
    usage_daily,
)

if TYPE_CHECKING:
    from config.catalog import Catalog

MARK_EVERY = 256
Place = tuple[str, str]
MOVEMENT_COLUMNS = (
    "site", "item", "time_us", "rank", "event_id", "line", "kind", "lot", "quantity_u", "supply_order", "accession",
)  # fmt: skip
MOVEMENT_KEY = ("site", "item", "time_us", "rank", "event_id", "line")
FACT_COLUMNS = ("item", "lot", "event_id", "time_us", "expires", "notice")
LINK_COLUMNS = ("accession", "event_id", "item", "lot", "site", "time_us")
_encode = msgspec.json.Encoder().encode
_state = msgspec.json.Decoder(StockState)
_outs = frozenset({"used", "wasted", "transfer-out"})
_voids = (
    select(events.c.subject, events.c.raw)
    .where(events.c.type == "event.voided")
    .where(events.c.subject.in_(bindparam("subjects", expanding=True)))
)


def voids_of(connection: Connection, subjects: Iterable[str]) -> dict[str, list[Event]]:
    """The void events of each subject, those of this transaction included."""
    found: dict[str, list[Event]] = {}
    subjects = list(subjects)
    for start in range(0, len(subjects), 500):
        for subject, raw in connection.execute(_voids, {"subjects": subjects[start : start + 500]}):
            found.setdefault(subject, []).append(parse(bytes(raw)))
    return found


def counting(connection: Connection, fresh: list[Event]) -> tuple[list[Event], set[str]]:
    """The events whose rows must now be there, and the ids of all whose rows are to be looked at.

    New events that no void takes out; and for subjects with a new void, every event that any void names.
    """
    voids = voids_of(connection, {e.subject for e in fresh})
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


def _sync(connection: Connection, table: Table, columns: tuple[str, ...], want: list[tuple[Any, ...]],
          ids: set[str]) -> list[tuple[Any, ...]]:  # fmt: skip
    """Make the rows of these event ids just those wanted. Returns the rows added or removed."""
    have = {tuple(row) for row in select_in(connection, table, columns, "event_id", ids)}
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


def project(connection: Connection, fresh: list[Event]) -> Changes:
    """Write the movement, lot and link rows of new events, and take out those of voided ones."""
    concerned = [e for e in fresh if e.type.startswith("supply.") or e.type in ("specimen.collected", "event.voided")]
    if not concerned:
        return Changes([], [], set(), set(), set())
    here, ids = counting(connection, concerned)
    facts = [r for e in here for r in facts_of(e)]
    lots = {(r[0], r[1]) for r in facts}
    lots |= {tuple(r) for r in select_in(connection, lot_facts, ("item", "lot"), "event_id", ids)}
    old = known_lots(connection, lots)
    _sync(connection, lot_facts, FACT_COLUMNS, facts, ids)
    now = known_lots(connection, lots)
    links = _sync(connection, linked_uses, LINK_COLUMNS, [r for e in here for r in links_of(e)], ids)
    want = {(*m.key, m.site, m.item): m for e in here for m in movements_of(e)}
    have = {
        (*m.key, m.site, m.item): m
        for m in (Movement(*r) for r in _movement_rows(connection, ids))
    }  # fmt: skip
    added = [m for key, m in want.items() if key not in have]
    removed = [m for key, m in have.items() if key not in want]
    insert(connection, movements, MOVEMENT_COLUMNS, [_movement_row(m) for m in added])
    delete(connection, movements, MOVEMENT_KEY, [_movement_row(m)[:6] for m in removed])
    return Changes(
        added, removed, {lot for lot in lots if old.get(lot) != now.get(lot)},
        {lot for lot in lots if old.get(lot, LotFacts()).expires != now.get(lot, LotFacts()).expires},
        {r[0] for r in links},
    )  # fmt: skip


def known_lots(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], LotFacts]:
    """What is known of these (item, lot) pairs: the expiry last stated, the first recall notice."""
    wanted = set(wanted)
    columns = ("item", "lot", "time_us", "event_id", "expires", "notice")
    facts: dict[tuple[str, str], LotFacts] = {}
    rows = select_in(connection, lot_facts, columns, "lot", {lot for _, lot in wanted})
    for item, lot, time_us, _, expires, notice in sorted(rows, key=lambda r: (r[2], r[3])):
        if (item, lot) not in wanted:
            continue
        old = facts.get((item, lot), LotFacts())
        if expires is not None:
            facts[item, lot] = LotFacts(date.fromisoformat(expires), old.notice, old.notice_us)
        elif old.notice is None:
            facts[item, lot] = LotFacts(old.expires, notice, time_us)
    return facts


def _movement_rows(connection: Connection, ids: set[str]) -> list[tuple[Any, ...]]:
    return select_in(connection, movements, MOVEMENT_COLUMNS, "event_id", ids)


def _movement_row(m: Movement) -> tuple[Any, ...]:
    return (m.site, m.item, m.time_us, m.rank, m.event_id, m.line, m.kind, m.lot, m.quantity_u, m.supply_order,
            m.accession)  # fmt: skip


def places_of(connection: Connection, changes: Changes) -> set[Place]:
    """Every site and item whose stock these changes may touch."""
    places = {(m.site, m.item) for m in changes.added + changes.removed}
    lots = {lot for _, lot in changes.expiries}
    rows = select_in(connection, stock, ("site", "item", "lot"), "lot", lots)
    return places | {(site, item) for site, item, lot in rows if (item, lot) in changes.expiries}


def settle(connection: Connection, changes: Changes, places: set[Place], catalog: "Catalog") -> None:
    """Fold the stock of these places. The caller holds their locks."""
    first: dict[Place, Key] = {}
    new: dict[Place, list[Movement]] = {}
    start: Key = StockState().at
    touched = {(m.site, m.item) for m in changes.added + changes.removed}
    for m in changes.removed:
        first[m.site, m.item] = min(first.get((m.site, m.item), m.key), m.key)
    for m in changes.added:
        new.setdefault((m.site, m.item), []).append(m)
    for place in sorted(places):
        state = _load(connection, place)
        known_lots = {lot for item, lot in changes.expiries if item == place[1]} & state.lots.keys()
        pending = sorted(new.get(place, []), key=lambda m: m.key)
        late = [key for key in (first.get(place), pending[0].key if pending else None) if key and key <= state.at]
        since = start if known_lots or place not in touched else min(late, default=None)
        before = dict(state.lots)
        if since is not None:
            state, pending = _rewind(connection, place, since)
        _apply(connection, place, state, pending, catalog)
        _write(connection, place, before, state)
    add_usage(connection, changes)


def refold_place(connection: Connection, place: Place, catalog: "Catalog") -> None:
    """Fold one place again from its first movement."""
    state, moves = _rewind(connection, place, StockState().at)
    _apply(connection, place, state, moves, catalog)
    _write(connection, place, {}, state)


def _load(connection: Connection, place: Place) -> StockState:
    row = connection.execute(
        select(stock_items.c.state).where(stock_items.c.site == place[0], stock_items.c.item == place[1])
    ).first()
    return _state.decode(bytes(row[0])) if row else StockState()


def _rewind(connection: Connection, place: Place, since: Key) -> tuple[StockState, list[Movement]]:
    """The last marked state before `since`, and every movement after it."""
    mine = (stock_marks.c.site == place[0], stock_marks.c.item == place[1])
    connection.execute(stock_marks.delete().where(*mine, stock_marks.c.time_us >= since[0]))
    mark = connection.execute(
        select(stock_marks.c.state).where(*mine).order_by(stock_marks.c.time_us.desc()).limit(1)
    ).first()
    state = _state.decode(bytes(mark[0])) if mark else StockState()
    rows = connection.execute(
        select(*(movements.c[c] for c in MOVEMENT_COLUMNS)).where(
            movements.c.site == place[0], movements.c.item == place[1], movements.c.time_us >= state.at[0]
        )
    )
    moves = [m for m in (Movement(*row) for row in rows) if m.key > state.at]
    return state, sorted(moves, key=lambda m: m.key)


def expiry_of(connection: Connection, item: str) -> Expiry:
    """The expiry of every known lot of an item, as last stated."""
    rows = connection.execute(
        select(lot_facts.c.lot, lot_facts.c.expires)
        .where(lot_facts.c.item == item, lot_facts.c.expires.is_not(None))
        .order_by(lot_facts.c.time_us, lot_facts.c.event_id)
    )
    return {lot: date.fromisoformat(expires) for lot, expires in rows}


def _apply(
    connection: Connection, place: Place, state: StockState, moves: list[Movement], catalog: "Catalog"
) -> None:
    par = catalog.par_levels.get(place)
    reorder_u = to_u(par.reorder_point) if par else None
    expiry: Mapping[str, date | None] = {}
    if any(m.lot is None and m.kind in _outs for m in moves):
        expiry = expiry_of(connection, place[1])
    taken: list[tuple[Any, ...]] = []
    marks: list[tuple[Any, ...]] = []
    for move in moves:
        lots: Taken | None = apply(state, move, expiry, reorder_u)
        if lots is not None:
            taken.append((*_movement_row(move), _encode(lots).decode()))
        if state.since_mark >= MARK_EVERY:
            state.since_mark = 0
            marks.append((*place, move.time_us, _encode(state)))
    upsert(connection, movements, (*MOVEMENT_COLUMNS, "taken"), taken, ("taken",))
    upsert(connection, stock_marks, ("site", "item", "time_us", "state"), marks)


def _write(connection: Connection, place: Place, before: dict[str, int], state: StockState) -> None:
    changed = [(*place, lot, on_hand) for lot, on_hand in state.lots.items() if before.get(lot) != on_hand]
    upsert(connection, stock, ("site", "item", "lot", "on_hand_u"), changed)
    delete(
        connection,
        stock,
        ("site", "item", "lot"),
        [(*place, lot) for lot in before.keys() - state.lots.keys()],
    )
    if state.at == StockState().at:  # everything was voided: as if nothing had ever been on record here
        delete(connection, stock_items, ("site", "item"), [place])
        return
    columns = ("site", "item", "on_hand_u", "on_order_u", "state")
    upsert(connection, stock_items, columns, [(*place, state.on_hand_u, state.on_order_u, _encode(state))])


def add_usage(connection: Connection, changes: Changes) -> None:
    daily: dict[tuple[str, str, int], int] = {}
    for sign, moves in ((1, changes.added), (-1, changes.removed)):
        for m in moves:
            if m.kind == "used":
                key = (m.site, m.item, m.time_us // DAY_US)
                daily[key] = daily.get(key, 0) + sign * m.quantity_u
    columns = ("site", "item", "day", "quantity_u")
    sums = (("quantity_u", "usage_daily.quantity_u + excluded.quantity_u"),)
    upsert(connection, usage_daily, columns, [(*key, total) for key, total in sorted(daily.items())], sums)
