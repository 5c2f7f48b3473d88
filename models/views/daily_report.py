"""What the daily report shows about specimens: read from the tables, as plain values for `labtrail.daily_report`.

A day is given as two moments, microseconds since 1970; hours and days are in the lab's time zone.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, select

from models.alerts.cases import cases
from models.database.columns import strings
from models.database.state_tables import results, specimens
from models.rules.deadlines import Deadline, turnaround_hours
from models.rules.specimen import Status
from models.rules.times import microseconds, moment_of

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

DAYS = 14
"""How many days the trends go back, the reported one included."""


class Clinic(msgspec.Struct, frozen=True, kw_only=True):
    """What was collected at one site on the day, and what became of it. Transit times are in hours."""

    site: str
    collected: int
    stat: int
    rejected: int
    missing: int
    with_discrepancy: int
    transit_median: float | None
    """From collection to receipt at a lab; None where nothing has arrived."""
    transit_p95: float | None


class Turnaround(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one test and priority that arrived on the day. Times are in hours."""

    test: str
    priority: str
    results: int
    in_time: int
    median: float
    p95: float
    limit: float


class DayTotal(msgspec.Struct, frozen=True, kw_only=True):
    """One day of the trend: what was collected and the results that arrived on it."""

    day: date
    collected: int
    discrepancies: int
    results: int
    stat_results: int
    stat_in_time: int


class LabDay(msgspec.Struct, frozen=True, kw_only=True):
    """The lab's day."""

    day: date
    timezone: str
    collected: tuple[int, ...]
    """By the hour of the day, 24 numbers; as the next two."""
    received: tuple[int, ...]
    resulted: tuple[int, ...]
    clinics: tuple[Clinic, ...]
    turnarounds: tuple[Turnaround, ...]
    discrepancies: tuple[tuple[str, int], ...]
    """(code, specimens of the day that show it), the most frequent first."""
    trend: tuple[DayTotal, ...]
    """The last DAYS days, the reported one last."""
    late: tuple[Deadline, ...]
    """What is late or wrong at the moment of the report, the oldest first."""


class _Found(msgspec.Struct):
    """One specimen that was collected within the trend."""

    site: str
    stat: bool
    status: str
    codes: tuple[str, ...]
    transit: float | None


def day_bounds(day: date, timezone: str) -> tuple[int, int]:
    """The first moment of a local day and of the next, microseconds since 1970: 23 to 25 hours apart."""
    zone = ZoneInfo(timezone)
    first = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    return microseconds(first), microseconds(datetime(following.year, following.month, following.day, tzinfo=zone))


def percentile(values: Iterable[float], part: float) -> float | None:
    """The smallest value that at least `part` of the values do not exceed (nearest rank); None for no values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(part * len(ranked)) - 1)] if ranked else None


def lab_day(
    connection: Connection, catalog: "Catalog", policy: "Policy", day: date, timezone: str, at_us: int
) -> LabDay:
    """The day's specimens and results; `at_us` decides what is late. Raises what the database raises."""
    zone = ZoneInfo(timezone)
    start_us, end_us = day_bounds(day, timezone)
    since_us = day_bounds(day - timedelta(days=DAYS - 1), timezone)[0]
    collected: Counter[int] = Counter()
    received: Counter[int] = Counter()
    days: dict[date, list[_Found]] = defaultdict(list)
    s = specimens.c
    columns = select(s.site, s.priority, s.status, s.discrepancies, s.collected_us, s.lab_received_us)
    drawn = columns.where(s.parent.is_(None))  # an aliquot has its parent's times and was not collected itself
    for row in connection.execute(drawn.where(s.collected_us >= since_us, s.collected_us < end_us)):
        when = moment_of(row.collected_us).astimezone(zone)
        hours = None if row.lab_received_us is None else max(0, row.lab_received_us - row.collected_us) / 3.6e9
        days[when.date()].append(
            _Found(row.site or "?", row.priority == "stat", row.status, strings(row.discrepancies), hours)
        )
        collected[when.hour] += row.collected_us >= start_us
    arrived = select(s.lab_received_us).where(
        s.parent.is_(None), s.lab_received_us >= start_us, s.lab_received_us < end_us
    )
    for moment in connection.execute(arrived).scalars():
        received[moment_of(moment).astimezone(zone).hour] += 1
    by_test, by_day, resulted = _results(connection, zone, (since_us, start_us, end_us))
    codes = Counter(code for found in days[day] for code in found.codes)
    late = [c for c in cases(connection, catalog, policy, at_us).due if c.subject]
    return LabDay(
        day=day,
        timezone=timezone,
        collected=_by_hour(collected),
        received=_by_hour(received),
        resulted=_by_hour(resulted),
        clinics=_clinics(days[day], catalog),
        turnarounds=_turnarounds(by_test, catalog),
        discrepancies=tuple(sorted(codes.items(), key=lambda pair: (-pair[1], pair[0]))),
        trend=tuple(_total(day - timedelta(days=ago), days, by_day) for ago in reversed(range(DAYS))),
        late=tuple(sorted(late, key=lambda case: (case.due_us, case.kind, case.subject))),
    )


