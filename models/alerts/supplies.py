"""Cases of supplies at a moment: what to order, what has not come, what expires, what was recalled, what is odd.

Each place and each lot is judged by itself: what can't be judged is set aside with its fault.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from config.messages import Message
from models.alerts.setting_aside import Judged, by_itself
from models.database.bulk import select_pairs
from models.database.lots import known_lots, recalled_lots, spellings
from models.database.state_tables import movements, stock, stock_items, usage_daily
from models.rules.calendars import day_at, zone_of
from models.rules.deadlines import AlertKind, Deadline, Severity
from models.rules.movements import NO_LOT, UNIT
from models.rules.specimen import LotFacts
from models.rules.stock import (
    Level,
    Used,
    expiring_from_us,
    level,
    overdue_us,
    shelf_life,
    shelf_of,
    state_of,
)

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

Place = tuple[str, str]
LotPlace = tuple[str, str, str]


def used_lately(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> dict[Place, Used]:
    """Use of each site and item over the days that the use rate looks back, by the site's own calendar."""
    last = {site: day_at(at_us, zone_of(site, catalog)).toordinal() for site in catalog.sites}
    earliest = min(last.values(), default=0) - policy.use_rate_days
    c = usage_daily.c
    totals: dict[Place, int] = {}
    days: dict[Place, set[int]] = {}
    rows = connection.execute(select(c.site, c.item, c.day, c.quantity_u).where(c.day > earliest, c.quantity_u != 0))
    for site, item, day, quantity_u in rows:
        if site in last and last[site] - policy.use_rate_days < day <= last[site]:
            totals[site, item] = totals.get((site, item), 0) + quantity_u
            days.setdefault((site, item), set()).add(day)
    return {place: Used(total, frozenset(days[place])) for place, total in totals.items()}


def levels(
    connection: Connection,
    catalog: "Catalog",
    policy: "Policy",
    at_us: int,
    faults: list[Judged],
    sites: Sequence[str] | None = None,
) -> Iterator[tuple[str, str, Level]]:
    """(site, item, level) of everything on record, sorted; of these sites, or of all. `faults`: gets the others."""
    used = used_lately(connection, catalog, policy, at_us)
    query = select(stock_items.c.site, stock_items.c.item, stock_items.c.state)
    if sites is not None:
        query = query.where(stock_items.c.site.in_(sites))
    for site, item, raw in sorted(connection.execute(query).all(), key=lambda row: (row[0], row[1])):
        with by_itself(faults, AlertKind.RESTOCK, f"{site}/{item}"):
            par, zone = catalog.par_levels.get((site, item)), zone_of(site, catalog)
            one = level(state_of(raw), used.get((site, item), Used()), par, policy, zone, at_us)
            yield site, item, one


def level_cases(
    connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int, faults: list[Judged]
) -> Iterator[Deadline]:
    """Items to order, and orders and goods that should have come."""
    for site, item, one in levels(connection, catalog, policy, at_us, faults):
        if one.due and one.since_us is not None:
            yield _restock(site, item, one, one.since_us)
        if one.overdue:
            with by_itself(faults, AlertKind.OVERDUE_DELIVERY, f"{site}/{item}"):
                yield _overdue_delivery(site, item, one, catalog)


def _restock(site: str, item: str, one: Level, since_us: int) -> Deadline:
    if one.on_hand <= one.usable:
        message = Message(
            "{usable:g} on hand, {on_order:g} on order, order {suggested:g}",
            usable=one.on_hand,
            on_order=one.on_order,
            suggested=one.suggested,
        )
    else:
        message = Message(
            "{usable:g} of {on_hand:g} on hand can be used, {on_order:g} on order, order {suggested:g}",
            usable=one.usable,
            on_hand=one.on_hand,
            on_order=one.on_order,
            suggested=one.suggested,
        )
    return Deadline.of(
        message,
        kind=AlertKind.RESTOCK,
        subject=f"{site}/{item}",
        site=site,
        severity=Severity.CRITICAL if one.reason == "empty" else Severity.WARNING,
        due_us=since_us,
    )


