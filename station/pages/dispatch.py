"""Dispatch: tubes into a bag, each scanned; the bag's manifest grows until the courier takes it."""

from typing import Any, Literal

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from config.messages import N_, Message
from labels.drawing.manifest import manifest_pdf
from labels.errors import LabelError
from labels.of_manifest import manifest_of
from models.people.users import Role
from models.printing.serials import allocate
from models.rules.calendars import day_at, zone_of
from models.rules.identifiers import MANIFEST, SPECIMEN, TOTE, is_identifier
from models.rules.specimen import Status
from models.views.pages import Bag, SpecimenRow, bag, open_bags, specimen, waiting_for_dispatch
from station.auth.access import requires
from station.auth.session import Session
from station.pages.render import Page, page
from station.problems import Refusal
from station.services import Station

SENDERS = (Role.MA, Role.LAB, Role.MANAGER)
TRANSPORTS = ("ambient", "refrigerated", "frozen")
BAG_TUBES_MAX = 60
"""As many 4 mL tubes as a courier's secondary container holds without stacking."""
Transport = Literal["ambient", "refrigerated", "frozen"]


class NewBag(Struct, frozen=True, kw_only=True):
    destination: str
    transport: Transport
    tote: str = ""
    seal: str = ""


class TubeQuestion(Struct, frozen=True, kw_only=True):
    manifest: str
    scanned: str


class TubeAnswer(Struct, frozen=True, kw_only=True):
    """Whether a tube may go into this bag. `fault` empty: yes; `stop`: a red page; else a word of warning."""

    fault: str = ""
    stop: bool = False
    status: str = ""
    container: str = ""
    priority: str = ""
    manifest: str = ""


def judge_tube(row: SpecimenRow | None, manifest: str) -> TubeAnswer:
    """Why the tube may not go into the bag; no fault if it may. Events that are only late do not stop it."""
    if row is None:
        return TubeAnswer(fault=N_("Nothing is on record of this tube"))
    answer = TubeAnswer(status=row.status, container=row.container or "", priority=row.priority or "")
    if row.status == Status.DISPATCHED and row.manifest == manifest:
        return replace(answer, fault=N_("This tube is already in this bag"), manifest=manifest)
    if row.status == Status.DISPATCHED:
        return replace(answer, fault=N_("This tube is in another bag"), stop=True, manifest=row.manifest or "")
    if row.status in (Status.REJECTED, Status.MISSING, Status.DISPOSED):
        return replace(answer, fault=N_("This tube must not travel"), stop=True)
    if row.status == Status.COLLECTED:
        return replace(answer, fault=N_("This tube's label was not scanned back"), stop=True)
    return answer


@get("/dispatch", access=requires(*SENDERS))
async def waiting_page(request: Request[Any, Any, Any], session: Session, station: Station) -> Page:
    """The tubes to send from here, the bags that wait for the courier, and a new bag."""

    def read(connection: Connection) -> tuple[list[SpecimenRow], list[Bag]]:
        return waiting_for_dispatch(connection, session.sites), open_bags(connection, session.sites)

    tubes, bags = await station.read(read)
    routes = [to for start, to in station.catalog.routes if start == session.site]
    targets = routes or [site for site in station.catalog.sites if site != session.site]
    return page(request, "dispatch.html", tubes=tubes, bags=bags, targets=targets, transports=TRANSPORTS)


@post("/dispatch", access=requires(*SENDERS), status_code=200)
async def new_bag(data: JSONBody[NewBag], session: Session, station: Station) -> dict[str, str]:
    """A manifest number for a new bag, and a tote number where none was scanned; where to go on."""
    if data.destination not in station.catalog.sites:
        raise NotFoundException(detail=Message("no such site in the catalog"))
    year = day_at(station.clock(), zone_of(session.site, station.catalog)).year
    digits = station.settings.serial_digits
    manifest = (await station.write(allocate, MANIFEST, year, 1, digits))[0]
    tote = data.tote if is_identifier(data.tote, TOTE) else (await station.write(allocate, TOTE, year, 1, digits))[0]
    seal = "".join(sign for sign in data.seal if sign.isalnum() or sign in "-_")[:40]
    query = f"to={data.destination}&transport={data.transport}&tote={tote}" + (f"&seal={seal}" if seal else "")
    return {"path": f"/dispatch/{manifest}?{query}"}


@get("/dispatch/{manifest:str}", access=requires(*SENDERS, scope="manifest"))
async def bag_page(
    request: Request[Any, Any, Any],
    manifest: FromPath[str],
    session: Session,
    station: Station,
    to: FromQuery[str] = "",
    transport: FromQuery[Transport] = "ambient",
    tote: FromQuery[str] = "",
    seal: FromQuery[str] = "",
) -> Page | Redirect:
    """One bag. Its details come from its tubes' events; before the first tube, from the address."""
    if not is_identifier(manifest, MANIFEST):
        raise NotFoundException(detail=Message("no such manifest"))
    known = await station.read(bag, manifest)
    if known is None and to not in station.catalog.sites:
        return Redirect("/dispatch", status_code=303)
    latest = known or Bag(
        manifest=manifest,
        origin=session.site,
        destination=to,
        transport=transport,
        tote=tote if is_identifier(tote, TOTE) else None,
        seal=seal[:40] or None,
        courier=None,
        tubes=(),
    )
    work = {
        "manifest": manifest,
        "destination": latest.destination,
        "transport": latest.transport or "ambient",
        "tote": latest.tote,
        "seal": latest.seal,
        "capacity": BAG_TUBES_MAX,
        "closed": latest.picked_up,
        "tubes": [t.accession for t in latest.tubes if t.current],
    }
    return page(request, "dispatch_bag.html", bag=latest, work=work)


@post("/dispatch/tube", access=requires(*SENDERS), status_code=200)
async def check_tube(data: JSONBody[TubeQuestion], station: Station) -> TubeAnswer:
    """Whether a scanned tube may go into this bag."""
    if not is_identifier(data.scanned, SPECIMEN, station.settings.outside):
        return TubeAnswer(fault=N_("This is no tube"), stop=False)
    answer = judge_tube(await station.read(specimen, data.scanned), data.manifest)
    kind = station.catalog.containers.get(answer.container)
    return replace(answer, container=kind.name) if kind else answer


@get(
    "/manifests/{manifest:str}/print.pdf",
    access=requires(*SENDERS, Role.COURIER, scope="manifest", read="manifest.read"),
)
async def print_manifest(manifest: FromPath[str], station: Station) -> Response[bytes]:
    """The paper that goes with the bag: numbers and bars, no names."""
    try:
        found = await station.read(manifest_of, manifest, station.catalog, station.clock())
        content = await station.run(manifest_pdf, found)
    except LabelError as fault:
        raise Refusal(404, fault.message) from fault
    headers = {"Content-Disposition": f'inline; filename="{manifest}.pdf"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/pdf", headers=headers)


ROUTES = [waiting_page, new_bag, bag_page, check_tube, print_manifest]
