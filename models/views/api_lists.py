"""The lists that the HTTP API answers: stock and open alerts. Times are UTC text; every list has a limit."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from sqlalchemy import Connection, and_, select

from models.database.acts_tables import alerts
from models.database.columns import strings
from models.database.lots import known_lots, spellings
from models.database.state_tables import orders, stock, waiting_orders
from models.rules.calendars import day_at, zone_of
from models.rules.collecting import order_status
from models.rules.keys import key
from models.rules.movements import from_u
from models.rules.stock import expired
from models.rules.times import utc_text
from models.views.board import StockRow

if TYPE_CHECKING:
    from config.catalog import Catalog

ROWS_MAX = 5000


class StockView(Struct, frozen=True, kw_only=True):
    site: str
    item: str
    lot: str
    """As its earliest event spells it; empty for what has no lot."""
    on_hand: float
    usable: float
    """On hand, or 0 where the lot is expired or recalled."""
    expires: str | None
    recalled: bool


class LevelView(Struct, frozen=True, kw_only=True):
    """An item at a site: what can be used, and what is on its way. `unjudged`: the numbers say nothing."""

    site: str
    item: str
    on_hand: float
    usable: float
    on_order: float
    overdue: float
    reorder_point: float | None
    par_level: float | None
    days_of_cover: float | None
    due: bool
    suggested: float
    unjudged: bool


class OrderView(Struct, frozen=True, kw_only=True):
    """A row of `labtrail export orders`, and by when the first of its open tests is due."""

    order: str
    patient: str | None
    site: str | None
    priority: str | None
    tests: tuple[str, ...]
    status: Literal["placed", "collected", "cancelled"]
    placed_at: str | None
    ordered_by: str | None
    open_tests: tuple[str, ...]
    due_at: str | None


class AlertView(Struct, frozen=True, kw_only=True):
    """An open alert. `since`: when what it is about became late or wrong; None: not known."""

    id: int
    kind: str
    subject: str
    site: str | None
    severity: str
    priority: str
    detail: str
    since: str | None
    opened_at: str
    acknowledged_by: str | None
    acknowledged_at: str | None
    escalated_at: str | None


def order_views(
    connection: Connection, sites: Collection[str], *, order: str | None, waiting: bool, after: str
) -> list[OrderView]:
    """Orders of these sites by number, from the one after `after` on; at most ROWS_MAX.

    `waiting`: only those with open tests; recollections are tests that are open again. `order`: only this one, in any
    spelling, at whatever site.
    """
    o, w = orders.c, waiting_orders.c
    query = select(orders, w.tests.label("open_tests"), w.due_us).join(
        waiting_orders, w.order_key == o.order_key, isouter=not waiting
    )
    if order is not None:
        query = query.where(o.order_key == key(order))
    else:
        query = query.where(o.site.in_(sites) | o.site.is_(None), o.order_id > after)
    return [
        OrderView(
            order=row.order_id,
            patient=row.patient,
            site=row.site,
            priority=row.priority,
            tests=strings(row.tests),
            status=order_status(row.status, row.open_tests),
            placed_at=utc_text(row.placed_us),
            ordered_by=row.ordered_by,
            open_tests=strings(row.open_tests) if row.open_tests else (),
            due_at=utc_text(row.due_us),
        )
        for row in connection.execute(query.order_by(o.order_id).limit(ROWS_MAX))
    ]


def level_view(row: StockRow) -> LevelView:
    """An item's row of the shelf, as the API answers it."""
    return LevelView(**{name: getattr(row, name) for name in LevelView.__struct_fields__})


def stock_views(
    connection: Connection, catalog: "Catalog", sites: Collection[str], item: str | None, at_us: int
) -> list[StockView]:
    """Stock of each lot at these sites, by site, item, lot; at most ROWS_MAX rows."""
    t = stock.c
    which = and_(t.site.in_(sites), *([] if item is None else [t.item == item]))
    rows = connection.execute(select(stock).where(which).order_by(t.site, t.item, t.lot).limit(ROWS_MAX)).all()
    pairs = {(row.item, row.lot) for row in rows}
    facts, names = known_lots(connection, pairs), spellings(connection, pairs)
    found = []
    for row in rows:
        known = facts.get((row.item, row.lot))
        expires = known.expires.isoformat() if known and known.expires else None
        recalled = known is not None and known.notice is not None
        gone = expired(known.expires if known else None, day_at(at_us, zone_of(row.site, catalog)))
        on_hand = from_u(row.on_hand_u)
        found.append(
            StockView(
                site=row.site,
                item=row.item,
                lot=names.get((row.item, row.lot), row.lot),
                on_hand=on_hand,
                usable=0 if gone or recalled else on_hand,
                expires=expires,
                recalled=recalled,
            )
        )
    return found


def alert_views(
    connection: Connection, sites: Collection[str], *, kind: str | None, after: int, limit: int
) -> list[AlertView]:
    """Open alerts of these sites and those of no site, by number, from the one after `after` on."""
    a = alerts.c
    query = select(alerts).where(a.resolved_us.is_(None), a.id > after, a.site.in_(sites) | a.site.is_(None))
    if kind is not None:
        query = query.where(a.kind == kind)
    return [alert_view(row._mapping) for row in connection.execute(query.order_by(a.id).limit(min(limit, ROWS_MAX)))]


def alert_view(row: Any) -> AlertView:
    """A row of `alerts`, as a mapping."""
    return AlertView(
        id=row["id"],
        kind=row["kind"],
        subject=row["subject"],
        site=row["site"],
        severity=row["severity"],
        priority=row["priority"],
        detail=row["detail"],
        since=utc_text(row["since_us"] or None),
        opened_at=utc_text(row["opened_us"]) or "",
        acknowledged_by=row["acknowledged_by"],
        acknowledged_at=utc_text(row["acknowledged_us"]),
        escalated_at=utc_text(row["escalated_us"]),
    )
