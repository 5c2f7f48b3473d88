"""Collect: the order, the patient's second identifier, the tubes in order of draw, each lot, label, read-back."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct
from sqlalchemy import Connection

from config.catalog import Catalog, Container
from config.messages import N_, Message
from labels.drawing.gs1 import parse, supply_for
from labels.errors import LabelError
from models.database.lots import known_lots, lots_here
from models.people.patients import PatientRecord
from models.people.users import Role
from models.rules.keys import key
from models.rules.specimen import LotFacts
from models.rules.stock import expired
from models.views.board import Lot, lots_on_hand
from models.views.pages import (
    OrderRow,
    SpecimenRow,
    WaitingOrder,
    count_waiting,
    order,
    specimens_of_order,
    waiting_list,
)
from station.auth.access import requires
from station.auth.audit import AuditTrail
from station.auth.session import Session
from station.pages.labels import Unread, unread
from station.pages.patients import answers, patient_of
from station.pages.render import Page, page, today_at
from station.services import Station

if TYPE_CHECKING:
    pass

DRAW_ORDER = {"C32": 1, "SST": 2, "CLOT": 2, "HEPL": 3, "HEPN": 3, "EDTK": 4, "EDTN": 4, "NAF+KOX": 5, "NAF": 5}
"""Additive (HL7 0371) -> place in the order of draw (CLSI GP41). Blood cultures first; what is not drawn, last."""
VEIN = frozenset({"BLD", "SER", "PPP", "PLAS"})
LOTS_SHOWN_MAX = 6
ORDERS_SHOWN = 40
COLLECTORS = (Role.MA, Role.LAB, Role.MANAGER)


class Draw(Struct, frozen=True, kw_only=True):
    """One tube to draw."""

    container: str
    name: str
    colour: str
    item: str
    draw_ml: float
    tests: tuple[str, ...]
    from_vein: bool
    lots: tuple[Lot, ...]
    """What is on the shelf here, first to expire first; expired and recalled ones are left out."""


class LotAnswer(Struct, frozen=True, kw_only=True):
    """What a scanned lot is. `fault` empty: it may be used; `unknown`: once somebody has confirmed it."""

    fault: Literal["", "expired", "recalled", "wrong-tube", "unreadable", "unknown", "cancelled"]
    item: str = ""
    lot: str = ""
    expires: date | None = None
    detail: str = ""
    twins: tuple[str, ...] = ()
    """Of an unknown lot: those on record here whose number a reader may take for it."""


class LotHere(Struct, frozen=True, kw_only=True):
    """What is on record of a lot. `here`: at this site; `twins`: else, the lots there that are spelled alike."""

    known: LotFacts
    here: bool
    twins: tuple[str, ...] = ()


Look = Callable[[str, str], LotHere]
"""What is on record of an item's lot."""


class LotQuestion(Struct, frozen=True, kw_only=True):
    container: str
    scanned: str
    order: str = ""
    """If it is named: whether it was cancelled meanwhile is told."""


class PatientQuestion(Struct, frozen=True, kw_only=True):
    scanned: str


def place_in_draw(container: Container) -> int:
    """Where a tube comes in the order of draw."""
    if container.specimen_type not in VEIN:
        return 9
    if container.specimen_type == "BLD" and container.additive is None:
        return 0
    return DRAW_ORDER.get(container.additive or "", 2)


def plan(tests: tuple[str, ...], catalog: Catalog) -> list[tuple[Container, tuple[str, ...]]]:
    """The tubes that these tests need, in order of draw; tests share a tube as far as its volume goes."""
    tubes: list[tuple[Container, list[str], float]] = []
    for test in (catalog.tests[code] for code in tests if code in catalog.tests):
        container = catalog.containers[test.container]
        need = test.min_ml or 0.0
        for number, (kind, codes, left) in enumerate(tubes):
            if kind.code == container.code and left >= need:
                tubes[number] = (kind, [*codes, test.code], left - need)
                break
        else:
            tubes.append((container, [test.code], container.draw_ml - need))
    tubes.sort(key=lambda tube: (place_in_draw(tube[0]), tube[0].code))
    return [(container, tuple(sorted(codes))) for container, codes, _ in tubes]


def judge_lot(scanned: str, container: Container, catalog: Catalog, look: Look, today: date) -> LotAnswer:
    """Whether the scanned lot may be used for this tube. A GS1 code names item, lot, expiry; else it is the lot."""
    item, lot, expires = container.item, scanned.strip(), None
    if not scanned.isprintable() or len(scanned) > 20 or scanned.startswith("("):
        try:
            scan = parse(scanned, today)
        except LabelError as fault:
            return LotAnswer(fault="unreadable", detail=str(fault))
        supply = supply_for(scan, catalog.supplies)
        if supply is None or scan.lot is None:
            return LotAnswer(fault="unreadable", detail=N_("the code names no lot of an item in the catalog"))
        item, lot, expires = supply.item, scan.lot, scan.expires
    if item != container.item:
        return LotAnswer(fault="wrong-tube", item=item, lot=lot, detail=catalog.supplies[item].name)
    found = look(item, lot)
    known = found.known
    expires = min(filter(None, (expires, known.expires)), default=None)
    if known.notice is not None:
        return LotAnswer(fault="recalled", item=item, lot=lot, expires=expires, detail=known.notice)
    if expired(expires, today):
        return LotAnswer(fault="expired", item=item, lot=lot, expires=expires)
    return LotAnswer(fault="" if found.here else "unknown", item=item, lot=lot, expires=expires, twins=found.twins)


