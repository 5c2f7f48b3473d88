"""The gauges of stock. See `models.views.gauges.snapshot`."""

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, select

from models.alerts.supplies import levels
from models.database import state_tables
from models.database.lots import known_lots
from models.rules.calendars import zone_of
from models.rules.movements import UNIT
from models.rules.specimen import LotFacts
from models.rules.stock import Level, shelf_life
from models.views.gauges.lab import OTHER, Cells

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

Key = tuple[str, str]


class StockGauges(msgspec.Struct, frozen=True, kw_only=True):
    """(site, item) -> units, seconds or days; see `StateSnapshot`."""

    on_hand: Cells
    usable: Cells
    on_order: Cells
    reorder_point: Cells
    lead_time_s: Cells
    days_of_cover: Cells
    restock_due: Cells
    restock_suggested: Cells
    overdue_deliveries: Cells
    expiring: Cells
    recalled: Cells


def stock_gauges(connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int) -> StockGauges:
    """Stock of every (site, item) with anything on record: an item that was never entered is not out of stock.

    One that can't be judged has no values: what is not known is an absent series.
    """
    have: dict[Key, Level] = {}
    for site, item, one in levels(connection, catalog, policy, now_us, []):
        if site in catalog.sites and item in catalog.supplies:
            have[site, item] = one
    expiring, recalled = _lots(connection, catalog, policy, now_us)
    pars = {key: par for key, par in sorted(catalog.par_levels.items()) if key in have}
    return StockGauges(
        on_hand={key: one.on_hand for key, one in have.items()},
        usable={key: one.usable for key, one in have.items()},
        on_order={key: one.on_order for key, one in have.items()},
        reorder_point={key: par.reorder_point for key, par in pars.items()},
        lead_time_s={key: par.lead_time_days * 86_400 for key, par in pars.items()},
        days_of_cover={key: one.days_of_cover for key, one in have.items() if one.days_of_cover is not None},
        restock_due={key: float(have[key].due) for key in pars},
        restock_suggested={key: have[key].suggested for key in pars},
        overdue_deliveries={key: float(len(one.overdue)) for key, one in have.items()},
        expiring={key: expiring.get(key, 0) / UNIT for key in have},
        recalled={key: recalled.get(key, 0) / UNIT for key in have},
    )


def _known(site: str, item: str, catalog: "Catalog") -> Key:
    return (site if site in catalog.sites else OTHER, item if item in catalog.supplies else OTHER)


def _lots(
    connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int
) -> tuple[dict[Key, int], dict[Key, int]]:
    """(site, item) -> millionths on hand of lots near or past their date, and of recalled lots."""
    c = state_tables.stock.c
    rows = connection.execute(select(c.site, c.item, c.lot, c.on_hand_u).where(c.on_hand_u > 0)).all()
    facts = known_lots(connection, {(row.item, row.lot) for row in rows})
    expiring: dict[Key, int] = defaultdict(int)
    recalled: dict[Key, int] = defaultdict(int)
    for site, item, lot, on_hand_u in rows:
        known = facts.get((item, lot), LotFacts())
        if shelf_life(known.expires, now_us, policy, zone_of(site, catalog)):
            expiring[_known(site, item, catalog)] += on_hand_u
        if known.notice_us is not None and known.notice_us <= now_us:
            recalled[_known(site, item, catalog)] += on_hand_u
    return expiring, recalled
