"""Results: of each test the report that stands, whether it is critical, and who read it back.

A later complete report replaces an earlier one, and a preliminary one never replaces a complete one. A corrected
report outranks every final one, whatever their clocks say: it counts from the later of its own time and theirs.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from models.rules.event_types import Component, ResultAcknowledged, ResultReported
from models.rules.events import Event
from models.rules.judging import Critical, judge_component, judge_report, undecided

if TYPE_CHECKING:
    from config.catalog import Catalog

COMPLETE = frozenset({"final", "corrected", "cancelled"})
Report = Event[ResultReported]
_Place = tuple[int, bool, tuple[int, int, str]]


class JudgedComponent(Struct, frozen=True, gc=False):
    """One analyte of a panel, as exported."""

    code: str
    name: str | None
    value: str | None
    unit: str | None
    flag: str | None
    range: str | None
    critical: Critical


class Result(Struct, frozen=True, kw_only=True, gc=False):
    """The report that stands for one test. Times are microseconds since 1970 UTC."""

    test: str
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    range: str | None
    comment: str | None
    components: tuple[JudgedComponent, ...]
    critical: Critical
    undecided: tuple[str, ...]
    """If unjudged: the code of the test, or of the components, whose value can't be judged."""
    report: str
    """The event's id."""
    reported_us: int
    counts_us: int
    """From when it stands: for a corrected report not before the final one that it corrects."""
    first_final_us: int | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    revisions: int
    """Reports after the first."""


def text_of(value: str | float | None) -> str | None:
    """A value as it is stored and shown."""
    return None if value is None else str(value)


class Reports:
    """All reports of one test, in the order in which they count."""

    def __init__(self, reports: Sequence[Report]) -> None:
        finals = [e.time_us for e in reports if e.data.status == "final"]
        self._final_us = max(finals, default=None)
        self.ordered = sorted(reports, key=self._place)

    def counts_us(self, report: Report) -> int:
        """From when a report counts."""
        if report.data.status == "corrected" and self._final_us is not None:
            return max(report.time_us, self._final_us)
        return report.time_us

    def _place(self, report: Report) -> _Place:
        return (self.counts_us(report), report.data.status == "corrected", report.order)

    @property
    def standing(self) -> Report:
        """The latest complete report, else the latest preliminary one."""
        complete = [e for e in self.ordered if e.data.status in COMPLETE]
        return (complete or self.ordered)[-1]

    @property
    def first_complete_us(self) -> int | None:
        """When the test was first complete."""
        return min((e.time_us for e in self.ordered if e.data.status in COMPLETE), default=None)

    def read_by(self, read_back: Event[ResultAcknowledged], skew_us: int) -> str | None:
        """The id of the report that a read-back belongs to: the one that it names.

        One that names none belongs to the newest report at or before it; where there is none, to the first within
        the clock skew after it.
        """
        named = read_back.data.report
        if named is not None:
            return next((e.id for e in self.ordered if e.id == named), None)
        before = [e for e in self.ordered if e.time_us <= read_back.time_us]
        if before:
            return max(reversed(before), key=lambda e: e.time_us).id  # of several at one time, the one that counts
        first = min(self.ordered, key=lambda e: e.order)
        return first.id if first.time_us <= read_back.time_us + skew_us else None


def by_test(events: Iterable[Report]) -> dict[str, list[Report]]:
    """Reports by test, in their order."""
    found: dict[str, list[Report]] = {}
    for event in events:
        found.setdefault(event.data.test, []).append(event)
    return found


def results(
    reports: Iterable[Report], read_backs: Sequence[Event[ResultAcknowledged]], catalog: "Catalog", skew_us: int
) -> list[Result]:
    """One row per test with any report. `reports`, `read_backs`: those that count, in history order."""
    return [
        _result(test, Reports(some), [a for a in read_backs if a.data.test == test], catalog, skew_us)
        for test, some in sorted(by_test(reports).items())
    ]


def _result(
    test: str, reports: Reports, read_backs: list[Event[ResultAcknowledged]], catalog: "Catalog", skew_us: int
) -> Result:
    standing = reports.standing
    data = standing.data
    critical = judge_report(data, catalog)
    read = next((a for a in read_backs if a.data.read_back and reports.read_by(a, skew_us) == standing.id), None)
    return Result(
        test=test,
        status=data.status,
        value=text_of(data.value),
        unit=data.unit,
        flag=data.flag,
        range=data.range,
        comment=data.comment,
        components=judged_components(data, catalog),
        critical=critical,
        undecided=tuple(undecided(data, catalog)) if critical == Critical.UNJUDGED else (),
        report=standing.id,
        reported_us=standing.time_us,
        counts_us=reports.counts_us(standing),
        first_final_us=reports.first_complete_us,
        acknowledged_us=read.time_us if read else None,
        acknowledged_by=read.actor if read else None,
        revisions=len(reports.ordered) - 1,
    )


def judged_components(data: ResultReported, catalog: "Catalog") -> tuple[JudgedComponent, ...]:
    """The analytes of a panel, each judged."""
    return tuple(_component(one, catalog) for one in data.components)


def _component(one: Component, catalog: "Catalog") -> JudgedComponent:
    return JudgedComponent(
        one.code, one.name, text_of(one.value), one.unit, one.flag, one.range, judge_component(one, catalog)
    )
