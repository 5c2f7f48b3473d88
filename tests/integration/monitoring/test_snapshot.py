"""The state gauges, read from real tables: what a planted day shows, on SQLite and on PostgreSQL."""

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, update

from agents.metrics.state import Refreshed, StateCollector
from models.alerts.sweep import acknowledge, sweep
from models.database.engine import reading, writing
from models.database.state_tables import specimens, stock_items
from models.printing.jobs import NewJob, queue_first
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.identifiers import make_identifier
from models.views.gauges.lab import OTHER
from models.views.gauges.snapshot import StateSnapshot, snapshot
from tests.support.story import (
    CATALOG,
    OTHER_TUBE,
    POLICY,
    TUBE,
    collected,
    raw,
    result,
    step,
    supply,
    us,
    whole_day,
)


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
    two_weeks = 14 * 24 * 60
    record(
        engine,
        [
            supply("received", -two_weeks, lot="L1", expires="2026-12-01", quantity=80),
            supply("received", 1, lot="L2", expires="2027-12-01", quantity=30),
            supply("used", 2, lot="L1", quantity=28),
            supply("ordered", 3, quantity=10),
            supply("recalled", 4, lot="L2", notice="FSN 7"),
        ],
        5,
    )
    at, now = ("NORTH", "SUP-EDTA4"), state(engine, 10)
    assert (now.on_hand[at], now.usable[at], now.on_order[at], now.reorder_point[at]) == (82, 52, 10, 60)
    assert (now.expiring[at], now.recalled[at]) == (52, 30)
    assert now.days_of_cover[at] == pytest.approx(52 / (28 / 14))
    assert (now.restock_due[at], now.restock_suggested[at]) == (0, 0)
    record(engine, [supply("used", 6, lot="L1", quantity=2)], 7, start=10)
    due = state(engine, 10)
    assert (due.restock_due[at], due.restock_suggested[at]) == (1, 300 - 50 - 10)
    assert due.lead_time_s[at] == 2 * 86400


def test_a_shelf_of_expired_and_recalled_stock_has_nothing_usable(engine: Engine) -> None:
    record(
        engine,
        [
            supply("received", 0, lot="OLD", expires="2026-11-21", quantity=40),
            supply("received", 1, lot="L2", expires="2027-12-01", quantity=30),
            supply("recalled", 4, lot="L2", notice="FSN 7"),
        ],
        5,
    )
    at, midnight = ("NORTH", "SUP-EDTA4"), 2 * 1440  # of the site's own day
    assert (state(engine, midnight - 1).on_hand[at], state(engine, midnight - 1).usable[at]) == (70, 40)
    after = state(engine, midnight)
    assert (after.on_hand[at], after.usable[at], after.restock_due[at], after.restock_suggested[at]) == (
        70,
        0,
        1,
        300,
    )
    while sweep(engine, CATALOG, POLICY, us(midnight)).more:
        pass
    assert state(engine, midnight).alerts_open["restock", "critical", "NORTH"] == 1


def test_an_item_that_is_ordered_on_demand_is_no_emergency_when_it_is_gone(engine: Engine) -> None:
    place = ("NORTH", "SUP-EDTA4")
    on_demand = replace(CATALOG.par_levels[place], reorder_point=0)
    catalog = replace(CATALOG, par_levels={**CATALOG.par_levels, place: on_demand})
    store = Store(engine, catalog, POLICY)
    store.commit([Record("lab.supplies", 0, 0, supply("counted", 0, lot="L1", quantity=0), us(1))], us(1))
    while sweep(engine, catalog, POLICY, us(2)).more:
        pass
    opened = nonzero(state(engine, 2).alerts_open)
    assert opened == {("restock", "warning", "NORTH"): 1}, "StockOut does not page for it either"


def test_a_delivery_that_has_not_come_is_counted_until_it_is_closed(engine: Engine) -> None:
    record(engine, [supply("ordered", 0, quantity=100, order="PO-1", expected="2026-11-23")], 1)
    at, overdue = ("NORTH", "SUP-EDTA4"), 6 * 1440  # the 26th begins: two days of lead time later
    before, after = state(engine, overdue - 1), state(engine, overdue)
    assert (before.overdue_deliveries[at], before.on_order[at]) == (0, 100)
    assert (after.overdue_deliveries[at], after.on_order[at]) == (1, 0)
    record(
        engine, [raw("supply.order-closed", "NORTH/SUP-EDTA4", 20, {"order": "po-1", "reason": "lost"})], 21, start=9
    )
    assert state(engine, overdue).overdue_deliveries[at] == 0


def test_an_order_waits_and_is_late_by_its_priority_swept_or_not(engine: Engine) -> None:
    orders = [("R-7", "routine"), ("R-8", "stat")]
    record(
        engine,
        [raw("order.placed", o, 0, {"patient": "P-1", "priority": p, "tests": ["TSH"]}) for o, p in orders],
        1,
    )
    early, late = state(engine, 59), state(engine, 65)
    assert nonzero(early.orders_waiting) == {("NORTH", "routine"): 1, ("NORTH", "stat"): 1}
    assert nonzero(early.overdue) == {}
    assert nonzero(late.overdue) == {("uncollected-order", "NORTH", "stat"): 1}
    assert nonzero(late.oldest_overdue_s) == {("uncollected-order", "NORTH"): 300}
    while sweep(engine, CATALOG, POLICY, us(65)).more:
        pass
    assert nonzero(state(engine, 65).overdue) == {("uncollected-order", "NORTH", "stat"): 1}
    assert state(engine, 65).alerts_open["uncollected-order", "critical", "NORTH"] == 1
    record(engine, [collected(70, order="R-8", tests=["TSH"], container="SST5", supplies=[])], 71, start=9)
    drawn = state(engine, 72)
    assert nonzero(drawn.orders_waiting) == {("NORTH", "routine"): 1}
    assert nonzero(drawn.overdue) == {}


def test_a_result_that_may_be_critical_is_late_at_once_until_somebody_judges_it(engine: Engine) -> None:
    odd = result(200, "GLU", value=">400", unit="mg/dL")  # the limit is 450
    record(engine, [*whole_day(), odd], 201)
    assert nonzero(state(engine, 201).overdue) == {("unjudged-result", "NORTH", "routine"): 1}
    while sweep(engine, CATALOG, POLICY, us(201)).more:
        pass
    assert state(engine, 201).alerts_open["unjudged-result", "critical", "NORTH"] == 1
    judged = raw("result.acknowledged", TUBE, 210, {"test": "GLU", "read_back": True}, site="CORE")
    record(engine, [judged], 211, start=9)
    assert nonzero(state(engine, 211).overdue) == {}


def test_the_last_sweep_and_what_it_set_aside_are_in_the_database(engine: Engine) -> None:
    assert (state(engine, 0).sweep_s, state(engine, 0).sweep_failures) == (0, 0)
    record(engine, [supply("received", 0, lot="L1", quantity=40), *whole_day()], 1)
    sweep(engine, CATALOG, POLICY, us(5))
    assert (state(engine, 9).sweep_s, state(engine, 9).sweep_failures) == (us(5) / 1e6, 0)
    with writing(engine) as connection:
        connection.execute(update(stock_items).values(state=b"no state"))
        connection.execute(update(specimens).values(deadlines="no deadlines", alert_check_us=0))
    sweep(engine, CATALOG, POLICY, us(10))
    after = state(engine, 11)
    assert after.sweep_s == us(10) / 1e6
    assert after.sweep_failures == 2
    assert ("NORTH", "SUP-EDTA4") not in after.usable, "what is not known is absent, not zero"


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


@pytest.mark.slow
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
