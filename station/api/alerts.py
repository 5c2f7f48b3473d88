"""Alerts: what is open, acknowledging it, and the stream that notifies screens of changes."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.response import ServerSentEvent
from sqlalchemy import Connection

from models.alerts.sweep import acknowledge
from models.people.audit import Glass, glass_rows, note, review_glass
from models.people.users import Role
from models.views.api_lists import AlertView, alert_view, alert_views
from station.api.live import Board
from station.auth.access import api, requires
from station.auth.roles import STAFF
from station.auth.session import Session
from station.auth.sessions import Sessions
from station.problems import Refusal
from station.services import Station

OPEN_NAME = "api"
"""Who acknowledged, where the API asks for no sign-in."""


@get("/api/v1/alerts", access=api(*STAFF, scope="site"), tags=["alerts"], summary="Open alerts")
async def get_alerts(
    station: Station,
    session: Session,
    site: Annotated[str | None, QueryParameter(description="Only this site's.", max_length=128)] = None,
    kind: Annotated[str | None, QueryParameter(description="Only of this kind.", max_length=64)] = None,
    after: Annotated[int, QueryParameter(description="Only those with a higher number.", ge=0, le=2**53)] = 0,
    limit: Annotated[int, QueryParameter(description="At most so many.", ge=1, le=5000)] = 1000,
) -> list[AlertView]:
    """Of your sites, and those of no site, by number. The sweep finds new ones every few seconds."""
    sites = sorted(session.sites) if site is None else [site]
    return await station.read(alert_views, sites, kind=kind, after=after, limit=limit)


@post(
    "/api/v1/alerts/{alert:str}/acknowledge",
    access=api(*STAFF, scope="alert"),
    status_code=200,
    tags=["alerts"],
    summary="Take an alert on",
)
async def post_acknowledge(
    station: Station, session: Session, alert: Annotated[str, PathParameter(description="The alert's number.")]
) -> AlertView:
    """The first one stands: it says who takes care of it. It resolves by itself when its cause is gone."""
    if not alert.isdecimal() or len(alert) > 18:
        raise Refusal(404, "{text!r} is no alert's number: see GET /api/v1/alerts", text=alert)
    by = session.badge or session.name or OPEN_NAME
    row = await station.run(acknowledge, station.engine, int(alert), by, station.clock())
    if row is None:
        raise Refusal(404, "alert {n} is not open: it is resolved, or there is none with this number", n=alert)
    return alert_view(row)


@get(
    "/api/v1/live",
    access=requires(*STAFF, touch=False),
    tags=["alerts"],
    summary="Changes, as server-sent events",
    media_type="text/event-stream",
)
async def get_live(
    session: Session, sessions: NamedDependency[Sessions], board: NamedDependency[Board]
) -> ServerSentEvent:
    """`changed` with the new counts; comments between keep it open; `over` when the session has ended."""
    board.admit()

    async def still() -> bool:
        return await sessions.by_key(session.key) is not None

    return ServerSentEvent(board.follow(still))


@get(
    "/api/v1/break-glass",
    access=requires(Role.MANAGER, Role.ADMIN),
    tags=["session"],
    summary="Emergency access to review",
)
async def get_break_glass(station: Station) -> list[Glass]:
    """Those that no manager has looked at yet, the newest first."""
    return await station.read(glass_rows, unreviewed=True)


@post(
    "/api/v1/break-glass/{number:int}/review",
    access=requires(Role.MANAGER, Role.ADMIN),
    status_code=200,
    tags=["session"],
    summary="An emergency access was looked at",
)
async def post_review(station: Station, session: Session, number: FromPath[int]) -> dict[str, int]:
    """Not one's own."""
    now_us = station.clock()

    def review(connection: Connection) -> bool:
        note(connection, [session.entry("break-glass review", now_us, str(number))])
        return review_glass(connection, number, session.badge, now_us)

    if not 0 < number < 2**53 or not await station.write(review):
        raise Refusal(404, "there is none such to review, or it is your own")
    return {"id": number}


ROUTES: Sequence[Any] = (get_alerts, post_acknowledge, get_live, get_break_glass, post_review)
