"""Supplies: what is on the shelf, and what moves it: receive, use, waste, count, transfer, recall."""

from datetime import date
from typing import Any, Literal

from litestar import Request, get, post
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct
from sqlalchemy import Connection

from config.messages import N_, Message
from labels.drawing.gs1 import parse, supply_for
from labels.errors import LabelError
from models.database.lots import items_of_lot, known_lots
from models.people.users import Role
from models.rules.specimen import LotFacts
from models.rules.stock import ShelfLife, expired, shelf_life
from models.views.board import Lot, StockRow, lot_on_hand, stock_rows
from models.views.exports import recall_trace
from station.auth.access import requires
from station.auth.session import Session
from station.pages.render import Page, page, today_at, zone_of
from station.services import Station

KEEPERS = (Role.MA, Role.LAB, Role.MANAGER)
ACTS = {
    "receive": N_("Receive"),
    "use": N_("Use"),
    "waste": N_("Waste"),
    "count": N_("Count"),
    "transfer": N_("Transfer"),
    "recall": N_("Recall"),
}
Act = Literal["receive", "use", "waste", "count", "transfer", "recall"]


class BoxQuestion(Struct, frozen=True, kw_only=True):
    scanned: str
    item: str = ""


class Box(Struct, frozen=True, kw_only=True):
    """What a scanned box is. `fault` empty: read."""

    fault: str = ""
    item: str = ""
    name: str = ""
    unit: str = ""
    lot: str = ""
    expires: date | None = None
    count: int | None = None
    on_hand: float = 0
    notice: str | None = None
    expired: bool = False


def site_of(session: Session, site: str) -> str:
    """The site to show: the one asked for, if it is the session's, else where the person is."""
    if site and site not in session.sites:
        raise PermissionDeniedException(detail=Message("{site} is none of your sites", site=site))
    return site or session.site


@get("/supplies", access=requires(*KEEPERS, scope="site"))
async def shelf_page(
    request: Request[Any, Any, Any], session: Session, station: Station, site: FromQuery[str] = ""
) -> Page:
    """The shelf of one site: what to order first, days of cover as bars."""
    where = site_of(session, site)
    policy, now_us = station.settings.policy, station.clock()

    def read(connection: Connection) -> list[StockRow]:
        return stock_rows(connection, station.catalog, policy, [where], now_us)

    acts = ACTS if session.role == Role.MANAGER else {act: name for act, name in ACTS.items() if act != "recall"}
    rows = await station.read(read)
    zone = zone_of(station.catalog, where)

    def life(lot: Lot) -> ShelfLife:
        return shelf_life(lot.expires, now_us, policy, zone)

    return page(request, "supplies.html", rows=rows, site=where, acts=acts, life=life)


@get("/supplies/{act:str}", access=requires(*KEEPERS, scope="site"))
async def move_page(
    request: Request[Any, Any, Any], act: FromPath[Act], session: Session, station: Station, site: FromQuery[str] = ""
) -> Page:
    """One kind of movement: scan, look, say how many."""
    if act == "recall" and session.role != Role.MANAGER:
        raise PermissionDeniedException(detail=Message("a recall is entered by a manager"))
    where = site_of(session, site)
    others = [code for code in station.catalog.sites if code != where]
    work = {"act": act, "site": where}
    return page(request, "supplies_move.html", act=act, acts=ACTS, site=where, others=others, work=work)


@post("/supplies/scan", access=requires(*KEEPERS, scope="site"), status_code=200)
async def scan_box(data: JSONBody[BoxQuestion], session: Session, station: Station, site: FromQuery[str] = "") -> Box:
    """What a scanned code says of a box: a GS1 code, a GTIN, or a bare lot number that is on record."""
    where = site_of(session, site)
    today = today_at(station, where)

    def read(connection: Connection) -> Box:
        item, lot, expires, count = _read_code(connection, data, station, today)
        if not item:
            return Box(fault=N_("This is no box in the catalog"))
        known = known_lots(connection, {(item, lot)}).get((item, lot), LotFacts())
        supply, until = station.catalog.supplies[item], expires or known.expires
        return Box(
            item=item,
            name=supply.name,
            unit=supply.unit,
            lot=lot,
            expires=until,
            count=count,
            on_hand=lot_on_hand(connection, where, item, lot),
            notice=known.notice,
            expired=expired(until, today),
        )

    return await station.read(read)


def _read_code(
    connection: Connection, data: BoxQuestion, station: Station, today: date
) -> tuple[str, str, date | None, int | None]:
    """(item, lot, expiry, count) of a code; the item is empty where the code can't be read."""
    try:
        scan = parse(data.scanned[:500], today)
        supply = supply_for(scan, station.catalog.supplies)
        if supply is not None:
            return supply.item, scan.lot or "", scan.expires, scan.count
    except LabelError:
        pass  # not a GS1 code: it may be the number of an item or of a lot
    code = data.scanned.strip()
    if code in station.catalog.supplies:
        return code, "", None, None
    if data.item in station.catalog.supplies:
        return data.item, code[:128], None, None
    items = items_of_lot(connection, code)
    return (items.pop() if len(items) == 1 else "", code, None, None)


@get("/lots/{item:str}/{lot:str}", access=requires(*KEEPERS, read="recall.read"))
async def lot_page(
    request: Request[Any, Any, Any], item: FromPath[str], lot: FromPath[str], session: Session, station: Station
) -> Page:
    """Everything that a lot touched, at the person's sites: specimens, orders, what is left."""
    if item not in station.catalog.supplies:
        raise NotFoundException(detail=Message("no such item in the catalog"))
    trace = await station.read(recall_trace, item, lot)
    every = session.break_glass_until_us is not None
    mine = [one for one in trace.specimens if every or one.site in session.sites or one.site is None]
    stock = [(site, left) for site, left in trace.stock if every or site in session.sites]
    return page(
        request, "lot.html", trace=trace, specimens=mine, stock=stock, hidden=len(trace.specimens) - len(mine)
    )


ROUTES = [shelf_page, move_page, scan_box, lot_page]
