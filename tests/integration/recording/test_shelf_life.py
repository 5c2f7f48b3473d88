"""Expiry and days of cover: alerts, metrics, board and report agree on a shelf, whatever the settings."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from config.policy import Policy
from models.alerts.cases import cases
from models.database.engine import reading
from models.recording.store import Store
from models.rules.stock import days_of_cover, expired, expiring_from_us, shelf_life, to_u
from models.rules.times import DAY_US, moment_of
from models.views.board import stock_rows
from models.views.daily_report_supplies import supply_day
from models.views.gauges.supplies import stock_gauges
from tests.support.homes import new_home, records, sqlite_url
from tests.support.story import CATALOG, supply, us

PLACE, SITE = ("NORTH", "SUP-EDTA4"), "NORTH/SUP-EDTA4"
NOON = 360  # minute of the story, 2026-11-20T12:00Z
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
    return moment_of(us(minute)).date()


@pytest.mark.parametrize(
    ("expires", "minute", "life"),
    [
        ("2026-12-21", NOON - 1, ""),
        ("2026-12-21", NOON, "expires soon"),
        ("2026-12-20", NOON - 1, "expires soon"),
        ("2026-11-20", NOON, "expires soon"),
        ("2026-11-19", NOON, "expired"),
        ("2027-12-20", NOON, ""),
    ],
)
def test_all_agree_on_a_lot_with_half_a_day_in_the_setting(
    expires: str, minute: float, life: str, engine: Engine
) -> None:
    record(engine, supply("received", 0, lot="L1", expires=expires, quantity=100))
    with reading(engine) as connection:
        alerts = [c for c in cases(connection, HERE, POLICY, us(minute)) if c.kind == "expiring-stock"]
        gauges = stock_gauges(connection, HERE, POLICY, us(minute))
        report = supply_day(connection, HERE, POLICY, day_of(minute), us(minute))
    assert {c.detail.split()[0] for c in alerts} == ({life.split()[0]} if life else set())
    assert gauges.expiring[PLACE] == (100 if life else 0)
    assert {lot.reason for lot in report.lots} == ({life} if life else set())
    assert shelf_life(date.fromisoformat(expires), moment_of(us(minute)), POLICY) == life
    assert all(c.due_us == expiring_from_us(date.fromisoformat(expires), POLICY) <= us(minute) for c in alerts)


@pytest.mark.parametrize(("used", "cover", "due"), [(700, 2.4, True), (672, 2.5, False)])
def test_all_agree_on_days_of_cover_and_what_is_due_with_half_a_day_of_lead_time(
    used: float, cover: float, due: bool, engine: Engine
) -> None:
    record(
        engine,
        supply("received", 0, lot="L1", expires="2029-12-01", quantity=240 + used),
        supply("used", 1, lot="L1", quantity=used),
    )
    with reading(engine) as connection:
        alerts = {c.subject for c in cases(connection, HERE, POLICY, us(NOON)) if c.kind == "restock"}
        gauges = stock_gauges(connection, HERE, POLICY, us(NOON))
        (row,) = [r for r in stock_rows(connection, HERE, POLICY, ["NORTH"], us(NOON)) if (r.site, r.item) == PLACE]
        (shelf,) = supply_day(connection, HERE, POLICY, day_of(NOON), us(NOON)).shelves
    assert row.days_of_cover == shelf.cover_days == gauges.days_of_cover[PLACE] == pytest.approx(cover)
    assert {SITE in alerts, row.due, shelf.due, bool(gauges.restock_due[PLACE])} == {due}
    assert (row.lead_time_days, shelf.lead_days, gauges.lead_time_s[PLACE]) == (2.5, 2.5, 2.5 * 86_400)


def test_a_lot_holds_to_the_end_of_its_last_day_on_the_calendar_that_counts() -> None:
    last, policy = date(2026, 11, 20), Policy(expiring_days=0)
    west = timezone(timedelta(hours=-6))
    end = datetime(2026, 11, 20, 23, 59, 59, 999_999)  # noqa: DTZ001 - the zone follows
    for zone in (UTC, west):
        assert shelf_life(last, end.replace(tzinfo=zone), policy) == "expires soon"
        assert shelf_life(last, end.replace(tzinfo=zone) + timedelta(microseconds=1), policy) == "expired"
    assert shelf_life(last, datetime(2026, 11, 21, 5, 59, tzinfo=UTC).astimezone(west), policy) == "expires soon"
    assert expired(last, date(2026, 11, 21))
    assert not expired(last, last)
    assert not expired(None, date.max)
    assert shelf_life(None, end.replace(tzinfo=UTC), policy) == ""
    assert expiring_from_us(date(1970, 1, 2), Policy(expiring_days=0.25)) == DAY_US * 3 // 4


def test_nothing_used_gives_no_days_of_cover_and_nothing_left_none() -> None:
    assert days_of_cover(to_u(5), 0, POLICY) is None
    assert days_of_cover(to_u(-5), to_u(7), POLICY) == 0
    assert days_of_cover(to_u(2.5), to_u(7), POLICY) == 2.5
