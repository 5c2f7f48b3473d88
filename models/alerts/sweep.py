"""The sweep: keeps the `alerts` table in sync with what is late or wrong. Run by one leader, safe with several."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, Select, Table, bindparam, delete, exists, func, select, text, update

from config.messages import dumped
from models.alerts.cases import (
    SPECIMEN_KINDS,
    STANDING_KINDS,
    Cases,
    cloud_event,
    decode,
    judged,
    standing_cases,
)
from models.alerts.setting_aside import Judged
from models.database.acts_tables import alerts, outbox, sweeps
from models.database.bulk import insert, insert_structs, select_in, upsert
from models.database.engine import reading, writing
from models.database.state_tables import specimens, waiting_orders
from models.rules.deadlines import AlertKind, Deadline, Severity
from models.rules.times import MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

ROWS_MAX = 2000
"""Specimens, or orders, looked at in one transaction; the rest follow in the next."""
AGAIN_US = 10 * MINUTE_US
"""A case that comes back within this time is the same alert."""
NOTE_EVERY_US = 10 * SECOND_US
FAULTS_MAX = 50
NONE: Mapping[tuple[str, str], str] = {}
_encode = msgspec.json.Encoder().encode
_faults = msgspec.json.Decoder(list[Judged])
log = logging.getLogger(__name__)
_LEADER = 0x4C54_5357  # any number that is the same on every worker


class Swept(Struct, frozen=True):
    """What one sweep did. `failures`: cases that can't be judged; `more`: rows are left, so sweep again at once."""

    opened: int
    resolved: int
    escalated: int
    failures: int
    more: bool


class AlertRow(Struct, frozen=True, kw_only=True):
    """A row of `alerts`, as opened."""

    kind: str
    subject: str
    accession: str | None
    priority: str
    site: str | None
    severity: str
    detail: str
    message: str | None
    since_us: int
    opened_us: int


def sweep(engine: Engine, catalog: "Catalog", policy: "Policy", now_us: int) -> Swept:
    """Open, resolve and escalate alerts as of now, in one transaction.

    The writing transaction blocks every other writer, so whether there is anything to write, which is rare, is read
    before it.
    """
    with reading(engine) as connection:
        due = any(connection.execute(_due(of, now_us).limit(1)).first() is not None for of in CHECKED)
        standing = standing_cases(connection, catalog, policy, now_us)
        changed = any(_difference(standing, _open(connection, alerts.c.kind.in_(STANDING_KINDS))))
        late = bool(_unanswered(connection, policy, now_us)) or bool(_orphans(connection))
        failures = _failures(connection, standing.faults)
        noted = _is_noted(connection, failures, now_us)
    if not (due or changed or late) and noted:
        return Swept(0, 0, 0, failures.count, more=False)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql" and not connection.scalar(
            text("SELECT pg_try_advisory_xact_lock(:leader)"), {"leader": _LEADER}
        ):
            return Swept(0, 0, 0, 0, more=False)
        work = _Work(connection, now_us)
        more = [_check(work, of) for of in CHECKED]
        work.resolve(_orphans(connection))
        if changed:  # read again, as the tables are now
            standing = standing_cases(connection, catalog, policy, now_us)
            _turn(work, standing, _open(connection, alerts.c.kind.in_(STANDING_KINDS)))
        escalated = _escalate(connection, policy, now_us)
        failures = _failures(connection, standing.faults)
        if not any(more):
            _note(connection, failures, now_us)
        return Swept(work.opened, work.resolved, escalated, failures.count, more=any(more))


class Checked(NamedTuple):
    """A table whose rows hold deadlines, and the columns that link its rows to their alerts."""

    table: Table
    name: str
    alert: Any

    @property
    def kinds(self) -> Any:
        return alerts.c.kind.in_(SPECIMEN_KINDS if self.table is specimens else (AlertKind.UNCOLLECTED_ORDER,))


CHECKED = (
    Checked(specimens, "accession", alerts.c.accession),
    Checked(waiting_orders, "order_id", alerts.c.subject),
)


def _due(of: Checked, now_us: int) -> Select[Any]:
    """The rows to check: what became due, what changed, and after a clock was set back what is not due any more."""
    name = of.table.c[of.name]
    early = select(of.alert).where(alerts.c.resolved_us.is_(None), alerts.c.since_us > now_us, of.kinds)
    return select(name, of.table.c.deadlines).where((of.table.c.alert_check_us <= now_us) | name.in_(early))


