"""What the daily report shows about supplies: what to order, how long it lasts, what must be taken off the shelf."""

from datetime import date
from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy import Connection, func, select

from models.alerts.setting_aside import Judged
from models.alerts.supplies import levels
from models.database.lots import known_lots, spellings
from models.database.state_tables import stock, usage_daily
from models.rules.calendars import zone_of
from models.rules.movements import UNIT, from_u
from models.rules.specimen import LotFacts
from models.rules.stock import shelf_life

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
    usable: float
    """Without what is expired or recalled."""
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
    """(item, name, units) used at all sites on the day, by each one's calendar, the most used first."""
    unjudged: int = 0
    """Shelves that could not be judged: `labtrail doctor` names them."""


def supply_day(connection: Connection, catalog: "Catalog", policy: "Policy", day: date, at_us: int) -> SupplyDay:
    """Current stock, with the use rate and the dates as of `at_us`; use on `day`."""
    faults: list[Judged] = []
    return SupplyDay(
        shelves=_shelves(connection, catalog, policy, at_us, faults),
        lots=_lots(connection, catalog, policy, at_us),
        used=_used(connection, catalog, day),
        unjudged=len(faults),
    )


def _name(item: str, catalog: "Catalog") -> str:
    return catalog.supplies[item].name if item in catalog.supplies else item


def _shelves(
    connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int, faults: list[Judged]
) -> tuple[Shelf, ...]:
    shelves = []
    for site, item, level in levels(connection, catalog, policy, at_us, faults):
        par = catalog.par_levels.get((site, item))
        if par is None:
            continue
        shelves.append(
            Shelf(
                site=site,
                item=item,
                name=_name(item, catalog),
                on_hand=level.on_hand,
                usable=level.usable,
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
    lots = []
    for site, item, lot, on_hand_u in rows:
        known = facts.get((item, lot), LotFacts())
        reason = _reason(known, site, catalog, policy, at_us)
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
    names = spellings(connection, {(one.item, one.lot) for one in lots})
    lots = [msgspec.structs.replace(one, lot=names.get((one.item, one.lot), one.lot)) for one in lots]
    order: tuple[Reason, ...] = ("recalled", "expired", "expires soon")
    return tuple(sorted(lots, key=lambda x: (order.index(x.reason), x.expires or date.max, x.site, x.item, x.lot)))


def _reason(known: LotFacts, site: str, catalog: "Catalog", policy: "Policy", at_us: int) -> Reason | None:
    if known.notice_us is not None and known.notice_us <= at_us:
        return "recalled"
    return shelf_life(known.expires, at_us, policy, zone_of(site, catalog)) or None


def _used(connection: Connection, catalog: "Catalog", day: date) -> tuple[tuple[str, str, float], ...]:
    c = usage_daily.c
    rows = connection.execute(select(c.item, func.sum(c.quantity_u)).where(c.day == day.toordinal()).group_by(c.item))
    used = [(item, _name(item, catalog), int(quantity) / UNIT) for item, quantity in rows]
    return tuple(sorted((u for u in used if u[2]), key=lambda u: (-u[2], u[0])))
