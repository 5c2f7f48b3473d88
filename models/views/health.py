"""How much is on record, and how much of it needs a person: what `labtrail doctor` checks."""

from msgspec import Struct
from sqlalchemy import Connection, func, select

from models.alerts.sweep import LastSweep, last_sweep
from models.database.acts_tables import outbox
from models.database.evidence_tables import events, quarantine


class Contents(Struct, frozen=True, kw_only=True):
    """Counts of rows. `newest_us`: when the newest event was recorded, microseconds since 1970; None: no event."""

    events: int
    newest_us: int | None
    quarantine_open: int
    outbox_failing: int
    """Alerts and labels with failed attempts."""
    sweep: LastSweep | None
    """When all was last judged; None: never."""


def quarantine_open(connection: Connection) -> int:
    """How many quarantined records wait for a decision."""
    return connection.scalar(select(func.count()).where(quarantine.c.state == "open")) or 0


def contents(connection: Connection) -> Contents:
    failing = select(func.count()).select_from(outbox).where(outbox.c.tries > 0)
    return Contents(
        events=event_count(connection),
        newest_us=connection.scalar(select(func.max(events.c.recorded_us))),
        quarantine_open=quarantine_open(connection),
        outbox_failing=connection.scalar(failing) or 0,
        sweep=last_sweep(connection),
    )


def event_count(connection: Connection) -> int:
    """How many events are on record."""
    return connection.scalar(select(func.count()).select_from(events)) or 0
