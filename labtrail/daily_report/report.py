"""The daily report for managers: the day's specimens, turnaround, discrepancies and supplies as blocks to be drawn.

`pdf` and `html` decide what a block looks like; both draw the same blocks.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from labtrail.daily_report.pictures import BLUE, GREEN, PALE, Bar, Picture, bars, columns
from models.rules.deadlines import AlertKind
from models.rules.times import moment_of
from models.views.daily_report import Clinic, LabDay, Turnaround
from models.views.daily_report_supplies import Shelf, SupplyDay

if TYPE_CHECKING:
    from models.rules.deadlines import Deadline

ROWS_MAX = 20
STAT_GOAL = 0.95
"""The service level: this share of the STAT results within their turnaround."""


class Card(msgspec.Struct, frozen=True):
    """One number that a manager looks at first."""

    label: str
    value: str
    note: str
    bad: bool = False


class Heading(msgspec.Struct, frozen=True):
    text: str


class Cards(msgspec.Struct, frozen=True):
    cards: tuple[Card, ...]


class Note(msgspec.Struct, frozen=True):
    text: str


class Grid(msgspec.Struct, frozen=True):
    """A table. Columns after `words` hold numbers and are set to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    left_out: int = 0
    """Rows that are not shown."""


Block = Heading | Cards | Note | Grid | Picture


class Report(msgspec.Struct, frozen=True):
    title: str
    subtitle: str
    blocks: tuple[Block, ...]


def daily_report(lab: LabDay, supplies: SupplyDay, at_us: int) -> Report:
    """The whole report. `at_us`: the time as of which things are late."""
    zone = ZoneInfo(lab.timezone)
    parts = (_today(lab, supplies), _turnaround(lab), _discrepancies(lab, zone), _supplies(supplies))
    return Report(
        title=f"Laboratory day {lab.day:%A, %d %B %Y}",
        subtitle=f"Times are {lab.timezone}. What is late, and the stock, as of {_when(at_us, zone)}.",
        blocks=tuple(block for part in parts for block in part),
    )


def _when(time_us: int, zone: ZoneInfo) -> str:
    return f"{moment_of(time_us).astimezone(zone):%Y-%m-%d %H:%M}"


