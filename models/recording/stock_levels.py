"""Stock levels: stock folded from the movements of one site and item, in order of time.

Part of the store's one transaction (models/recording/store.py). A movement later than all before is applied to the
stored state; for an earlier one the fold restarts from the last mark before it. All places of a batch are read and
written in one statement per table.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Connection, func, select

from models.database import locks
from models.database.bulk import delete, select_pairs, upsert_structs
from models.database.lots import known_lots
from models.database.state_tables import movements, stock, stock_items, stock_marks
from models.recording.supplies import MOVEMENT_COLUMNS, Changes, Place, places_of
from models.rules.calendars import zone_of
from models.rules.keys import skeleton
from models.rules.movements import NO_LOT, Key, Movement
from models.rules.specimen import LotFacts
from models.rules.stock import ON_HAND_MAX_U, Facts, StockState, Taken, apply, shelf_of, state_of

if TYPE_CHECKING:
    from config.catalog import Catalog

MARK_EVERY = 64
START: Key = StockState().at
_encode = msgspec.json.Encoder().encode


class MarkRow(Struct, frozen=True, gc=False):
    """A row of `stock_marks`: the state from which the fold restarts for a late movement."""

    site: str
    item: str
    time_us: int
    state: bytes


class StockRow(Struct, frozen=True, gc=False):
    """A row of `stock`."""

    site: str
    item: str
    lot: str
    on_hand_u: int
    skeleton: str
    """The same for lots that are spelled alike."""
    arrived: int
    """1: it was received, transferred or counted here."""


class ItemRow(Struct, frozen=True, gc=False):
    """A row of `stock_items`: the state after the last movement."""

    site: str
    item: str
    on_hand_u: int
    state: bytes


class TakenRow(Movement, frozen=True, kw_only=True, gc=False):
    """A row of `movements`, with the lots that a use without one has taken (JSON)."""

    taken: str


class _Writes(Struct):
    """Rows to write when all places are folded."""

    taken: list[TakenRow] = []
    marks: list[MarkRow] = []
    stock: list[StockRow] = []
    stock_gone: list[tuple[str, str, str]] = []
    items: list[ItemRow] = []
    items_gone: list[Place] = []

    def write(self, connection: Connection) -> None:
        upsert_structs(connection, movements, TakenRow, self.taken, ("taken",))
        upsert_structs(connection, stock_marks, MarkRow, self.marks)
        upsert_structs(connection, stock, StockRow, self.stock)
        delete(connection, stock, ("site", "item", "lot"), self.stock_gone)
        upsert_structs(connection, stock_items, ItemRow, self.items)
        delete(connection, stock_items, ("site", "item"), self.items_gone)


def refold(connection: Connection, changes: Changes, catalog: "Catalog") -> None:
    """Fold the stock of every place that these changes affect, from the first affected movement on."""
    places = places_of(connection, changes)
    locks.hold_stock(connection, places)
    first: dict[Place, Key] = {}
    new: dict[Place, list[Movement]] = {}
    for m in changes.removed:
        first[m.site, m.item] = min(first.get((m.site, m.item), m.key), m.key)
    for m in changes.added:
        if m.future:
            continue
        new.setdefault((m.site, m.item), []).append(m)
    states, pending = _load(connection, places), {}
    before = {place: _rows(place, state) for place, state in states.items()}
    known: dict[Key, str | None] = {}
    for place, state in states.items():
        moves = sorted(new.get(place, []), key=lambda m: m.key)
        lots = {lot for item, lot in changes.lots if item == place[1]} & state.lots.keys()
        begins = (first.get(place), moves[0].key if moves else None, _first_of(connection, place, lots))
        since = min((key for key in begins if key and key <= state.at), default=None)
        if since is not None:
            states[place], moves = _rewind(connection, place, since, known)
        pending[place] = moves
    _fold(connection, states, pending, before, known, catalog)


def refold_from_start(connection: Connection, places: Iterable[Place], catalog: "Catalog") -> None:
    """Fold the stock of these places from their first movement; their state has no rows yet."""
    known: dict[Key, str | None] = {}
    states, pending = {}, {}
    for place in places:
        states[place], pending[place] = _rewind(connection, place, START, known)
    _fold(connection, states, pending, {}, known, catalog)


def _fold(
    connection: Connection,
    states: dict[Place, StockState],
    pending: dict[Place, list[Movement]],
    before: dict[Place, dict[str, StockRow]],
    known: dict[Key, str | None],
    catalog: "Catalog",
) -> None:
    """Apply each state's movements; write what differs from the previous lots on hand and lots taken."""
    writes, facts = _Writes(), _facts(connection, states, pending)
    for place, state in states.items():
        _apply(writes, place, state, pending[place], facts.get(place[1], {}), catalog, known)
        _put(writes, place, before.get(place, {}), state)
    writes.write(connection)


