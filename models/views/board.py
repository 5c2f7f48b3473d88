"""Queries of the managers' board and the supply pages: where specimens are, how old, what is late or in stock."""

import re
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import Connection, func, or_, select

from config.messages import loaded
from models.alerts.setting_aside import Judged
from models.alerts.supplies import levels
from models.database.acts_tables import alerts, notifications
from models.database.evidence_tables import events
from models.database.lots import known_lots, spellings
from models.database.state_tables import lot_facts, orders, specimens, stock
from models.rules.deadlines import Severity
from models.rules.identifiers import looks_like
from models.rules.keys import key as key_of
from models.rules.movements import from_u
from models.rules.stock import Level
from models.views.health import quarantine_open
from models.views.pages import SINCE, bag_of_tote

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

ROWS_MAX = 500


class Waiting(Struct, frozen=True, kw_only=True):
    """Specimens waiting at one step: how many, and how long, in hours."""

    status: str
    count: int
    oldest_hours: float
    under: tuple[int, ...]
    """How many have waited for less than each of AGE_HOURS; the last number is of all older ones."""


AGE_HOURS = (1.0, 2.0, 4.0, 8.0, 24.0)


def flow(connection: Connection, sites: Collection[str] | None) -> dict[tuple[str, str], int]:
    """(site of collection, status) -> specimens; "" where no site is known."""
    s = specimens.c
    query = select(s.site, s.status, func.count()).group_by(s.site, s.status)
    if sites is not None:
        query = query.where(s.site.in_(sites))
    return {(site or "", status): int(number) for site, status, number in connection.execute(query)}


def ageing(connection: Connection, sites: Collection[str] | None, now_us: int) -> list[Waiting]:
    """For each step, how long its specimens have waited for the next one."""
    found = []
    for status, column in SINCE.items():
        since = specimens.c[column]
        query = select(since).where(specimens.c.status == status, since.is_not(None))
        if sites is not None:
            query = query.where(specimens.c.site.in_(sites))
        hours = [max(now_us - at, 0) / 3.6e9 for (at,) in connection.execute(query)]
        under = [0] * (len(AGE_HOURS) + 1)
        for age in hours:
            under[next((n for n, most in enumerate(AGE_HOURS) if age < most), len(AGE_HOURS))] += 1
        found.append(Waiting(status=status, count=len(hours), oldest_hours=max(hours, default=0), under=tuple(under)))
    return found


class AlertRow(Struct, frozen=True, kw_only=True):
    id: int
    kind: str
    subject: str
    accession: str | None
    priority: str
    site: str | None
    severity: str
    detail: str
    since_us: int
    acknowledged_by: str | None
    acknowledged_us: int | None
    escalated_us: int | None


def open_alerts(connection: Connection, sites: Collection[str] | None) -> list[AlertRow]:
    """Open alerts: unacknowledged ones first, then critical before warning, then the oldest."""
    a = alerts.c
    query = select(a.message, *(a[name] for name in AlertRow.__struct_fields__)).where(a.resolved_us.is_(None))
    if sites is not None:
        query = query.where(or_(a.site.in_(sites), a.site.is_(None)))
    critical_first = (a.severity != Severity.CRITICAL).label("critical_first")
    query = query.order_by(a.acknowledged_us.is_not(None), critical_first, a.since_us, a.id).limit(ROWS_MAX)
    return [_alert(**row._mapping) for row in connection.execute(query)]


def _alert(message: str | None, detail: str, **rest: Any) -> AlertRow:
    return AlertRow(detail=loaded(detail, message), **rest)


class Lot(Struct, frozen=True, kw_only=True):
    lot: str
    on_hand: float
    expires: date | None
    notice: str | None


class StockRow(Struct, frozen=True, kw_only=True):
    """One item's stock at one site. Quantities in units, cover in days (None: no recent use)."""

    site: str
    item: str
    name: str
    unit: str
    on_hand: float
    usable: float
    on_order: float
    overdue: float
    """Of what was ordered or sent here: what should have come, and hasn't."""
    reorder_point: float | None
    par_level: float | None
    lead_time_days: float | None
    days_of_cover: float | None
    due: bool
    reason: str
    suggested: float
    unjudged: bool
    """Whether its state can't be read: then the numbers say nothing."""
    lots: tuple[Lot, ...]


def stock_rows(
    connection: Connection, catalog: "Catalog", policy: "Policy", sites: Collection[str] | None, now_us: int
) -> list[StockRow]:
    """Every (site, item) with a par level or anything on record; due ones first, then by shortest cover.

    One that can't be judged is shown as such.
    """
    faults: list[Judged] = []
    wanted = None if sites is None else sorted(sites)
    have = {(site, item): one for site, item, one in levels(connection, catalog, policy, now_us, faults, wanted)}
    odd = {fault.subject for fault in faults}
    keys = {*have, *catalog.par_levels, *((site, item) for site, _, item in (one.partition("/") for one in odd))}
    lots = lots_on_hand(connection, sites)
    rows = [
        _stock_row(key, have.get(key), lots, catalog, odd=f"{key[0]}/{key[1]}" in odd)
        for key in keys
        if sites is None or key[0] in sites
    ]
    return sorted(
        rows, key=lambda r: (not r.unjudged, not r.due, r.days_of_cover is None, r.days_of_cover or 0, r.site, r.item)
    )


