"""The session of a request: who asks, in which role, from where."""

from typing import Any, Literal, TypeAlias

from litestar.connection import Request
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException
from msgspec import Struct

from config.messages import Message
from models.people.audit import Entry

STATE_KEY = "labtrail_session"


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
        """Whether they may see something that belongs to these sites. True for no sites."""
        return not sites or bool(self.sites & sites) or self.break_glass_until_us is not None

    def entry(self, action: str, now_us: int, subject: str = "", detail: str = "") -> Entry:
        """A line of the audit trail about this session."""
        return Entry(
            time_us=now_us,
            action=action,
            badge=self.badge,
            role=self.role,
            device_id=self.device,
            site=self.site,
            subject=subject,
            detail=detail,
        )


Session: TypeAlias = NamedDependency[Asking]
"""The type of a handler's argument `session`: Litestar injects it."""


def session_or_none(request: Request[Any, Any, Any]) -> Asking | None:
    """The session that the guard found; None before a sign-in, and where the guard has not run."""
    found = request.scope.get("state", {}).get(STATE_KEY)
    return found if isinstance(found, Asking) else None


def session_of(request: Request[Any, Any, Any]) -> Asking:
    """The session of a request, as a dependency of handlers."""
    found = session_or_none(request)
    if found is None:
        raise NotAuthorizedException(detail=Message("sign in first"))
    return found
