"""Signing in: a badge (who), a PIN (what they know), an enrolled device (where). All three or nothing.

Wrong PIN, unknown badge, disabled badge and no role at that site are one answer in one time: nobody learns which
badges there are. Every try is counted in the database before the PIN is looked at.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from config.catalog import Catalog
from models.people.audit import Entry, note
from models.people.devices import Device
from models.people.sessions import begin_attempt, forget_failures, open_session
from models.people.users import EVERYWHERE, Role, User, find_user
from models.rules.identifiers import BADGE, is_identifier
from station.auth.audit import AuditTrail
from station.auth.gate import Gate
from station.auth.pins import new_token, token_hash
from station.auth.session import Asking
from station.auth.sessions import Sessions
from station.problems import Refusal
from station.services import Services


class Place(NamedTuple):
    """The role that a sign-in is for, and where the person is."""

    role: str
    site: str


class Authenticator:
    """Signs people in at one station."""

    def __init__(self, station: Services, gate: Gate, sessions: Sessions, audit: AuditTrail) -> None:
        self._station, self._gate, self._sessions, self._audit = station, gate, sessions, audit

    async def sign_in(
        self, device: Device, badge: str, pin: str, role: str | None, site: str | None
    ) -> tuple[str, Asking]:
        """The value of the new session's cookie, and the session.

        Raises Refusal: 401, or 429 with the time to wait.
        """
        station, now_us = self._station, self._station.clock()
        if not is_identifier(badge, BADGE):
            raise Refusal(422, "that is no badge: scan it again")
        until_us = await station.write(begin_attempt, device.id, badge, now_us)
        if until_us is not None:
            await self._audit.note(_entry("sign-in locked", device, badge, now_us))
            left_s = _seconds(until_us - now_us)
            minutes = -(-left_s // 60)
            raise Refusal(
                429, "too many wrong PINs: wait {n} min, or use another device", retry_after_s=left_s, n=minutes
            )
        user = await station.read(find_user, badge)
        right = await self._gate.pin_is_right(pin, user.pin_hash if user else None)
        place = _place(station.catalog, user, device, role, site) if user is not None else None
        if user is None or not right or place is None or user.disabled_us is not None:
            await self._audit.note(_entry("sign-in failed", device, badge, now_us))
            raise Refusal(401, "badge, PIN and this device do not go together: try again")
        token = new_token()

        def begin(connection: Connection) -> None:
            forget_failures(connection, device.id, badge)
            sites = user.sites(place.role)
            open_session(connection, token_hash(token), user.badge, device.id, place.role, place.site, sites, now_us)
            note(connection, [_entry("sign-in", device, badge, now_us, place)])

        await station.write(begin)
        session = await self._sessions.find(token, touched=False)
        if session is None:  # the badge or the device was disabled meanwhile
            raise Refusal(401, "badge, PIN and this device do not go together: try again")
        return token, session


def _place(catalog: Catalog, user: User, device: Device, role: str | None, site: str | None) -> Place | None:
    """Which role, and where: the device's own site; at a device that moves (`*`) the one asked for, else the first.

    None: the person has no such role there.
    """
    wanted = [role] if role is not None else [one for one in Role if any(g.role == one for g in user.grants)]
    for one in wanted:
        held = user.sites(one)
        sites = sorted(catalog.sites) if EVERYWHERE in held else list(held)
        here = [s for s in sites if device.site in (EVERYWHERE, s) and site in (None, s) and s in catalog.sites]
        if here:
            return Place(one, here[0])
    return None


def _entry(action: str, device: Device, badge: str, now_us: int, place: Place | None = None) -> Entry:
    role, site = place or ("", device.site)
    return Entry(time_us=now_us, action=action, badge=badge, role=role, device_id=device.id, site=site)


def _seconds(span_us: int) -> int:
    return max(1, -(-span_us // 1_000_000))
