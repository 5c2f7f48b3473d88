"""A case that can't be judged is set aside, named and counted; all others are judged."""

import logging

import pytest
from sqlalchemy import Engine, select, update

from models.alerts.cases import cases
from models.alerts.sweep import last_sweep, sweep
from models.database.acts_tables import alerts
from models.database.engine import reading, writing
from models.database.state_tables import specimens, stock_items, waiting_orders
from models.recording.rebuild import rebuild
from models.rules.identifiers import make_identifier
from models.views.board import stock_rows
from models.views.gauges.snapshot import snapshot
from tests.support.homes import commit, new_store
from tests.support.story import CATALOG, POLICY, TUBE, raw, step, supply, us, whole_day

OTHER = make_identifier("S", 2026, 71)
NOW_US = us(10_000)
EVENTS = [
    *whole_day(),
    *whole_day(10, OTHER),
    step("missing", 500, TUBE),
    step("missing", 500, OTHER),
    raw("order.placed", "R-50", 0, {"patient": "P-1", "priority": "stat", "tests": ["CBCD"]}),
    raw("order.placed", "R-51", 0, {"patient": "P-1", "priority": "stat", "tests": ["CBCD"]}),
    supply("received", 0, lot="L1", quantity=1),
    supply("received", 0, lot="L1", quantity=1, site="SOUTH"),
]
ODD = {
    "a specimen": (specimens, specimens.c.accession == TUBE, {"deadlines": "[{", "alert_check_us": 0}, TUBE),
    "an order": (
        waiting_orders,
        waiting_orders.c.order_id == "R-50",
        {"deadlines": "7", "alert_check_us": 0},
        "R-50",
    ),
    "a shelf": (
        stock_items,
        (stock_items.c.site == "NORTH") & (stock_items.c.item == "SUP-EDTA4"),
        {"state": b"\xff"},
        "NORTH/SUP-EDTA4",
    ),
}


def swept(engine: Engine, at_us: int = NOW_US) -> set[tuple[str, str]]:
    """What is open after a sweep, as (kind, subject)."""
    while sweep(engine, CATALOG, POLICY, at_us).more:
        pass
    with reading(engine) as connection:
        rows = connection.execute(select(alerts.c.kind, alerts.c.subject).where(alerts.c.resolved_us.is_(None)))
        return {(kind, subject) for kind, subject in rows}


@pytest.mark.parametrize("what", ODD)
def test_the_others_are_judged_and_it_is_named(engine: Engine, what: str, caplog: pytest.LogCaptureFixture) -> None:
    table, which, odd, subject = ODD[what]
    commit(new_store(engine), EVENTS)
    with writing(engine) as connection:
        connection.execute(update(table).where(which).values(**odd))
    with caplog.at_level(logging.WARNING):
        opened = swept(engine)
    others = {("missing-specimen", OTHER), ("uncollected-order", "R-51"), ("restock", "SOUTH/SUP-EDTA4")}
    assert others <= opened
    assert not any(of.startswith(subject) and kind != "custody-discrepancy" for kind, of in opened)
    with reading(engine) as connection:
        last = last_sweep(connection)
        assert last is not None
        assert last.failures == len(last.faults) >= 1
        assert {fault.subject for fault in last.faults} == {subject}
        assert {fault.subject for fault in cases(connection, CATALOG, POLICY, NOW_US).faults} == {subject}
        shown = snapshot(connection, CATALOG, POLICY, NOW_US)
        assert shown.sweep_failures == last.failures
        assert shown.sweep_s == NOW_US / 1e6
        unjudged = {
            (row.site, row.item) for row in stock_rows(connection, CATALOG, POLICY, None, NOW_US) if row.unjudged
        }
        assert unjudged == ({("NORTH", "SUP-EDTA4")} if what == "a shelf" else set())
    assert sum(f"of {subject} can't be judged" in line for line in caplog.messages) == last.failures


@pytest.mark.parametrize("what", ODD)
def test_its_alert_stays_open_until_it_can_be_judged_again(engine: Engine, what: str) -> None:
    table, which, odd, _ = ODD[what]
    commit(new_store(engine), EVENTS)
    before = swept(engine)
    with writing(engine) as connection:
        connection.execute(update(table).where(which).values(**odd))
    assert swept(engine, NOW_US + 60_000_000) == before
    rebuild(new_store(engine))
    assert swept(engine, NOW_US + 120_000_000) == before
    with reading(engine) as connection:
        last = last_sweep(connection)
        assert last is not None
        assert (last.failures, last.faults) == (0, [])


def test_before_the_first_sweep_nothing_is_said_to_be_judged(engine: Engine) -> None:
    with reading(engine) as connection:
        assert last_sweep(connection) is None
        assert snapshot(connection, CATALOG, POLICY, NOW_US).sweep_s == 0
