"""The metrics that a process counts and the gauges of the lab's state, as Prometheus reads them."""

import asyncio
import threading
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agents.metrics import definitions as declared
from agents.metrics.definitions import METRICS, UNKNOWN_TYPE, WorkerMetrics
from agents.metrics.state import LagCollector, Refreshed, StateCollector, exposition
from config.catalog import DEFAULT_CATALOG, load_catalog
from models.recording.evidence import Outcome, Verdict
from models.views.gauges.lab import OTHER
from models.views.gauges.snapshot import StateSnapshot
from tests.support.monitoring.programs import ROOT
from tests.support.monitoring.states import planted, quiet

CATALOG = load_catalog(DEFAULT_CATALOG)
NOW_S = 1_795_300_000.0
NOW_US = round(NOW_S * 1e6)


def outcome(verdict: Verdict, event_type: str, latency_s: float = 0.1) -> Outcome:
    return Outcome(verdict, event_type, NOW_US - round(latency_s * 1e6))


@dataclass
class Database:
    """A small real source of state: answers, fails or hangs as told, and counts how often it was asked."""

    state: StateSnapshot
    fault: Exception | None = None
    asked: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def read(self) -> StateSnapshot:
        self.asked += 1
        self.gate.wait(30)
        if self.fault is not None:
            raise self.fault
        return self.state


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def series(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def exporter(database: Database, clock: Clock, wait_s: float = 10.0) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector(Refreshed(database.read, wait_s=wait_s, monotonic=clock)))
    return registry


def full_registry() -> CollectorRegistry:
    """Every metric there is, each with a series."""
    registry = exporter(Database(quiet(CATALOG, NOW_S)), Clock())
    registry.register(LagCollector(Refreshed(lambda: ({("lab.specimens", 0): 3}, NOW_S))))
    counted = WorkerMetrics(registry, CATALOG)
    counted.committed([outcome("recorded", "specimen.collected", 0.01)], NOW_US)
    counted.received("NORTH", "stat", 3600)
    counted.resulted("CBCD", "stat", 1800, 3600)
    return registry


def test_every_declared_metric_is_exported_with_its_help_and_nothing_else_of_ours_is() -> None:
    families = {f.name: f for f in text_string_to_metric_families(generate_latest(full_registry()).decode())}
    for metric in METRICS:
        family = families.pop(metric.name.removesuffix("_total"))
        assert family.documentation == metric.help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert [name for name in families if name.startswith("labtrail")] == []


def test_no_label_can_hold_a_patient_an_accession_a_badge_or_an_order() -> None:
    allowed = {
        "type",
        "outcome",
        "site",
        "status",
        "kind",
        "priority",
        "step",
        "test",
        "timely",
        "item",
        "severity",
        "code",
        "printer",
        "state",
        "topic",
        "partition",
    }
    assert {label for metric in METRICS for label in metric.labels} <= allowed


def test_every_metric_is_documented_with_its_labels() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for metric in METRICS:
        labels = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
        assert f"| `{metric.name}{labels}` |" in page, f"docs/metrics.md lacks a row for {metric.name}{labels}"


def test_names_from_outside_the_catalog_fall_into_one_series() -> None:
    registry = CollectorRegistry()
    counted = WorkerMetrics(registry, CATALOG)
    before = len(series(registry))
    for number in range(500):
        counted.committed([outcome("quarantined", f"made.up-{number}")], NOW_US)
        counted.received(f"SITE{number}", "stat", 1)
        counted.resulted(f"T{number}", f"urgent-{number}", 1, 1)
    after = series(registry)
    assert after["labtrail_events_total", (("outcome", "quarantined"), ("type", UNKNOWN_TYPE))] == 500
    assert after["labtrail_transit_seconds_count", (("priority", "stat"), ("site", OTHER))] == 500
    # one event series, and one child of each of the three others
    assert (
        len(after) - before
        == 1 + (len(declared.TRANSIT_BUCKETS_S) + 3) + (len(declared.TURNAROUND_BUCKETS_S) + 3) + 1
    )