def _check(work: "_Work", of: Checked) -> bool:
    """Update the alerts of the rows that are due; whether some are left for the next transaction.

    A row that a worker is writing is left for the next sweep.
    """
    connection, now_us = work.connection, work.now_us
    rows = connection.execute(
        _due(of, now_us).order_by(of.table.c.alert_check_us).limit(ROWS_MAX).with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return False
    due: list[Deadline] = []
    accessions: dict[tuple[str, str], str] = {}
    faults: list[Judged] = []
    marks = []
    for name, text_ in rows:
        late = judged(text_, now_us, name, faults)
        due += late
        if of.table is specimens:
            accessions |= {(case.kind, case.subject): name for case in late}
        faulty = int(any(fault.subject == name for fault in faults))
        marks.append({"of": name, "count": len(late), "next": _following(text_, now_us), "odd": faulty})
    have = []
    for chunk in range(0, len(rows), 500):
        names = [row[0] for row in rows[chunk : chunk + 500]]
        have += _open(connection, of.alert.in_(names) & of.kinds)
    _turn(work, Cases(due, faults), have, accessions)
    connection.execute(
        update(of.table)
        .where(of.table.c[of.name] == bindparam("of"))
        .values(alerts_open=bindparam("count"), alert_check_us=bindparam("next"), faulty=bindparam("odd")),
        marks,
    )
    return len(rows) == ROWS_MAX


def _following(deadlines: str | None, now_us: int) -> int | None:
    """When the next case of a row becomes due."""
    try:
        every = decode(deadlines)
    except msgspec.MsgspecError:
        return None
    return min((case.due_us for case in every if case.fault is None and case.due_us > now_us), default=None)


def _orphans(connection: Connection) -> list[dict[str, Any]]:
    """Open alerts whose specimen or order has no row any more: all that was on record of it is voided."""
    found = []
    for of in CHECKED:
        there = exists().where(of.table.c[of.name] == of.alert)
        found += _open(connection, of.kinds & ~there)
    return found


def _open(connection: Connection, which: Any) -> list[dict[str, Any]]:
    rows = connection.execute(select(alerts).where(alerts.c.resolved_us.is_(None), which))
    return [dict(row) for row in rows.mappings()]


_CHANGING = ("detail", "message", "severity", "since_us", "site", "priority")
"""What may change while a case lasts."""


def _changing(case: Deadline) -> tuple[Any, ...]:
    return (case.detail, dumped(case.message), case.severity, case.due_us, case.site, case.priority)


def _kept(faults: list[Judged], row: dict[str, Any]) -> bool:
    """Whether an open alert may be of a case that can't be judged: it stays open until it can."""
    of = (row["subject"], row["accession"])
    names = {(kind, name) for kind in (row["kind"], "deadlines") for name in of}
    return any((fault.kind, fault.subject) in names for fault in faults)


class _Difference(NamedTuple):
    """What must be done so that the open alerts are those wanted."""

    gone: list[dict[str, Any]]
    new: list[Deadline]
    changed: list[tuple[dict[str, Any], Deadline]]


def _difference(want: Cases, have: list[dict[str, Any]]) -> _Difference:
    wanted = {(case.kind, case.subject): case for case in want.due}
    opened = {(row["kind"], row["subject"]): row for row in have}
    both = [(row, wanted[of]) for of, row in opened.items() if of in wanted]
    return _Difference(
        gone=[row for of, row in opened.items() if of not in wanted and not _kept(want.faults, row)],
        new=[case for of, case in wanted.items() if of not in opened],
        changed=[(row, case) for row, case in both if tuple(row[name] for name in _CHANGING) != _changing(case)],
    )


class _Work:
    """One transaction's changes to the alerts, each told on `lab.alerts`."""

    def __init__(self, connection: Connection, now_us: int) -> None:
        self.connection, self.now_us = connection, now_us
        self.opened = self.resolved = 0

    def resolve(self, gone: list[dict[str, Any]]) -> None:
        """End these alerts, and with each its acknowledgement."""
        if gone:
            self.connection.execute(
                update(alerts).where(alerts.c.id == bindparam("of")).values(resolved_us=self.now_us),
                [{"of": row["id"]} for row in gone],
            )
            _unsay(self.connection, gone)
            _notify(self.connection, "resolved", gone, self.now_us)
            self.resolved += len(gone)

    def open(self, new: list[Deadline], accessions: Mapping[tuple[str, str], str]) -> None:
        """Open an alert for each; one like it that ended a moment ago is opened again, and nothing is sent.

        `accessions`: of those about a specimen, by kind and subject.
        """
        again = _ended_lately(self.connection, new, self.now_us)
        fresh = [case for case in new if (case.kind, case.subject) not in again]
        if fresh:
            insert_structs(self.connection, alerts, AlertRow, [_row(case, self.now_us, accessions) for case in fresh])
            subjects = {(case.kind, case.subject) for case in fresh}
            rows = select_in(self.connection, alerts, _COLUMNS, "subject", {case.subject for case in fresh})
            opened = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
            told = [r for r in opened if r["resolved_us"] is None and (r["kind"], r["subject"]) in subjects]
            _notify(self.connection, "opened", told, self.now_us)
        for case in new:
            if row := again.get((case.kind, case.subject)):
                values = dict(zip(_CHANGING, _changing(case), strict=True))
                self.connection.execute(
                    update(alerts).where(alerts.c.id == row["id"]).values(resolved_us=None, **values)
                )
                _say_later(self.connection, row | values, row["resolved_us"] + AGAIN_US)
        self.opened += len(new)

    def change(self, changed: list[tuple[dict[str, Any], Deadline]]) -> None:
        """Give open alerts their case's new values; told if the severity changes."""
        if not changed:
            return
        values = [(row, dict(zip(_CHANGING, _changing(case), strict=True))) for row, case in changed]
        self.connection.execute(
            update(alerts)
            .where(alerts.c.id == bindparam("of"))
            .values({name: bindparam(f"new_{name}") for name in _CHANGING}),
            [{"of": row["id"], **{f"new_{name}": value for name, value in new.items()}} for row, new in values],
        )
        graver = [row | new for row, new in values if row["severity"] != new["severity"]]
        _notify(self.connection, "changed", graver, self.now_us)


def _turn(
    work: _Work, want: Cases, have: list[dict[str, Any]], accessions: Mapping[tuple[str, str], str] = NONE
) -> None:
    """Open, change and resolve alerts so that the open ones are those wanted."""
    gone, new, changed = _difference(want, have)
    work.resolve(gone)
    work.open(new, accessions)
    work.change(changed)


_COLUMNS = tuple(column.name for column in alerts.columns)


def _row(case: Deadline, now_us: int, accessions: Mapping[tuple[str, str], str]) -> AlertRow:
    return AlertRow(
        kind=case.kind,
        subject=case.subject,
        accession=accessions.get((case.kind, case.subject)),
        priority=case.priority,
        site=case.site,
        severity=case.severity,
        detail=case.detail,
        message=dumped(case.message),
        since_us=case.due_us,
        opened_us=now_us,
    )


def _ended_lately(connection: Connection, new: list[Deadline], now_us: int) -> dict[tuple[str, str], dict[str, Any]]:
    """The latest alert of each of these cases, if it ended within the last minutes."""
    rows = select_in(connection, alerts, _COLUMNS, "subject", {case.subject for case in new})
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for values in rows:
        row = dict(zip(_COLUMNS, values, strict=True))
        of = (row["kind"], row["subject"])
        if row["resolved_us"] is not None and (of not in found or found[of]["id"] < row["id"]):
            found[of] = row
    return {of: row for of, row in found.items() if abs(now_us - row["resolved_us"]) <= AGAIN_US}


def _say_later(connection: Connection, row: dict[str, Any], due_us: int) -> None:
    """Tell of an alert that opened again only if it is still open when it would not have been the same one."""
    columns = ("kind", "key", "payload", "created_us", "not_before_us")
    told = cloud_event("reopened", row, due_us)
    insert(connection, outbox, columns, [("alert-again", str(row["id"]), told, due_us, due_us)])


def _unsay(connection: Connection, gone: list[dict[str, Any]]) -> None:
    keys = [str(row["id"]) for row in gone]
    for chunk in range(0, len(keys), 500):
        some = outbox.c.key.in_(keys[chunk : chunk + 500])
        connection.execute(delete(outbox).where(outbox.c.kind == "alert-again", some))


class Failures(Struct, frozen=True):
    """How many cases can't be judged, and the first of them."""

    count: int
    faults: list[Judged]


def _failures(connection: Connection, standing: list[Judged]) -> Failures:
    faults, count = list(standing), len(standing)
    for of in CHECKED:
        odd = of.table.c.faulty == 1
        count += connection.execute(select(func.count()).where(odd)).scalar_one()
        rows = select(of.table.c[of.name], of.table.c.deadlines).where(odd).order_by(of.table.c[of.name])
        for name, deadlines in connection.execute(rows.limit(FAULTS_MAX)):
            judged(deadlines, 0, name, faults)
    return Failures(count, sorted(set(faults))[:FAULTS_MAX])


def _is_noted(connection: Connection, failures: Failures, now_us: int) -> bool:
    """Whether the last complete sweep is on record as of a moment ago, with the same failures."""
    last = last_sweep(connection)
    if last is None or not 0 <= now_us - last.complete_us < NOTE_EVERY_US:
        return False
    return (last.failures, last.faults) == (failures.count, failures.faults)


def _note(connection: Connection, failures: Failures, now_us: int) -> None:
    """Record that all was judged but for these, and log what is new."""
    last = last_sweep(connection)
    for fault in sorted(set(failures.faults) - set(last.faults if last else ())):
        log.warning("%s of %s can't be judged (%s): it is set aside", fault.kind, fault.subject, fault.fault)
    rows = [(1, now_us, failures.count, _encode(failures.faults).decode())]
    upsert(connection, sweeps, ("id", "complete_us", "failures", "faults"), rows)


class LastSweep(Struct, frozen=True):
    """The last complete sweep. `failures`: how many cases could not be judged; `faults`: the first of them."""

    complete_us: int
    failures: int
    faults: list[Judged]


def last_sweep(connection: Connection) -> LastSweep | None:
    """None: there was none yet."""
    row = connection.execute(select(sweeps.c.complete_us, sweeps.c.failures, sweeps.c.faults)).first()
    return None if row is None else LastSweep(row[0], row[1], _faults.decode(row[2]))


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
