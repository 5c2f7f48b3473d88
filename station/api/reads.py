"""Reading: specimens with their custody, manifests, stock, labels."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from litestar import Response, get
from litestar.params import FromPath, PathParameter, QueryParameter
from sqlalchemy import Connection

from agents.ledger.checkpoints import newest_checkpoint
from agents.printing import keys_of
from labels.drawing.render import Format, render
from labels.errors import LabelError
from labels.of_specimen import label_of
from models.people.patients import PatientError
from models.people.users import Role
from models.views.api import ManifestView, SpecimenView, manifest_view, specimen_view
from models.views.api_lists import LevelView, OrderView, StockView, level_view, order_views, stock_views
from models.views.board import stock_rows
from models.views.custody_record import CustodyRecord
from models.views.custody_record_query import custody_record
from station.auth.access import api, without_ending
from station.auth.roles import STAFF
from station.auth.session import Session
from station.custody_report.pdf import custody_pdf
from station.problems import Refusal
from station.services import Station

MEDIA = {"png": "image/png", "pdf": "application/pdf", "zpl": "application/zpl"}
READERS = (Role.MA, Role.LAB, Role.MANAGER)


@get(
    "/api/v1/specimens/{accession:str}",
    access=api(*STAFF, scope="specimen", read="specimen.read"),
    tags=["specimens"],
    summary="How a specimen stands",
)
async def get_specimen(station: Station, accession: FromPath[str]) -> SpecimenView:
    """Status, custodian, times, legs, results, and its discrepancies with what to do about each."""
    found = await station.read(specimen_view, accession)
    if found is None:
        raise _not_on_record(accession)
    return found


@get(
    "/api/v1/specimens/{accession:str}/custody",
    access=api(*READERS, scope="specimen", read="custody.read"),
    tags=["specimens"],
    summary="The chain of custody with its proofs",
)
async def get_custody(station: Station, accession: FromPath[str]) -> CustodyRecord:
    """What `labtrail custody --format json` gives: every event with its hash link and its proof in the ledger."""
    return await _custody(station, accession)


@get(
    "/api/v1/specimens/{accession:str}/custody.pdf",
    access=api(*READERS, scope="specimen", read="custody.read"),
    tags=["specimens"],
    summary="The chain of custody as a PDF",
    media_type="application/pdf",
)
async def get_custody_pdf(station: Station, accession: FromPath[str]) -> Response[bytes]:
    """The report that `labtrail custody --format pdf` gives."""
    content = await station.run(custody_pdf, await _custody(station, accession))
    name = f'inline; filename="custody-{accession}.pdf"'
    return Response(content, media_type="application/pdf", headers={"content-disposition": name})


async def _custody(station: Station, accession: str) -> CustodyRecord:
    def read(connection: Connection) -> CustodyRecord | None:
        checkpoint = newest_checkpoint(station.settings)
        return custody_record(connection, accession, station.clock(), station.catalog, checkpoint)

    found = await station.read(read)
    if found is None:
        raise _not_on_record(accession)
    return found


@get(
    "/api/v1/manifests/{manifest:str}",
    access=api(*STAFF, scope="manifest", read="manifest.read"),
    tags=["manifests"],
    summary="A manifest with its tubes",
)
async def get_manifest(station: Station, manifest: FromPath[str]) -> ManifestView:
    """Every tube that was dispatched, picked up or received under this number."""
    found = await station.read(manifest_view, manifest)
    if found is None:
        raise Refusal(404, "no manifest {number!r} is on record: scan or type its number again", number=manifest)
    return found


@get("/api/v1/stock", access=api(*READERS, scope="site"), tags=["stock"], summary="Stock on hand by site, item, lot")
async def get_stock(
    station: Station,
    session: Session,
    site: Annotated[str | None, QueryParameter(description="Only this site.", max_length=128)] = None,
    item: Annotated[str | None, QueryParameter(description="Only this item.", max_length=128)] = None,
) -> list[StockView]:
    """The rows of `labtrail export stock`, for your sites, with what of each can be used."""
    sites = sorted(session.sites) if site is None else [site]
    return await station.read(stock_views, station.catalog, sites, item, station.clock())


@get("/api/v1/stock/items", access=api(*READERS, scope="site"), tags=["stock"], summary="What can be used, and comes")
async def get_stock_items(
    station: Station,
    session: Session,
    site: Annotated[str | None, QueryParameter(description="Only this site.", max_length=128)] = None,
) -> list[LevelView]:
    """By site and item: on hand, usable, on order, overdue, and whether to order. What to order comes first."""
    sites = sorted(session.sites) if site is None else [site]
    policy = station.settings.policy
    rows = await station.read(stock_rows, station.catalog, policy, sites, station.clock())
    return [level_view(row) for row in rows]


@get("/api/v1/orders", access=api(*READERS, scope="site"), tags=["orders"], summary="Orders with their open tests")
async def get_orders(
    station: Station,
    session: Session,
    site: Annotated[str | None, QueryParameter(description="Only this site's.", max_length=128)] = None,
    waiting: Annotated[bool, QueryParameter(description="Only those that wait for a tube.")] = False,
    after: Annotated[str, QueryParameter(description="Only those with a higher number.", max_length=128)] = "",
) -> list[OrderView]:
    """Of your sites, and those of no site, by number; the next with `after` = the last number."""
    sites = sorted(session.sites) if site is None else [site]
    return await station.read(order_views, sites, order=None, waiting=waiting, after=after)


@get(
    "/api/v1/orders/{order_id:str}",
    access=api(*READERS, scope="order", read="order.read"),
    tags=["orders"],
    summary="An order with its open tests",
)
async def get_order(station: Station, order_id: FromPath[str]) -> OrderView:
    """In any spelling of its number. Open tests wait for a tube, recollections too."""
    found = await station.read(order_views, (), order=order_id, waiting=False, after="")
    if not found:
        raise Refusal(404, "no order {number!r} is on record: scan or type its number again", number=order_id)
    return found[0]


@get(
    "/api/v1/labels/{accession:str}",
    access=api(*READERS, scope="specimen", read="label.read"),
    tags=["labels"],
    summary="A specimen's label: ACCESSION.png, .pdf or .zpl",
    media_type="application/octet-stream",
)
async def get_label(
    station: Station,
    accession: Annotated[
        str, PathParameter(description="The accession and the form: `S2600012334.png`, `.pdf` or `.zpl`.")
    ],
    dpi: Annotated[int, QueryParameter(description="Dots per inch of the printer.", ge=203, le=600)] = 203,
) -> Response[bytes]:
    """The label as it would be printed, read back before it is given out. It counts as a look, not as a print."""
    number, form = without_ending(accession), accession.rpartition(".")[2]
    if form not in MEDIA or number == accession:
        raise Refusal(404, "ask for ACCESSION.png, ACCESSION.pdf or ACCESSION.zpl")
    if dpi not in (203, 300, 600):
        raise Refusal(400, "dpi is 203, 300 or 600")

    # where the API is open, a label shows the opaque reference: nobody knows who is asking
    keys = None if station.settings.api_is_open else keys_of(station.settings)

    def draw(connection: Connection) -> bytes:
        return render(label_of(connection, number, station.catalog, keys=keys), cast(Format, form), dpi)

    try:
        content = await station.read(draw)
    except LabelError as fault:
        raise Refusal(404, fault.message) from fault
    except PatientError as fault:
        raise Refusal(500, fault.message) from fault
    name = f'inline; filename="{number}.{form}"'
    return Response(content, media_type=MEDIA[form], headers={"content-disposition": name})


def _not_on_record(accession: str) -> Refusal:
    return Refusal(404, "no specimen {number!r} is on record: scan or type its number again", number=accession)


ROUTES: Sequence[Any] = (
    get_specimen,
    get_custody,
    get_custody_pdf,
    get_manifest,
    get_stock,
    get_stock_items,
    get_orders,
    get_order,
    get_label,
)
