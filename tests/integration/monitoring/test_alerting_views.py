"""Alertmanager's view of what is wrong and Labtrail's own alerts agree, or the difference is shown."""

from sqlalchemy import Engine, select

from models.alerts.notifications import KEEP_US, PAGES, SETTLED_US, Told, alerting, record_told
from models.alerts.sweep import acknowledge, sweep
from models.database.acts_tables import notifications
from models.database.engine import reading, writing
from tests.integration.monitoring.test_snapshot import record
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
from tests.unit.monitoring.test_rules import ALERTS

LATE = 90 + 65
"""Minute of the day at which the STAT below has been late for five minutes."""
AFTER = LATE + SETTLED_US / 60_000_000 + 1
FULL_SHELF = supply("received", -60, lot="L1", quantity=300)


def notified(alert: str, minute: float, *, site: str = "NORTH", resolved: bool = False) -> Told:
    return Told(
        fingerprint=f"{alert}/{site}",
        alert=alert,
        severity="page",
        site=site,
        summary="",
        status="resolved" if resolved else "firing",
        starts_us=us(minute),
    )


def notify(engine: Engine, minute: float, *alerts: Told) -> None:
    with writing(engine) as connection:
        record_told(connection, "lab-supervisor", alerts, us(minute))


def differences(engine: Engine, minute: float) -> list[tuple[str, str, str]]:
    with reading(engine) as connection:
        return [(d.what, d.alert, d.site) for d in alerting(connection, us(minute)).differences]


def late_stat(engine: Engine) -> None:
    record(engine, [FULL_SHELF, collected(0, priority="stat"), *whole_day()[1:5]], 91)
    while sweep(engine, CATALOG, POLICY, us(LATE)).more:
        pass


def test_a_page_that_nobody_got_is_a_difference_after_ten_minutes(engine: Engine) -> None:
    late_stat(engine)
    assert differences(engine, LATE + 9) == []
    assert differences(engine, AFTER) == [("untold", "StatResultOverdue", "NORTH")]
    notify(engine, AFTER, notified("StatResultOverdue", LATE))
    assert differences(engine, AFTER + 1) == []


def test_a_page_for_what_is_over_is_a_difference_after_ten_minutes(engine: Engine) -> None:
    notify(engine, 0, notified("StatResultOverdue", 0), notified("StatResultOverdue", 0, site="SOUTH"))
    assert differences(engine, 9) == []
    gone = ("gone", "StatResultOverdue", "NORTH"), ("gone", "StatResultOverdue", "SOUTH")
    assert differences(engine, 11) == [*gone]
    notify(engine, 12, notified("StatResultOverdue", 0, resolved=True))
    assert differences(engine, 13) == [gone[1]]


def test_a_missing_tube_that_somebody_took_on_needs_no_page(engine: Engine) -> None:
    record(engine, [FULL_SHELF, *whole_day(), step("missing", 200)], 201)
    sweep(engine, CATALOG, POLICY, us(202))
    assert differences(engine, 220) == [("untold", "SpecimenMissing", "NORTH")]
    assert acknowledge(engine, 1, "B2600000184", us(221)) is not None
    assert differences(engine, 240) == []


def test_each_kind_that_pages_is_compared_as_its_rule_counts_it(engine: Engine) -> None:
    mismatch = step("labeled", 2, label=f"{TUBE}-1", scanned=OTHER_TUBE)
    record(
        engine,
        [
            FULL_SHELF,
            *(e for e in whole_day() if b"specimen.labeled" not in e),
            mismatch,
            raw("order.placed", "R-8", 0, {"patient": "P-8", "priority": "stat", "tests": ["TSH"]}),
            raw("order.placed", "R-9", 0, {"patient": "P-9", "priority": "routine", "tests": ["TSH"]}),
            result(200, "GLU", value=">400", unit="mg/dL"),
            supply("received", 0, "SUP-SST5", "SOUTH", lot="OLD", expires="2026-11-19", quantity=40),
            supply("received", 0, "SUP-UA8", "EAST", lot="L7", quantity=300),
            supply("received", 0, "SUP-RED6", "EAST", lot="L8", quantity=1),
            supply("used", 1, "SUP-RED6", "EAST", lot="L8", quantity=1, specimen=TUBE),
            supply("recalled", 3, "SUP-UA8", lot="L7", notice="FSN 7"),
            supply("recalled", 4, "SUP-RED6", lot="L8", notice="FSN 8"),
        ],
        300,
    )
    while sweep(engine, CATALOG, POLICY, us(300)).more:
        pass
    untold = {(alert, site) for what, alert, site in differences(engine, 311) if what == "untold"}
    assert untold == {
        ("IdentityDiscrepancy", "NORTH"),
        ("StatOrderUncollected", "NORTH"),
        ("ResultUnjudged", "NORTH"),
        ("StockOut", "SOUTH"),
        ("StockOut", "EAST"),
        ("RecalledStockOnHand", "EAST"),
        ("RecalledLotUsed", ""),
    }


def test_every_page_about_a_case_is_compared_but_those_of_steps() -> None:
    """An alert does not say which step it waits for; the other pages are about the service."""
    pages = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "page"}
    of_cases = {rule["alert"] for rule in ALERTS if rule["labels"]["team"] != "oncall"} & pages
    assert of_cases - PAGES.keys() == {"LabelOverdue", "ReceiptOverdue", "StatTurnaroundBurnFast"}


def test_a_new_case_is_counted_anew_and_what_is_over_for_a_month_is_forgotten(engine: Engine) -> None:
    for minute in (0, 1, 2):
        notify(engine, minute, notified("StabilityAtRisk", 0))
    notify(engine, 3, notified("StabilityAtRisk", 0, resolved=True))
    notify(engine, 60, notified("StabilityAtRisk", 59))
    with reading(engine) as connection:
        (shown,) = alerting(connection, us(61)).firing
        assert shown.times == 1
    notify(engine, 70, notified("StabilityAtRisk", 59, resolved=True))
    notify(engine, 71 + KEEP_US / 60_000_000, notified("ReceiptOverdue", 0))
    with reading(engine) as connection:
        assert connection.execute(select(notifications.c.alert)).scalars().all() == ["ReceiptOverdue"]
