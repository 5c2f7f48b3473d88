"""The guard of every route: finds out who asks, checks role and site, notes in the audit trail what it refuses."""

from typing import Any, NoReturn

from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from config.messages import Message
from models.people.users import Role
from models.views.sites import sites_of_alert, sites_of_event, sites_of_manifest, sites_of_order, sites_of_specimen
from station.auth.access import Access, access_of, without_ending
from station.auth.audit import AuditTrail
from station.auth.session import STATE_KEY, Asking
from station.auth.sessions import Sessions
from station.services import Services

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


class Guard:
    """The guard of one station. Litestar calls `check` before anything of a request is read."""

    def __init__(self, station: Services, sessions: Sessions, audit: AuditTrail) -> None:
        self._station, self._sessions, self._audit = station, sessions, audit

    async def check(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Refuses with 401 callers who are not signed in, with 403 those who lack the right."""
        if connection.scope.get("method") == "OPTIONS":
            return
        access = access_of(handler)
        if access is None:
            raise PermissionDeniedException(detail=Message("this address is not for calling"))
        if not access.roles:
            return
        session = await self._sessions.who(connection, access)
        connection.scope["state"][STATE_KEY] = session
        if session.kind != "open" and session.role not in access.roles:
            await self._refuse(session, handler, _not_yours(session, access))
        subject = await self._subject(session, access, connection, handler)
        if access.read:
            own = "" if session.break_glass_until_us is None else "break-glass"
            await self._audit.note(session.entry(access.read, self._station.clock(), subject, own))

    async def _subject(
        self,
        session: Asking,
        access: Access,
        connection: ASGIConnection[Any, Any, Any, Any],
        handler: BaseRouteHandler,
    ) -> str:
        """What the call is about, as the audit trail names it, once it is known to be of the session's sites."""
        if access.scope == "none":
            return ""
        if access.scope == "site":
            subject = str(connection.query_params.get("site", ""))
            if subject and subject not in session.sites and session.break_glass_until_us is None:
                known = subject in self._station.catalog.sites
                why = Message("{site} is none of your sites", site=subject)
                await self._refuse(session, handler, why if known else Message("that is none of your sites"))
            return subject
        parameter, find = _LOOK_UP[access.scope]
        subject = str(connection.path_params[parameter]).removeprefix("/")
        if access.scope == "specimen":
            subject = without_ending(subject)
        sites = await self._station.read(find, subject)
        if sites is None:
            return NOT_ON_RECORD
        if not session.may_see(sites):
            why = Message("{subject} is at none of your sites: break the glass to see it", subject=subject)
            await self._refuse(session, handler, why)
        return subject

    async def _refuse(self, session: Asking, handler: BaseRouteHandler, why: str) -> NoReturn:
        await self._audit.note(session.entry("refused", self._station.clock(), handler.handler_name, why))
        raise PermissionDeniedException(detail=why)


def _not_yours(session: Asking, access: Access) -> Message:
    roles = tuple(Message(role) for role in Role if role in access.roles)
    return Message("the role {role} does not do this: ask {roles:or}", role=Message(session.role), roles=roles)
