"""Every metric of the service, declared once with its meaning, and the ones that a process counts itself.

Names and labels are the contract's (section 9), explained for managers in docs/metrics.md. No label ever
names a patient, an accession, a badge or an order: label values come from the catalog and from the tables of
event types, so the number of series is bounded by sites x items x tests, however many specimens there are.

Counters and histograms belong to the process that counts (dashboards `sum` them); the `STATE_GAUGES`
are read from the database by `agents.metrics.state`, the same on every worker (dashboards take `max by`).
"""

from collections import Counter as Tally
from collections.abc import Sequence

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
)

from config.catalog import Catalog
from models.recording.evidence import Outcome
from models.rules.event_types import TYPES
from models.views.gauges.lab import OTHER, PRIORITIES

UNKNOWN_TYPE = "unknown"
"""The `type` of records that are no event, or of a type that the service does not have."""

_HOUR = 3600.0
LATENCY_BUCKETS_S = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
TRANSIT_BUCKETS_S = tuple(h * _HOUR for h in (0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 18, 24, 48, 72))
TURNAROUND_BUCKETS_S = tuple(
    h * _HOUR for h in (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 120, 168)
)


class Metric(msgspec.Struct, frozen=True):
    """A metric's name, meaning and labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds in seconds; of histograms only."""


EVENTS = Metric(
    "labtrail_events_total",
    "Log records committed by this process, by event type and outcome (recorded, duplicate, quarantined).",
    ("type", "outcome"),
)
EVENT_LATENCY = Metric(
    "labtrail_event_latency_seconds",
    "Time from an event's append to the log until its commit to the tables.",
    (),
    LATENCY_BUCKETS_S,
)
TRANSIT = Metric(
    "labtrail_transit_seconds",
    "Time from a specimen's collection to its first receipt at a lab, by the site of collection.",
    ("site", "priority"),
    TRANSIT_BUCKETS_S,
)
TURNAROUND = Metric(
    "labtrail_turnaround_seconds",
    "Time from a specimen's receipt at a lab to the first final or cancelled result of a test.",
    ("test", "priority"),
    TURNAROUND_BUCKETS_S,
)
TIMELINESS = Metric(
    "labtrail_results_timely_total",
    "First final results, by whether they came within the test's turnaround for its priority (yes, no).",
    ("test", "priority", "timely"),
)
STORE_RETRIES = Metric(
    "labtrail_store_retries_total",
    "Batches that an agent tried again since the database did not answer.",
)
COUNTED = (EVENTS, EVENT_LATENCY, TRANSIT, TURNAROUND, TIMELINESS, STORE_RETRIES)

