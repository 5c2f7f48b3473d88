"""Who may do what: every route states it as `access=requires(...)` or `access=public()`; one guard enforces it.

A route that states nothing is not served (`station/app.py` refuses to start). The guard finds out who asks, sets
the session for the handler, checks role and site, and leaves a line in the audit trail where it refuses.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from litestar.connection import ASGIConnection, Request
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from models.people.audit import Entry
from models.people.users import EVERYWHERE, ROLES
from models.views.sites import sites_of_alert, sites_of_event, sites_of_manifest, sites_of_order, sites_of_specimen

if TYPE_CHECKING:
    from station.services import Services

Scope = Literal["none", "site", "specimen", "manifest", "event", "alert", "order"]
STATE_KEY = "labtrail_session"
_LOOK_UP = {
    "specimen": ("accession", sites_of_specimen),
    "manifest": ("manifest", sites_of_manifest),
    "event": ("event", sites_of_event),
    "alert": ("alert", sites_of_alert),
    "order": ("order_id", sites_of_order),
}
"""For each scope the path parameter that holds the number, and what finds its sites."""
NOT_ON_RECORD = "(not on record)"
"""In place of what was asked for: somebody may have typed a patient's name."""
_ENDINGS = (".png", ".pdf", ".zpl")


class Access(Struct, frozen=True):
    """What a route asks of who calls it.

    `roles` empty: anybody. `scope`: what the call is about, so what must belong to a site of the session.
    `people`: a person must be signed in; a program's token does not do, and an open API neither.
    `read`: what the audit trail says of a call that went through; empty: it is not about a patient.
    """

    roles: frozenset[str]
    scope: Scope = "none"
    people: bool = True
    read: str = ""
    touch: bool = True


class Asking(Struct, frozen=True, kw_only=True):
    """Who asks, for the time of one request. `sites` are the codes where `role` holds; `site` is where they are.

    kind `person`: signed in with badge and PIN; `service`: a program with a token; `open`: the API asks for none.
    Times are microseconds since 1970.
    """

    kind: Literal["person", "service", "open"]
    badge: str
    name: str
    role: str
    site: str
    sites: frozenset[str]
    device: int | None
    language: str = "en"
    expires_us: int | None = None
    break_glass_until_us: int | None = None
    key: bytes = b""

    def may_see(self, sites: set[str] | frozenset[str]) -> bool:
        """Whether something that has to do with these sites is theirs to see. Nothing to do with any: yes."""
        return not sites or bool(self.sites & sites) or self.break_glass_until_us is not None

    def entry(self, action: str, now_us: int, subject: str = "", detail: str = "") -> Entry:
        """A line of the audit trail about this session."""
        return Entry(
            time_us=now_us, action=action, badge=self.badge, role=self.role, device_id=self.device, site=self.site,
            subject=subject, detail=detail,
        )  # fmt: skip


Session: TypeAlias = NamedDependency[Asking]
"""The type of a handler's argument `session`: Litestar hands it in."""


def requires(*roles: str, scope: Scope = "none", read: str = "", touch: bool = True) -> Access:
    """A person signed in with one of these roles (none named: any)."""
    return Access(_known(roles), scope, people=True, read=read, touch=touch)


def api(*roles: str, scope: Scope = "none", read: str = "") -> Access:
    """As `requires`, and programs with a token, and anybody where the API is open (LABTRAIL_API_OPEN)."""
    return Access(_known(roles), scope, people=False, read=read)


def public() -> Access:
    """Anybody: health, metrics, the sign-in itself."""
    return Access(frozenset(), people=False)


def _known(roles: tuple[str, ...]) -> frozenset[str]:
    assert set(roles) <= set(ROLES), f"unknown role among {roles}"
    return frozenset(roles or ROLES)


def access_of(handler: BaseRouteHandler) -> Access | None:
    """What a route states; None: nothing."""
    stated = handler.opt.get("access")
    return stated if isinstance(stated, Access) else None


def session_of(request: Request[Any, Any, Any]) -> Asking:
    """The session of a request, as a dependency of handlers."""
    found = request.scope.get("state", {}).get(STATE_KEY)
    if not isinstance(found, Asking):
        raise NotAuthorizedException(detail="sign in first")
    return found


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuses with 401 who is nobody, with 403 who may not. Runs before anything of the request is read."""
    if connection.scope.get("method") == "OPTIONS":
        return
    access = access_of(handler)
    if access is None:
        raise PermissionDeniedException(detail="this address is not for calling")
    if not access.roles:
        return
    station: Services = connection.app.state.station
    session = await station.sessions.who(connection, access)
    connection.scope["state"][STATE_KEY] = session
    if session.kind != "open" and session.role not in access.roles:
        await _refuse(station, session, handler, f"the role {session.role} does not do this: ask {_names(access)}")
    await _check_scope(station, session, access, connection, handler)


async def _check_scope(
    station: "Services",
    session: Session,
    access: Access,
    connection: ASGIConnection[Any, Any, Any, Any],
    handler: BaseRouteHandler,
) -> None:
    subject = ""
    if access.scope == "site":
        subject = str(connection.query_params.get("site", ""))
        if subject and subject not in session.sites and session.break_glass_until_us is None:
            named = subject if subject in station.catalog.sites else "that"
            await _refuse(station, session, handler, f"{named} is none of your sites")
    elif access.scope != "none":
        parameter, find = _LOOK_UP[access.scope]
        subject = str(connection.path_params[parameter]).removeprefix("/")
        if access.scope == "specimen":
            subject = without_ending(subject)
        sites = await station.read(find, subject)
        if sites is None:
            subject = NOT_ON_RECORD
        if sites is not None and not session.may_see(sites):
            await _refuse(station, session, handler, f"{subject} is at none of your sites: break the glass to see it")
    if access.read:
        own = "" if session.break_glass_until_us is None else "break-glass"
        await station.audit.note(session.entry(access.read, station.clock(), subject, own))


def without_ending(file: str) -> str:
    """`S2600012334` of `S2600012334.png`."""
    return file[:-4] if file.endswith(_ENDINGS) else file


async def _refuse(station: "Services", session: Session, handler: BaseRouteHandler, why: str) -> None:
    await station.audit.note(session.entry("refused", station.clock(), handler.handler_name, why))
    raise PermissionDeniedException(detail=why)


def _names(access: Access) -> str:
    return " or ".join(role for role in ROLES if role in access.roles)


def expand(sites: tuple[str, ...], every: frozenset[str]) -> frozenset[str]:
    """Site codes of a grant: `*` stands for all of the catalog's."""
    return every if EVERYWHERE in sites else frozenset(sites) & every
