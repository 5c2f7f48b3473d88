"""What people did besides scanning: the audit trail, break-glass access, near misses."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from config.messages import N_, Message
from models.database.acts_tables import outbox
from models.database.bulk import insert_structs
from models.database.state_tables import orders, specimens
from models.people.tables import audit, break_glass, near_misses, sessions
from models.rules.identifiers import BADGE, MANIFEST, SPECIMEN, TOTE, is_identifier
from models.rules.times import moment_of

ROWS_MAX = 1000
"""The maximum number of rows in a list."""


OTHER_CODE = N_("(another code, {n} characters)")
"""Replaces a scanned code that is not ours."""


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the audit trail. `subject`: the accession, manifest, alert or badge that it is about."""

    time_us: int
    action: str
    badge: str = ""
    role: str = ""
    device_id: int | None = None
    site: str = ""
    subject: str = ""
    detail: str = ""


def note(connection: Connection, entries: Iterable[Entry]) -> None:
    """Add to the audit trail."""
    insert_structs(connection, audit, Entry, entries)


def audit_rows(connection: Connection, *, subject: str | None = None, limit: int = ROWS_MAX) -> list[Entry]:
    """The newest entries first; `subject`: only those about it."""
    query = select(audit).order_by(audit.c.id.desc()).limit(min(limit, ROWS_MAX))
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    names = Entry.__struct_fields__
    return [Entry(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]


class Glass(Struct, frozen=True, kw_only=True):
    """One break-glass access."""

    id: int
    badge: str
    device_id: int
    site: str
    reason: str
    from_us: int
    until_us: int
    reviewed_by: str | None
    reviewed_us: int | None


def break_the_glass(
    connection: Connection, key: bytes, badge: str, device_id: int, site: str, reason: str, now_us: int, until_us: int
) -> None:
    """Open everything to one session until `until_us`, and announce it through the outbox in the same transaction."""
    values = {"badge": badge, "device_id": device_id, "site": site, "reason": reason}
    made = insert(break_glass).values(**values, from_us=now_us, until_us=until_us).returning(break_glass.c.id)
    number = connection.execute(made).scalar_one()
    connection.execute(update(sessions).where(sessions.c.key == key).values(glass_until_us=until_us))
    payload = {
        "specversion": "1.0",
        "id": f"break-glass/{number}",
        "source": "/labtrail/station",
        "type": "alert.break-glass",
        "subject": f"break-glass/{number}",
        "time": moment_of(now_us).isoformat(),
        "site": site,
        "data": {
            "kind": "break-glass",
            "severity": "critical",
            "detail": reason,
            "since": moment_of(now_us).isoformat(),
            "until": moment_of(until_us).isoformat(),
        },
    }
    connection.execute(
        insert(outbox).values(
            kind="alert", key=f"break-glass/{number}", payload=msgspec.json.encode(payload), created_us=now_us
        )
    )


def glass_rows(connection: Connection, *, unreviewed: bool = False) -> list[Glass]:
    """Break-glass accesses, the newest first; `unreviewed`: only those that no manager has reviewed."""
    query = select(break_glass).order_by(break_glass.c.id.desc()).limit(ROWS_MAX)
    if unreviewed:
        query = query.where(break_glass.c.reviewed_us.is_(None))
    return [Glass(**row._mapping) for row in connection.execute(query)]


def review_glass(connection: Connection, number: int, by: str, now_us: int) -> bool:
    """Record which manager reviewed it: the first one counts, nobody may review their own. False: not recorded."""
    own = (break_glass.c.id == number) & break_glass.c.reviewed_us.is_(None) & (break_glass.c.badge != by)
    change = update(break_glass).where(own).values(reviewed_by=by, reviewed_us=now_us)
    return bool(connection.execute(change).rowcount)


class NearMiss(Struct, frozen=True, kw_only=True):
    """A wrong match that was caught. Codes only: never a patient's data."""

    time_us: int
    badge: str
    device_id: int
    site: str
    kind: str
    accession: str
    order_id: str
    expected: str
    scanned: str
    overridden: bool
    reason: str


def kept_code(connection: Connection, code: str) -> str:
    """A code as a near miss may keep it: ours, or an order or patient reference on record; else only its length."""
    if not code or any(is_identifier(code, kind) for kind in (SPECIMEN, MANIFEST, TOTE, BADGE)):
        return code
    for column in (orders.c.order_id, orders.c.patient, specimens.c.accession, specimens.c.patient):
        if connection.execute(select(column).where(column == code).limit(1)).first() is not None:
            return code
    return Message(OTHER_CODE, n=len(code))


def record_near_miss(connection: Connection, miss: NearMiss) -> int:
    """Put it on record; returns its number."""
    values = msgspec.structs.asdict(miss) | {"overridden": int(miss.overridden)}
    return int(connection.execute(insert(near_misses).values(**values).returning(near_misses.c.id)).scalar_one())


def near_miss_rows(connection: Connection, sites: Sequence[str], limit: int = ROWS_MAX) -> list[NearMiss]:
    """Near misses at these sites, the newest first."""
    n = near_misses.c
    query = select(near_misses).where(n.site.in_(sites)).order_by(n.id.desc()).limit(min(limit, ROWS_MAX))
    names = NearMiss.__struct_fields__
    rows = connection.execute(query)
    return [NearMiss(**{f: getattr(r, f) for f in names} | {"overridden": bool(r.overridden)}) for r in rows]
