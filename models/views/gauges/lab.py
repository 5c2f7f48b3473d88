"""The gauges of specimens, what is late, alerts and discrepancies. See `models.views.gauges.snapshot`."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from sqlalchemy import Connection, func, select

from models.alerts.cases import judged
from models.database import acts_tables, state_tables
from models.rules.deadlines import AlertKind, Deadline, Severity, Step
from models.rules.specimen import DiscrepancyCode, Status

OTHER = "other"
STATUSES = tuple(Status)
PRIORITIES = ("routine", "stat")
LATE_KINDS = (
    AlertKind.UNCOLLECTED_ORDER,
    AlertKind.OVERDUE_RESULT,
    AlertKind.OVERDUE_STEP,
    AlertKind.STABILITY_AT_RISK,
    AlertKind.CRITICAL_UNACKNOWLEDGED,
    AlertKind.UNJUDGED_RESULT,
)
"""The kinds of case that have a due time; the other alerts are there at once or not at all."""
STEPS = tuple(Step)
CODES = tuple(DiscrepancyCode)
"""Discrepancy codes (contract, section 3)."""
ALERT_KINDS = tuple(AlertKind)
"""Kinds of alert (contract, section 5)."""
SEVERITIES = tuple(Severity)
ACCESSIONS_PER_QUERY = 500

Cells = Mapping[tuple[str, ...], float]
"""One gauge's series: label values in the order of its declaration -> value."""


def zeros(*labels: Iterable[str]) -> dict[tuple[str, ...], float]:
    """A 0 for every combination of label values."""
    return dict.fromkeys(product(*labels), 0.0)


def age_s(since_us: int | None, now_us: int) -> float:
    """Seconds since a moment; 0 for none, and for one in the future by another machine's clock."""
    return max(0, now_us - since_us) / 1e6 if since_us is not None else 0.0


def known(name: str | None, names: Sequence[str]) -> str:
    """The name itself, or `other` if it is not among the names."""
    return name if name is not None and name in names else OTHER


def specimens(connection: Connection, sites: Sequence[str]) -> Cells:
    """(site of collection, status) -> specimens."""
    c = state_tables.specimens.c
    cells = zeros(sites, STATUSES)
    for site, status, number in connection.execute(select(c.site, c.status, func.count()).group_by(c.status, c.site)):
        cells[known(site, sites), status] += number
    return cells


def discrepancies(connection: Connection, sites: Sequence[str]) -> Cells:
    """(code, site of collection) -> current discrepancies."""
    c = state_tables.discrepancies.c
    cells = zeros(CODES, sites)
    for code, site, number in connection.execute(select(c.code, c.site, func.count()).group_by(c.code, c.site)):
        cells[code, known(site, sites)] += number
    return cells


def orders_waiting(connection: Connection, sites: Sequence[str]) -> Cells:
    """(site, priority) -> orders, recollections too, that wait for a tube."""
    c = state_tables.waiting_orders.c
    cells = zeros(sites, PRIORITIES)
    for site, priority, number in connection.execute(
        select(c.site, c.priority, func.count()).group_by(c.site, c.priority)
    ):
        cells[known(site, sites), priority] += number
    return cells


def late_gauges(connection: Connection, sites: Sequence[str], now_us: int) -> tuple[Cells, Cells, Cells, Cells]:
    """What is late at `now_us`: cases, the oldest case's lateness, late steps, the oldest step's lateness.

    Computed from the deadlines of specimens and orders, not from the alerts, so it stays right when the sweep has
    stalled.
    """
    overdue, oldest = zeros(LATE_KINDS, sites, PRIORITIES), zeros(LATE_KINDS, sites)
    steps, oldest_step = zeros(STEPS, sites, PRIORITIES), zeros(STEPS, sites)
    for case in (*_due(connection, now_us), *_uncollected(connection, now_us)):
        site = known(case.site, sites)
        priority = case.priority if case.priority in PRIORITIES else PRIORITIES[0]
        late_s = age_s(case.due_us, now_us)
        if case.kind in LATE_KINDS:
            overdue[case.kind, site, priority] += 1
            oldest[case.kind, site] = max(oldest[case.kind, site], late_s)
        if case.kind == AlertKind.OVERDUE_STEP:
            step = known(case.step, STEPS)
            steps[step, site, priority] = steps.get((step, site, priority), 0) + 1
            oldest_step[step, site] = max(oldest_step.get((step, site), 0), late_s)
    return overdue, oldest, steps, oldest_step


def _due(connection: Connection, now_us: int) -> Iterable[Deadline]:
    """The passed deadlines of specimens with an open alert, and of those that are due for the sweep."""
    c = state_tables.specimens.c
    a = acts_tables.alerts.c
    opened = select(a.accession).where(a.resolved_us.is_(None), a.accession.is_not(None)).distinct()
    alerted = connection.execute(opened).scalars().all()
    unswept = select(c.accession, c.deadlines).where(c.alert_check_us <= now_us)
    raws = dict(connection.execute(unswept).tuples().all())
    for start in range(0, len(alerted), ACCESSIONS_PER_QUERY):
        some = alerted[start : start + ACCESSIONS_PER_QUERY]
        chosen = select(c.accession, c.deadlines).where(c.accession.in_(some))
        raws |= dict(connection.execute(chosen).tuples().all())
    for raw in raws.values():
        if raw is not None:
            yield from judged(raw, now_us, "", [])


def _uncollected(connection: Connection, now_us: int) -> Iterable[Deadline]:
    """The passed deadlines of orders that wait for a tube."""
    c = state_tables.waiting_orders.c
    for raw in connection.execute(select(c.deadlines).where(c.due_us <= now_us)).scalars():
        yield from judged(raw, now_us, "", [])


def alert_gauges(connection: Connection, sites: Sequence[str], now_us: int) -> tuple[Cells, Cells]:
    """(kind, severity, site) -> open alerts, and the age of the oldest that nobody has acknowledged."""
    c = acts_tables.alerts.c
    opened, oldest = zeros(ALERT_KINDS, SEVERITIES, sites), zeros(ALERT_KINDS, SEVERITIES, sites)
    taken = c.acknowledged_us.is_not(None)
    rows = connection.execute(
        select(c.kind, c.severity, c.site, taken, func.count(), func.min(c.opened_us))
        .where(c.resolved_us.is_(None))
        .group_by(c.kind, c.severity, c.site, taken)
    )
    for kind, severity, site, acknowledged, number, opened_us in rows:
        key = (kind, severity, known(site, sites))
        opened[key] += number
        oldest[key] = max(oldest[key], 0.0 if acknowledged else age_s(opened_us, now_us))
    return opened, oldest
