"""Signing in and out, enrolling a browser, breaking the glass."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct
from sqlalchemy import Connection

from models.people.audit import break_the_glass, note
from models.people.sessions import end_session
from models.rules.times import MINUTE_US, utc_text
from station.auth.access import public, requires
from station.auth.roles import STAFF
from station.auth.session import Session
from station.auth.sessions import Sessions
from station.auth.sign_in import Authenticator
from station.problems import Refusal
from station.services import Station

GLASS_MINUTES_MAX = 60


class SignIn(Struct, frozen=True, kw_only=True):
    """`role`: one of several that the person has; `site`: where they are, at a device that moves."""

    badge: Annotated[str, Meta(min_length=1, max_length=64, examples=["B2600001721"])]
    pin: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Literal["ma", "courier", "lab", "manager", "admin"] | None = None
    site: Annotated[str, Meta(max_length=128)] | None = None


class SessionView(Struct, frozen=True, kw_only=True):
    """The session, as pages see it. Times are UTC."""

    badge: str
    name: str
    role: str
    site: str
    sites: tuple[str, ...]
    device: int | None
    language: str
    expires_at: str | None
    break_glass_until: str | None


class DeviceToken(Struct, frozen=True):
    token: Annotated[str, Meta(min_length=20, max_length=100)]


class DeviceView(Struct, frozen=True):
    id: int
    name: str
    site: str


class BreakGlass(Struct, frozen=True):
    """Why what is not of one's own sites must be seen now; for how many minutes."""

    reason: Annotated[str, Meta(min_length=10, max_length=500)]
    minutes: Annotated[int, Meta(ge=1, le=GLASS_MINUTES_MAX)] = 15


def view(session: Session) -> SessionView:
    """What pages may know of a session."""
    return SessionView(
        badge=session.badge,
        name=session.name,
        role=session.role,
        site=session.site,
        sites=tuple(sorted(session.sites)),
        device=session.device,
        language=session.language,
        expires_at=utc_text(session.expires_us),
        break_glass_until=utc_text(session.break_glass_until_us),
    )


@post("/api/v1/session", access=public(), status_code=200, tags=["session"], summary="Sign in by badge and PIN")
async def post_session(
    request: Request[Any, Any, Any],
    sessions: NamedDependency[Sessions],
    authenticator: NamedDependency[Authenticator],
    data: JSONBody[SignIn],
) -> Response[SessionView]:
    """On an enrolled device only. Sets the session's cookie. 401: something is wrong; 429: wait."""
    device = await sessions.device_of(request)
    if device is None or device.kind != "station":
        raise Refusal(401, "this device is not enrolled: ask your manager to enroll it")
    token, session = await authenticator.sign_in(device, data.badge, data.pin, data.role, data.site)
    return Response(view(session), cookies=[sessions.cookie("session", token)])


@get("/api/v1/session", access=requires(touch=False), tags=["session"], summary="Who is signed in here")
async def get_session(session: Session) -> SessionView:
    """Asking does not prolong the session."""
    return view(session)


@post("/api/v1/session/touch", access=requires(), status_code=200, tags=["session"], summary="I am still here")
async def touch_session(session: Session) -> SessionView:
    """Prolongs the session: for pages on which a person works without asking the server."""
    return view(session)


@delete("/api/v1/session", access=requires(touch=False), tags=["session"], summary="Sign out")
async def delete_session(station: Station, session: Session, sessions: NamedDependency[Sessions]) -> Response[None]:
    """The session ends on the server: its cookie opens nothing any more."""

    def end(connection: Connection) -> None:
        end_session(connection, session.key, "signed out", station.clock())
        note(connection, [session.entry("sign-out", station.clock())])

    await station.write(end)
    gone = sessions.cookie("session", None)
    return Response(None, status_code=204, cookies=[gone], headers={"clear-site-data": '"cache"'})


@post("/api/v1/device", access=public(), status_code=200, tags=["session"], summary="Enroll this browser")
async def post_device(sessions: NamedDependency[Sessions], data: JSONBody[DeviceToken]) -> Response[DeviceView]:
    """With the token that `labtrail devices enroll` printed. Sets a cookie that scripts can't read."""
    device = await sessions.device(data.token)
    if device is None or device.kind != "station":
        raise Refusal(401, "that token enrolls nothing: ask for a new one")
    body = DeviceView(device.id, device.name, device.site)
    return Response(body, cookies=[sessions.cookie("device", data.token)])


@post(
    "/api/v1/break-glass",
    access=requires(*STAFF),
    status_code=200,
    tags=["session"],
    summary="See what is not of your sites, in an emergency",
)
async def post_break_glass(
    station: Station, session: Session, sessions: NamedDependency[Sessions], data: JSONBody[BreakGlass]
) -> SessionView:
    """For a limited time, with a reason; every look is audited, and the managers are told at once."""
    now_us = station.clock()
    until_us = now_us + data.minutes * MINUTE_US
    assert session.device is not None, "a person's session has a device"
    device = session.device

    def open_all(connection: Connection) -> None:
        break_the_glass(connection, session.key, session.badge, device, session.site, data.reason, now_us, until_us)
        note(connection, [session.entry("break-glass", now_us, "", data.reason)])

    await station.write(open_all)
    stored = await sessions.by_key(session.key)
    if stored is None:
        raise Refusal(401, "the session is over: sign in again")
    return view(stored)


ROUTES: Sequence[Any] = (
    post_session,
    get_session,
    touch_session,
    delete_session,
    post_device,
    post_break_glass,
)
