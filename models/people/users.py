"""People and their roles: who may sign in, and as what."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, insert, select, update

from models.people.errors import PeopleError
from models.people.sessions import end_sessions
from models.people.tables import grants, sessions, sign_in_failures, users


class Role(StrEnum):
    MA = "ma"
    COURIER = "courier"
    LAB = "lab"
    MANAGER = "manager"
    ADMIN = "admin"


EVERYWHERE = "*"
"""The site of a grant or device that is not tied to one."""


class Grant(Struct, frozen=True, order=True):
    role: Role
    site: str


class User(Struct, frozen=True):
    badge: str
    name: str
    language: str
    grants: tuple[Grant, ...]
    disabled_us: int | None
    pin_hash: str = ""

    def sites(self, role: str) -> tuple[str, ...]:
        """Where the person has this role, sorted; `*` alone when everywhere."""
        held = sorted({g.site for g in self.grants if g.role == role})
        return (EVERYWHERE,) if EVERYWHERE in held else tuple(held)


def add_user(connection: Connection, user: User, now_us: int) -> None:
    """Put a person on record. Raises PeopleError when the badge is taken."""
    if find_user(connection, user.badge) is not None:
        raise PeopleError(f"{user.badge} is on record already: give another badge, or change it with set-pin")
    row = {"badge": user.badge, "name": user.name, "language": user.language, "pin_hash": user.pin_hash}
    connection.execute(insert(users).values(**row, created_us=now_us, pin_set_us=now_us))
    set_grants(connection, user.badge, user.grants)


def set_grants(connection: Connection, badge: str, held: Iterable[Grant]) -> None:
    """Replace a person's roles and sites."""
    connection.execute(delete(grants).where(grants.c.badge == badge))
    rows = [{"badge": badge, "role": g.role, "site": g.site} for g in sorted(set(held))]
    if rows:
        connection.execute(insert(grants), rows)


def change_grants(connection: Connection, badge: str, held: Iterable[Grant], now_us: int) -> None:
    """Replace a person's roles and sites, and end their open sessions. Raises PeopleError."""
    if find_user(connection, badge) is None:
        raise PeopleError(f"nobody with the badge {badge} is on record: see labtrail users list")
    set_grants(connection, badge, held)
    end_sessions(connection, sessions.c.badge == badge, "new roles", now_us)


def find_user(connection: Connection, badge: str) -> User | None:
    row = connection.execute(select(users).where(users.c.badge == badge)).first()
    if row is None:
        return None
    held = connection.execute(select(grants.c.role, grants.c.site).where(grants.c.badge == badge))
    return _user(row, [Grant(Role(role), site) for role, site in held])


def list_users(connection: Connection) -> list[User]:
    """Everybody, by badge."""
    held: dict[str, list[Grant]] = {}
    for badge, role, site in connection.execute(select(grants)):
        held.setdefault(badge, []).append(Grant(Role(role), site))
    rows = connection.execute(select(users).order_by(users.c.badge))
    return [_user(row, held.get(row.badge, [])) for row in rows]


def _user(row: Row[Any], held: list[Grant]) -> User:
    return User(row.badge, row.name, row.language, tuple(sorted(held)), row.disabled_us, row.pin_hash)


def disable_user(connection: Connection, badge: str, now_us: int) -> None:
    """Stop the badge from signing in, and end its open sessions. Raises PeopleError."""
    _must_change(connection, update(users).where(users.c.badge == badge).values(disabled_us=now_us), badge)
    end_sessions(connection, sessions.c.badge == badge, "disabled", now_us)


def set_pin(connection: Connection, badge: str, pin_hash: str, now_us: int) -> None:
    """Set a PIN: enables the person, resets counted failures, ends open sessions."""
    values = {"pin_hash": pin_hash, "pin_set_us": now_us, "disabled_us": None}
    _must_change(connection, update(users).where(users.c.badge == badge).values(**values), badge)
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.badge == badge))
    end_sessions(connection, sessions.c.badge == badge, "new PIN", now_us)


def _must_change(connection: Connection, statement: Any, badge: str) -> None:
    if connection.execute(statement).rowcount == 0:
        raise PeopleError(f"nobody with the badge {badge} is on record: see labtrail users list")
