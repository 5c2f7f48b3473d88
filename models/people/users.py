"""People, devices and what they did: who may sign in where, and the record of reads, refusals and near misses.

Acts, not evidence: nothing here changes what an event means. No patient's data is in these tables; PINs and tokens
are here as hashes only. `people_sessions.py` and `people_audit.py` work on the same tables.
"""

from collections.abc import Iterable
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
    update,
)

from config.errors import LabtrailError
from models.database.columns import Serial, metadata

Role = Literal["ma", "courier", "lab", "manager", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
EVERYWHERE = "*"
"""The site of a grant or device that is not tied to one."""

users = Table(
    "users",
    metadata,
    Column("badge", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("pin_hash", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("pin_set_us", BigInteger, nullable=False),
    Column("disabled_us", BigInteger),
)

grants = Table(  # which role a person has at which site ('*': at all)
    "grants",
    metadata,
    Column("badge", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("site", Text, nullable=False),
    PrimaryKeyConstraint("badge", "role", "site"),
    ForeignKeyConstraint(["badge"], ["users.badge"]),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # station: people sign in at it; service: a program
    Column("site", Text, nullable=False),
    Column("role", Text),  # of a service
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("enrolled_us", BigInteger, nullable=False),
    Column("enrolled_by", Text, nullable=False),
    Column("revoked_us", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # SHA-256 of the cookie's value
    Column("badge", Text, nullable=False, index=True),
    Column("device_id", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("sites", Text, nullable=False),  # JSON array, sorted; ["*"]: all
    Column("created_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("ended_why", Text),
    Column("glass_until_us", BigInteger),  # break-glass holds until then
    ForeignKeyConstraint(["badge"], ["users.badge"]),
    ForeignKeyConstraint(["device_id"], ["devices.id"]),
)

sign_in_failures = Table(  # wrong PINs of one badge at one device since the last right one
    "sign_in_failures",
    metadata,
    Column("device_id", BigInteger, nullable=False),
    Column("badge", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("locked_until_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("device_id", "badge"),
    Index("ix_sign_in_failures_last_us", "last_us"),
)

break_glass = Table(  # access beyond one's sites in an emergency, to be looked at by a manager
    "break_glass",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("badge", Text, nullable=False),
    Column("device_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("reviewed_by", Text),
    Column("reviewed_us", BigInteger),
    Index("ix_break_glass_unreviewed", "id", sqlite_where=text("reviewed_us IS NULL"),
          postgresql_where=text("reviewed_us IS NULL")),
)  # fmt: skip

audit = Table(  # who read what, signed in, was refused; only ever added to
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("time_us", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("badge", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("device_id", BigInteger),
    Column("site", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_time_us", "time_us"),
    Index("ix_audit_subject", "subject", "time_us"),
    Index("ix_audit_badge", "badge", "time_us"),
)

near_misses = Table(  # a wrong match that was caught before harm
    "near_misses",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("time_us", BigInteger, nullable=False),
    Column("badge", Text, nullable=False),
    Column("device_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),  # what did not match: patient, order, tube, label, lot
    Column("accession", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("scanned", Text, nullable=False),
    Column("overridden", Integer, nullable=False),  # 1: went on deliberately
    Column("reason", Text, nullable=False),
    Index("ix_near_misses_time_us", "time_us"),
)


class PeopleError(LabtrailError):
    """Something about users or devices can't be done; the message says what to do."""


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


class Device(Struct, frozen=True):
    """An enrolled browser (`station`) or program (`service`). `site` may be `*`."""

    id: int
    name: str
    kind: Literal["station", "service"]
    site: str
    role: str | None
    enrolled_us: int
    enrolled_by: str
    revoked_us: int | None


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
    """Other roles from now on: open sessions are over. Raises PeopleError."""
    if find_user(connection, badge) is None:
        raise PeopleError(f"nobody with the badge {badge} is on record: see labtrail users list")
    set_grants(connection, badge, held)
    _end_sessions(connection, sessions.c.badge == badge, "new roles", now_us)


def find_user(connection: Connection, badge: str) -> User | None:
    row = connection.execute(select(users).where(users.c.badge == badge)).first()
    if row is None:
        return None
    held = connection.execute(select(grants.c.role, grants.c.site).where(grants.c.badge == badge))
    return _user(row, [Grant(*one) for one in held])


def list_users(connection: Connection) -> list[User]:
    """Everybody, by badge."""
    held: dict[str, list[Grant]] = {}
    for badge, role, site in connection.execute(select(grants)):
        held.setdefault(badge, []).append(Grant(role, site))
    rows = connection.execute(select(users).order_by(users.c.badge))
    return [_user(row, held.get(row.badge, [])) for row in rows]


def _user(row: Row[Any], held: list[Grant]) -> User:
    return User(row.badge, row.name, row.language, tuple(sorted(held)), row.disabled_us, row.pin_hash)


def disable_user(connection: Connection, badge: str, now_us: int) -> None:
    """From now on the badge signs nobody in, and its open sessions are over. Raises PeopleError."""
    _must_change(connection, update(users).where(users.c.badge == badge).values(disabled_us=now_us), badge)
    _end_sessions(connection, sessions.c.badge == badge, "disabled", now_us)


def set_pin(connection: Connection, badge: str, pin_hash: str, now_us: int) -> None:
    """A new PIN: the person is enabled, counted failures are forgotten, open sessions are over."""
    values = {"pin_hash": pin_hash, "pin_set_us": now_us, "disabled_us": None}
    _must_change(connection, update(users).where(users.c.badge == badge).values(**values), badge)
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.badge == badge))
    _end_sessions(connection, sessions.c.badge == badge, "new PIN", now_us)


def _must_change(connection: Connection, statement: Any, badge: str) -> None:
    if connection.execute(statement).rowcount == 0:
        raise PeopleError(f"nobody with the badge {badge} is on record: see labtrail users list")


def _end_sessions(connection: Connection, which: Any, why: str, now_us: int) -> None:
    over = update(sessions).where(which, sessions.c.ended_us.is_(None))
    connection.execute(over.values(ended_us=now_us, ended_why=why))


def enroll(connection: Connection, device: Device, token_hash: bytes) -> Device:
    """Put a device on record with the hash of its token; the device with its number."""
    values = msgspec.structs.asdict(device)
    del values["id"]
    made = connection.execute(insert(devices).values(**values, token_hash=token_hash).returning(devices.c.id))
    return msgspec.structs.replace(device, id=int(made.scalar_one()))


def find_device(connection: Connection, token_hash: bytes) -> Device | None:
    """The device whose token this is; None when there is none or it was revoked."""
    d = devices.c
    row = connection.execute(select(devices).where(d.token_hash == token_hash, d.revoked_us.is_(None))).first()
    return None if row is None else _device(row)


def list_devices(connection: Connection) -> list[Device]:
    """All devices, revoked ones too, by number."""
    return [_device(row) for row in connection.execute(select(devices).order_by(devices.c.id))]


def revoke_device(connection: Connection, device_id: int, now_us: int) -> None:
    """The device's token opens nothing any more, and the sessions at it are over. Raises PeopleError."""
    change = update(devices).where(devices.c.id == device_id, devices.c.revoked_us.is_(None))
    if connection.execute(change.values(revoked_us=now_us)).rowcount == 0:
        raise PeopleError(f"no device {device_id} is enrolled: see labtrail devices list")
    _end_sessions(connection, sessions.c.device_id == device_id, "device revoked", now_us)


def _device(row: Row[Any]) -> Device:
    return Device(**{name: getattr(row, name) for name in Device.__struct_fields__})
