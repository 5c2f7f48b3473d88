"""Deadlines: what must happen to a specimen by when, and what is already wrong with it.

`deadlines` gives, for one folded specimen, every case that is or will be an alert, with the moment it becomes due.
What is late at a moment T is then those due at or before T: a pure function of the tables and T.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from config.messages import N_, Message, Stored
from config.opening_hours import opening
from models.rules.calendars import after_open_time, zone_of
from models.rules.events import Event
from models.rules.judging import Critical
from models.rules.specimen import DiscrepancyCode, Specimen, Status
from models.rules.times import HOUR_US, MINUTE_US
from models.rules.transport_conditions import stability_hours

if TYPE_CHECKING:
    from config.catalog import Catalog, Route
    from config.policy import Policy


class AlertKind(StrEnum):
    """What an alert is about (contract, section 5): kinds for specimens first, then for stock and the quarantine."""

    UNCOLLECTED_ORDER = "uncollected-order"
    OVERDUE_RESULT = "overdue-result"
    OVERDUE_STEP = "overdue-step"
    STABILITY_AT_RISK = "stability-at-risk"
    MISSING_SPECIMEN = "missing-specimen"
    CRITICAL_UNACKNOWLEDGED = "critical-unacknowledged"
    UNJUDGED_RESULT = "unjudged-result"
    CUSTODY_DISCREPANCY = "custody-discrepancy"
    RESTOCK = "restock"
    OVERDUE_DELIVERY = "overdue-delivery"
    EXPIRING_STOCK = "expiring-stock"
    RECALLED_STOCK = "recalled-stock"
    STOCK_DISCREPANCY = "stock-discrepancy"
    QUARANTINED_EVENTS = "quarantined-events"


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


class Step(StrEnum):
    """What a specimen may wait for."""

    LABEL = "label"
    DISPATCH = "dispatch"
    PICK_UP = "pick-up"
    RECEIPT = "receipt"


# a tube that may be another patient's is the worst discrepancy
_GRAVE = frozenset(
    {DiscrepancyCode.IDENTITY_MISMATCH, DiscrepancyCode.LABEL_MISMATCH, DiscrepancyCode.SUPERSEDED_LABEL}
)
_NO_RESULT = frozenset({Status.REJECTED, Status.MISSING})
_ON_ITS_WAY = frozenset({Status.DISPATCHED, Status.IN_TRANSIT})
_STABILITY_IS_SETTLED = frozenset({Status.REJECTED, Status.MISSING, Status.DISPOSED, Status.RESULTED})


class Deadline(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One case."""

    kind: AlertKind
    subject: str
    site: str | None
    severity: Severity
    due_us: int
    detail: str
    """In English."""
    message: Stored | None = None
    """`detail` with its template and values; None in rows written by a version that stored none."""
    priority: str = "routine"
    step: Step | None = None
    """Of an overdue step, what the specimen waits for."""
    fault: str | None = None
    """The name of the error if this kind of case can't be judged: then nothing is known to be late."""

    @classmethod
    def of(
        cls,
        message: Message,
        *,
        kind: AlertKind,
        subject: str,
        site: str | None,
        severity: Severity,
        due_us: int,
        priority: str = "routine",
        step: Step | None = None,
    ) -> "Deadline":
        """The case that a message is about."""
        return cls(
            kind=kind,
            subject=subject,
            site=site,
            severity=severity,
            due_us=due_us,
            detail=str(message),
            message=message.stored,
            priority=priority,
            step=step,
        )

    @property
    def words(self) -> str:
        """`detail`, as a message where one is stored."""
        return self.message.message() if self.message else self.detail


Found = Iterator[Deadline]

WAITS_FOR = {step: Message("waits for {step}", step=Message(step)) for step in Step}


# nearly every fold needs one, and there are few of them
@lru_cache(1024)
def _result_is_due(test: str, hours: float, since: str) -> Message:
    return Message(since, test=test, hours=hours)


_SINCE_RECEIPT = N_("{test} is due {hours:g} h after receipt at the lab")
_SINCE_COLLECTION = N_("{test} is due {hours:g} h after collection")
_SINCE_ADD_ON = N_("{test} is due {hours:g} h after it was added")


