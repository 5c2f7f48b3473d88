"""Cases: what is late or wrong at a moment, a pure function of the tables and the moment.

`models.alerts.sweep` opens an alert for each case once, resolves it when the case is gone, and opens it again only
for a new cause. Changes go into the outbox in the same transaction.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, func, select

from config.messages import Message
from models.database.evidence_tables import quarantine
from models.database.lots import known_lots
from models.database.state_tables import specimens, stock, stock_items, usage_daily
from models.rules.deadlines import AlertKind, Deadline, Severity
from models.rules.stock import StockState, expiring_from_us, restock, shelf_life
from models.rules.times import DAY_US, moment_of

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
        AlertKind.CUSTODY_DISCREPANCY,
    }
)
STANDING_KINDS = (AlertKind.RESTOCK, AlertKind.EXPIRING_STOCK, AlertKind.RECALLED_STOCK, AlertKind.QUARANTINED_EVENTS)
_deadlines = msgspec.json.Decoder(list[Deadline])
_state = msgspec.json.Decoder(StockState)


def decode(text: str | None) -> list[Deadline]:
    """The deadlines of a specimen's row."""
    return _deadlines.decode(text) if text else []


def specimen_cases(connection: Connection, at_us: int) -> Iterator[Deadline]:
    """The cases of all specimens that are due at this moment."""
    rows = connection.execution_options(yield_per=1000).execute(
        select(specimens.c.deadlines).where(specimens.c.deadlines.is_not(None)).order_by(specimens.c.accession)
    )
    for (deadlines,) in rows:
        yield from (case for case in decode(deadlines) if case.due_us <= at_us)


def used_lately(connection: Connection, policy: "Policy", at_us: int) -> dict[tuple[str, str], int]:
    """Use of each (site, item) over the days that the use rate is computed from, in millionths."""
    last = at_us // DAY_US
    rows = connection.execute(
        select(usage_daily.c.site, usage_daily.c.item, func.sum(usage_daily.c.quantity_u))
        .where(usage_daily.c.day > last - policy.use_rate_days, usage_daily.c.day <= last)
        .group_by(usage_daily.c.site, usage_daily.c.item)
    )
    return {(site, item): int(total) for site, item, total in rows}


def restock_cases(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> Iterator[Deadline]:
    """Items to order, among those with a par level and anything on record."""
    used = used_lately(connection, policy, at_us)
    rows = connection.execute(select(stock_items.c.site, stock_items.c.item, stock_items.c.state)).all()
    for site, item, raw in sorted(rows, key=lambda row: (row[0], row[1])):
        par = catalog.par_levels.get((site, item))
        if par is None:
            continue
        state = _state.decode(bytes(raw))
        level = restock(state.on_hand_u, state.on_order_u, used.get((site, item), 0), par, policy)
        if level.due:
            since_us = state.low_since_us if level.reason == "reorder-point" else None
            yield Deadline.of(
                Message(
                    "{on_hand:g} on hand, {on_order:g} on order, order {suggested:g}",
                    on_hand=level.on_hand,
                    on_order=level.on_order,
                    suggested=level.suggested,
                ),
                kind=AlertKind.RESTOCK,
                subject=f"{site}/{item}",
                site=site,
                severity=Severity.CRITICAL if level.on_hand <= 0 else Severity.WARNING,
                due_us=state.at[0] if since_us is None else since_us,
                cause=f"{level.reason} after {state.last_in}",
            )


def lot_cases(connection: Connection, policy: "Policy", at_us: int) -> Iterator[Deadline]:
    """Stock that expires soon, and stock of a recalled lot."""
    rows = connection.execute(
        select(stock.c.site, stock.c.item, stock.c.lot, stock.c.on_hand_u).where(stock.c.on_hand_u > 0)
    ).all()
    facts = known_lots(connection, {(item, lot) for _, item, lot, _ in rows})
    now = moment_of(at_us)
    for site, item, lot, _ in sorted((r for r in rows if (r[1], r[2]) in facts), key=lambda r: tuple(r[:3])):
        known = facts[item, lot]
        life = shelf_life(known.expires, now, policy)
        if known.expires is not None and life:
            day = known.expires.isoformat()
            yield Deadline.of(
                Message("expired {date}", date=day) if life == "expired" else Message("expires {date}", date=day),
                kind=AlertKind.EXPIRING_STOCK,
                subject=f"{site}/{item}/{lot}",
                site=site,
                severity=Severity.WARNING,
                due_us=expiring_from_us(known.expires, policy),
                cause=day,
            )
        if known.notice is not None and known.notice_us is not None and known.notice_us <= at_us:
            yield Deadline.of(
                Message("recalled by its maker: take it off the shelf"),
                kind=AlertKind.RECALLED_STOCK,
                subject=f"{site}/{item}/{lot}",
                site=site,
                severity=Severity.CRITICAL,
                due_us=known.notice_us,
                cause=known.notice[:200],
            )


def quarantine_cases(connection: Connection) -> Iterator[Deadline]:
    """One case for all that is in quarantine, since the earliest time that any record states (0: none does)."""
    count, earliest_us, last = connection.execute(
        select(func.count(), func.min(quarantine.c.time_us), func.max(quarantine.c.id)).where(
            quarantine.c.state == "open"
        )
    ).one()
    if count:
        yield Deadline.of(
            Message("records in quarantine: see labtrail quarantine list"),
            kind=AlertKind.QUARANTINED_EVENTS,
            subject="events",
            site=None,
            severity=Severity.WARNING,
            due_us=earliest_us or 0,
            cause=str(last),
        )


def standing_cases(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> Iterator[Deadline]:
    """The cases of stock and quarantine, which no specimen's row holds."""
    yield from restock_cases(connection, catalog, policy, at_us)
    yield from lot_cases(connection, policy, at_us)
    yield from quarantine_cases(connection)


def cases(connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int) -> list[Deadline]:
    """Everything that is late or wrong at this moment, sorted by kind and subject."""
    every = [*specimen_cases(connection, at_us), *standing_cases(connection, catalog, policy, at_us)]
    return sorted(every, key=lambda case: (case.kind, case.subject))


def accession_of(case: Deadline) -> str | None:
    return case.subject.partition("/")[0] if case.kind in SPECIMEN_KINDS else None


def cloud_event(kind: str, row: dict[str, Any], time_us: int) -> bytes:
    """The CloudEvent about an alert for `lab.alerts`. A repeated send has the same id."""
    moment = moment_of(time_us)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"{kind}/{row['kind']}/{row['subject']}/{row['cause']}",
            "source": "/labtrail/alerts",
            "type": f"alert.{kind}",
            "subject": row["subject"],
            "time": moment.isoformat(),
            "site": row["site"],
            "data": {
                "kind": row["kind"],
                "severity": row["severity"],
                "detail": row["detail"],
                "since": moment_of(row["since_us"]).isoformat(),
            },
        }
    )
