"""The hours of a simulated lab: when a length of time has passed while it was open."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from config.opening_hours import opening
from models.rules.times import microseconds, moment_of


def after(since_us: int, length_us: int, open_: str | None, zone: tzinfo) -> int:
    """The moment at which the lab was open for `length_us` since `since_us`; `open_` None: it always is.

    Goes from one change of the doors to the next, over the week before and the year after.
    """
    if open_ is None:
        return since_us + length_us
    doors, at_us, left_us = 0, since_us, length_us
    for when_us, change in _changes(open_, zone, moment_of(since_us).astimezone(zone).date()):
        if when_us > at_us:
            if doors and when_us - at_us >= left_us:
                return at_us + left_us
            left_us -= when_us - at_us if doors else 0
            at_us = when_us
        doors += change
    return at_us + left_us


@lru_cache(64)
def _changes(open_: str, zone: tzinfo, today: date) -> list[tuple[int, int]]:
    """(when, +1 or -1) at each opening and closing, sorted."""
    hours = opening(open_)
    found = []
    for number in range(-7, 366):
        day = today + timedelta(days=number)
        for weekday, begins, ends in hours.periods if hours else ():
            if weekday == day.weekday():
                found += [(_at(day, begins, zone), 1), (_at(day, ends, zone), -1)]
    return sorted(found)


def _at(day: date, minute: int, zone: tzinfo) -> int:
    local = datetime.combine(day, time()) + timedelta(minutes=minute)
    return microseconds(local.replace(tzinfo=zone).astimezone(UTC))
