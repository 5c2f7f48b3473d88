"""A tube's label, printed again: through the print queue, with a reason. The old serial is void once the new is out.

The queue itself records `specimen.relabeled`, with the badge of who asked, when the printer says that the label is
out: a label that was only asked for voids nothing.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy import Connection

from agents.printing import label_job
from labels.errors import LabelError
from models.people.users import Role
from models.printing.jobs import Job, PrintJobError, labels_of, queue_again, queue_first, standing
from models.printing.label_facts import serials_read_back
from models.rules.specimen import Status
from models.views.pages import SpecimenRow
from station.auth.access import requires
from station.auth.session import Session
from station.languages.language import teller_of
from station.problems import Refusal
from station.services import Services, Station

STICKERS = (Role.MA, Role.LAB, Role.MANAGER)
"""Who may put a label on a tube."""


class Again(Struct, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class LabelState(Struct, frozen=True, kw_only=True):
    """A print of a label. `state` is the print queue's, `none` where nothing was ever printed here."""

    serial: str
    state: str
    printer: str = ""
    note: str = ""


class Unread(Struct, frozen=True, kw_only=True):
    """A tube whose label is still to be scanned back, and that label's serial."""

    accession: str
    container: str | None
    serial: str


def unread(connection: Connection, tubes: Sequence[SpecimenRow]) -> list[Unread]:
    """Of the tubes that have not left, those whose newest label nobody has scanned back from the tube."""
    found = []
    for tube in tubes:
        job = standing(connection, tube.accession) if tube.status in (Status.COLLECTED, Status.LABELED) else None
        scanned = serials_read_back(connection, tube.accession) if tube.status == Status.LABELED else set()
        not_read = tube.status == Status.LABELED and job is not None and job.serial not in scanned
        if tube.status == Status.COLLECTED or not_read:
            serial = job.serial if job else f"{tube.accession}-1"
            found.append(Unread(accession=tube.accession, container=tube.container, serial=serial))
    return found


def print_again(connection: Connection, station: Services, accession: str, badge: str, reason: str) -> Job:
    """Queue another label on the printer of the last one. Raises Refusal, which says what to do."""
    now_us, last = station.clock(), standing(connection, accession)
    printer = last.printer if last else station.settings.print_on_collection
    if not printer:
        raise Refusal(409, "no printer is set for labels: ask your administrator to set LABTRAIL_PRINT_ON_COLLECTION")
    try:
        new = label_job(connection, accession, printer, by=badge)
        made = queue_first(connection, new, now_us)
        return made or queue_again(connection, new, reason, now_us)
    except (LabelError, PrintJobError) as fault:
        raise Refusal(409, fault.message) from None


@post(
    "/labels/{accession:str}/again", access=requires(*STICKERS, scope="specimen", read="label.again"), status_code=200
)
async def post_again(
    accession: FromPath[str], data: JSONBody[Again], session: Session, station: Station
) -> LabelState:
    """Ask for a new label. 409: one is being printed, or there is no printer."""
    job = await station.write(print_again, station, accession, session.badge, data.reason)
    return LabelState(serial=job.serial, state=job.state, printer=job.printer)


@get("/labels/{accession:str}/newest", access=requires(*STICKERS, scope="specimen"))
async def get_newest(request: Request[Any, Any, Any], accession: FromPath[str], station: Station) -> LabelState:
    """The state of the newest label that was asked for."""
    jobs = await station.read(labels_of, accession)
    if not jobs:
        return LabelState(serial=f"{accession}-1", state="none")
    last = jobs[-1]
    return LabelState(serial=last.serial, state=last.state, printer=last.printer, note=teller_of(request)(last.note))


ROUTES = [post_again, get_newest]
