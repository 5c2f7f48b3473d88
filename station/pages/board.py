"""The managers' board: where every specimen is, how old, what is late or at risk, alerts, stock. Live."""

from typing import Any
from urllib.parse import quote

from litestar import Request, get, post
from litestar.params import FromQuery, JSONBody
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from config.catalog import Catalog
from config.foreign_texts import recognized
from models.alerts.notifications import alerting
from models.people.audit import OTHER_CODE, NearMiss, near_miss_rows
from models.people.users import Role
from models.rules.deadlines import AlertKind
from models.rules.specimen import Status
from models.views.board import AGE_HOURS, AlertRow, StockRow, Waiting, ageing, find, flow, open_alerts, stock_rows
from models.views.pages import discrepancy_counts
from station.auth.access import requires
from station.auth.session import Session
from station.pages.charts import Bar, age_bars, cover_bars, flow_bars
from station.pages.notices import Notices, notices
from station.pages.render import Page, page, today_at
from station.pages.supplies.shelf import site_of
from station.services import Station

STATUSES = tuple(one for one in Status if one not in (Status.EXPECTED, Status.DISPOSED))
LATE = (
    AlertKind.UNCOLLECTED_ORDER,
    AlertKind.OVERDUE_STEP,
    AlertKind.OVERDUE_RESULT,
    AlertKind.STABILITY_AT_RISK,
    AlertKind.MISSING_SPECIMEN,
    AlertKind.CRITICAL_UNACKNOWLEDGED,
    AlertKind.UNJUDGED_RESULT,
)
NEAR_MISSES_SHOWN = 20
STOCK_SHOWN = 24


class BoardView(Struct, frozen=True, kw_only=True):
    counts: dict[str, int]
    alerts: list[AlertRow]
    notices: Notices
    late: dict[str, int]
    waiting: list[Waiting]
    stock: list[StockRow]
    discrepancies: list[tuple[str, int]]
    near_misses: list[NearMiss]
    flow_bars: list[Bar]
    age_bars: list[Bar]
    cover_bars: list[Bar]


def _view(connection: Connection, sites: list[str], station: Station) -> BoardView:
    now_us, policy, catalog = station.clock(), station.settings.policy, station.catalog
    moving = flow(connection, sites)
    waiting = ageing(connection, sites, now_us)
    stock = stock_rows(connection, catalog, policy, sites, now_us)
    alerts = open_alerts(connection, sites)
    counts: dict[str, int] = {
        status: sum(n for (_, one), n in moving.items() if one == status) for status in STATUSES
    }
    return BoardView(
        counts=counts,
        alerts=alerts,
        notices=notices(alerting(connection, now_us), alerts, sites, now_us),
        late={kind: sum(a.kind == kind for a in alerts) for kind in LATE},
        waiting=waiting,
        stock=stock[:STOCK_SHOWN],
        discrepancies=discrepancy_counts(connection, sites),
        near_misses=[_near_miss(one) for one in near_miss_rows(connection, sites, NEAR_MISSES_SHOWN)],
        flow_bars=flow_bars(moving, [s for s in catalog.sites if s in sites], STATUSES[:7]),
        age_bars=age_bars(waiting),
        cover_bars=cover_bars(stock[:STOCK_SHOWN]),
    )


def _near_miss(one: NearMiss) -> NearMiss:
    """With the placeholder for other codes as a message: only its English is stored."""
    expected, scanned = recognized(one.expected, (OTHER_CODE,)), recognized(one.scanned, (OTHER_CODE,))
    return replace(one, expected=expected, scanned=scanned)


async def _board(
    request: Request[Any, Any, Any], template: str, session: Session, station: Station, site: str
) -> Page:
    sites = [site_of(session, site)] if site else sorted(session.sites)
    view = await station.read(_view, sites, station)
    return page(
        request,
        template,
        view=view,
        sites=sorted(session.sites),
        site=site,
        statuses=STATUSES,
        ages=AGE_HOURS,
        today=today_at(station, session.site),
        target=target,
    )


@get("/board", access=requires(Role.MANAGER, Role.ADMIN, scope="site"))
async def board_page(
    request: Request[Any, Any, Any], session: Session, station: Station, site: FromQuery[str] = ""
) -> Page:
    """The whole board."""
    return await _board(request, "board.html", session, station, site)


@get("/board/inside", access=requires(Role.MANAGER, Role.ADMIN, scope="site", touch=False))
async def board_inside(
    request: Request[Any, Any, Any], session: Session, station: Station, site: FromQuery[str] = ""
) -> Page:
    """Its inside, for a refresh. The board refreshes automatically, so this does not keep a session alive."""
    return await _board(request, "board_inside.html", session, station, site)


def target(alert: AlertRow, catalog: Catalog) -> str:
    """The page of what an alert is about."""
    if alert.accession:
        return f"/specimens/{alert.accession}"
    if alert.kind == AlertKind.UNCOLLECTED_ORDER:
        return f"/orders/{quote(alert.subject, safe='')}"
    parts = alert.subject.split("/", 1 if alert.kind == AlertKind.RECALLED_STOCK and alert.site is None else 2)
    if len(parts) > 1 and parts[-2] in catalog.supplies:
        return f"/lots/{parts[-2]}/{quote(parts[-1], safe='')}"
    return f"/supplies?site={parts[0]}" if parts[0] in catalog.sites else "/board"


class Code(Struct, frozen=True, kw_only=True):
    code: str


@get("/find", access=requires())
async def find_page(request: Request[Any, Any, Any]) -> Page:
    return page(request, "find.html")


@post("/find", access=requires(), status_code=200)
async def find_code(data: JSONBody[Code], station: Station) -> dict[str, str | None]:
    """The page for a scanned code; null when there is none. That page checks who may see it."""
    return {"path": await station.read(find, data.code.strip()[:200])}


ROUTES = [board_page, board_inside, find_page, find_code]
