"""Sessions: who signed in, by which cookie, for how long; and programs, by their tokens. The server decides.

A cookie holds a random value and nothing else; the database knows it by its hash only. Every request looks the
session up, so that a revoked device, a disabled badge or a sign-out takes effect at once, on every station.
"""

import logging
from typing import Any, Literal

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from config.messages import Message
from models.people.devices import Device, find_device
from models.people.sessions import SEEN_STEP_US, Limits, Stored, find_session, touch
from models.people.users import EVERYWHERE
from models.rules.times import MINUTE_US
from station.auth.access import Access
from station.auth.pins import token_hash
from station.auth.session import Asking
from station.services import Services

DEVICE_COOKIE_DAYS = 400
"""As long as browsers keep a cookie; the device is revoked on the server."""
BEARER = "bearer "
log = logging.getLogger(__name__)


class Names(Struct, frozen=True):
    """What the two cookies are called, and whether browsers send them over TLS alone."""

    session: str
    device: str
    secure: bool


def cookie_names(public_url: str) -> Names:
    """`__Host-` names where the station is reached by https: bound to this host, TLS only, path `/`.

    Plain http (one machine's loopback, a demonstration) can't have these: browsers refuse the prefix there.
    """
    if public_url.startswith("https://"):
        return Names("__Host-labtrail-session", "__Host-labtrail-device", True)
    return Names("labtrail-session", "labtrail-device", False)


class Sessions:
    """Finds out who asks. One per station; use from its event loop."""

    def __init__(self, station: Services) -> None:
        settings = station.settings
        self.names = cookie_names(settings.public_url)
        self.limits = Limits(
            round(settings.session_idle_minutes * MINUTE_US), round(settings.session_hours_max * 60 * MINUTE_US)
        )
        self.open = settings.api_is_open
        self._station, self._sites = station, frozenset(station.catalog.sites)

    async def who(self, connection: ASGIConnection[Any, Any, Any, Any], access: Access) -> Asking:
        """The session of a request. Raises 401 for an unknown caller, 403 for a program where it takes a person."""
        token = bearer_of(connection)
        if token is not None:
            device = await self.device(token)
            if device is None or device.kind != "service":
                raise NotAuthorizedException(detail=Message("this token opens nothing: enrol the program again"))
            if access.people:
                raise PermissionDeniedException(detail=Message("a person must be signed in for this"))
            return self._service(device)
        cookie = connection.cookies.get(self.names.session)
        if cookie:
            found = await self.find(cookie, touched=access.touch)
            if found is None:
                raise NotAuthorizedException(detail=Message("the session is over: sign in again"))
            return found
        if self.open and not access.people:
            return Asking(kind="open", badge="", name="", role="open", site="", sites=self._sites, device=None)
        raise NotAuthorizedException(detail=Message("sign in first"))

    async def find(self, cookie: str, *, touched: bool = True) -> Asking | None:
        """The open session of a cookie's value; None when there is none. `touched`: its idle time restarts."""
        now_us = self._station.clock()
        stored = await self._station.read(find_session, token_hash(cookie), self.limits, now_us)
        if stored is None:
            return None
        if touched and stored.seen_us < now_us - min(SEEN_STEP_US, self.limits.idle_us // 4):
            await self._touch(stored.key, now_us)
        return self.session(stored, now_us)

    async def by_key(self, key: bytes) -> Asking | None:
        """The current session by its key in the database; it is not prolonged."""
        now_us = self._station.clock()
        stored = await self._station.read(find_session, key, self.limits, now_us)
        return None if stored is None else self.session(stored, now_us)

    def session(self, stored: Stored, now_us: int) -> Asking:
        """What handlers see of a stored session."""
        glass = stored.glass_until_us
        return Asking(
            kind="person",
            badge=stored.badge,
            name=stored.name,
            role=stored.role,
            site=stored.site,
            sites=_expand(stored.sites, self._sites),
            device=stored.device_id,
            language=stored.language,
            expires_us=min(now_us + self.limits.idle_us, stored.created_us + self.limits.whole_us),
            break_glass_until_us=glass if glass is not None and glass > now_us else None,
            key=stored.key,
        )

    async def device(self, token: str) -> Device | None:
        """The enrolled device with this token, unless it was revoked."""
        return await self._station.read(find_device, token_hash(token))

    async def device_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Device | None:
        """The device that a request comes from: by its cookie, else by its bearer token."""
        token = connection.cookies.get(self.names.device) or bearer_of(connection)
        return await self.device(token) if token else None

    def cookie(self, which: Literal["session", "device"], value: str | None) -> Cookie:
        """The cookie to set; `value` None: to delete it."""
        keep_s = DEVICE_COOKIE_DAYS * 86_400 if which == "device" else self.limits.whole_us // 1_000_000
        return Cookie(
            key=getattr(self.names, which),
            value=value or "",
            max_age=keep_s if value else 0,
            path="/",
            secure=self.names.secure,
            httponly=True,
            samesite="strict" if which == "session" else "lax",
        )

    def _service(self, device: Device) -> Asking:
        sites = _expand((device.site,), self._sites)
        site = device.site if device.site in self._sites else ""
        return Asking(
            kind="service",
            badge="",
            name=device.name,
            role=device.role or "",
            site=site,
            sites=sites,
            device=device.id,
        )

    async def _touch(self, key: bytes, now_us: int) -> None:
        try:
            await self._station.write(touch, key, now_us)
        except SQLAlchemyError as fault:  # the request itself may still be served; the session just ages
            log.warning("a session's last touch could not be noted (%s)", type(fault).__name__)


def bearer_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The token of the Authorization header; None when there is no such header."""
    header = connection.headers.get("authorization")
    if header is None:
        return None
    if not header.lower().startswith(BEARER):
        raise NotAuthorizedException(detail=Message("write the header as Authorization: Bearer TOKEN"))
    return header[len(BEARER) :].strip()


def _expand(sites: tuple[str, ...], every: frozenset[str]) -> frozenset[str]:
    """Site codes of a grant: `*` stands for all of the catalog's."""
    return every if EVERYWHERE in sites else frozenset(sites) & every
