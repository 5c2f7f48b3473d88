"""Sessions on the server, and the count of wrong PINs. Of a cookie's value only the hash is stored."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from models.database.bulk import upsert
from models.database.columns import json_text, strings
from models.people.tables import devices, sessions, sign_in_failures, users
from models.rules.times import MINUTE_US

FAILURES_FREE = 5
"""Wrong PINs of one badge at one device before the first wait."""
WAIT_MINUTES_MAX = 15
"""The longest wait. It applies to that badge at that device only: nobody can lock out a person or a clinic."""
DEVICE_FAILURES_MAX = 60
"""Wrong PINs at one device, of any badge, within `FORGET_US`: then the device is blocked too, a minute at a time."""
FORGET_US = 60 * MINUTE_US
SEEN_STEP_US = MINUTE_US // 4
"""Activity is written only when the last written one is older than this, so not with every request."""


KEPT_DAYS = 400
"""Ended sessions are kept this long, to show who was signed in where."""


class Limits(NamedTuple):
    """How long a session lasts: idle, and in total."""

    idle_us: int
    whole_us: int


class Stored(Struct, frozen=True, kw_only=True):
    """An open session with its person and device."""

    key: bytes
    badge: str
    name: str
    language: str
    role: str
    site: str
    sites: tuple[str, ...]
    device_id: int
    created_us: int
    seen_us: int
    glass_until_us: int | None


def open_session(
    connection: Connection,
    key: bytes,
    badge: str,
    device_id: int,
    role: str,
    site: str,
    sites: Sequence[str],
    now_us: int,
) -> None:
    """A new session: `sites` is where the person has the role, sorted; `site` is where they are."""
    values = {"key": key, "badge": badge, "device_id": device_id, "role": role, "site": site}
    connection.execute(insert(sessions).values(**values, sites=json_text(sites), created_us=now_us, seen_us=now_us))
    connection.execute(delete(sessions).where(sessions.c.created_us < now_us - KEPT_DAYS * 24 * 60 * MINUTE_US))


def find_session(connection: Connection, key: bytes, limits: Limits, now_us: int) -> Stored | None:
    """The session of a cookie; None when it was ended, has expired, or its person or device is disabled."""
    s, u, d = sessions.c, users.c, devices.c
    columns = (
        s.key,
        s.badge,
        u.name,
        u.language,
        s.role,
        s.site,
        s.sites,
        s.device_id,
        s.created_us,
        s.seen_us,
        s.glass_until_us,
    )
    row = connection.execute(
        select(*columns)
        .join(users, u.badge == s.badge)
        .join(devices, d.id == s.device_id)
        .where(s.key == key, s.ended_us.is_(None), u.disabled_us.is_(None), d.revoked_us.is_(None))
        .where(s.seen_us > now_us - limits.idle_us, s.created_us > now_us - limits.whole_us)
    ).first()
    if row is None:
        return None
    return Stored(**{**row._mapping, "key": bytes(row.key), "sites": strings(row.sites)})


def touch(connection: Connection, key: bytes, now_us: int) -> None:
    """Record activity, which restarts the idle timeout."""
    change = update(sessions).where(sessions.c.key == key, sessions.c.seen_us < now_us)
    connection.execute(change.values(seen_us=now_us))


def end_session(connection: Connection, key: bytes, why: str, now_us: int) -> None:
    change = update(sessions).where(sessions.c.key == key, sessions.c.ended_us.is_(None))
    connection.execute(change.values(ended_us=now_us, ended_why=why))


def begin_attempt(connection: Connection, device_id: int, badge: str, now_us: int) -> int | None:
    """Count an attempt as failed before the PIN is checked, so that concurrent attempts all count.

    None: check it, and `forget_failures` if it was right. Else the moment from which the badge may be tried again.
    """
    f = sign_in_failures.c
    connection.execute(delete(sign_in_failures).where(f.last_us < now_us - FORGET_US))
    columns = ("device_id", "badge", "count", "last_us", "locked_until_us")
    upsert(connection, sign_in_failures, columns, [(device_id, badge, 0, now_us, 0)], ())
    # the device's rows stay locked until the end: concurrent attempts run one after the other
    own = select(f.badge, f["count"], f.last_us, f.locked_until_us).where(f.device_id == device_id)
    rows = connection.execute(own.order_by(f.badge).with_for_update()).all()
    tries, until = next((count, locked) for whose, count, _, locked in rows if whose == badge)
    if sum(count for _, count, _, _ in rows) >= DEVICE_FAILURES_MAX:
        until = max(until, max(last for _, count, last, _ in rows if count) + MINUTE_US)
    mine = (f.device_id == device_id) & (f.badge == badge)
    if until > now_us:
        connection.execute(delete(sign_in_failures).where(mine, f["count"] == 0))
        return int(until)
    over = tries + 1 - FAILURES_FREE
    wait_us = min(WAIT_MINUTES_MAX, 2 ** min(over, 10)) * MINUTE_US if over >= 0 else 0
    values = {"count": tries + 1, "last_us": now_us, "locked_until_us": now_us + wait_us if wait_us else 0}
    connection.execute(update(sign_in_failures).where(mine).values(values))
    return None


def forget_failures(connection: Connection, device_id: int, badge: str) -> None:
    """Reset the count: the PIN was right."""
    f = sign_in_failures.c
    connection.execute(delete(sign_in_failures).where(f.device_id == device_id, f.badge == badge))


def end_sessions(connection: Connection, which: Any, why: str, now_us: int) -> None:
    """End the open sessions that meet this condition on the table `sessions`; `why` is stored."""
    over = update(sessions).where(which, sessions.c.ended_us.is_(None))
    connection.execute(over.values(ended_us=now_us, ended_why=why))