def test_a_result_within_its_turnaround_is_timely_and_one_after_it_is_not() -> None:
    registry = CollectorRegistry()
    counted = WorkerMetrics(registry, CATALOG)
    counted.resulted("CBCD", "stat", 3600, 3600)
    counted.resulted("CBCD", "stat", 3601, 3600)
    seen = series(registry)
    for timely in ("yes", "no"):
        labels = (("priority", "stat"), ("test", "CBCD"), ("timely", timely))
        assert seen["labtrail_results_timely_total", labels] == 1


def test_a_batch_is_counted_by_type_and_outcome_with_each_latency() -> None:
    registry = CollectorRegistry()
    counted = WorkerMetrics(registry, CATALOG)
    batch = [outcome("recorded", "supply.used", 0.2)] * 7 + [outcome("duplicate", "supply.used", 0.2)]
    counted.committed([*batch, outcome("duplicate", "supply.used", -0.5)], NOW_US)
    seen = series(registry)
    assert seen["labtrail_events_total", (("outcome", "recorded"), ("type", "supply.used"))] == 7
    assert seen["labtrail_events_total", (("outcome", "duplicate"), ("type", "supply.used"))] == 2
    assert seen["labtrail_event_latency_seconds_count", ()] == 9
    assert seen["labtrail_event_latency_seconds_bucket", (("le", "0.001"),)] == 1  # clocks apart: zero, not less


def test_before_the_first_good_read_no_gauge_is_exported() -> None:
    database = Database(quiet(CATALOG, NOW_S), fault=OSError("the database is away"))
    assert series(exporter(database, Clock())) == {}


def test_a_database_outage_keeps_the_last_values_with_their_old_time() -> None:
    late = ("overdue-result", "NORTH", "stat")
    database, clock = Database(planted(quiet(CATALOG, NOW_S), overdue={late: 2.0})), Clock()
    registry = exporter(database, clock)
    before = series(registry)
    database.fault = OSError("the database is away")
    clock.now += 3600
    during = series(registry)
    assert during == before
    assert during["labtrail_state_refreshed_timestamp_seconds", ()] == NOW_S
    labels = (("kind", "overdue-result"), ("priority", "stat"), ("site", "NORTH"))
    assert during["labtrail_overdue", labels] == 2
    database.fault, database.state = None, quiet(CATALOG, NOW_S + 3600)
    assert series(registry)["labtrail_state_refreshed_timestamp_seconds", ()] == NOW_S + 3600


def test_a_hanging_database_delays_no_scrape_and_is_asked_only_once() -> None:
    database, clock = Database(quiet(CATALOG, NOW_S)), Clock()
    registry = exporter(database, clock, wait_s=0.01)
    database.gate.clear()
    for _ in range(50):
        assert series(registry) == {}
    assert database.asked == 1
    database.gate.set()
    for _ in range(1000):
        if series(registry):
            break
    assert series(registry)["labtrail_quarantined", ()] == 0


def test_many_scrapes_within_five_seconds_read_the_database_once() -> None:
    database, clock = Database(quiet(CATALOG, NOW_S)), Clock()
    registry = exporter(database, clock)
    for tenth in range(49):
        clock.now = tenth / 10
        generate_latest(registry)
    assert database.asked == 1
    clock.now = 5.0
    generate_latest(registry)
    assert database.asked == 2


def test_two_workers_export_the_same_state() -> None:
    state = planted(quiet(CATALOG, NOW_S), discrepancies={("label-mismatch", "SOUTH"): 3.0})
    one, other = (exporter(Database(state), Clock()) for _ in range(2))
    assert generate_latest(one) == generate_latest(other)


def test_the_page_is_made_outside_the_event_loop() -> None:
    database = Database(quiet(CATALOG, NOW_S))
    registry = exporter(database, Clock())

    async def scrape_while_the_database_hangs() -> bytes:
        database.gate.clear()
        page = asyncio.create_task(exposition(registry))
        while database.asked == 0:  # the loop goes on while the thread waits; pytest's own limit bounds it
            await asyncio.sleep(0)
        database.gate.set()
        return await page

    assert b"labtrail_quarantined 0.0" in asyncio.run(scrape_while_the_database_hangs())
