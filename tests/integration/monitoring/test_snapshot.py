"""The state gauges, read from real tables: what a planted day shows, on SQLite and on PostgreSQL."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine

from agents.metrics.state import Refreshed, StateCollector
from models.alerts.sweep import acknowledge, sweep
from models.database.engine import reading, writing
from models.printing.jobs import NewJob, queue_first
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.identifiers import make_identifier
from models.views.gauges.lab import OTHER
from models.views.gauges.snapshot import StateSnapshot, snapshot
from tests.support.story import CATALOG, OTHER_TUBE, POLICY, collected, result, step, supply, us, whole_day


def record(engine: Engine, raws: list[bytes], minute: float, start: int = 0) -> None:
    store = Store(engine, CATALOG, POLICY, print_on_collection="zebra-north")
    records = [Record("lab.specimens", 0, start + n, raw, us(minute)) for n, raw in enumerate(raws)]
    for first in range(0, len(records), 2000):
        store.commit(records[first : first + 2000], us(minute))


def state(engine: Engine, minute: float) -> StateSnapshot:
    with reading(engine) as connection:
        return snapshot(connection, CATALOG, POLICY, us(minute))


def nonzero(cells: object) -> dict[tuple[str, ...], float]:
    assert isinstance(cells, dict)
    return {key: value for key, value in cells.items() if value}


def test_an_empty_database_shows_zeros_for_everything_that_there_could_be(engine: Engine) -> None:
    empty = state(engine, 0)
    assert nonzero(empty.specimens) == nonzero(empty.overdue) == nonzero(empty.alerts_open) == {}
    assert empty.overdue["overdue-result", "NORTH", "stat"] == 0
    assert empty.specimens["NORTH", "received"] == 0
    assert empty.on_hand == empty.restock_due == empty.days_of_cover == {}, "what nobody entered has not run out"
    assert empty.quarantined == empty.outbox_pending == 0


def test_a_stat_result_is_overdue_from_its_turnaround_on_swept_or_not(engine: Engine) -> None:
    record(engine, whole_day()[1:5], 100)
    record(engine, [collected(0, priority="stat")], 101, start=10)
    received, hour = 90, 60  # CBCD has a STAT turnaround of one hour
    before, late = state(engine, received + hour - 1), state(engine, received + hour + 5)
    assert before.overdue["overdue-result", "NORTH", "stat"] == 0
    assert late.overdue["overdue-result", "NORTH", "stat"] == 1
    assert late.oldest_overdue_s["overdue-result", "NORTH"] == 300
    while sweep(engine, CATALOG, POLICY, us(received + hour + 5)).more:
        pass
    swept = state(engine, received + hour + 10)
    assert swept.overdue["overdue-result", "NORTH", "stat"] == 1
    assert swept.alerts_open["overdue-result", "critical", "NORTH"] == 1
    assert swept.oldest_unacknowledged_s["overdue-result", "critical", "NORTH"] == 300
    record(engine, [result(170)], 170, start=20)
    assert nonzero(state(engine, 171).overdue) == {}


def test_each_late_step_has_its_name_and_site(engine: Engine) -> None:
    record(engine, [collected(0), collected(0, OTHER_TUBE, site="SOUTH")], 1)
    record(engine, [step("labeled", 2, OTHER_TUBE, site="SOUTH")], 2, start=5)
    late = state(engine, 12 * 60)
    assert nonzero(late.overdue_steps) == {("label", "NORTH", "routine"): 1, ("dispatch", "SOUTH", "routine"): 1}
    assert late.oldest_overdue_step_s["label", "NORTH"] == (12 * 60 - 10) * 60


def test_an_acknowledged_alert_is_open_and_has_no_age(engine: Engine) -> None:
    record(engine, [*whole_day(), step("missing", 200)], 201)
    sweep(engine, CATALOG, POLICY, us(202))
    assert state(engine, 212).oldest_unacknowledged_s["missing-specimen", "critical", "NORTH"] == 600
    assert acknowledge(engine, 1, "B2600000184", us(213)) is not None
    taken = state(engine, 220)
    assert taken.alerts_open["missing-specimen", "critical", "NORTH"] == 1
    assert taken.oldest_unacknowledged_s["missing-specimen", "critical", "NORTH"] == 0


def test_stock_shows_what_is_left_ordered_expiring_and_recalled(engine: Engine) -> None:
    record(
        engine,
        [
            supply("received", 0, lot="L1", expires="2026-12-01", quantity=50),
            supply("received", 1, lot="L2", expires="2027-12-01", quantity=30),
            supply("used", 2, lot="L1", quantity=28),
            supply("ordered", 3, quantity=10),
            supply("recalled", 4, lot="L2", notice="FSN 7"),
        ],
        5,
    )
    at, now = ("NORTH", "SUP-EDTA4"), state(engine, 10)
    assert (now.on_hand[at], now.on_order[at], now.reorder_point[at]) == (52, 10, 60)
    assert (now.expiring[at], now.recalled[at]) == (22, 30)
    assert now.days_of_cover[at] == pytest.approx(52 / (28 / 14))
    assert (now.restock_due[at], now.restock_suggested[at]) == (0, 0)
    record(engine, [supply("used", 6, lot="L1", quantity=2)], 7, start=10)
    due = state(engine, 10)
    assert (due.restock_due[at], due.restock_suggested[at]) == (1, 300 - 50 - 10)
    assert due.lead_time_s[at] == 2 * 86400


def test_quarantine_and_outbox_are_counted(engine: Engine) -> None:
    record(engine, [b"not json", collected(0)], 1)
    now = state(engine, 3)
    assert now.quarantined == 1
    assert now.outbox_pending == 1  # the label of the tube
    assert now.outbox_oldest_s == 0  # which is a print, not an alert
    sweep(engine, CATALOG, POLICY, us(3))
    assert state(engine, 5).outbox_oldest_s == 120


def test_a_label_that_waits_for_its_printer_has_an_age(engine: Engine) -> None:
    badge = make_identifier("B", 2026, 1)
    job = NewJob(printer="zebra-north", layout="specimen", subject="S1", site="NORTH", requested_by=badge)
    with writing(engine) as connection:
        queue_first(connection, job, us(0))
    now = state(engine, 7)
    assert nonzero(now.print_jobs) == {("zebra-north", "queued"): 1}
    assert nonzero(now.oldest_print_job_s) == {("zebra-north",): 420}


def test_the_number_of_series_does_not_grow_with_ten_thousand_specimens(engine: Engine) -> None:
    def exported(minute: float) -> tuple[set[str], str]:
        registry = CollectorRegistry()
        registry.register(StateCollector(Refreshed(lambda: state(engine, minute), wait_s=60)))
        page = generate_latest(registry).decode()
        return {line.rsplit(" ", 1)[0] for line in page.splitlines() if not line.startswith("#")}, page

    tubes = [make_identifier("S", 2026, 1000 + n) for n in range(10_000)]
    sites = sorted(CATALOG.sites)
    record(engine, [collected(0, tubes[n], site=site, order=f"R-{n}") for n, site in enumerate(sites)], 1)
    before, _ = exported(2)
    raws = [collected(n % 600, t, site=sites[n % len(sites)], order=f"R-{n}") for n, t in enumerate(tubes)]
    record(engine, raws, 601, start=100)
    for _ in range(10):
        if not sweep(engine, CATALOG, POLICY, us(900)).more:
            break
    after, page = exported(900)
    assert sum(nonzero(state(engine, 900).specimens).values()) == 10_000
    assert after == before
    sites_items = (len(CATALOG.sites) + 1) * (len(CATALOG.supplies) + 1)
    assert len(after) < 10 * sites_items
    for secret in (tubes[0], tubes[5], "R-77", "P-1", "B26"):
        assert secret not in page
    assert OTHER in page
