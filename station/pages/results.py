"""Results by hand: values with a critical check, read-back, corrections that show both values."""

from typing import Any

from litestar import Request, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from msgspec import Struct
from sqlalchemy import Connection

from config.messages import Message
from models.people.users import Role
from models.rules.judging import Critical, doubt, judge
from models.views.pages import Outstanding, SpecimenRow, parent_of, results_of, specimen, waiting_for_results
from models.views.result_reports import Report, reports_of
from station.auth.access import requires
from station.auth.session import Session
from station.languages.language import teller_of
from station.pages.render import Page, page
from station.services import Station

FLAGS = ("normal", "low", "high", "abnormal", "critical-low", "critical-high", "critical")
STATUSES = ("preliminary", "final", "corrected", "cancelled")
REPORTERS = (Role.LAB, Role.MANAGER)


class Value(Struct, frozen=True, kw_only=True):
    test: str
    value: str
    unit: str = ""
    flag: str = ""


class Judgement(Struct, frozen=True, kw_only=True):
    """Whether a value is critical, and of an unjudged one why it can't be told, in the reader's language."""

    critical: Critical
    why: str = ""


class ResultsView(Struct, frozen=True, kw_only=True):
    row: SpecimenRow
    tests: list[Outstanding]
    reports: dict[str, list[Report]]
    parent: str | None
    """The tube that it was poured from."""


@get("/results", access=requires(*REPORTERS))
async def waiting_page(request: Request[Any, Any, Any], session: Session, station: Station) -> Page:
    """The tubes in the lab whose results are incomplete."""
    return page(request, "results.html", tubes=await station.read(waiting_for_results, session.sites))


@get("/results/{accession:str}", access=requires(*REPORTERS, Role.MA, scope="specimen", read="specimen.read"))
async def tube_page(request: Request[Any, Any, Any], accession: FromPath[str], station: Station) -> Page:
    """One tube's tests: what is reported, and a form for what is not."""

    def read(connection: Connection) -> ResultsView | None:
        row = specimen(connection, accession)
        if row is None:
            return None
        reports = reports_of(connection, accession, station.catalog, station.settings.policy)
        parent = parent_of(connection, accession)
        return ResultsView(row=row, tests=results_of(connection, row), reports=reports, parent=parent)

    view = await station.read(read)
    if view is None:
        raise NotFoundException(detail=Message("no such tube is on record: scan it again"))
    work = {"accession": accession}
    limits = station.catalog.critical_values
    return page(request, "results_tube.html", view=view, work=work, flags=FLAGS, limits=limits)


@post("/results/check", access=requires(*REPORTERS), status_code=200)
async def check(request: Request[Any, Any, Any], data: JSONBody[Value], station: Station) -> Judgement:
    """Whether a value is critical, by its flag or by the catalog's limits."""
    critical = judge(data.test, data.value, data.unit or None, data.flag or None, station.catalog)
    if critical != Critical.UNJUDGED:
        return Judgement(critical=critical)
    why = doubt(data.test, data.value, data.unit or None, station.catalog)
    return Judgement(critical=critical, why=teller_of(request)(why))


ROUTES = [waiting_page, tube_page, check]
