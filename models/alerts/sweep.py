"""The sweep: keeps the `alerts` table in sync with what is late or wrong. Run by one leader, safe with several."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, Select, bindparam, select, text, update

from config.messages import dumped
from models.alerts.cases import STANDING_KINDS, accession_of, cloud_event, decode, standing_cases
from models.database.acts_tables import alerts, outbox
from models.database.bulk import insert, insert_structs, select_in
from models.database.engine import reading, writing
from models.database.state_tables import specimens
from models.rules.deadlines import Deadline, Severity
from models.rules.times import MINUTE_US

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

SPECIMENS_MAX = 2000
"""Specimens looked at in one transaction; the rest follow in the next."""
_LEADER = 0x4C54_5357  # any number that is the same on every worker


class Swept(Struct, frozen=True):
    """What one sweep did. `more`: specimens are left, so sweep again at once."""

    opened: int
    resolved: int
    escalated: int
    more: bool


def sweep(engine: Engine, catalog: "Catalog", policy: "Policy", now_us: int) -> Swept:
    """Open, resolve and escalate alerts as of now, in one transaction.

    The writing transaction blocks every other writer, so whether there is anything to write, which is rare, is read
    before it.
    """
    with reading(engine) as connection:
        due = connection.execute(_due(now_us).limit(1)).first() is not None
        changed = _differ(*_standing(connection, catalog, policy, now_us))
        late = bool(_unanswered(connection, policy, now_us))
    if not (due or changed or late):
        return Swept(0, 0, 0, more=False)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql" and not connection.scalar(
            text("SELECT pg_try_advisory_xact_lock(:leader)"), {"leader": _LEADER}
        ):
            return Swept(0, 0, 0, more=False)
        opened, resolved, looked_at = _specimens(connection, now_us)
        if changed:  # read again, as the tables are now
            turned = _turn(connection, *_standing(connection, catalog, policy, now_us), now_us)
            opened, resolved = opened + turned[0], resolved + turned[1]
        escalated = _escalate(connection, policy, now_us)
        return Swept(opened, resolved, escalated, more=looked_at == SPECIMENS_MAX)


def _standing(
    connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int
) -> tuple[list[Deadline], list[dict[str, Any]]]:
    """The current cases of stock and quarantine, and the open alerts of those kinds."""
    return (
        list(standing_cases(connection, catalog, policy, now_us)),
        _open(connection, alerts.c.kind.in_(STANDING_KINDS)),
    )


def _differ(want: list[Deadline], have: list[dict[str, Any]]) -> bool:
    """Whether the open alerts are not those wanted. A case whose cause was resolved before counts as a difference;
    `_turn` decides."""
    wanted = {(case.kind, case.subject): _changing(case) for case in want}
    return wanted != {(row["kind"], row["subject"]): tuple(row[name] for name in _CHANGING) for row in have}


class AlertRow(Struct, frozen=True, kw_only=True):
    """A row of `alerts`, as opened."""

    kind: str
    subject: str
    accession: str | None
    priority: str
    cause: str
    site: str | None
    severity: str
    detail: str
    message: str | None
    since_us: int
    opened_us: int


_CHANGING = ("cause", "detail", "message", "severity")
"""What may change while a case lasts."""


def _changing(case: Deadline) -> tuple[str, str, str | None, str]:
    return (case.cause, case.detail, dumped(case.message), case.severity)


def _due(now_us: int) -> Select[Any]:
    return select(specimens.c.accession, specimens.c.deadlines).where(specimens.c.alert_check_us <= now_us)


def _specimens(connection: Connection, now_us: int) -> tuple[int, int, int]:
    """Update alerts of the specimens that are due. One that a worker is writing is left for the next sweep."""
    rows = connection.execute(
        _due(now_us).order_by(specimens.c.alert_check_us).limit(SPECIMENS_MAX).with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return 0, 0, 0
    due: list[Deadline] = []
    marks = []
    for accession, deadlines in rows:
        every = decode(deadlines)
        late = [case for case in every if case.due_us <= now_us]
        due += late
        following = min((case.due_us for case in every if case.due_us > now_us), default=None)
        marks.append({"of": accession, "count": len(late), "next": following})
    have = []
    for chunk in range(0, len(rows), 500):
        accessions = [row[0] for row in rows[chunk : chunk + 500]]
        have += _open(connection, alerts.c.accession.in_(accessions))
    opened, resolved = _turn(connection, due, have, now_us)
    connection.execute(
        update(specimens)
        .where(specimens.c.accession == bindparam("of"))
        .values(alerts_open=bindparam("count"), alert_check_us=bindparam("next")),
        marks,
    )
    return opened, resolved, len(rows)


def _open(connection: Connection, which: Any) -> list[dict[str, Any]]:
    rows = connection.execute(select(alerts).where(alerts.c.resolved_us.is_(None), which))
    return [dict(row) for row in rows.mappings()]


def _turn(connection: Connection, want: list[Deadline], have: list[dict[str, Any]], now_us: int) -> tuple[int, int]:
    """Open and resolve alerts so that the open ones are those wanted. Returns how many were opened and resolved."""
    wanted = {(case.kind, case.subject): case for case in want}
    open_now = {(row["kind"], row["subject"]): row for row in have}
    gone = [row for key, row in open_now.items() if key not in wanted]
    new = [case for key, case in wanted.items() if key not in open_now]
    over = _resolved_before(connection, new)
    new = [case for case in new if (case.kind, case.subject, case.cause) not in over]
    rows = [
        AlertRow(
            kind=c.kind,
            subject=c.subject,
            accession=accession_of(c),
            priority=c.priority,
            cause=c.cause,
            site=c.site,
            severity=c.severity,
            detail=c.detail,
            message=dumped(c.message),
            since_us=c.due_us,
            opened_us=now_us,
        )
        for c in new
    ]
    insert_structs(connection, alerts, AlertRow, rows)
    if gone:
        connection.execute(
            update(alerts).where(alerts.c.id == bindparam("of")).values(resolved_us=now_us),
            [{"of": row["id"]} for row in gone],
        )
    changed = [
        {"of": row["id"], **{f"new_{name}": value for name, value in zip(_CHANGING, new_values, strict=True)}}
        for key, row in open_now.items()
        if (case := wanted.get(key)) is not None
        and tuple(row[name] for name in _CHANGING) != (new_values := _changing(case))
    ]
    if changed:  # the open alert gets the new values; nobody is notified twice
        connection.execute(
            update(alerts)
            .where(alerts.c.id == bindparam("of"))
            .values({name: bindparam(f"new_{name}") for name in _CHANGING}),
            changed,
        )
    _notify(connection, "opened", [asdict(row) for row in rows], now_us)
    _notify(connection, "resolved", gone, now_us)
    return len(rows), len(gone)


def _resolved_before(connection: Connection, new: list[Deadline]) -> set[tuple[str, str, str]]:
    """Which of these cases were open once and are resolved: the same cause does not alert again."""
    columns = ("kind", "subject", "cause", "resolved_us")
    rows = select_in(connection, alerts, columns, "subject", {case.subject for case in new})
    return {(kind, subject, cause) for kind, subject, cause, resolved_us in rows if resolved_us is not None}


def _unanswered(connection: Connection, policy: "Policy", now_us: int) -> list[dict[str, Any]]:
    """Critical alerts that nobody has acknowledged in time."""
    limit_us = now_us - round(policy.escalate_minutes * MINUTE_US)
    return _open(
        connection,
        (alerts.c.severity == Severity.CRITICAL)
        & alerts.c.acknowledged_us.is_(None)
        & alerts.c.escalated_us.is_(None)
        & (alerts.c.opened_us <= limit_us),
    )


def _escalate(connection: Connection, policy: "Policy", now_us: int) -> int:
    """Escalate critical alerts that nobody has acknowledged in time, once."""
    waiting = _unanswered(connection, policy, now_us)
    if waiting:
        connection.execute(
            update(alerts).where(alerts.c.id == bindparam("of")).values(escalated_us=now_us),
            [{"of": row["id"]} for row in waiting],
        )
        _notify(connection, "escalated", waiting, now_us)
    return len(waiting)


def acknowledge(engine: Engine, alert_id: int, by: str, now_us: int) -> dict[str, Any] | None:
    """Record who acknowledged an open alert; the first one counts. None when there is no such open alert."""
    with writing(engine) as connection:
        rows = _open(connection, alerts.c.id == alert_id)
        if not rows:
            return None
        if rows[0]["acknowledged_us"] is None:
            rows[0] |= {"acknowledged_by": by, "acknowledged_us": now_us}
            connection.execute(
                update(alerts).where(alerts.c.id == alert_id).values(acknowledged_by=by, acknowledged_us=now_us)
            )
            _notify(connection, "acknowledged", rows, now_us)
        return rows[0]


def _notify(connection: Connection, what: str, rows: list[dict[str, Any]], now_us: int) -> None:
    entries = [("alert", row["subject"], cloud_event(what, row, now_us), now_us) for row in rows]
    insert(connection, outbox, ("kind", "key", "payload", "created_us"), entries)