def _overdue_delivery(site: str, item: str, one: Level, catalog: "Catalog") -> Deadline:
    par = catalog.par_levels.get((site, item))
    shelf = shelf_of(par, zone_of(site, catalog))
    first = min(one.overdue, key=lambda coming: coming.expected)
    return Deadline.of(
        Message(
            "{quantity:g} expected {date} or later have not come",
            quantity=sum(coming.open_u for coming in one.overdue) / UNIT,
            date=date.fromordinal(first.expected).isoformat(),
        ),
        kind=AlertKind.OVERDUE_DELIVERY,
        subject=f"{site}/{item}",
        site=site,
        severity=Severity.WARNING,
        due_us=min(overdue_us(coming, shelf) for coming in one.overdue),
    )


def lot_cases(
    connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int, faults: list[Judged]
) -> Iterator[Deadline]:
    """Stock that expires soon, and stock of a recalled lot."""
    s = stock.c
    rows = connection.execute(
        select(s.site, s.item, s.lot, s.on_hand_u).where(s.on_hand_u > 0, s.lot != NO_LOT)
    ).all()
    facts = known_lots(connection, {(item, lot) for _, item, lot, _ in rows})
    recalled = {lot: since for lot, (since, _) in recalled_lots(connection).items() if since <= at_us}
    here = sorted(tuple(row[:3]) for row in rows if (row[1], row[2]) in facts)
    shown = _shown(here, facts, policy, catalog, at_us, recalled)
    names = spellings(connection, {(item, lot) for _, item, lot in shown} | recalled.keys())
    tubes = _tubes(connection, recalled)
    for site, item, lot in shown:
        with by_itself(faults, AlertKind.EXPIRING_STOCK, f"{site}/{item}/{lot}"):
            subject = f"{site}/{item}/{names.get((item, lot), lot)}"
            yield from _expiring(site, subject, facts[item, lot], policy, catalog, at_us)
            if (item, lot) in recalled:
                yield _recall(site, subject, recalled[item, lot], tubes.get((item, lot), 0))
    left = {(item, lot) for _, item, lot in here}
    for (item, lot), since_us in sorted(recalled.items()):
        if (item, lot) not in left and tubes.get((item, lot)):
            name = names.get((item, lot), lot)
            yield _recall(None, f"{item}/{name}", since_us, tubes[item, lot])


def _shown(
    here: Iterable[LotPlace],
    facts: dict[tuple[str, str], LotFacts],
    policy: "Policy",
    catalog: "Catalog",
    at_us: int,
    recalled: dict[tuple[str, str], int],
) -> list[LotPlace]:
    return [
        (site, item, lot)
        for site, item, lot in here
        if (item, lot) in recalled or shelf_life(facts[item, lot].expires, at_us, policy, zone_of(site, catalog))
    ]


def _expiring(
    site: str, subject: str, known: LotFacts, policy: "Policy", catalog: "Catalog", at_us: int
) -> Iterator[Deadline]:
    zone = zone_of(site, catalog)
    life = shelf_life(known.expires, at_us, policy, zone)
    if known.expires is not None and life:
        day = known.expires.isoformat()
        yield Deadline.of(
            Message("expired {date}", date=day) if life == "expired" else Message("expires {date}", date=day),
            kind=AlertKind.EXPIRING_STOCK,
            subject=subject,
            site=site,
            severity=Severity.WARNING,
            due_us=expiring_from_us(known.expires, policy, zone),
        )


def _tubes(connection: Connection, lots: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """How many tubes each lot was used for, those that are gone too: their results are not."""
    used = select_pairs(connection, movements, ("item", "lot", "accession"), ("item", "lot"), set(lots))
    by_lot: dict[tuple[str, str], set[str]] = {}
    for item, lot, accession in used:
        if accession is not None:
            by_lot.setdefault((item, lot), set()).add(accession)
    return {lot: len(some) for lot, some in by_lot.items()}


def _recall(site: str | None, subject: str, since_us: int, tubes: int) -> Deadline:
    if site is None and tubes == 1:
        message = Message("recalled by its maker: used for one tube")
    elif site is None:
        message = Message("recalled by its maker: used for {tubes} tubes", tubes=tubes)
    elif tubes == 1:
        message = Message("recalled by its maker: take it off the shelf; used for one tube")
    elif tubes:
        message = Message("recalled by its maker: take it off the shelf; used for {tubes} tubes", tubes=tubes)
    else:
        message = Message("recalled by its maker: take it off the shelf")
    return Deadline.of(
        message,
        kind=AlertKind.RECALLED_STOCK,
        subject=subject,
        site=site,
        severity=Severity.CRITICAL,
        due_us=since_us,
    )
