"""What is on its way to a site: orders that are open, and goods that another site sent."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, select

from models.alerts.setting_aside import Judged, by_itself
from models.database.bulk import select_in
from models.database.lots import known_lots
from models.database.state_tables import movements, stock, stock_items
from models.rules.calendars import zone_of
from models.rules.deadlines import AlertKind
from models.rules.keys import key, skeleton
from models.rules.movements import MovementKind, from_u
from models.rules.specimen import LotFacts
from models.rules.stock import Coming, overdue_us, shelf_of, state_of
from models.rules.times import DAY_US

if TYPE_CHECKING:
    from config.catalog import Catalog

TRANSFERRED_LATELY_US = 14 * DAY_US


class Delivery(Struct, frozen=True, kw_only=True):
    """An order, or goods sent by another site, of which something has not come."""

    site: str
    item: str
    name: str
    unit: str
    reference: str
    """The number of the order, "" if it has none; of goods sent the id of the `supply.sent`."""
    origin: str | None
    """The site that sent them; None for an order."""
    lot: str
    """As the site that sent them spells it; "" if they have none."""
    expires: date | None
    quantity: float
    expected: date
    overdue: bool


def deliveries(
    connection: Connection, catalog: "Catalog", sites: Collection[str], at_us: int, item: str | None = None
) -> list[Delivery]:
    """What is on its way to these sites: by site, item and the day on which it should come."""
    query = select(stock_items.c.site, stock_items.c.item, stock_items.c.state).where(stock_items.c.site.in_(sites))
    if item is not None:
        query = query.where(stock_items.c.item == item)
    faults: list[Judged] = []
    open_: list[tuple[str, str, Coming, bool]] = []
    for site, code, raw in connection.execute(query):
        # one that can't be read is shown by the shelf page as such
        with by_itself(faults, AlertKind.OVERDUE_DELIVERY, f"{site}/{code}"):
            shelf = shelf_of(catalog.par_levels.get((site, code)), zone_of(site, catalog))
            some = state_of(raw).coming
            open_ += [(site, code, one, at_us >= overdue_us(one, shelf)) for one in some]
    origins = _origins(connection, {one.reference for _, _, one, _ in open_ if one.sent})
    lots = {(code, key(origins[one.reference][1])) for _, code, one, _ in open_ if one.reference in origins}
    facts = known_lots(connection, lots)
    found = []
    for site, code, one, late in open_:
        supply = catalog.supplies.get(code)
        origin, lot = origins.get(one.reference, (None, "")) if one.sent else (None, "")
        found.append(
            Delivery(
                site=site,
                item=code,
                name=supply.name if supply else code,
                unit=supply.unit if supply else "",
                reference=one.reference,
                origin=origin,
                lot=lot,
                expires=facts.get((code, key(lot)), LotFacts()).expires,
                quantity=from_u(one.open_u),
                expected=date.fromordinal(one.expected),
                overdue=late,
            )
        )
    return sorted(found, key=lambda d: (d.site, d.item, d.expected, d.reference))


def _origins(connection: Connection, sent: Collection[str]) -> dict[str, tuple[str, str]]:
    """{id of a `supply.sent`: (site, lot as it spells it)}."""
    columns = ("event_id", "kind", "site", "lot_spelled")
    rows = select_in(connection, movements, columns, "event_id", sent)
    return {event_id: (site, lot or "") for event_id, kind, site, lot in rows if kind == MovementKind.SENT_OUT}


class LotAtSite(Struct, frozen=True, kw_only=True):
    """What is on record of a lot that is about to be received."""

    expires: date | None
    """As receipts at any site state it."""
    transferred_us: int | None
    """When it last came to this site by a transfer, lately: it is in stock already."""
    transferred_from: str | None
    twins: tuple[str, ...]
    """Lots of the item, at any site, whose number a reader may take for this one."""


def lot_at_site(connection: Connection, site: str, item: str, lot: str, at_us: int) -> LotAtSite:
    """What is on record of a lot, in any spelling of its number."""
    wanted, m, t = key(lot), movements.c, stock.c
    came = connection.execute(
        select(m.event_id, m.time_us)
        .where(m.site == site, m.item == item, m.lot == wanted, m.kind == MovementKind.TRANSFER_IN)
        .where(m.time_us > at_us - TRANSFERRED_LATELY_US)
        .order_by(m.time_us.desc())
        .limit(1)
    ).first()
    origin = None
    if came is not None:
        out = select(m.site).where(m.event_id == came.event_id, m.kind == MovementKind.TRANSFER_OUT)
        origin = connection.execute(out).scalar()
    alike = select(t.lot).where(t.item == item, t.skeleton == skeleton(wanted), t.lot != wanted).distinct()
    twins = connection.execute(alike).scalars().all() if wanted else ()
    return LotAtSite(
        expires=known_lots(connection, {(item, wanted)}).get((item, wanted), LotFacts()).expires,
        transferred_us=came.time_us if came else None,
        transferred_from=origin,
        twins=tuple(sorted(twins)),
    )