SPECIMENS = Metric(
    "labtrail_specimens", "Specimens by the site that collected them and their status.", ("site", "status")
)
OVERDUE = Metric(
    "labtrail_overdue",
    "Cases that are late now: orders without a tube, results, steps, tubes at risk, critical or unjudged results.",
    ("kind", "site", "priority"),
)
OLDEST_OVERDUE = Metric(
    "labtrail_oldest_overdue_seconds",
    "How long the oldest case of a kind has been late; zero if none is.",
    ("kind", "site"),
)
OVERDUE_STEPS = Metric(
    "labtrail_overdue_steps",
    "Specimens whose next step is late, by the awaited step (label, dispatch, pick-up, receipt).",
    ("step", "site", "priority"),
)
OLDEST_OVERDUE_STEP = Metric(
    "labtrail_oldest_overdue_step_seconds",
    "How long the oldest specimen has been late for a step; zero if none is.",
    ("step", "site"),
)
ON_HAND = Metric(
    "labtrail_stock_on_hand",
    "Stock on hand in units, all lots; below zero if a receipt is missing.",
    ("site", "item"),
)
USABLE = Metric(
    "labtrail_stock_usable",
    "Stock on hand in units, without lots that are expired or recalled.",
    ("site", "item"),
)
ON_ORDER = Metric(
    "labtrail_stock_on_order",
    "Stock ordered or sent here, not yet received and not overdue, in units.",
    ("site", "item"),
)
OVERDUE_DELIVERIES = Metric(
    "labtrail_deliveries_overdue",
    "Orders and goods sent that are later than expected by more than the lead time.",
    ("site", "item"),
)
ORDERS_WAITING = Metric(
    "labtrail_orders_waiting",
    "Orders, recollections too, that wait for a tube for one of their tests.",
    ("site", "priority"),
)
SWEEP = Metric(
    "labtrail_sweep_timestamp_seconds",
    "When all that is on record was last judged (seconds since 1970); 0 until the first time.",
)
SWEEP_FAILURES = Metric(
    "labtrail_sweep_failures",
    "Cases that could not be judged and are set aside; labtrail doctor names them.",
)
REORDER_POINT = Metric(
    "labtrail_stock_reorder_point",
    "The catalog's level in units at which an item is ordered.",
    ("site", "item"),
)
LEAD_TIME = Metric("labtrail_stock_lead_time_seconds", "The catalog's time from order to delivery.", ("site", "item"))
DAYS_OF_COVER = Metric(
    "labtrail_stock_days_of_cover",
    "Days that the usable stock lasts at the recent use rate; absent for an item without use.",
    ("site", "item"),
)
RESTOCK_DUE = Metric(
    "labtrail_stock_restock_due", "1 where the service's own rule says to order, else 0.", ("site", "item")
)
RESTOCK_SUGGESTED = Metric(
    "labtrail_stock_restock_suggested",
    "Units that fill the stock to par where an order is due.",
    ("site", "item"),
)
EXPIRING = Metric(
    "labtrail_stock_expiring",
    "Units on hand whose lot has expired or expires soon (policy).",
    ("site", "item"),
)
RECALLED = Metric("labtrail_stock_recalled", "Units on hand of lots that their maker recalled.", ("site", "item"))
ALERTS_OPEN = Metric(
    "labtrail_alerts_open", "Labtrail's own open alerts, acknowledged or not.", ("kind", "severity", "site")
)
OLDEST_UNACKNOWLEDGED = Metric(
    "labtrail_alerts_oldest_unacknowledged_seconds",
    "Age of the oldest open alert that nobody has acknowledged; zero if there is none.",
    ("kind", "severity", "site"),
)
DISCREPANCIES = Metric(
    "labtrail_discrepancies",
    "Custody discrepancies that stand now, by code and site of collection.",
    ("code", "site"),
)
QUARANTINED = Metric("labtrail_quarantined", "Records in quarantine that nobody has requeued or discarded.")
OUTBOX_PENDING = Metric("labtrail_outbox_pending", "Effects (alerts, prints) that are committed and not yet sent.")
OUTBOX_OLDEST = Metric(
    "labtrail_outbox_oldest_seconds", "Age of the oldest effect not yet sent, prints aside; zero if none."
)
PRINT_JOBS = Metric("labtrail_print_jobs", "Print jobs by printer and state.", ("printer", "state"))
OLDEST_PRINT_JOB = Metric(
    "labtrail_print_jobs_oldest_pending_seconds",
    "Age of a printer's oldest unprinted job; zero if none.",
    ("printer",),
)
REFRESHED = Metric(
    "labtrail_state_refreshed_timestamp_seconds",
    "When the state gauges were last read from the database (seconds since 1970).",
)
STATE_GAUGES = (
    SPECIMENS,
    OVERDUE,
    OLDEST_OVERDUE,
    OVERDUE_STEPS,
    OLDEST_OVERDUE_STEP,
    ON_HAND,
    USABLE,
    ON_ORDER,
    OVERDUE_DELIVERIES,
    REORDER_POINT,
    LEAD_TIME,
    DAYS_OF_COVER,
    RESTOCK_DUE,
    RESTOCK_SUGGESTED,
    EXPIRING,
    RECALLED,
    ORDERS_WAITING,
    SWEEP,
    SWEEP_FAILURES,
    ALERTS_OPEN,
    OLDEST_UNACKNOWLEDGED,
    DISCREPANCIES,
    QUARANTINED,
    OUTBOX_PENDING,
    OUTBOX_OLDEST,
    PRINT_JOBS,
    OLDEST_PRINT_JOB,
    REFRESHED,
)

