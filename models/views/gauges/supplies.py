"""The gauges of stock. See `models.views.gauges.snapshot`."""

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, select

from models.alerts.cases import used_lately
from models.database import state_tables
from models.database.lots import known_lots
from models.rules.specimen import LotFacts
from models.rules.stock import UNIT, days_of_cover, restock, shelf_life
from models.rules.times import moment_of
from models.views.gauges.lab import OTHER, Cells

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

Key = tuple[str, str]


class StockGauges(msgspec.Struct, frozen=True, kw_only=True):
    """(site, item) -> units, seconds or days; see `StateSnapshot`."""

    on_hand: Cells
    """(site, item), as the other fields of stock"""
    on_order: Cells
    reorder_point: Cells
    lead_time_s: Cells
    days_of_cover: Cells
    restock_due: Cells
    restock_suggested: Cells
    expiring: Cells
    recalled: Cells


def stock_gauges(connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int) -> StockGauges:
    """Stock of every (site, item) with anything on record: an item that was never entered is not out of stock."""
    items = _items(connection, catalog)
    used = _used(connection, catalog, policy, now_us)
    expiring, recalled = _lots(connection, catalog, policy, now_us)
    levels = {key: level for key, level in sorted(catalog.par_levels.items()) if key in items}
    needs = {key: restock(*items[key], used.get(key, 0), level, policy) for key, level in levels.items()}
    cover = {key: days_of_cover(on_hand, used.get(key, 0), policy) for key, (on_hand, _) in items.items()}
    return StockGauges(
        on_hand={key: on_hand / UNIT for key, (on_hand, _) in items.items()},
        on_order={key: on_order / UNIT for key, (_, on_order) in items.items()},
        reorder_point={key: level.reorder_point for key, level in levels.items()},
        lead_time_s={key: level.lead_time_days * 86_400 for key, level in levels.items()},
        days_of_cover={key: days for key, days in cover.items() if days is not None},
        restock_due={key: float(need.due) for key, need in needs.items()},
        restock_suggested={key: need.suggested for key, need in needs.items()},
        expiring={key: expiring.get(key, 0) / UNIT for key in items},
        recalled={key: recalled.get(key, 0) / UNIT for key in items},
    )


def _known(site: str, item: str, catalog: "Catalog") -> Key:
    return (site if site in catalog.sites else OTHER, item if item in catalog.supplies else OTHER)


def _items(connection: Connection, catalog: "Catalog") -> dict[Key, tuple[int, int]]:
    """(site, item) -> millionths on hand and on order."""
    c = state_tables.stock_items.c
    items: dict[Key, tuple[int, int]] = {}
    for site, item, on_hand, on_order in connection.execute(select(c.site, c.item, c.on_hand_u, c.on_order_u)):
        key = _known(site, item, catalog)
        before = items.get(key, (0, 0))
        items[key] = (before[0] + on_hand, before[1] + on_order)
    return items


def _used(connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int) -> dict[Key, int]:
    """(site, item) -> millionths used over the policy's days, today included."""
    used: dict[Key, int] = defaultdict(int)
    for (site, item), quantity_u in used_lately(connection, policy, now_us).items():
        used[_known(site, item, catalog)] += quantity_u
    return used


def _lots(
    connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int
) -> tuple[dict[Key, int], dict[Key, int]]:
    """(site, item) -> millionths on hand of lots near or past their date (UTC), and of recalled lots."""
    c = state_tables.stock.c
    rows = connection.execute(select(c.site, c.item, c.lot, c.on_hand_u).where(c.on_hand_u > 0)).all()
    facts = known_lots(connection, {(row.item, row.lot) for row in rows})
    now = moment_of(now_us)
    expiring: dict[Key, int] = defaultdict(int)
    recalled: dict[Key, int] = defaultdict(int)
    for site, item, lot, on_hand_u in rows:
        known = facts.get((item, lot), LotFacts())
        if shelf_life(known.expires, now, policy):
            expiring[_known(site, item, catalog)] += on_hand_u
        if known.notice is not None:
            recalled[_known(site, item, catalog)] += on_hand_u
    return expiring, recalled
