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
from models.alerts.stock_discrepancies import StockDiscrepancy, stock_discrepancies
from models.database.lots import items_of_lot, known_lots
from models.people.users import Role
from models.rules.calendars import day_at
from models.rules.calendars import zone_of as calendar_of
from models.rules.keys import key
from models.rules.specimen import LotFacts
from models.rules.stock import ShelfLife, expired, shelf_life
from models.views.board import Lot, StockRow, lot_on_hand, stock_rows
from models.views.deliveries import Delivery, deliveries, lot_at_site
from models.views.exports import recall_trace
from station.auth.access import requires
from station.auth.session import Session
from station.languages.language import teller_of
from station.pages.render import Page, page, today_at, zone_of
from station.services import Station

PAR_TIMES_MAX = 5
"""A receipt of more than so many times par is asked about: boxes are easily counted in pieces."""
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
    nameless: float = 0
    """On hand of the item without a lot."""
    notice: str | None = None
    expired: bool = False
    coming: tuple[Delivery, ...] = ()
    """Of what was sent here: what may be in this box."""


class Receipt(Struct, frozen=True, kw_only=True):
    """What somebody is about to book in."""

    item: str
    lot: str
    quantity: float
    expires: date | None = None
    sent: str = ""


class Doubts(Struct, frozen=True, kw_only=True):
    """What speaks against a receipt, in the reader's language: nothing is refused."""

    doubts: list[str]


class ShelfView(Struct, frozen=True, kw_only=True):
    rows: list[StockRow]
    odd: dict[str, list[StockDiscrepancy]]
    """By item, what contradicts itself or the shelf."""


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

    def read(connection: Connection) -> ShelfView:
        odd: dict[str, list[StockDiscrepancy]] = {}
        for one in stock_discrepancies(connection, []):
            if one.site == where:
                odd.setdefault(one.item, []).append(one)
        return ShelfView(rows=stock_rows(connection, station.catalog, policy, [where], now_us), odd=odd)

    acts = ACTS if session.role == Role.MANAGER else {act: name for act, name in ACTS.items() if act != "recall"}
    view = await station.read(read)
    zone = zone_of(station.catalog, where)

    def life(lot: Lot) -> ShelfLife:
        return shelf_life(lot.expires, now_us, policy, zone)

    return page(request, "supplies.html", view=view, site=where, acts=acts, life=life)


@get("/supplies/{act:str}", access=requires(*KEEPERS, scope="site"))
async def move_page(
    request: Request[Any, Any, Any], act: FromPath[Act], session: Session, station: Station, site: FromQuery[str] = ""
) -> Page:
    """One kind of movement: scan, look, say how many."""
    if act == "recall" and session.role != Role.MANAGER:
        raise PermissionDeniedException(detail=Message("a recall is entered by a manager"))
    where = site_of(session, site)
    others = [code for code in station.catalog.sites if code != where]
    coming: list[Delivery] = []
    if act == "receive":
        coming = await station.read(deliveries, station.catalog, [where], station.clock())
    sent = [one for one in coming if one.origin is not None]
    orders = sorted({one.reference for one in coming if one.origin is None and one.reference})
    work = {"act": act, "site": where, "sent": sent}
    return page(
        request,
        "supplies_move.html",
        act=act,
        acts=ACTS,
        site=where,
        others=others,
        work=work,
        sent=sent,
        orders=orders,
    )


@post("/supplies/scan", access=requires(*KEEPERS, scope="site"), status_code=200)
async def scan_box(data: JSONBody[BoxQuestion], session: Session, station: Station, site: FromQuery[str] = "") -> Box:
    """What a scanned code says of a box: a GS1 code, a GTIN, or a bare lot number that is on record."""
    where = site_of(session, site)
    today = today_at(station, where)

    def read(connection: Connection) -> Box:
        item, lot, expires, count = _read_code(connection, data, station, today)
        if not item:
            return Box(fault=N_("This is no box in the catalog"))
        known = known_lots(connection, {(item, key(lot))}).get((item, key(lot)), LotFacts())
        supply, until = station.catalog.supplies[item], expires or known.expires
        coming = deliveries(connection, station.catalog, [where], station.clock(), item)
        return Box(
            item=item,
            name=supply.name,
            unit=supply.unit,
            lot=lot,
            expires=until,
            count=count,
            on_hand=lot_on_hand(connection, where, item, lot),
            nameless=lot_on_hand(connection, where, item, ""),
            notice=known.notice,
            expired=expired(until, today),
            coming=tuple(one for one in coming if one.origin is not None),
        )

    return await station.read(read)


@post("/supplies/receipt", access=requires(*KEEPERS, scope="site"), status_code=200)
async def check_receipt(
    request: Request[Any, Any, Any],
    data: JSONBody[Receipt],
    session: Session,
    station: Station,
    site: FromQuery[str] = "",
) -> Doubts:
    """What speaks against booking this in: a person may know better."""
    where = site_of(session, site)
    if data.item not in station.catalog.supplies:
        raise NotFoundException(detail=Message("no such item in the catalog"))
    found = await station.read(_doubts, data, where, station)
    return Doubts(doubts=[teller_of(request)(one) for one in found])


def _doubts(connection: Connection, data: Receipt, where: str, station: Station) -> list[Message]:
    now_us, found = station.clock(), []
    known = lot_at_site(connection, where, data.item, data.lot, now_us)
    if known.transferred_us is not None and not data.sent:
        day = day_at(known.transferred_us, calendar_of(where, station.catalog)).isoformat()
        text = Message(
            "this lot came from {site} by a transfer on {date}: it is in stock already",
            site=known.transferred_from or "?",
            date=day,
        )
        found.append(text)
    if not data.sent:
        for one in deliveries(connection, station.catalog, [where], now_us, data.item):
            if one.origin is not None and key(one.lot) == key(data.lot):
                found.append(Message("this lot is on its way from {site}: choose that delivery", site=one.origin))
    if data.expires is not None and known.expires is not None and data.expires != known.expires:
        date_known = known.expires.isoformat()
        found.append(Message("this lot is on record with another expiry date: {date}", date=date_known))
    if known.twins:
        found.append(Message("spelled alike, and on record: {lots}", lots=", ".join(known.twins)))
    par, supply = station.catalog.par_levels.get((where, data.item)), station.catalog.supplies[data.item]
    if par is not None and par.par_level > 0 and data.quantity > PAR_TIMES_MAX * par.par_level:
        text = Message(
            "{quantity:g} is far more than the {par:g} that are kept here: it is counted in units of “{unit}”",
            quantity=data.quantity,
            par=par.par_level,
            unit=Message(supply.unit),
        )
        found.append(text)
    return found


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


ROUTES = [shelf_page, move_page, scan_box, check_receipt, lot_page]