LOG_LAG = Metric(
    "labtrail_log_lag", "Log records appended and not yet committed to the tables.", ("topic", "partition")
)
LOG_LAG_REFRESHED = Metric(
    "labtrail_log_lag_refreshed_timestamp_seconds",
    "When the lag was last read from the log (seconds since 1970).",
)
LAG_GAUGES = (LOG_LAG, LOG_LAG_REFRESHED)

METRICS = (*COUNTED, *STATE_GAUGES, *LAG_GAUGES)


class WorkerMetrics:
    """What one process counts. Made once per registry; every method is safe from any thread.

    Label children are kept after their first use, so a count costs one dictionary look-up and one addition.
    """

    def __init__(self, registry: CollectorRegistry, catalog: Catalog) -> None:
        # a `_created` series per child would double the series to no use
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
        self._tests = frozenset(catalog.tests)
        self._sites = frozenset(catalog.sites)
        self._events = _counter(EVENTS, registry)
        self._event_children: dict[tuple[str, str], Counter] = {}
        self._latency = _histogram(EVENT_LATENCY, registry)
        self._transit = _histogram(TRANSIT, registry)
        self._turnaround = _histogram(TURNAROUND, registry)
        self._timeliness = _counter(TIMELINESS, registry)
        self._retries = _counter(STORE_RETRIES, registry)
        for priority in PRIORITIES:  # `rate` needs the series to start at 0, not to be absent until the first result
            for test in sorted(self._tests):
                self._turnaround.labels(test, priority)
                self._timeliness.labels(test, priority, "yes")
                self._timeliness.labels(test, priority, "no")
            for site in sorted(self._sites):
                self._transit.labels(site, priority)

    def committed(self, outcomes: Sequence[Outcome], now_us: int) -> None:
        """Count a batch that was committed at `now_us`: each record's type, outcome and latency.

        The latency is zero for a record whose time, by another machine's clock, is in the future.
        """
        for (kind, verdict), number in Tally((o.event_type, o.verdict) for o in outcomes).items():
            key = (kind if kind in TYPES else UNKNOWN_TYPE, verdict)
            child = self._event_children.get(key)
            if child is None:
                child = self._event_children[key] = self._events.labels(*key)
            child.inc(number)
        for outcome in outcomes:
            self._latency.observe(max(0, now_us - outcome.appended_us) / 1e6)

    def received(self, site: str, priority: str, transit_s: float) -> None:
        """Count a specimen's first receipt at a lab, `transit_s` seconds after its collection at `site`."""
        self._transit.labels(_known(site, self._sites), _priority(priority)).observe(max(0.0, transit_s))

    def resulted(self, test: str, priority: str, turnaround_s: float, limit_s: float) -> None:
        """Count a test's first final result, `turnaround_s` after receipt at a lab; `limit_s` is the allowed time."""
        test, priority = _known(test, self._tests), _priority(priority)
        self._turnaround.labels(test, priority).observe(max(0.0, turnaround_s))
        self._timeliness.labels(test, priority, "yes" if turnaround_s <= limit_s else "no").inc()

    def store_retried(self) -> None:
        """Count a retry of a batch after a database error."""
        self._retries.inc()


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)


def _known(name: str, names: frozenset[str]) -> str:
    return name if name in names else OTHER


def _priority(priority: str) -> str:
    return priority if priority in PRIORITIES else OTHER