def _load(connection: Connection, places: Iterable[Place]) -> dict[Place, StockState]:
    """The stored state of each place, in a fixed order."""
    states = {place: StockState() for place in sorted(places)}
    rows = select_pairs(connection, stock_items, ("site", "item", "state"), ("site", "item"), list(states))
    for site, item, state in rows:
        states[site, item] = state_of(state)
    return states


def _rewind(
    connection: Connection, place: Place, since: Key, known: dict[Key, str | None]
) -> tuple[StockState, list[Movement]]:
    """The last marked state before `since`, and every movement after it; `known`: the lots that each took so far."""
    mine = (stock_marks.c.site == place[0], stock_marks.c.item == place[1])
    connection.execute(stock_marks.delete().where(*mine, stock_marks.c.time_us >= since[0]))
    mark = connection.execute(
        select(stock_marks.c.state).where(*mine).order_by(stock_marks.c.time_us.desc()).limit(1)
    ).first()
    state = state_of(mark[0]) if mark else StockState()
    rows = connection.execute(
        select(movements.c.taken, *(movements.c[c] for c in MOVEMENT_COLUMNS)).where(
            movements.c.site == place[0],
            movements.c.item == place[1],
            movements.c.time_us >= state.at[0],
            movements.c.future == 0,
        )
    )
    moves = []
    for taken, *row in rows:
        move = Movement(*row)
        if move.key > state.at:
            moves.append(move)
            known[move.key] = taken
    return state, sorted(moves, key=lambda m: m.key)


def _first_of(connection: Connection, place: Place, lots: set[str]) -> Key | None:
    """The first movement that names one of these lots: before it their expiry is irrelevant."""
    if not lots:
        return None
    mine = (movements.c.site == place[0], movements.c.item == place[1], movements.c.lot.in_(sorted(lots)))
    began_us = connection.execute(select(func.min(movements.c.time_us)).where(*mine)).scalar()
    return START if began_us is None else (began_us, 0, "", 0)


def _facts(
    connection: Connection, states: dict[Place, StockState], pending: dict[Place, list[Movement]]
) -> dict[str, dict[str, LotFacts]]:
    """By item and lot, what is known of the lots that these movements bring: a state has its own lots' facts."""
    wanted = {
        (place[1], move.lot)
        for place, moves in pending.items()
        for move in moves
        if move.lot and move.lot not in states[place].lots
    }
    found: dict[str, dict[str, LotFacts]] = {}
    for (item, lot), facts in known_lots(connection, wanted).items():
        found.setdefault(item, {})[lot] = facts
    return found


def _apply(
    writes: _Writes,
    place: Place,
    state: StockState,
    moves: list[Movement],
    facts: Facts,
    catalog: "Catalog",
    known: dict[Key, str | None],
) -> None:
    shelf = shelf_of(catalog.par_levels.get(place), zone_of(place[0], catalog))
    for move in moves:
        lots: Taken | None = apply(state, move, facts, shelf)
        if lots is not None and (taken := _encode(lots).decode()) != known.get(move.key):
            writes.taken.append(TakenRow(*astuple(move), taken=taken))
        if state.since_mark >= MARK_EVERY:
            state.since_mark = 0
            writes.marks.append(MarkRow(*place, move.time_us, _encode(state)))


def _rows(place: Place, state: StockState) -> dict[str, StockRow]:
    return {
        lot: StockRow(*place, lot, line.on_hand_u, skeleton(lot), int(line.arrived or lot == NO_LOT))
        for lot, line in state.lots.items()
    }


def _put(writes: _Writes, place: Place, before: dict[str, StockRow], state: StockState) -> None:
    rows = _rows(place, state)
    writes.stock += [row for lot, row in rows.items() if before.get(lot) != row]
    writes.stock_gone += [(*place, lot) for lot in before.keys() - rows.keys()]
    if state.at == START:  # everything was voided: as if nothing had ever been recorded here
        writes.items_gone.append(place)
    else:
        on_hand_u = max(-ON_HAND_MAX_U, min(ON_HAND_MAX_U, state.on_hand_u))
        writes.items.append(ItemRow(*place, on_hand_u, _encode(state)))
