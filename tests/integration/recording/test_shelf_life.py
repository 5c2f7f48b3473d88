"""Expiry and days of cover: alerts, metrics, board and report agree on a shelf, whatever the settings."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from config.policy import Policy
from models.alerts.cases import cases
from models.database.engine import reading
from models.recording.store import Store
from models.rules.calendars import day_at
from models.rules.stock import expired, expiring_from_us, shelf_life
from models.views.board import stock_rows
from models.views.daily_report_supplies import supply_day
from models.views.gauges.supplies import stock_gauges
from tests.support.homes import new_home, records, sqlite_url
from tests.support.story import CATALOG, supply, us

PLACE, SITE = ("NORTH", "SUP-EDTA4"), "NORTH/SUP-EDTA4"
DAY = 1440
CHICAGO = ZoneInfo("America/Chicago")  # the site's; the story begins at its midnight of 20 November
POLICY = Policy(expiring_days=30.5, use_rate_days=7)
LEVELS = {**CATALOG.par_levels, PLACE: replace(CATALOG.par_levels[PLACE], lead_time_days=2.5)}
HERE = replace(CATALOG, par_levels=LEVELS)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = new_home(sqlite_url(tmp_path))
    yield made
    made.dispose()


def record(engine: Engine, *raws: bytes) -> None:
    Store(engine, HERE, POLICY).commit(records(raws), us(5))


def day_of(minute: float) -> date:
    return day_at(us(minute), CHICAGO)


@pytest.mark.parametrize(
    ("expires", "minute", "life"),
    [
        ("2026-12-21", DAY / 2 - 1, ""),  # half a day more than the 30 of the calendar: from noon on
        ("2026-12-21", DAY / 2, "expires soon"),
        ("2026-12-22", DAY - 1, ""),
        ("2026-11-20", 0, "expires soon"),
        ("2026-11-20", DAY - 1, "expires soon"),
        ("2026-11-20", DAY, "expired"),
        ("2026-11-19", 0, "expired"),
        ("2027-12-20", 0, ""),
    ],
)
def test_all_agree_on_a_lot_by_the_calendar_of_its_site(
    expires: str, minute: float, life: str, engine: Engine
) -> None:
    record(engine, supply("received", -60, lot="L1", expires=expires, quantity=100))
    with reading(engine) as connection:
        due = cases(connection, HERE, POLICY, us(minute)).due
        gauges = stock_gauges(connection, HERE, POLICY, us(minute))
        report = supply_day(connection, HERE, POLICY, day_of(minute), us(minute))
        (row,) = [r for r in stock_rows(connection, HERE, POLICY, ["NORTH"], us(minute)) if (r.site, r.item) == PLACE]
    alerts = [c for c in due if c.kind == "expiring-stock"]
    usable = 0 if life == "expired" else 100
    assert {(c.subject, c.detail.split()[0]) for c in alerts} == (
        {(f"{SITE}/L1", life.split()[0])} if life else set()
    )
    assert gauges.expiring[PLACE] == (100 if life else 0)
    assert {lot.reason for lot in report.lots} == ({life} if life else set())
    assert shelf_life(date.fromisoformat(expires), us(minute), POLICY, CHICAGO) == life
    assert all(
        c.due_us == expiring_from_us(date.fromisoformat(expires), POLICY, CHICAGO) <= us(minute) for c in alerts
    )
    assert (gauges.on_hand[PLACE], row.on_hand) == (100, 100)
    assert {gauges.usable[PLACE], row.usable, *(shelf.usable for shelf in report.shelves)} == {usable}
    assert {c.subject for c in due if c.kind == "restock"} == (set() if usable else {SITE})


@pytest.mark.parametrize(("used", "cover", "due"), [(700, 2.4, True), (672, 2.5, False)])
def test_all_agree_on_days_of_cover_and_what_is_due_with_half_a_day_of_lead_time(
    used: float, cover: float, due: bool, engine: Engine
) -> None:
    noon = DAY / 2
    record(
        engine,
        supply("received", -8 * DAY, lot="L1", expires="2029-12-01", quantity=240 + used),
        supply("used", 1, lot="L1", quantity=used),
    )
    with reading(engine) as connection:
        alerts = {c.subject for c in cases(connection, HERE, POLICY, us(noon)).due if c.kind == "restock"}
        gauges = stock_gauges(connection, HERE, POLICY, us(noon))
        (row,) = [r for r in stock_rows(connection, HERE, POLICY, ["NORTH"], us(noon)) if (r.site, r.item) == PLACE]
        (shelf,) = supply_day(connection, HERE, POLICY, day_of(noon), us(noon)).shelves
    assert row.days_of_cover == shelf.cover_days == gauges.days_of_cover[PLACE] == pytest.approx(cover)
    assert {SITE in alerts, row.due, shelf.due, bool(gauges.restock_due[PLACE])} == {due}
    assert (row.lead_time_days, shelf.lead_days, gauges.lead_time_s[PLACE]) == (2.5, 2.5, 2.5 * 86_400)
    assert {row.usable, shelf.usable, gauges.usable[PLACE]} == {240}
    assert row.suggested == shelf.suggested == gauges.restock_suggested[PLACE]
    assert (row.suggested > 0) is due


def test_days_without_stock_make_the_use_rate_no_lower(engine: Engine) -> None:
    record(
        engine,
        supply("received", -2 * DAY, lot="L1", expires="2029-12-01", quantity=300),
        supply("used", -2 * DAY + 60, lot="L1", quantity=120),
    )
    with reading(engine) as connection:  # of seven days, the four before the box came had nothing
        assert stock_gauges(connection, HERE, POLICY, us(0)).days_of_cover[PLACE] == 180 / (120 / 3)


def test_a_lot_without_a_date_never_expires() -> None:
    last = date(2026, 11, 20)
    assert not expired(last, last)
    assert expired(last, date(2026, 11, 21))
    assert not expired(None, date.max)
    assert shelf_life(None, us(0), POLICY, CHICAGO) == ""
