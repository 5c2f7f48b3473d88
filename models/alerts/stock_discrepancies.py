"""Stock discrepancies: where what is on record of supplies contradicts itself or the shelf."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, and_, exists, func, select

from config.messages import Message
from models.alerts.setting_aside import Judged, by_itself
from models.database.bulk import select_in, select_pairs
from models.database.evidence_tables import events
from models.database.lots import first_movements, recalled_lots, spellings
from models.database.state_tables import lot_facts, movements, stock, stock_items
from models.rules.deadlines import AlertKind, Deadline, Severity
from models.rules.keys import skeleton
from models.rules.movements import NO_LOT, from_u
from models.rules.stock import state_of

Lot = tuple[str, str]


class StockCode(StrEnum):
    """What is odd about a lot at a site."""

    NEGATIVE_STOCK = "negative-stock"
    UNKNOWN_LOT = "unknown-lot"
    SIMILAR_LOT = "similar-lot"
    EXPIRY_CONFLICT = "expiry-conflict"
    FUTURE_TIME = "future-time"


class StockDiscrepancy(Struct, frozen=True):
    """One finding. `lot`: as its earliest event spells it; empty for what has no lot."""

    site: str
    item: str
    lot: str
    code: StockCode
    detail: Message
    events: tuple[str, ...]
    since_us: int

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        return (self.site, self.item, self.lot, self.code, self.detail)


def stock_discrepancies(connection: Connection, faults: list[Judged]) -> list[StockDiscrepancy]:
    """Every finding, sorted by site, item, lot, code and detail."""
    found = [
        *_negative(connection, faults),
        *_unknown(connection),
        *_similar(connection),
        *_conflicting(connection),
        *_future(connection),
    ]
    names = spellings(connection, {(one.item, one.lot) for one in found})
    return sorted(
        (msgspec.structs.replace(one, lot=names.get((one.item, one.lot), one.lot)) for one in found),
        key=lambda one: one.place,
    )


def _negative(connection: Connection, faults: list[Judged]) -> Iterator[StockDiscrepancy]:
    """Less than nothing on hand: something was used that nobody has entered."""
    c = stock.c
    rows = connection.execute(select(c.site, c.item, c.lot, c.on_hand_u).where(c.on_hand_u < 0)).all()
    states = {
        (site, item): raw
        for site, item, raw in select_pairs(
            connection, stock_items, ("site", "item", "state"), ("site", "item"), {(r[0], r[1]) for r in rows}
        )
    }
    for site, item, lot, on_hand_u in rows:
        with by_itself(faults, AlertKind.STOCK_DISCREPANCY, f"{site}/{item}"):
            line = state_of(states[site, item]).lots[lot]
            detail = Message("{on_hand:g} on hand", on_hand=from_u(on_hand_u))
            yield StockDiscrepancy(site, item, lot, StockCode.NEGATIVE_STOCK, detail, (line.below,), line.below_us)


def _unknown(connection: Connection) -> Iterator[StockDiscrepancy]:
    """Used, and never received, transferred or counted at any site."""
    here, other = stock, stock.alias("other")
    known = exists().where(and_(other.c.item == here.c.item, other.c.lot == here.c.lot, other.c.arrived == 1))
    rows = connection.execute(
        select(here.c.site, here.c.item, here.c.lot).where(here.c.arrived == 0, here.c.lot != NO_LOT, ~known)
    ).all()
    first = first_movements(connection, {(item, lot) for _, item, lot in rows})
    for site, item, lot in rows:
        began = first.get((site, item, lot))
        if began is not None:
            detail = Message("used, never received")
            yield StockDiscrepancy(site, item, lot, StockCode.UNKNOWN_LOT, detail, (began[1],), began[0])


def _similar(connection: Connection) -> Iterator[StockDiscrepancy]:
    """Two lots of an item whose numbers a reader may take for one another, while any of them is on a shelf.

    One may be a lot that was recalled and never seen: the notice may have been meant for the other.
    """
    c, recalled = stock.c, recalled_lots(connection)
    groups = connection.execute(
        select(c.item, c.skeleton)
        .where(c.lot != NO_LOT)
        .group_by(c.item, c.skeleton)
        .having(func.count(c.lot.distinct()) > 1)
    ).all()
    columns = ("site", "item", "skeleton", "lot", "on_hand_u")
    alike = {(item, looks) for item, looks in groups} | {(item, skeleton(lot)) for item, lot in recalled}
    lines = select_pairs(connection, stock, columns, ("item", "skeleton"), alike)
    twins: dict[Lot, dict[str, set[str]]] = {}
    for item, lot in recalled:
        twins.setdefault((item, skeleton(lot)), {})[lot] = set()
    held: set[Lot] = set()
    for site, item, looks, lot, on_hand_u in lines:
        if lot != NO_LOT:
            twins.setdefault((item, looks), {}).setdefault(lot, set()).add(site)
            if on_hand_u:
                held.add((item, looks))
    held = {of for of in held if len(twins[of]) > 1}
    lots = {(item, lot) for (item, _), some in twins.items() for lot in some}
    first, names = first_movements(connection, lots), spellings(connection, lots)
    for item, looks in sorted(held):
        some = twins[item, looks]
        began = {
            lot: min(
                (first[site, item, lot] for site in sites if (site, item, lot) in first),
                default=recalled.get((item, lot), (0, "")),
            )
            for lot, sites in some.items()
        }
        since_us = sorted(time_us for time_us, _ in began.values())[1]
        for lot, sites in some.items():
            others = ", ".join(sorted(names.get((item, one), one) for one in some if one != lot))
            for site in sites:
                mine = first.get((site, item, lot), began[lot])
                based = (mine[1], *sorted(began[one][1] for one in some if one != lot))
                detail = Message("also on record: {lots}", lots=others)
                yield StockDiscrepancy(
                    site, item, lot, StockCode.SIMILAR_LOT, detail, tuple(sorted(set(based))), since_us
                )


def _conflicting(connection: Connection) -> Iterator[StockDiscrepancy]:
    """Receipts that state different dates of expiry for one lot."""
    c = lot_facts.c
    groups = connection.execute(
        select(c.item, c.lot)
        .where(c.expires.is_not(None))
        .group_by(c.item, c.lot)
        .having(func.count(c.expires.distinct()) > 1)
    ).all()
    columns = ("item", "lot", "site", "time_us", "event_id", "expires")
    stated: dict[Lot, list[tuple[int, str, str, str]]] = {}
    for item, lot, site, time_us, event_id, expires in select_pairs(
        connection, lot_facts, columns, ("item", "lot"), {(item, lot) for item, lot in groups}
    ):
        if expires is not None:
            stated.setdefault((item, lot), []).append((time_us, event_id, site, expires))
    for (item, lot), rows in stated.items():
        rows.sort()
        dates = sorted({expires for *_, expires in rows})
        since_us = next(time_us for time_us, _, _, expires in rows if expires != rows[0][3])
        based = tuple(sorted(event_id for _, event_id, _, _ in rows))
        for site in sorted({site for _, _, site, _ in rows}):
            detail = Message("expires {dates}", dates=", ".join(dates))
            yield StockDiscrepancy(site, item, lot, StockCode.EXPIRY_CONFLICT, detail, based, since_us)


def _future(connection: Connection) -> Iterator[StockDiscrepancy]:
    """Movements by a clock that is wrong: they don't count until the event is voided and recorded again."""
    c = movements.c
    rows = connection.execute(select(c.site, c.item, c.lot, c.event_id, c.kind).where(c.future == 1)).all()
    appended = dict(
        tuple(row) for row in select_in(connection, events, ("id", "appended_us"), "id", {r.event_id for r in rows})
    )
    for row in rows:
        detail = Message("{kind} in the future: it does not count", kind=Message(row.kind))
        yield StockDiscrepancy(
            row.site,
            row.item,
            row.lot or NO_LOT,
            StockCode.FUTURE_TIME,
            detail,
            (row.event_id,),
            appended.get(row.event_id, 0),
        )


def stock_discrepancy_cases(connection: Connection, at_us: int, faults: list[Judged]) -> Iterator[Deadline]:
    """One case for each site and item with a finding."""
    by_place: dict[tuple[str, str], list[StockDiscrepancy]] = {}
    for one in stock_discrepancies(connection, faults):
        if one.since_us > at_us:
            continue
        by_place.setdefault((one.site, one.item), []).append(one)
    for (site, item), some in sorted(by_place.items()):
        codes = sorted({one.code for one in some})
        yield Deadline.of(
            Message("{codes}", codes=tuple(map(Message, codes))),
            kind=AlertKind.STOCK_DISCREPANCY,
            subject=f"{site}/{item}",
            site=site,
            severity=Severity.WARNING,
            due_us=min(one.since_us for one in some),
        )
