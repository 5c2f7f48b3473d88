"""One specimen's timeline on one page, with the ledger's proof; and the pages of an order and a bag."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from msgspec import Struct
from sqlalchemy import Connection

from agents.ledger.checkpoints import newest_checkpoint
from config.messages import Message
from models.views.custody_record import CustodyRecord
from models.views.custody_record_query import custody_record
from models.views.pages import OrderRow, SpecimenRow, bag, order, specimens_of_order
from station.auth.access import requires
from station.auth.audit import AuditTrail
from station.auth.roles import STAFF
from station.auth.session import Session
from station.custody_report import words as custody_words
from station.pages.render import Page, page
from station.services import Station


@get("/specimens/{accession:str}", access=requires(*STAFF, scope="specimen", read="specimen.read"))
async def specimen_page(request: Request[Any, Any, Any], accession: FromPath[str], station: Station) -> Page:
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
    return page(request, "specimen.html", record=record, custody=custody_words, sound=sound)


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
