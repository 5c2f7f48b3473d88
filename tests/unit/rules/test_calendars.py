"""Days of a site's own calendar, and time that passes only while a lab is open."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.opening_hours import opening
from models.rules.calendars import after_open_time, begins_us, day_at, zone_of
from models.rules.times import DAY_US, EPOCH_DAY, HOUR_US, microseconds, moment_of
from tests.support.story import CATALOG

CHICAGO = ZoneInfo("America/Chicago")
WEEKDAYS = opening("Mo-Fr 06:00-20:00")
SPRING, FALL = date(2026, 3, 8), date(2026, 11, 1)  # the days on which the clocks change


def local(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(UTC))


def when(time_us: int) -> str:
    return f"{moment_of(time_us).astimezone(CHICAGO):%a %d %H:%M}"


@pytest.mark.parametrize(
    ("since", "hours", "until"),
    [
        ("2026-11-24T10:00", 4, "Tue 24 14:00"),
        ("2026-11-24T16:00", 4, "Tue 24 20:00"),  # up with the last minute of the day, not with the next morning
        ("2026-11-24T16:01", 4, "Wed 25 06:01"),
        ("2026-11-24T21:00", 2, "Wed 25 08:00"),
        ("2026-11-24T05:00", 2, "Tue 24 08:00"),
        ("2026-11-27T16:00", 24, "Tue 01 12:00"),  # Friday: 4 h, Monday 14 h, Tuesday 6 h
        ("2026-11-28T12:00", 1, "Mon 30 07:00"),
        ("2026-11-27T20:00", 1, "Mon 30 07:00"),
        ("2026-11-27T20:00", 0, "Fri 27 20:00"),
    ],
)
def test_a_turnaround_runs_while_the_lab_is_open(since: str, hours: float, until: str) -> None:
    assert when(after_open_time(local(since), round(hours * HOUR_US), WEEKDAYS, CHICAGO)) == until


def test_without_hours_it_always_runs() -> None:
    since = local("2026-11-27T16:00")
    assert after_open_time(since, 24 * HOUR_US, None, CHICAGO) == since + 24 * HOUR_US


def test_a_night_shift_runs_past_midnight() -> None:
    night = opening("Mo-Fr 22:00-06:00")
    assert when(after_open_time(local("2026-11-24T03:00"), 4 * HOUR_US, night, CHICAGO)) == "Tue 24 23:00"
    assert when(after_open_time(local("2026-11-28T02:00"), 6 * HOUR_US, night, CHICAGO)) == "Tue 01 00:00"


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("Su 00:00-12:00", "2026-11-01T00:00", "Sun 01 03:00"),  # the hour from one to two comes twice
        ("Su 00:00-12:00", "2026-03-08T00:00", "Sun 08 05:00"),  # and the one from two to three never
        ("Su 06:00-12:00", "2026-11-01T00:00", "Sun 01 10:00"),
        ("Su 06:00-12:00", "2026-03-08T00:00", "Sun 08 10:00"),
    ],
)
def test_hours_are_those_of_the_wall_clock_and_time_is_time(text: str, since: str, until: str) -> None:
    assert when(after_open_time(local(since), 4 * HOUR_US, opening(text), CHICAGO)) == until


def test_a_turnaround_that_years_do_not_suffice_for_ends_all_the_same() -> None:
    rarely = opening("Mo 08:00-08:01")
    since = local("2026-11-24T10:00")
    assert after_open_time(since, 100_000 * HOUR_US, rarely, CHICAGO) > since + 5 * 365 * DAY_US


@given(st.integers(0, 60 * 24 * 21), st.integers(1, 60 * 60))
def test_no_time_is_up_before_it_would_be_if_the_lab_never_closed(minute: int, length: int) -> None:
    since, length_us = local("2026-10-20T00:00") + minute * 60_000_000, length * 60_000_000
    up = after_open_time(since, length_us, WEEKDAYS, CHICAGO)
    assert up >= since + length_us
    end = moment_of(up).astimezone(CHICAGO)
    assert end.weekday() < 5
    assert timedelta(hours=6) < timedelta(hours=end.hour, minutes=end.minute) <= timedelta(hours=20)
    longer = after_open_time(since, length_us + 60_000_000, WEEKDAYS, CHICAGO)
    assert longer > up


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 11, 24), 24), (SPRING, 23), (FALL, 25)])
def test_a_local_day_is_as_long_as_its_clocks_say(day: date, hours: int) -> None:
    begins, ends = begins_us(day.toordinal(), CHICAGO), begins_us(day.toordinal() + 1, CHICAGO)
    assert ends - begins == hours * HOUR_US
    assert day_at(begins, CHICAGO) == day_at(ends - 1, CHICAGO) == day
    assert day_at(ends, CHICAGO) > day > day_at(begins - 1, CHICAGO)


@pytest.mark.parametrize("ordinal", [-(10**12), 0, 1, 365, date.max.toordinal(), 10**12])
def test_a_day_that_no_calendar_has_still_begins(ordinal: int) -> None:
    assert begins_us(ordinal, CHICAGO) == (ordinal - EPOCH_DAY) * DAY_US


def test_days_begin_one_after_the_other_over_all_years() -> None:
    first, last = date(1, 12, 30).toordinal(), date(9999, 1, 5).toordinal()
    for ordinals in (range(first, first + 400), range(last - 400, last)):
        starts = [begins_us(ordinal, CHICAGO) for ordinal in ordinals]
        assert starts == sorted(set(starts))


def test_a_site_has_its_time_zone_and_one_that_is_gone_has_utc() -> None:
    assert zone_of("NORTH", CATALOG) == ZoneInfo(CATALOG.sites["NORTH"].timezone)
    assert zone_of("MARS", CATALOG) is zone_of(None, CATALOG) is UTC
