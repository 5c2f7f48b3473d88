"""Every report of a result, as it was made: a corrected one is listed beside the one that it replaces."""

from msgspec import Struct
from sqlalchemy import Connection, select

from models.database.evidence_tables import events
from models.rules.event_types import ResultReported
from models.rules.events import Event, Refused, parse
from models.rules.specimen import effective

REPORTS_MAX = 1000


class Report(Struct, frozen=True, kw_only=True):
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    time_us: int
    actor: str


def reports_of(connection: Connection, accession: str) -> dict[str, list[Report]]:
    """For each test of a specimen its reports, oldest first; without voided ones."""
    about = events.c.type.in_(("result.reported", "event.voided"))
    query = select(events.c.raw, events.c.appended_us).where(events.c.subject == accession, about).limit(REPORTS_MAX)
    read = [event for raw, at_us in connection.execute(query) if (event := _parsed(bytes(raw), at_us)) is not None]
    found: dict[str, list[Report]] = {}
    for event in effective(read):
        if isinstance(event.data, ResultReported):
            value = None if event.data.value is None else str(event.data.value)
            report = Report(
                status=event.data.status,
                value=value,
                unit=event.data.unit,
                flag=event.data.flag,
                time_us=event.time_us,
                actor=event.actor,
            )
            found.setdefault(event.data.test, []).append(report)
    return found


def _parsed(raw: bytes, appended_us: int) -> Event | None:
    """The event; None if its recorded bytes were altered (the ledger's check reports that)."""
    try:
        return parse(raw, appended_us, recorded=True)
    except Refused:
        return None