@lru_cache(1024)
def _is_stable_for(hours: float) -> Message:
    return Message("stable for {hours:g} h from collection: must reach the lab", hours=hours)


def _severity(s: Specimen) -> Severity:
    return Severity.CRITICAL if s.priority == "stat" else Severity.WARNING


def _priority(s: Specimen) -> str:
    return s.priority or "routine"


def turnaround_hours(test: str, priority: str | None, catalog: "Catalog") -> float | None:
    """Allowed hours from receipt at a lab to the result. A test without a STAT turnaround uses the routine one."""
    row = catalog.tests.get(test)
    if row is None:
        return None
    if priority == "stat" and row.tat_stat_hours is not None:
        return row.tat_stat_hours
    return row.tat_routine_hours


def overdue_results(s: Specimen, catalog: "Catalog", _: "Policy") -> Found:
    """A test without a complete result, on this tube or on one poured from it.

    Its time runs from receipt at a lab, for a test that is done in the clinic from collection, and for one that was
    added later from then, if that is later.
    """
    if s.status in _NO_RESULT:
        return
    for test in s.tests:
        turnaround = turnaround_of(s, test, catalog) if test not in s.closed else None
        if turnaround is None:
            continue
        yield Deadline.of(
            _result_is_due(test, turnaround.hours, turnaround.template),
            kind=AlertKind.OVERDUE_RESULT,
            subject=f"{s.accession}/{test}",
            site=s.site,
            severity=Severity.CRITICAL if turnaround.priority == "stat" else Severity.WARNING,
            due_us=turnaround.due_us,
            priority=turnaround.priority,
        )


class Turnaround(NamedTuple):
    """From when a test's time runs and when its result is due, in microseconds since 1970; the hours allowed."""

    since_us: int
    due_us: int
    hours: float
    priority: str
    template: str
    """Of the message that says so."""


def turnaround_of(s: Specimen, test: str, catalog: "Catalog") -> Turnaround | None:
    """The turnaround of one test of a tube, the strictest of those of its draw and of its add-ons.

    None while none runs, for a test whose orders are all cancelled, and for one that the catalog lacks.
    """
    found = []
    begins = _turnaround_begins(s, test, catalog)
    if begins is not None and test in s.drawn and s.cancelled_us is None:
        found.append(_turnaround(test, *begins, _priority(s), catalog))
    begins = begins or _poured_at_lab(s, catalog)
    for one in s.added.get(test, ()) if begins is not None else ():
        if begins is not None and not one.cancelled:
            since = max(begins, (one.added_us, begins[1], _SINCE_ADD_ON), key=lambda since: since[0])
            found.append(_turnaround(test, *since, one.priority or _priority(s), catalog))
    return min((one for one in found if one is not None), key=lambda one: one.due_us, default=None)


def _turnaround(
    test: str, since_us: int, site: str, template: str, priority: str, catalog: "Catalog"
) -> Turnaround | None:
    hours = turnaround_hours(test, priority, catalog)
    if hours is None:
        return None
    return Turnaround(since_us, _result_due_us(since_us, hours, priority, site, catalog), hours, priority, template)


_Begins = tuple[int, str, str]


def _turnaround_begins(s: Specimen, test: str, catalog: "Catalog") -> _Begins | None:
    """From when and where a test's turnaround runs, and the template that says so; None: not yet."""
    row = catalog.tests.get(test)
    if row is not None and row.performed_at == "clinic":
        return None if s.collected_us is None else (s.collected_us, s.site or "", _SINCE_COLLECTION)
    return None if s.lab_received is None else (s.lab_received.time_us, s.lab_received.site, _SINCE_RECEIPT)


def _poured_at_lab(s: Specimen, catalog: "Catalog") -> _Begins | None:
    """When and where a tube was poured that came into being at a lab."""
    if s.birth is None:
        return None
    site = catalog.sites.get(s.birth.site)
    return (s.birth.time_us, s.birth.site, _SINCE_RECEIPT) if site is not None and site.kind == "lab" else None


