"""One specimen's timeline on one page, with the ledger's proof; and the pages of an order and a bag."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from msgspec import Struct
from sqlalchemy import Connection

from agents.ledger.checkpoints import newest_checkpoint
from config.catalog import Catalog
from config.messages import Message
from models.rules.specimen import Status
from models.views.custody_record import CustodyRecord
from models.views.custody_record_query import custody_record
from models.views.pages import OrderRow, SpecimenRow, bag, order, specimens_of_order
from station.auth.access import requires
from station.auth.audit import AuditTrail
from station.auth.roles import STAFF, acts_of
from station.auth.session import Session
from station.custody_report import words as custody_words
from station.pages.render import Page, page
from station.services import Station

NOTHING_IS_ADDED_TO = (Status.EXPECTED, Status.REJECTED, Status.MISSING, Status.DISPOSED)
"""Statuses of a tube on which no further test can be done."""


@get("/specimens/{accession:str}", access=requires(*STAFF, scope="specimen", read="specimen.read"))
async def specimen_page(
    request: Request[Any, Any, Any], accession: FromPath[str], session: Session, station: Station
) -> Page:
    """Everything on record of one specimen, in the order in which it happened."""

    def read(connection: Connection) -> CustodyRecord | None:
        checkpoint = newest_checkpoint(station.settings)
        return custody_record(connection, accession, station.clock(), station.catalog, checkpoint)

    record = await station.read(read)
    if record is None:
        raise NotFoundException(
            detail=Message("nothing is on record of this specimen: scan or type its number again")
        )
    sound = custody_words.sound(record)
    may_add = "specimen.test-added" in acts_of(session.role) and record.status not in NOTHING_IS_ADDED_TO
    work = {
        "accession": accession,
        "order": record.order,
        "addable": addable(record, station.catalog) if may_add and record.order else [],
    }
    return page(request, "specimen.html", record=record, custody=custody_words, sound=sound, work=work)


class Addable(Struct, frozen=True, kw_only=True):
    """A test that may be added. `fits`: it is done from this kind of tube."""

    code: str
    name: str
    fits: bool


def addable(record: CustodyRecord, catalog: Catalog) -> list[Addable]:
    """The catalog's tests that a tube does not have: those that are done from such a tube first."""
    found = [
        Addable(code=test.code, name=test.name, fits=test.container == record.container)
        for test in catalog.tests.values()
        if test.code not in record.tests
    ]
    return sorted(found, key=lambda one: (not one.fits, one.name))


class OrderTrail(Struct, frozen=True, kw_only=True):
    row: OrderRow | None
    specimens: list[SpecimenRow]


@get("/orders/{order_id:str}", access=requires(*STAFF, scope="order", read="order.read"))
async def order_trail(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    session: Session,
    station: Station,
    audit: NamedDependency[AuditTrail],
) -> Page:
    """An order with its specimens, as far as they are at the person's sites."""

    def read(connection: Connection) -> OrderTrail:
        return OrderTrail(row=order(connection, order_id), specimens=specimens_of_order(connection, order_id))

    found = await station.read(read)
    known = {one.site for one in (found.row, *found.specimens) if one is not None and one.site}
    if (found.row is None and not found.specimens) or not session.may_see(known):
        raise NotFoundException(detail=Message("no such order is on record at your sites: scan it again"))
    await audit.note(session.entry("order.read", station.clock(), order_id))
    return page(request, "order.html", order_id=order_id, found=found)


@get("/manifests/{manifest:str}", access=requires(*STAFF, scope="manifest", read="manifest.read"))
async def manifest_page(request: Request[Any, Any, Any], manifest: FromPath[str], station: Station) -> Page:
    """A bag with every tube that was ever on its manifest."""
    found = await station.read(bag, manifest)
    if found is None:
        raise NotFoundException(detail=Message("no such manifest is on record: scan or type its number again"))
    return page(request, "manifest.html", bag=found)


ROUTES = [specimen_page, order_trail, manifest_page]
