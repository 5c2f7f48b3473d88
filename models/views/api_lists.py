"""The lists that the HTTP API answers: stock and open alerts. Times are UTC text; every list has a limit."""

from collections.abc import Collection
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, select

from models.database.acts_tables import alerts
from models.database.lots import known_lots
from models.database.state_tables import stock
from models.rules.movements import from_u
from models.rules.times import utc_text

ROWS_MAX = 5000


class StockView(Struct, frozen=True, kw_only=True):
    site: str
    item: str
    lot: str
    on_hand: float
    expires: str | None
    recalled: bool


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


def stock_views(connection: Connection, sites: Collection[str], item: str | None) -> list[StockView]:
    """Stock of each lot at these sites, by site, item, lot; at most ROWS_MAX rows."""
    t = stock.c
    which = and_(t.site.in_(sites), *([] if item is None else [t.item == item]))
    rows = connection.execute(select(stock).where(which).order_by(t.site, t.item, t.lot).limit(ROWS_MAX)).all()
    facts = known_lots(connection, {(row.item, row.lot) for row in rows})
    found = []
    for row in rows:
        known = facts.get((row.item, row.lot))
        expires = known.expires.isoformat() if known and known.expires else None
        recalled = known is not None and known.notice is not None
        found.append(
            StockView(
                site=row.site,
                item=row.item,
                lot=row.lot,
                on_hand=from_u(row.on_hand_u),
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