def _result_due_us(since_us: int, hours: float, priority: str, site: str, catalog: "Catalog") -> int:
    """A routine turnaround runs in the opening hours of a lab; a STAT one, and one in a clinic, always runs."""
    known = catalog.sites.get(site)
    runs_on = known is None or known.kind != "lab" or priority == "stat"
    hours_open = None if runs_on or known is None else opening(known.open)
    return after_open_time(since_us, round(hours * HOUR_US), hours_open, zone_of(site, catalog))


def _route(origin: str | None, destination: str | None, catalog: "Catalog") -> "Route | None":
    """The route of a leg; where the destination isn't known yet, the strictest one from there."""
    if origin is None:
        return None
    if destination is not None:
        return catalog.routes.get((origin, destination))
    outward = [r for (start, _), r in catalog.routes.items() if start == origin]
    return min(outward, key=lambda r: r.dispatch_hours_max, default=None)


def _open_step(s: Specimen, catalog: "Catalog", policy: "Policy") -> tuple[Step, int, str | None] | None:
    """(step, due, site) of the one step that the specimen waits for."""
    leg = s.legs[-1] if s.legs else None
    if s.status == Status.COLLECTED and s.collected_us is not None:
        return Step.LABEL, s.collected_us + round(policy.label_minutes_max * MINUTE_US), s.site
    if s.status == Status.LABELED:
        route = _route(s.site, None, catalog)
        since = s.collected_us if s.collected_us is not None else s.first_us("specimen.labeled")
        if route is None or since is None:
            return None
        return Step.DISPATCH, since + round(route.dispatch_hours_max * HOUR_US), s.site
    if s.status == Status.RECEIVED:
        return _onward(s, catalog)
    if leg is None or s.status not in _ON_ITS_WAY:
        return None
    sent = leg.dispatch
    route = _route(sent.site, sent.data.destination, catalog) if sent else None
    if sent is None or route is None:
        return None
    if s.status == Status.DISPATCHED:
        return Step.PICK_UP, sent.time_us + round(route.pickup_hours_max * HOUR_US), sent.site
    return Step.RECEIPT, leg.picked_up[0].time_us + round(route.transit_hours_max * HOUR_US), route.to_site


def _onward(s: Specimen, catalog: "Catalog") -> tuple[Step, int, str | None] | None:
    """Received, but not at a lab: it must be sent on."""
    last: Event | None = max((e for leg in s.legs for e in leg.received), key=lambda e: e.order, default=None)
    if last is None or s.lab_received is not None:
        return None
    route = _route(last.site, None, catalog)
    return (Step.DISPATCH, last.time_us + round(route.dispatch_hours_max * HOUR_US), last.site) if route else None


def overdue_steps(s: Specimen, catalog: "Catalog", policy: "Policy") -> Found:
    waits = _open_step(s, catalog, policy)
    if waits is None:
        return
    step, due_us, site = waits
    yield Deadline.of(
        WAITS_FOR[step],
        kind=AlertKind.OVERDUE_STEP,
        subject=s.accession,
        site=site,
        # beside a patient who leaves, a tube without a label becomes somebody else's
        severity=Severity.CRITICAL if step == Step.LABEL else _severity(s),
        due_us=due_us,
        priority=_priority(s),
        step=step,
    )


def stability_at_risk(s: Specimen, catalog: "Catalog", policy: "Policy") -> Found:
    """A set part of the shortest stability limit has passed, and the tube has not reached a lab."""
    if s.collected_us is None or s.status in _STABILITY_IS_SETTLED:
        return
    if s.lab_received is not None or _poured_at_lab(s, catalog) is not None:
        return
    hours = stability_hours(s, catalog)
    if hours is None:
        return
    yield Deadline.of(
        _is_stable_for(hours),
        kind=AlertKind.STABILITY_AT_RISK,
        subject=s.accession,
        site=s.site,
        severity=_severity(s),
        due_us=s.collected_us + round(policy.at_risk_fraction * hours * HOUR_US),
        priority=_priority(s),
    )


def missing(s: Specimen, _: "Catalog", __: "Policy") -> Found:
    if s.status == Status.MISSING:
        lost = s.steps["specimen.missing"][-1]
        yield Deadline.of(
            Message("reported missing at {site}", site=lost.site),
            kind=AlertKind.MISSING_SPECIMEN,
            subject=s.accession,
            site=s.site,
            severity=Severity.CRITICAL,
            due_us=lost.time_us,
            priority=_priority(s),
        )


