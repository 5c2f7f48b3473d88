"""Calendars: the local day of a site, and time that passes only while a lab is open."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from config.opening_hours import Opening
from models.rules.times import DAY_US, EPOCH, microseconds, moment_of

if TYPE_CHECKING:
    from config.catalog import Catalog

EPOCH_DAY = EPOCH.toordinal()
DAYS_AHEAD_MAX = 5 * 366
"""A turnaround that takes longer runs on without regard to opening hours."""


def zone_of(site: str | None, catalog: "Catalog") -> tzinfo:
    """The time zone of a site; UTC for one that is not in the catalog."""
    known = catalog.sites.get(site) if site else None
    return ZoneInfo(known.timezone) if known else UTC


def day_at(time_us: int, zone: tzinfo) -> date:
    """The local calendar day at this moment."""
    return moment_of(time_us).astimezone(zone).date()


@lru_cache(4096)
def begins_us(ordinal: int, zone: tzinfo) -> int:
    """When a local day begins; `ordinal` as of `date.toordinal`, any whole number.

    A day that no calendar has (before the year 2, after 9998) begins at midnight UTC.
    """
    if not 366 <= ordinal <= date.max.toordinal() - 366:
        return (ordinal - EPOCH_DAY) * DAY_US
    local = datetime.combine(date.fromordinal(ordinal), time(), tzinfo=zone)
    return microseconds(local.astimezone(UTC))


@lru_cache(4096)
def _periods_us(hours: Opening, zone: tzinfo, ordinal: int) -> tuple[tuple[int, int], ...]:
    """The periods that begin on one local day, in microseconds since 1970."""
    day = datetime.combine(date.fromordinal(ordinal), time())
    moments = []
    for weekday, start, end in hours.periods:
        if weekday == day.weekday():
            pair = ((day + timedelta(minutes=m)).replace(tzinfo=zone).astimezone(UTC) for m in (start, end))
            begins, ends = map(microseconds, pair)
            moments.append((begins, ends))
    return tuple(moments)


def after_open_time(since_us: int, length_us: int, hours: Opening | None, zone: tzinfo) -> int:
    """The moment at which the lab was open for `length_us` since `since_us` (all microseconds).

    At the end of a period the time is up in that period, not in the next one.
    """
    if hours is None or length_us <= 0:
        return since_us + length_us
    left, at_us = length_us, since_us
    today = day_at(since_us, zone).toordinal()
    for ordinal in range(today - 1, today + DAYS_AHEAD_MAX):
        for begins_at, ends_at in _periods_us(hours, zone, ordinal):
            start = max(at_us, begins_at)
            if ends_at <= start:
                continue
            if ends_at - start >= left:
                return start + left
            left -= ends_at - start
            at_us = ends_at
    return at_us + left
