"""Cases: what is late or wrong at a moment, a pure function of the tables and the moment.

`models.alerts.sweep` keeps the open alerts the same as the cases. Changes go into the outbox in the same transaction.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Table, func, select

from config.messages import Message
from models.alerts.setting_aside import Judged, by_itself
from models.alerts.stock_discrepancies import stock_discrepancy_cases
from models.alerts.supplies import level_cases, lot_cases
from models.database.evidence_tables import quarantine
from models.database.state_tables import specimens, waiting_orders
from models.rules.deadlines import AlertKind, Deadline, Severity
from models.rules.times import moment_of

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

SPECIMEN_KINDS = frozenset(
    {
        AlertKind.OVERDUE_RESULT,
        AlertKind.OVERDUE_STEP,
        AlertKind.STABILITY_AT_RISK,
        AlertKind.MISSING_SPECIMEN,
        AlertKind.CRITICAL_UNACKNOWLEDGED,
        AlertKind.UNJUDGED_RESULT,
        AlertKind.CUSTODY_DISCREPANCY,
    }
)
STANDING_KINDS = (
    AlertKind.RESTOCK,
    AlertKind.OVERDUE_DELIVERY,
    AlertKind.EXPIRING_STOCK,
    AlertKind.RECALLED_STOCK,
    AlertKind.STOCK_DISCREPANCY,
    AlertKind.QUARANTINED_EVENTS,
)
_deadlines = msgspec.json.Decoder(list[Deadline])


def decode(text: str | None) -> list[Deadline]:
    """The deadlines of a row of `specimens` or `waiting_orders`."""
    return _deadlines.decode(text) if text else []


def judged(text: str | None, at_us: int, of: str, faults: list[Judged]) -> list[Deadline]:
    """Those of a row's deadlines that are due at this moment. `of`: what the row is about, for `faults`."""
    with by_itself(faults, "deadlines", of):
        every = decode(text)
        for case in every:
            if case.fault is not None:
                faults.append(Judged(case.kind, case.subject, case.fault))
        return [case for case in every if case.fault is None and case.due_us <= at_us]
    return []


class Cases(Struct, frozen=True):
    """What is late or wrong at a moment, and what can't be judged."""

    due: list[Deadline]
    faults: list[Judged]


def _of_rows(connection: Connection, table: Table, name: str, at_us: int, faults: list[Judged]) -> Iterator[Deadline]:
    rows = connection.execution_options(yield_per=1000).execute(
        select(table.c[name], table.c.deadlines).where(table.c.deadlines.is_not(None)).order_by(table.c[name])
    )
    for of, deadlines in rows:
        yield from judged(deadlines, at_us, of, faults)


def quarantine_cases(connection: Connection) -> Iterator[Deadline]:
    """One case for all that is in quarantine, since the earliest time that any record states (0: none does)."""
    count, earliest_us = connection.execute(
        select(func.count(), func.min(quarantine.c.time_us)).where(quarantine.c.state == "open")
    ).one()
    if count:
        yield Deadline.of(
            Message("records in quarantine: see labtrail quarantine list"),
            kind=AlertKind.QUARANTINED_EVENTS,
            subject="events",
            site=None,
            severity=Severity.WARNING,
            due_us=earliest_us or 0,
        )


def standing_cases(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> Cases:
    """The cases of stock and quarantine, which no row of a specimen or an order holds."""
    faults: list[Judged] = []
    found = [
        *level_cases(connection, catalog, policy, at_us, faults),
        *lot_cases(connection, catalog, policy, at_us, faults),
        *stock_discrepancy_cases(connection, at_us, faults),
        *quarantine_cases(connection),
    ]
    return Cases([case for case in found if case.due_us <= at_us], faults)


def cases(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> Cases:
    """Everything that is late or wrong at this moment, sorted by kind and subject."""
    standing = standing_cases(connection, catalog, policy, at_us)
    faults = standing.faults
    due = [
        *_of_rows(connection, specimens, "accession", at_us, faults),
        *_of_rows(connection, waiting_orders, "order_id", at_us, faults),
        *standing.due,
    ]
    return Cases(sorted(due, key=lambda case: (case.kind, case.subject)), faults)


def cloud_event(what: str, row: dict[str, Any], time_us: int) -> bytes:
    """The CloudEvent about an alert for `lab.alerts`. A repeated send has the same id."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"{what}/{row['id']}/{time_us}",
            "source": "/labtrail/alerts",
            "type": f"alert.{what}",
            "subject": row["subject"],
            "time": moment_of(time_us).isoformat(),
            "site": row["site"],
            "data": {
                "alert": row["id"],
                "kind": row["kind"],
                "severity": row["severity"],
                "detail": row["detail"],
                "since": moment_of(row["since_us"]).isoformat(),
            },
        }
    )