def lot_at(connection: Connection, site: str) -> Look:
    """Looks lots up in the tables, by their key: known of them, and on record at this site."""

    def look(item: str, lot: str) -> LotHere:
        known = known_lots(connection, {(item, key(lot))}).get((item, key(lot)), LotFacts())
        here, twins = lots_here(connection, site, item, lot)
        return LotHere(known=known, here=here, twins=twins)

    return look


class CallList(Struct, frozen=True, kw_only=True):
    """A page of the orders that wait. `more`: how many come after it."""

    orders: list[WaitingOrder]
    count: int
    page: int
    first: int
    more: int


class OrderView(Struct, frozen=True, kw_only=True):
    row: OrderRow
    specimens: list[SpecimenRow]
    draws: list[Draw]
    patient: PatientRecord | None
    unlabeled: list[Unread]


def _draws(connection: Connection, row: OrderRow, catalog: Catalog, site: str, today: date) -> list[Draw]:
    shelf = lots_on_hand(connection, [site])
    return [
        Draw(
            container=c.code,
            name=c.name,
            colour=c.cap_colour,
            item=c.item,
            draw_ml=c.draw_ml,
            tests=tests,
            from_vein=c.specimen_type in VEIN,
            lots=_usable(shelf.get((site, c.item), ()), today),
        )
        for c, tests in plan(row.open_tests, catalog)
    ]


def _usable(lots: Iterable[Lot], today: date) -> tuple[Lot, ...]:
    good = [lot for lot in lots if lot.on_hand > 0 and lot.lot and lot.notice is None]
    return tuple(lot for lot in good if not expired(lot.expires, today))[:LOTS_SHOWN_MAX]


@get("/collect", access=requires(*COLLECTORS))
async def orders_page(
    request: Request[Any, Any, Any],
    session: Session,
    station: Station,
    page_number: Annotated[int, QueryParameter(name="page", ge=1, le=100_000)] = 1,
) -> Page:
    """The call list: every order that waits for a tube, the most overdue first; and a field to scan one."""
    number = max(page_number, 1)

    def read(connection: Connection) -> CallList:
        count = count_waiting(connection, session.sites)
        first = (number - 1) * ORDERS_SHOWN
        rows = waiting_list(connection, session.sites, first=first, many=ORDERS_SHOWN)
        return CallList(orders=rows, count=count, page=number, first=first, more=max(count - first - len(rows), 0))

    return page(request, "collect.html", calls=await station.read(read))


async def order_of(order_id: str, session: Session, station: Station) -> OrderRow:
    """The order, if it is one of the session's sites'. Raises the exception for 404 or 403."""
    row = await station.read(order, order_id)
    if row is None:
        raise NotFoundException(detail=Message("no such order is on record: scan it again"))
    if not session.may_see({row.site} if row.site else set()):
        raise PermissionDeniedException(
            detail=Message("that order is at none of your sites: break the glass to see it")
        )
    return row


@get("/collect/{order_id:str}", access=requires(*COLLECTORS, scope="order"))
async def order_page(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    session: Session,
    station: Station,
    audit: NamedDependency[AuditTrail],
) -> Page:
    """One order: who the patient is, and the tubes to draw."""
    row = await order_of(order_id, session, station)
    today, now_us = today_at(station, session.site), station.clock()

    def read(connection: Connection) -> OrderView:
        tubes = specimens_of_order(connection, order_id)
        return OrderView(
            row=row,
            specimens=tubes,
            unlabeled=unread(connection, tubes),
            draws=_draws(connection, row, station.catalog, session.site, today),
            patient=patient_of(connection, row.patient, station.settings),
        )

    view = await station.read(read)
    await audit.note(session.entry("order.read", now_us, order_id))
    work = {
        "order": row.order,
        "patient": row.patient,
        "priority": row.priority,
        "cancelled": row.status == "cancelled",
        "draws": view.draws,
        "unlabeled": view.unlabeled,
    }
    return page(request, "collect_order.html", view=view, work=work)


@post("/collect/{order_id:str}/patient", access=requires(*COLLECTORS, scope="order"), status_code=200)
async def check_patient(
    order_id: FromPath[str],
    data: JSONBody[PatientQuestion],
    session: Session,
    station: Station,
    audit: NamedDependency[AuditTrail],
) -> dict[str, bool]:
    """Whether the scanned or typed second identifier is this patient's. The answer says no more than that."""
    row = await order_of(order_id, session, station)
    right = await station.read(answers, row.patient, data.scanned, station.settings)
    await audit.note(session.entry("patient.check", station.clock(), order_id, "match" if right else "no match"))
    return {"match": right}


@post("/collect/lot", access=requires(*COLLECTORS), status_code=200)
async def check_lot(data: JSONBody[LotQuestion], session: Session, station: Station) -> LotAnswer:
    """Whether the tube at hand is the right one, and not expired or recalled."""
    container = station.catalog.containers.get(data.container)
    if container is None:
        raise NotFoundException(detail=Message("no such tube in the catalog"))
    today = today_at(station, session.site)

    def judge(connection: Connection) -> LotAnswer:
        ordered = order(connection, data.order) if data.order else None
        if ordered is not None and ordered.status == "cancelled":
            return LotAnswer(fault="cancelled")
        look = lot_at(connection, session.site)
        return judge_lot(data.scanned[:200], container, station.catalog, look, today)

    return await station.read(judge)


ROUTES = [orders_page, order_page, check_patient, check_lot]