def _hours(hours: float | None) -> str:
    """`1:05` for an hour and five minutes; days from two on."""
    if hours is None:
        return "–"
    if hours >= 48:
        return f"{hours / 24:.1f} d"
    minutes = round(hours * 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def _part(some: int, of: int) -> str:
    return f"{100 * some / of:.0f}%" if of else "–"


def _today(lab: LabDay, supplies: SupplyDay) -> Iterator[Block]:
    late = [case for case in lab.late if case.kind == AlertKind.OVERDUE_RESULT]
    stat_late = [case for case in late if case.priority == "stat"]
    day = lab.trend[-1]
    in_time = day.stat_in_time / day.stat_results if day.stat_results else None
    wrong = sum(clinic.with_discrepancy for clinic in lab.clinics)
    due = sum(shelf.due for shelf in supplies.shelves)
    recalled = sum(lot.reason == "recalled" for lot in supplies.lots)
    yield Cards(
        (
            Card("Tubes collected", str(day.collected), f"{sum(c.stat for c in lab.clinics)} STAT"),
            Card("First results", str(day.results), f"{sum(lab.received)} tubes reached a lab"),
            Card(
                "STATs in time",
                _part(day.stat_in_time, day.stat_results),
                f"{day.stat_in_time} of {day.stat_results}; goal {STAT_GOAL:.0%}",
                bad=in_time is not None and in_time < STAT_GOAL,
            ),
            Card("Results overdue", str(len(late)), f"{len(stat_late)} STAT", bad=bool(stat_late)),
            Card("With discrepancy", str(wrong), f"{_part(wrong, day.collected)} of the day's tubes"),
            Card("Items to order", str(due), f"{recalled} recalled lots on hand", bad=bool(recalled)),
        )
    )
    yield columns(
        "Collected, received at a lab, resulted, by hour",
        [f"{hour:02d}" for hour in range(24)],
        [
            ("collected", lab.collected, PALE),
            ("received", lab.received, BLUE),
            ("first results", lab.resulted, GREEN),
        ],
    )
    yield Grid(
        "By clinic",
        ("Clinic", "Collected", "STAT", "To the lab, median", "95%", "Rejected", "Missing", "With discrepancy"),
        tuple(_clinic(clinic) for clinic in lab.clinics),
    )
    yield _late(lab)


def _clinic(clinic: Clinic) -> tuple[str, ...]:
    numbers = (clinic.rejected, clinic.missing, clinic.with_discrepancy)
    times = (_hours(clinic.transit_median), _hours(clinic.transit_p95))
    return (clinic.site, str(clinic.collected), str(clinic.stat), *times, *(str(number) for number in numbers))


def _late(lab: LabDay) -> Block:
    zone = ZoneInfo(lab.timezone)
    urgent = [case for case in lab.late if case.due_us and case.kind in _URGENT]
    if not urgent:
        return Note("Nothing is late: no result, no step, no critical value, no tube near its stability limit.")
    urgent.sort(key=lambda case: (case.priority != "stat", case.severity != "critical", case.due_us))
    return Grid(
        "Late now",
        ("What", "Which", "Clinic", "Priority", "Since", "Detail"),
        tuple(
            (_URGENT[c.kind], c.subject, c.site or "", c.priority, _when(c.due_us, zone), c.detail)
            for c in urgent[:ROWS_MAX]
        ),
        words=6,
        left_out=max(0, len(urgent) - ROWS_MAX),
    )


_URGENT = {
    AlertKind.OVERDUE_RESULT: "result overdue",
    AlertKind.OVERDUE_STEP: "step overdue",
    AlertKind.CRITICAL_UNACKNOWLEDGED: "critical, not read back",
    AlertKind.STABILITY_AT_RISK: "stability at risk",
    AlertKind.MISSING_SPECIMEN: "missing",
}


def _turnaround(lab: LabDay) -> Iterator[Block]:
    yield Heading("Turnaround")
    if not lab.turnarounds:
        yield Note("No result came on this day.")
        return
    for priority, title in (("stat", "STAT"), ("routine", "Routine")):
        rows = [row for row in lab.turnarounds if row.priority == priority]
        if rows:
            yield bars(
                f"{title}: receipt to result",
                [_turnaround_bar(row) for row in rows],
                unit="part of the time that was promised: dark to the median, pale to the 95th percentile",
                mark=1.0,
                mark_label="promised",
            )
    labels = [f"{total.day:%b} {total.day.day}" for total in lab.trend]
    shares = [100 * t.stat_in_time / t.stat_results if t.stat_results else 0 for t in lab.trend]
    yield columns("STAT results in time, percent, the last 14 days", labels, [("in time, %", shares, BLUE)])
    moved = [c for c in lab.clinics if c.transit_median is not None]
    if moved:
        yield bars(
            "From collection to the lab",
            [
                Bar(
                    label=c.site,
                    value=c.transit_median or 0,
                    tail=c.transit_p95,
                    note=f"median {_hours(c.transit_median)}, 95% {_hours(c.transit_p95)}",
                )
                for c in moved
            ],
            unit="dark to the median, pale to the 95th percentile",
        )


def _turnaround_bar(row: Turnaround) -> Bar:
    late = row.results - row.in_time
    note = f"{_hours(row.median)}, 95% {_hours(row.p95)} of {_hours(row.limit)}"
    return Bar(
        label=f"{row.test} ({row.results})",
        value=min(row.median / row.limit, 3),
        tail=min(row.p95 / row.limit, 3),
        note=note + (f"; {late} late" if late else ""),
        bad=row.in_time / row.results < STAT_GOAL,
    )


def _discrepancies(lab: LabDay, zone: ZoneInfo) -> Iterator[Block]:
    yield Heading("Custody discrepancies")
    if not lab.discrepancies:
        yield Note("No tube that was collected on this day has a discrepancy.")
    else:
        yield bars(
            "By code",
            [Bar(label=code, value=number, note=str(number)) for code, number in lab.discrepancies],
            unit="tubes collected on the day",
        )
        yield bars(
            "By clinic",
            [
                Bar(
                    label=c.site,
                    value=c.with_discrepancy,
                    note=f"{c.with_discrepancy} of {c.collected} ({_part(c.with_discrepancy, c.collected)})",
                )
                for c in lab.clinics
                if c.collected
            ],
            unit="tubes collected on the day",
        )
    labels = [f"{total.day:%b} {total.day.day}" for total in lab.trend]
    shares = [round(100 * t.discrepancies / t.collected, 1) if t.collected else 0 for t in lab.trend]
    yield columns("Tubes with a discrepancy, percent, the last 14 days", labels, [("% of tubes", shares, BLUE)])
    grave = [case for case in lab.late if case.kind == AlertKind.CUSTODY_DISCREPANCY and case.severity == "critical"]
    if grave:
        yield _grave(grave, zone)


def _grave(cases: Sequence["Deadline"], zone: ZoneInfo) -> Grid:
    rows = tuple((c.subject, c.site or "", _when(c.due_us, zone), c.detail) for c in cases[:ROWS_MAX])
    left_out = max(0, len(cases) - ROWS_MAX)
    return Grid(
        "May be another patient's tube", ("Tube", "Clinic", "Since", "Codes"), rows, words=4, left_out=left_out
    )


def _supplies(supplies: SupplyDay) -> Iterator[Block]:
    yield Heading("Supplies")
    covered = [s for s in supplies.shelves if s.cover_days is not None][:ROWS_MAX]
    if covered:
        yield bars(
            "How long the stock lasts, the shortest first",
            [_cover_bar(shelf) for shelf in covered],
            unit="days of cover at the recent use",
        )
    due = [shelf for shelf in supplies.shelves if shelf.due]
    if due:
        yield Grid(
            "Order",
            ("Clinic", "Item", "Name", "On hand", "On order", "Reorder at", "Cover, days", "Order"),
            tuple(_order(shelf) for shelf in due[: 2 * ROWS_MAX]),
            words=3,
            left_out=max(0, len(due) - 2 * ROWS_MAX),
        )
    else:
        yield Note("Nothing has to be ordered.")
    if supplies.lots:
        yield Grid(
            "Off the shelf, or soon",
            ("Why", "Site", "Item", "Lot", "Expires", "On hand"),
            tuple(
                (x.reason, x.site, x.item, x.lot, x.expires.isoformat() if x.expires else "", f"{x.on_hand:g}")
                for x in supplies.lots[: 2 * ROWS_MAX]
            ),
            words=5,
            left_out=max(0, len(supplies.lots) - 2 * ROWS_MAX),
        )
    if supplies.used:
        yield bars(
            "Used",
            [Bar(label=item, value=units, note=f"{units:g}  {name}"[:40]) for item, name, units in supplies.used],
            unit="units on the day, all sites",
        )


def _cover_bar(shelf: Shelf) -> Bar:
    days = shelf.cover_days or 0
    short = days < shelf.lead_days
    note = f"{days:.1f} days" + (f", delivery takes {shelf.lead_days:g}" if short else "")
    return Bar(label=f"{shelf.site} {shelf.item}", value=days, note=note, bad=short)


def _order(shelf: Shelf) -> tuple[str, ...]:
    cover = "–" if shelf.cover_days is None else f"{shelf.cover_days:.1f}"
    numbers = (shelf.on_hand, shelf.on_order, shelf.reorder_point)
    return (shelf.site, shelf.item, shelf.name, *(f"{n:g}" for n in numbers), cover, f"{shelf.suggested:g}")