def _stock_row(
    key: tuple[str, str],
    level: Level | None,
    lots: dict[tuple[str, str], list[Lot]],
    catalog: "Catalog",
    *,
    odd: bool,
) -> StockRow:
    par, supply = catalog.par_levels.get(key), catalog.supplies.get(key[1])
    return StockRow(
        site=key[0],
        item=key[1],
        name=supply.name if supply else key[1],
        unit=supply.unit if supply else "",
        on_hand=level.on_hand if level else 0,
        usable=level.usable if level else 0,
        on_order=level.on_order if level else 0,
        overdue=from_u(sum(one.open_u for one in level.overdue)) if level else 0,
        reorder_point=par.reorder_point if par else None,
        par_level=par.par_level if par else None,
        lead_time_days=par.lead_time_days if par else None,
        days_of_cover=level.days_of_cover if level else None,
        due=level.due if level else False,
        reason=level.reason if level else "",
        suggested=level.suggested if level else 0,
        unjudged=odd,
        lots=tuple(lots.get(key, ())),
    )


def lots_on_hand(connection: Connection, sites: Collection[str] | None) -> dict[tuple[str, str], list[Lot]]:
    """The lots with a quantity on hand that is not zero, in order of expiry."""
    query = select(stock).where(stock.c.on_hand_u != 0)
    if sites is not None:
        query = query.where(stock.c.site.in_(sites))
    rows = connection.execute(query).all()
    pairs = {(row.item, row.lot) for row in rows}
    facts, names = known_lots(connection, pairs), spellings(connection, pairs)
    found: dict[tuple[str, str], list[Lot]] = {}
    for row in rows:
        known = facts.get((row.item, row.lot))
        lot = Lot(
            lot=names.get((row.item, row.lot), row.lot),
            on_hand=from_u(row.on_hand_u),
            expires=known.expires if known else None,
            notice=known.notice if known else None,
        )
        found.setdefault((row.site, row.item), []).append(lot)
    for lots in found.values():
        lots.sort(key=lambda lot: (lot.expires or date.max, lot.lot))
    return found


def lot_on_hand(connection: Connection, site: str, item: str, lot: str) -> float:
    at = (stock.c.site == site, stock.c.item == item, stock.c.lot == key_of(lot))
    return from_u(connection.execute(select(stock.c.on_hand_u).where(*at)).scalar() or 0)


def find(connection: Connection, code: str) -> str | None:
    """The page of what a scanned or typed code names; None when nothing on record has it."""
    if re.fullmatch(r"[A-Za-z0-9._:/ -]{1,128}", code) is None:
        return None
    known = connection.execute(select(specimens.c.accession).where(specimens.c.accession == code)).scalar()
    if known is not None:
        return f"/specimens/{code}"
    if looks_like(code, "M"):
        return f"/manifests/{code}"
    if looks_like(code, "T"):
        manifest = bag_of_tote(connection, code)
        return f"/manifests/{manifest}" if manifest else None
    if connection.execute(select(orders.c.order_id).where(orders.c.order_key == key_of(code))).scalar() is not None:
        return f"/orders/{code}"
    if connection.execute(
        select(specimens.c.order_id).where(specimens.c.order_key == key_of(code)).limit(1)
    ).scalar():
        return f"/orders/{code}"
    item = connection.execute(
        select(lot_facts.c.item).where(lot_facts.c.lot == key_of(code)).order_by(lot_facts.c.item).limit(1)
    ).scalar()
    if item is not None:
        return f"/lots/{item}/{code}"
    patient = connection.execute(select(orders.c.order_id).where(orders.c.patient == code).limit(2)).scalars().all()
    return f"/orders/{patient[0]}" if len(patient) == 1 else None


class BoardState(Struct, frozen=True):
    """A fingerprint of the board's data: when it differs, something changed. `events`: number of the newest event.

    `told_us`: when Alertmanager last sent a notification.
    """

    events: int
    alerts_open: int
    alerts_newest: int
    acknowledged: int
    escalated: int
    quarantined: int
    told_us: int


def board_state(connection: Connection) -> BoardState:
    """Reads indexes only: cheap enough for once a second."""
    a = alerts.c
    still_open, newest, acknowledged, escalated = connection.execute(
        select(func.count(), func.max(a.id), func.count(a.acknowledged_us), func.count(a.escalated_us)).where(
            a.resolved_us.is_(None)
        )
    ).one()
    last = connection.execute(select(func.max(events.c.seq))).scalar() or 0
    held = quarantine_open(connection)
    n = notifications.c
    notified_us = [
        connection.execute(select(func.max(n.told_us)).where(n.status == status)).scalar() or 0
        for status in ("firing", "resolved")
    ]
    return BoardState(last, still_open, newest or 0, acknowledged, escalated, held, max(notified_us))