def _by_hour(counts: Counter[int]) -> tuple[int, ...]:
    return tuple(counts[hour] for hour in range(24))


Times = dict[tuple[str, str], list[tuple[float, bool]]]
Kept = dict[date, list[bool | None]]


def _results(
    connection: Connection, zone: ZoneInfo, bounds: tuple[int, int, int]
) -> tuple[Times, Kept, Counter[int]]:
    """Of the results that had a time to come by.

    (test, priority) -> (hours, whether it came in time), of the day; day -> whether each STAT result came in time
    (None: routine).
    """
    since_us, start_us, end_us = bounds
    s, r = specimens.c, results.c
    rows = connection.execute(
        select(r.test, s.priority, r.first_final_us, r.since_us, r.due_us)
        .join(specimens, s.accession == r.accession)
        .where(r.first_final_us >= since_us, r.first_final_us < end_us, r.since_us.is_not(None))
    )
    by_test: Times = defaultdict(list)
    by_day: Kept = defaultdict(list)
    resulted: Counter[int] = Counter()
    for test, priority, final_us, begun_us, due_us in rows:
        in_time = final_us <= due_us
        when = moment_of(final_us).astimezone(zone)
        by_day[when.date()].append(in_time if priority == "stat" else None)
        if final_us >= start_us:
            hours = max(0, final_us - begun_us) / 3.6e9
            by_test[test, "stat" if priority == "stat" else "routine"].append((hours, in_time))
            resulted[when.hour] += 1
    return by_test, by_day, resulted


def _clinics(found: Sequence[_Found], catalog: "Catalog") -> tuple[Clinic, ...]:
    by_site: dict[str, list[_Found]] = defaultdict(list)
    for one in found:
        by_site[one.site].append(one)
    clinics = sorted({site.code for site in catalog.sites.values() if site.kind == "clinic"} | by_site.keys())
    return tuple(
        Clinic(
            site=site,
            collected=len(of),
            stat=sum(one.stat for one in of),
            rejected=sum(one.status == Status.REJECTED for one in of),
            missing=sum(one.status == Status.MISSING for one in of),
            with_discrepancy=sum(bool(one.codes) for one in of),
            transit_median=percentile((one.transit for one in of if one.transit is not None), 0.5),
            transit_p95=percentile((one.transit for one in of if one.transit is not None), 0.95),
        )
        for site in clinics
        for of in [by_site[site]]
    )


def _turnarounds(by_test: Times, catalog: "Catalog") -> tuple[Turnaround, ...]:
    rows = []
    for (test, priority), came in sorted(by_test.items(), key=lambda item: (item[0][1] != "stat", item[0][0])):
        limit, hours = turnaround_hours(test, priority, catalog), [one for one, _ in came]
        median, p95 = percentile(hours, 0.5), percentile(hours, 0.95)
        if limit is not None and median is not None and p95 is not None:
            in_time = sum(kept for _, kept in came)
            rows.append(
                Turnaround(
                    test=test,
                    priority=priority,
                    results=len(hours),
                    in_time=in_time,
                    median=median,
                    p95=p95,
                    limit=limit,
                )
            )
    return tuple(rows)


def _total(day: date, found: dict[date, list[_Found]], kept: Kept) -> DayTotal:
    stats = [in_time for in_time in kept.get(day, ()) if in_time is not None]
    return DayTotal(
        day=day,
        collected=len(found.get(day, ())),
        discrepancies=sum(bool(one.codes) for one in found.get(day, ())),
        results=len(kept.get(day, ())),
        stat_results=len(stats),
        stat_in_time=sum(stats),
    )
