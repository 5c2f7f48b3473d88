"""A day on which everything goes wrong: events that give at least one case of every kind of alert, and the five
places where people and programs are told of them."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, select

from agents import outbox
from agents.log.open import open_log
from agents.metrics.state import Refreshed, StateCollector
from models.alerts.cases import cases
from models.alerts.sweep import sweep
from models.database.acts_tables import alerts
from models.database.engine import reading
from models.rules.deadlines import Deadline
from models.rules.events import ALERTS_TOPIC
from models.rules.identifiers import make_identifier
from models.views.api_lists import alert_views
from models.views.board import open_alerts
from models.views.exports import export_rows
from models.views.gauges.lab import OTHER
from models.views.gauges.snapshot import StateSnapshot, snapshot
from tests.support.homes import new_home, new_store, records, sqlite_url
from tests.support.story import CATALOG, POLICY, collected, raw, result, step, supply, us, whole_day

LATE = 400
"""The minute at which all of it is late."""
SITES = sorted(CATALOG.sites)
STAT, UNLABELED, UNDER_WAY, FRAGILE, LOST, HIGH, ODD, MIXED_UP, UNSCANNED = (
    make_identifier("S", 2026, n) for n in range(301, 310)
)


def _order(number: int, minute: float, priority: str) -> bytes:
    data = {"patient": f"P-{number}", "priority": priority, "tests": ["TSH"]}
    return raw("order.placed", f"R-{number}", minute, data)


MISSED_LABEL = step("labeled", 303, UNLABELED)
RESULT_OF_THE_STAT = result(401, tube=STAT)
EVENTS = [
    _order(201, 0, "stat"),
    _order(202, LATE - 1441, "routine"),
    collected(0, STAT, priority="stat"),
    *whole_day(0, STAT)[1:5],
    collected(300, UNLABELED),
    *whole_day(0, UNDER_WAY)[:4],
    collected(200, FRAGILE, tests=["CMP"], container="SST5", supplies=[]),
    step("labeled", 202, FRAGILE),
    *whole_day(0, LOST),
    step("missing", 200, LOST),
    *whole_day(0, HIGH),
    result(200, "GLU", tube=HIGH, value="600", unit="mg/dL"),
    *whole_day(0, ODD),
    result(200, "GLU", tube=ODD, value=">400", unit="mg/dL"),
    *(e for e in whole_day(0, MIXED_UP) if b"specimen.labeled" not in e),
    step("labeled", 2, MIXED_UP, scanned=LOST),
    *(e for e in whole_day(0, UNSCANNED) if b"specimen.picked-up" not in e),
    supply("received", -60, lot="L1", quantity=300),
    supply("received", 0, "SUP-UA8", lot="U1", quantity=15),
    supply("counted", 0, "SUP-UA8", "EAST", lot="U1", quantity=0),
    supply("ordered", 5, "SUP-SST5", quantity=80, order="PO-1", expected="2026-11-01"),
    supply("received", 1, "SUP-SST5", lot="S1", quantity=300, expires="2026-12-05"),
    supply("received", 2, "SUP-UCS4", lot="C1", quantity=100),
    supply("recalled", 300, "SUP-UCS4", lot="C1", notice="FSN 7"),
    supply("used", 3, "SUP-RED6", "SOUTH", lot="X9", quantity=5),
    supply("received", 4, "SUP-ESWAB", lot="E1", quantity=1),
    supply("used", 5, "SUP-ESWAB", lot="E1", quantity=1, specimen=LOST),
    supply("recalled", 301, "SUP-ESWAB", lot="E1", notice="FSN 8"),
    b"not json",
]


class Told(NamedTuple):
    """An open alert, wherever it is told."""

    kind: str
    subject: str
    site: str | None
    severity: str


def _not_printed(*_: object) -> None:
    raise AssertionError("there is no label to print")


class Lab:
    """A home with its embedded log, and the open alerts as each place reports them."""

    def __init__(self, folder: Path) -> None:
        self.engine = new_home(sqlite_url(folder, "lab"))
        self.log = open_log(f"sqlite:///{folder}/log.db", {ALERTS_TOPIC: 1})
        self._store, self._offset = new_store(self.engine), 0

    def close(self) -> None:
        self.log.close()
        self.engine.dispose()

    def happened(self, *events: bytes) -> None:
        self._store.commit(records(events, self._offset), us(10_000))
        self._offset += len(events)

    def swept(self, minute: float) -> None:
        """Judge everything, and send what is to be told."""
        while sweep(self.engine, CATALOG, POLICY, us(minute)).more:
            pass
        while outbox.send(self.engine, self.log, _not_printed, us(minute), 100):
            pass

    def due(self, minute: float) -> list[Deadline]:
        with reading(self.engine) as connection:
            return cases(connection, CATALOG, POLICY, us(minute)).due

    def state(self, minute: float) -> StateSnapshot:
        with reading(self.engine) as connection:
            return snapshot(connection, CATALOG, POLICY, us(minute))

    def metrics(self, minute: float) -> str:
        """The page that Prometheus scrapes, state gauges only."""
        registry = CollectorRegistry()
        registry.register(StateCollector(Refreshed(lambda: self.state(minute), wait_s=60)))
        return generate_latest(registry).decode()

    def open(self) -> list[Told]:
        a = alerts.c
        with reading(self.engine) as connection:
            rows = connection.execute(select(a.kind, a.subject, a.site, a.severity).where(a.resolved_us.is_(None)))
            return sorted(map(Told._make, rows), key=str)

    def exported(self, minute: float) -> list[Told]:
        with reading(self.engine) as connection:
            rows = export_rows(connection, "alerts", us(minute), catalog=CATALOG, policy=POLICY)
            return sorted((Told(r["kind"], r["subject"], r["site"], r["severity"]) for r in rows), key=str)

    def said(self) -> list[Told]:
        """What was opened, or opened again, on `lab.alerts` and not resolved, with its latest severity."""
        standing: dict[int, Told] = {}
        for _, record in self.log.replay():
            event = msgspec.json.decode(record.value)
            data = event["data"]
            if event["type"] in ("alert.opened", "alert.reopened") or data["alert"] in standing:
                standing[data["alert"]] = Told(data["kind"], event["subject"], event["site"], data["severity"])
            if event["type"] == "alert.resolved":
                standing.pop(data["alert"], None)
        return sorted(standing.values(), key=str)

    def on_the_board(self) -> list[Told]:
        return self._listed(lambda connection: open_alerts(connection, SITES))

    def by_the_api(self) -> list[Told]:
        return self._listed(lambda connection: alert_views(connection, SITES, kind=None, after=0, limit=5000))

    def _listed(self, read: Any) -> list[Told]:
        def rows(connection: Connection) -> list[Told]:
            return [Told(one.kind, one.subject, one.site, one.severity) for one in read(connection)]

        with reading(self.engine) as connection:
            return sorted(rows(connection), key=str)

    def counted(self, minute: float) -> Counter[tuple[str, str, str]]:
        """(kind, severity, site) -> `labtrail_alerts_open`."""
        (family,) = [
            f for f in text_string_to_metric_families(self.metrics(minute)) if f.name == "labtrail_alerts_open"
        ]
        found = {(s.labels["kind"], s.labels["severity"], s.labels["site"]): int(s.value) for s in family.samples}
        return +Counter(found)


def counts(told: list[Told]) -> Counter[tuple[str, str, str]]:
    return Counter((one.kind, one.severity, one.site or OTHER) for one in told)
