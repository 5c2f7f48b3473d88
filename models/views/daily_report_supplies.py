"""What the daily report shows about supplies: what to order, how long it lasts, what must be taken off the shelf."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy import Connection, func, select

from models.alerts.cases import used_lately
from models.database.lots import known_lots
from models.database.state_tables import stock, stock_items, usage_daily
from models.rules.specimen import LotFacts
from models.rules.stock import UNIT, from_u, restock, shelf_life
from models.rules.times import EPOCH_DAY, moment_of

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

Reason = Literal["recalled", "expired", "expires soon"]


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """One item at one site that has a par level and anything on record. Quantities in units, times in days."""

    site: str
    item: str
    name: str
    on_hand: float
    on_order: float
    reorder_point: float
    cover_days: float | None
    """None: nothing was used lately."""
    lead_days: float
    due: bool
    suggested: float


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot on hand that must not be used, or soon must not."""

    site: str
    item: str
    name: str
    lot: str
    on_hand: float
    expires: date | None
    reason: Reason


class SupplyDay(msgspec.Struct, frozen=True, kw_only=True):
    shelves: tuple[Shelf, ...]
    """The shortest cover first."""
    lots: tuple[Lot, ...]
    """Recalled, then expired, then those that expire soon."""
    used: tuple[tuple[str, str, float], ...]
    """(item, name, units) used at all sites on the day (UTC), the most used first."""


def supply_day(connection: Connection, catalog: "Catalog", policy: "Policy", day: date, at_us: int) -> SupplyDay:
    """Current stock, with the use rate and the dates as of `at_us`; use on `day`."""
    return SupplyDay(
        shelves=_shelves(connection, catalog, policy, at_us),
        lots=_lots(connection, catalog, policy, at_us),
        used=_used(connection, catalog, day),
    )


def _name(item: str, catalog: "Catalog") -> str:
    return catalog.supplies[item].name if item in catalog.supplies else item


def _shelves(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> tuple[Shelf, ...]:
    used = used_lately(connection, policy, at_us)
    c = stock_items.c
    shelves = []
    for site, item, on_hand_u, on_order_u in connection.execute(select(c.site, c.item, c.on_hand_u, c.on_order_u)):
        par = catalog.par_levels.get((site, item))
        if par is None:
            continue
        level = restock(on_hand_u, on_order_u, used.get((site, item), 0), par, policy)
        shelves.append(
            Shelf(
                site=site,
                item=item,
                name=_name(item, catalog),
                on_hand=level.on_hand,
                on_order=level.on_order,
                reorder_point=par.reorder_point,
                cover_days=level.days_of_cover,
                lead_days=par.lead_time_days,
                due=level.due,
                suggested=level.suggested,
            )
        )
    return tuple(sorted(shelves, key=lambda s: (s.cover_days is None, s.cover_days or 0, s.site, s.item)))


def _lots(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> tuple[Lot, ...]:
    c = stock.c
    rows = connection.execute(select(c.site, c.item, c.lot, c.on_hand_u).where(c.on_hand_u > 0)).all()
    facts = known_lots(connection, {(row.item, row.lot) for row in rows})
    now, lots = moment_of(at_us), []
    for site, item, lot, on_hand_u in rows:
        known = facts.get((item, lot), LotFacts())
        reason = _reason(known, now, policy)
        if reason is not None:
            lots.append(
                Lot(
                    site=site,
                    item=item,
                    name=_name(item, catalog),
                    lot=lot,
                    on_hand=from_u(on_hand_u),
                    expires=known.expires,
                    reason=reason,
                )
            )
    order: tuple[Reason, ...] = ("recalled", "expired", "expires soon")
    return tuple(sorted(lots, key=lambda x: (order.index(x.reason), x.expires or date.max, x.site, x.item, x.lot)))


def _reason(known: LotFacts, now: datetime, policy: "Policy") -> Reason | None:
    return "recalled" if known.notice is not None else shelf_life(known.expires, now, policy) or None


def _used(connection: Connection, catalog: "Catalog", day: date) -> tuple[tuple[str, str, float], ...]:
    c = usage_daily.c
    number = day.toordinal() - EPOCH_DAY
    rows = connection.execute(select(c.item, func.sum(c.quantity_u)).where(c.day == number).group_by(c.item))
    used = [(item, _name(item, catalog), int(quantity) / UNIT) for item, quantity in rows]
    return tuple(sorted((u for u in used if u[2]), key=lambda u: (-u[2], u[0])))
