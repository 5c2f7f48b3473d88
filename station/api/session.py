"""Signing in and out, enrolling a browser, breaking the glass, near misses, new numbers: what pages ask for."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta, Struct
from sqlalchemy import Connection

from models.database.state_tables import orders, specimens
from models.people.audit import NearMiss, break_the_glass, note, record_near_miss
from models.people.sessions import end_session
from models.printing.serials import allocate
from models.rules.identifiers import BADGE, MANIFEST, SPECIMEN, TOTE, is_identifier
from models.rules.times import MINUTE_US, moment_of, utc_text
from station.auth.access import Session, public, requires
from station.auth.sign_in import sign_in
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


class NewNearMiss(Struct, frozen=True, kw_only=True):
    """A wrong match that was caught. `overridden`: the person went on deliberately, for `reason`."""

    kind: Literal["patient", "order", "tube", "label", "lot", "manifest", "tote"]
    expected: Annotated[str, Meta(max_length=128)]
    scanned: Annotated[str, Meta(max_length=512)]
    accession: Annotated[str, Meta(max_length=128)] = ""
    order: Annotated[str, Meta(max_length=128)] = ""
    overridden: bool = False
    reason: Annotated[str, Meta(max_length=500)] = ""


class Noted(Struct, frozen=True):
    id: int


class NewNumbers(Struct, frozen=True):
    """New identifiers: `S` specimen, `M` manifest, `T` tote."""

    kind: Literal["S", "M", "T"]
    count: Annotated[int, Meta(ge=1, le=200)] = 1


class Numbers(Struct, frozen=True):
    numbers: tuple[str, ...]


def view(session: Session) -> SessionView:
    """What pages may know of a session."""
    return SessionView(
        badge=session.badge, name=session.name, role=session.role, site=session.site,
        sites=tuple(sorted(session.sites)), device=session.device, language=session.language,
        expires_at=utc_text(session.expires_us), break_glass_until=utc_text(session.break_glass_until_us),
    )  # fmt: skip


@post("/api/v1/session", access=public(), status_code=200, tags=["session"], summary="Sign in by badge and PIN")
async def post_session(
    request: Request[Any, Any, Any], station: Station, data: JSONBody[SignIn]
) -> Response[SessionView]:
    """On an enrolled device only. Sets the session's cookie. 401: something is wrong; 429: wait."""
    device = await station.sessions.device_of(request)
    if device is None or device.kind != "station":
        raise Refusal(401, "this device is not enrolled: ask your manager to enroll it")
    token, session = await sign_in(station, device, data.badge, data.pin, data.role, data.site)
    return Response(view(session), cookies=[station.sessions.cookie("session", token)])


@get("/api/v1/session", access=requires(touch=False), tags=["session"], summary="Who is signed in here")
async def get_session(session: Session) -> SessionView:
    """Asking does not prolong the session."""
    return view(session)


@post("/api/v1/session/touch", access=requires(), status_code=200, tags=["session"], summary="I am still here")
async def touch_session(session: Session) -> SessionView:
    """Prolongs the session: for pages on which a person works without asking the server."""
    return view(session)


@delete("/api/v1/session", access=requires(touch=False), tags=["session"], summary="Sign out")
async def delete_session(station: Station, session: Session) -> Response[None]:
    """The session ends on the server: its cookie opens nothing any more."""

    def end(connection: Connection) -> None:
        end_session(connection, session.key, "signed out", station.clock())
        note(connection, [session.entry("sign-out", station.clock())])

    await station.write(end)
    gone = station.sessions.cookie("session", None)
    return Response(None, status_code=204, cookies=[gone], headers={"clear-site-data": '"cache"'})


@post("/api/v1/device", access=public(), status_code=200, tags=["session"], summary="Enroll this browser")
async def post_device(station: Station, data: JSONBody[DeviceToken]) -> Response[DeviceView]:
    """With the token that `labtrail devices enroll` printed. Sets a cookie that scripts can't read."""
    device = await station.sessions.device(data.token)
    if device is None or device.kind != "station":
        raise Refusal(401, "that token enrolls nothing: ask for a new one")
    body = DeviceView(device.id, device.name, device.site)
    return Response(body, cookies=[station.sessions.cookie("device", data.token)])


@post("/api/v1/break-glass", access=requires("ma", "courier", "lab", "manager"), status_code=200, tags=["session"],
      summary="See what is not of your sites, in an emergency")  # fmt: skip
async def post_break_glass(station: Station, session: Session, data: JSONBody[BreakGlass]) -> SessionView:
    """For a limited time, with a reason; every look is audited, and the managers are told at once."""
    now_us = station.clock()
    until_us = now_us + data.minutes * MINUTE_US
    assert session.device is not None, "a person's session has a device"
    device = session.device

    def open_all(connection: Connection) -> None:
        break_the_glass(connection, session.key, session.badge, device, session.site, data.reason, now_us, until_us)
        note(connection, [session.entry("break-glass", now_us, "", data.reason)])

    await station.write(open_all)
    stored = await station.sessions.by_key(session.key)
    if stored is None:
        raise Refusal(401, "the session is over: sign in again")
    return view(stored)


@post("/api/v1/near-misses", access=requires("ma", "courier", "lab", "manager"), tags=["near misses"],
      summary="A wrong match that was caught")  # fmt: skip
async def post_near_miss(station: Station, session: Session, data: JSONBody[NewNearMiss]) -> Noted:
    """What was scanned is kept only where it is one of our own codes: another may be a patient's number."""
    if data.overridden and not data.reason.strip():
        raise Refusal(422, "going on after a mismatch needs a reason: write it down")
    assert session.device is not None, "a person's session has a device"
    device = session.device

    def record(connection: Connection) -> int:
        return record_near_miss(
            connection,
            NearMiss(
                time_us=station.clock(), badge=session.badge, device_id=device, site=session.site, kind=data.kind,
                accession=_opaque(connection, data.accession), order_id=_opaque(connection, data.order),
                expected=_opaque(connection, data.expected), scanned=_opaque(connection, data.scanned),
                overridden=data.overridden, reason=data.reason,
            ),
        )  # fmt: skip

    return Noted(await station.write(record))


def _opaque(connection: Connection, code: str) -> str:
    """A code as it may be kept: ours, or an order or patient reference on record; else only its length."""
    if not code or any(is_identifier(code, kind) for kind in (SPECIMEN, MANIFEST, TOTE, BADGE)):
        return code
    for column in (orders.c.order_id, orders.c.patient, specimens.c.accession, specimens.c.patient):
        if connection.execute(column.table.select().where(column == code).limit(1)).first() is not None:
            return code
    return f"(another code, {len(code)} characters)"


@post("/api/v1/numbers", access=requires("ma", "lab", "manager"), status_code=200, tags=["numbers"],
      summary="New specimen, manifest and tote numbers")  # fmt: skip
async def post_numbers(station: Station, data: JSONBody[NewNumbers]) -> Numbers:
    """In rising order; nobody else gets them."""
    year, digits = moment_of(station.clock()).year, station.settings.serial_digits
    return Numbers(tuple(await station.write(allocate, data.kind, year, data.count, digits)))


ROUTES: Sequence[Any] = (
    post_session, get_session, touch_session, delete_session, post_device, post_break_glass, post_near_miss,
    post_numbers,
)  # fmt: skip
