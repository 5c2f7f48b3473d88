"""Receive: the bag is opened at the lab, every tube scanned, accepted or rejected; nothing is received by default."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from config.messages import N_, Message
from models.people.users import Role
from models.rules.identifiers import MANIFEST, SPECIMEN, TOTE, is_identifier
from models.views.pages import Bag, SpecimenRow, bag, bag_of_tote, coming_bags, received_of_bag, specimen
from station.auth.access import requires
from station.auth.audit import AuditTrail
from station.auth.session import Session
from station.pages.render import Page, page
from station.services import Station

RECEIVERS = (Role.LAB, Role.COURIER, Role.MA, Role.MANAGER)
CONDITIONS = {
    "": N_("No remark"),
    "ROOM": N_("Room temperature"),
    "COOL": N_("Cool"),
    "FROZ": N_("Frozen"),
    "HEM": N_("Hemolyzed"),
    "CLOT": N_("Clotted"),
    "CON": N_("Contaminated"),
    "AUT": N_("Autolyzed"),
}
"""HL7 0493, the codes that a person at the bench can determine."""


class Scanned(Struct, frozen=True, kw_only=True):
    scanned: str


@get("/receive", access=requires(*RECEIVERS))
async def coming_page(request: Request[Any, Any, Any], session: Session, station: Station) -> Page:
    """The bags that are on their way here, and a field to scan the one at hand."""
    bags = await station.read(coming_bags, session.sites)
    return page(request, "receive.html", bags=bags)


@post("/receive", access=requires(*RECEIVERS), status_code=200)
async def which_bag(data: JSONBody[Scanned], station: Station) -> dict[str, str]:
    """Where to go on with a scanned tote, manifest or single tube."""
    code = data.scanned
    if is_identifier(code, MANIFEST):
        return {"path": f"/receive/{code}"}
    if is_identifier(code, TOTE):
        manifest = await station.read(bag_of_tote, code)
        if manifest is not None:
            return {"path": f"/receive/{manifest}"}
    raise NotFoundException(detail=Message("this is no bag: scan the tote or the manifest"))


@get("/receive/{manifest:str}", access=requires(*RECEIVERS))
async def bag_page(
    request: Request[Any, Any, Any],
    manifest: FromPath[str],
    session: Session,
    station: Station,
    anyway: FromQuery[bool] = False,
) -> Page:
    """One bag: what should be in it, each tube not yet checked until it is scanned.

    A bag that is bound for another site is in these hands all the same: the person is shown where it belongs,
    and may record (`anyway`) what they scan of it, since what happened is never refused. What else is in it, they see
    only where it is one of their sites'.
    """
    if manifest != "loose" and not is_identifier(manifest, MANIFEST):
        raise NotFoundException(detail=Message("no such manifest"))
    latest, hidden = await station.read(_opened, manifest, session)
    elsewhere = latest.destination if latest.destination not in (None, session.site) else None
    if elsewhere is not None and not anyway:
        return page(request, "receive_elsewhere.html", manifest=manifest, meant=elsewhere)
    work = {
        "manifest": None if manifest == "loose" else manifest,
        "destination": latest.destination,
        "elsewhere": elsewhere,
        "hidden": hidden,
        "here": session.site,
        "tubes": [
            {
                "accession": t.accession,
                "container": t.container,
                "priority": t.priority,
                "status": t.status,
                "received": t.received_us is not None,
                "current": t.current,
            }
            for t in latest.tubes
        ],
    }
    reasons = list(station.catalog.reject_reasons.values())
    return page(
        request, "receive_bag.html", bag=latest, work=work, reasons=reasons, conditions=CONDITIONS, meant=elsewhere
    )


def _opened(connection: Connection, manifest: str, session: Session) -> tuple[Bag, bool]:
    """The bag as the person may see it, and whether tubes of it are kept from them.

    The sites that it goes from and to decide whose it is. That one of its tubes was received here opens that tube's
    record, not the bag.
    """
    found = bag(connection, manifest)
    if found is None:
        return Bag(
            manifest=manifest,
            origin=None,
            destination=None,
            transport=None,
            tote=None,
            seal=None,
            courier=None,
            tubes=(),
        ), False
    if session.may_see({site for site in (found.origin, found.destination) if site}):
        return found, False
    received = received_of_bag(connection, manifest, session.sites)
    return replace(found, tubes=tuple(tube for tube in found.tubes if tube.accession in received)), True


class Facts(Struct, frozen=True, kw_only=True):
    """What is needed of a tube to receive, reject and ask for a new one."""

    known: bool
    status: str = ""
    manifest: str | None = None
    order: str | None = None
    patient: str | None = None
    tests: tuple[str, ...] = ()
    priority: str | None = None
    site: str | None = None
    container: str | None = None


@post("/receive/tube", access=requires(*RECEIVERS), status_code=200)
async def tube(
    data: JSONBody[Scanned], session: Session, station: Station, audit: NamedDependency[AuditTrail]
) -> Facts:
    """What is on record of a tube in hand: the person who holds it may know where it comes from."""

    def read(connection: Connection) -> SpecimenRow | None:
        return specimen(connection, data.scanned)

    if not is_identifier(data.scanned, SPECIMEN, station.settings.outside):
        raise NotFoundException(detail=Message("this is no tube"))
    row = await station.read(read)
    await audit.note(session.entry("specimen.read", station.clock(), data.scanned))
    if row is None:
        return Facts(known=False)
    return Facts(
        known=True,
        status=row.status,
        manifest=row.manifest,
        order=row.order_id,
        patient=row.patient,
        tests=row.tests,
        priority=row.priority,
        site=row.site,
        container=row.container,
    )


ROUTES = [coming_page, which_bag, bag_page, tube]