def critical_unacknowledged(s: Specimen, _: "Catalog", policy: "Policy") -> Found:
    for result in s.results:
        if result.critical == Critical.YES and result.acknowledged_us is None:
            yield Deadline.of(
                Message("critical {test}: nobody has read it back", test=result.test),
                kind=AlertKind.CRITICAL_UNACKNOWLEDGED,
                subject=f"{s.accession}/{result.test}",
                site=s.site,
                severity=Severity.CRITICAL,
                due_us=result.counts_us + round(policy.critical_ack_minutes_max * MINUTE_US),
                priority=_priority(s),
            )


def unjudged_result(s: Specimen, _: "Catalog", __: "Policy") -> Found:
    """Nobody knows whether a value is critical: a person must judge it, and says so by reading it back.

    Until then it may be, so it is as grave as one that is, and due at once.
    """
    for result in s.results:
        if result.critical == Critical.UNJUDGED and result.acknowledged_us is None:
            yield Deadline.of(
                Message("{tests}: can't tell whether it is critical", tests=", ".join(result.undecided)),
                kind=AlertKind.UNJUDGED_RESULT,
                subject=f"{s.accession}/{result.test}",
                site=s.site,
                severity=Severity.CRITICAL,
                due_us=result.counts_us,
                priority=_priority(s),
            )


_OF_A_RECALL = frozenset({DiscrepancyCode.RECALLED_SUPPLY})
"""These open no alert of their own: one for the lot counts its tubes."""


def custody_discrepancy(s: Specimen, _: "Catalog", __: "Policy") -> Found:
    """Open while there is a discrepancy, until the specimen is disposed of."""
    found = [d for d in s.discrepancies if d.code not in _OF_A_RECALL]
    if not found or s.status == Status.DISPOSED:
        return
    times = {e.id: e.time_us for e in s.events}
    evident = [max((times[i] for i in d.events if i in times), default=s.collected_us or 0) for d in found]
    codes = sorted({d.code for d in found})
    yield Deadline.of(
        Message("{codes}", codes=tuple(map(Message, codes))),
        kind=AlertKind.CUSTODY_DISCREPANCY,
        subject=s.accession,
        site=s.site,
        severity=Severity.CRITICAL if _GRAVE & set(codes) else Severity.WARNING,
        due_us=min(evident),
        priority=_priority(s),
    )


KINDS: Mapping[AlertKind, Callable[[Specimen, "Catalog", "Policy"], Found]] = {
    AlertKind.OVERDUE_RESULT: overdue_results,
    AlertKind.OVERDUE_STEP: overdue_steps,
    AlertKind.STABILITY_AT_RISK: stability_at_risk,
    AlertKind.MISSING_SPECIMEN: missing,
    AlertKind.CRITICAL_UNACKNOWLEDGED: critical_unacknowledged,
    AlertKind.UNJUDGED_RESULT: unjudged_result,
    AlertKind.CUSTODY_DISCREPANCY: custody_discrepancy,
}


TIME_US_MOST = 2**62
"""No moment in the tables is later or (negative) earlier."""


def deadlines(s: Specimen, catalog: "Catalog", policy: "Policy") -> list[Deadline]:
    """Every case of one specimen, in a stable order. A kind that can't be judged is one with its fault."""
    found: list[Deadline] = []
    for kind, rule in KINDS.items():
        try:
            found += [_within_range(case) for case in rule(s, catalog, policy)]
        except Exception as fault:  # noqa: BLE001 - one odd value must not keep the other cases from being judged
            found.append(_set_aside(kind, s, fault))
    return found


def _within_range(case: Deadline) -> Deadline:
    if abs(case.due_us) > TIME_US_MOST:
        raise OverflowError(case.due_us)
    return case


def _set_aside(kind: AlertKind, s: Specimen, fault: Exception) -> Deadline:
    return Deadline(
        kind=kind,
        subject=s.accession,
        site=s.site,
        severity=Severity.WARNING,
        due_us=0,
        detail="",
        fault=type(fault).__name__,
    )
