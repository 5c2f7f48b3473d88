"""Every report of a result, as it was made: a corrected one is listed beside the one that it replaces."""

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, select

from models.database.evidence_tables import events
from models.rules.event_types import ResultAcknowledged, ResultReported
from models.rules.events import Event, Refused, of_kind, parse
from models.rules.judging import Critical, judge_report
from models.rules.results import JudgedComponent, Reports, by_test, judged_components, text_of
from models.rules.specimen import effective
from models.rules.times import MINUTE_US, utc_text

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

EVENTS_MAX = 1000
components = msgspec.json.Decoder(tuple[JudgedComponent, ...]).decode
"""The analytes of a panel, of the column of that name."""


def result_fields(row: Row[Any]) -> dict[str, Any]:
    """What is shown of a row of `results`, by the names of its export; times are UTC text."""
    return {
        "test": row.test,
        "status": row.status,
        "value": row.value,
        "unit": row.unit,
        "flag": row.flag,
        "range": row.range,
        "comment": row.comment,
        "components": components(row.components),
        "critical": row.critical,
        "report": row.report,
        "reported_at": utc_text(row.reported_us),
        "acknowledged_at": utc_text(row.acknowledged_us),
        "acknowledged_by": row.acknowledged_by,
        "revisions": row.revisions,
    }


class Report(Struct, frozen=True, kw_only=True):
    id: str
    """The event's."""
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    comment: str | None
    components: tuple[JudgedComponent, ...]
    critical: Critical
    stands: bool
    """Whether this is the report that stands for its test."""
    time_us: int
    actor: str
    read_us: int | None
    """When it was read back; None: it was not."""
    read_by: str | None


def reports_of(
    connection: Connection, accession: str, catalog: "Catalog", policy: "Policy"
) -> dict[str, list[Report]]:
    """For each test of a specimen its reports, in the order in which they count; without voided ones."""
    about = events.c.type.in_(("result.reported", "result.acknowledged", "event.voided"))
    query = select(events.c.raw, events.c.appended_us).where(events.c.subject == accession, about).limit(EVENTS_MAX)
    read = [event for raw, at_us in connection.execute(query) if (event := _parsed(bytes(raw), at_us)) is not None]
    counting = effective(read)
    read_backs = [e for e in of_kind(counting, ResultAcknowledged) if e.data.read_back]
    found = {}
    for test, some in by_test(of_kind(counting, ResultReported)).items():
        reports = Reports(some)
        skew_us = round(policy.clock_skew_minutes * MINUTE_US)
        told: dict[str, Event[ResultAcknowledged]] = {}
        for one in read_backs:
            if one.data.test == test and (of := reports.read_by(one, skew_us)) is not None:
                told.setdefault(of, one)
        found[test] = [
            _report(report, told.get(report.id), catalog, stands=report is reports.standing)
            for report in reports.ordered
        ]
    return found


def _report(
    report: Event[ResultReported],
    read: Event[ResultAcknowledged] | None,
    catalog: "Catalog",
    *,
    stands: bool,
) -> Report:
    data = report.data
    return Report(
        id=report.id,
        status=data.status,
        value=text_of(data.value),
        unit=data.unit,
        flag=data.flag,
        comment=data.comment,
        components=judged_components(data, catalog),
        critical=judge_report(data, catalog),
        stands=stands,
        time_us=report.time_us,
        actor=report.actor,
        read_us=read.time_us if read else None,
        read_by=read.actor if read else None,
    )


def _parsed(raw: bytes, appended_us: int) -> Event | None:
    """The event; None if its recorded bytes were altered (the ledger's check reports that)."""
    try:
        return parse(raw, appended_us, recorded=True)
    except Refused:
        return None
