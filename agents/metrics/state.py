"""The gauges that show the state of the lab: read from the database at most every few seconds, in a thread.

Three rules hold whatever the database does:

* a scrape never waits longer than `wait_s`, so the counters of the process stay visible during a database outage;
* after a failed read the last values stay, with their old time: an outage shows as stale values, never as zeros;
* before the first successful read nothing is exported: an unknown value is an absent series, not a zero.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agents.metrics import definitions as declared
from agents.metrics.definitions import Metric
from models.views.gauges.lab import Cells
from models.views.gauges.snapshot import StateSnapshot

MAX_AGE_S = 5.0
"""How old the values may be before a scrape reads them again."""
REST = 10.0
"""After a slow read there is none for this many times its duration, so reads take at most a tenth of the time."""
WAIT_S = 2.0
"""How long a scrape waits for fresh values: below Prometheus' shortest usual scrape_timeout."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Refreshed(Generic[T]):
    """A value that is read again, in its own thread, when it is asked for and older than `max_age_s`.

    At most one read runs at a time, however many callers there are and however long it hangs; after a slow read
    the value may grow older than that.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        max_age_s: float = MAX_AGE_S,
        wait_s: float = WAIT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._wait_s = wait_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._reading: threading.Thread | None = None
        self._value: T | None = None
        self._fresh_until: float | None = None
        self._failing = False

    def latest(self) -> T | None:
        """The value, fresh if read within `wait_s`, else the last; None before the first successful read."""
        with self._lock:
            fresh = self._fresh_until is not None and self._monotonic() < self._fresh_until
            if not fresh and self._reading is None:
                self._reading = threading.Thread(target=self._refresh, name="metrics-refresh", daemon=True)
                self._reading.start()
            reading = self._reading
        if not fresh and reading is not None:
            reading.join(self._wait_s)
        with self._lock:
            return self._value

    def _refresh(self) -> None:
        began = self._monotonic()
        try:
            value = self._read()
        except Exception as fault:  # noqa: BLE001 - after any error of a driver the last values stay and show as stale
            if not self._failing:
                log.warning("the gauges keep their last values: they can't be read (%s)", type(fault).__name__)
            with self._lock:
                self._failing = True
                self._reading = None
        else:
            with self._lock:
                ended = self._monotonic()
                self._value, self._fresh_until = value, ended + max(self._max_age_s, REST * (ended - began))
                self._failing = False
                self._reading = None


class StateCollector(Collector):
    """Exports `STATE_GAUGES` from a read that may be slow or raise anything."""

    def __init__(self, state: Refreshed[StateSnapshot]) -> None:
        self._state = state

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The names only, so that registering reads no database."""
        return [_family(metric) for metric in declared.STATE_GAUGES]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of the last successful read."""
        state = self._state.latest()
        if state is None:
            return
        for metric, cells in _cells(state):
            family = _family(metric)
            for labels, value in cells.items():
                family.add_metric(labels, value)
            yield family


class LagCollector(Collector):
    """Exports `LAG_GAUGES`: unconsumed records by (topic, partition), and when that was read (seconds since 1970)."""

    def __init__(self, lag: Refreshed[tuple[Mapping[tuple[str, int], int], float]]) -> None:
        self._lag = lag

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The names only, so that registering asks no broker."""
        return [_family(metric) for metric in declared.LAG_GAUGES]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The lag of the last successful read."""
        latest = self._lag.latest()
        if latest is None:
            return
        lag, read_s = latest
        family = _family(declared.LOG_LAG)
        for (topic, partition), waiting in sorted(lag.items()):
            family.add_metric((topic, str(partition)), waiting)
        yield family
        refreshed = _family(declared.LOG_LAG_REFRESHED)
        refreshed.add_metric((), read_s)
        yield refreshed


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def _one(value: float) -> Cells:
    return {(): value}


def _cells(state: StateSnapshot) -> list[tuple[Metric, Cells]]:
    return [
        (declared.SPECIMENS, state.specimens),
        (declared.OVERDUE, state.overdue),
        (declared.OLDEST_OVERDUE, state.oldest_overdue_s),
        (declared.OVERDUE_STEPS, state.overdue_steps),
        (declared.OLDEST_OVERDUE_STEP, state.oldest_overdue_step_s),
        (declared.ON_HAND, state.on_hand),
        (declared.USABLE, state.usable),
        (declared.ON_ORDER, state.on_order),
        (declared.OVERDUE_DELIVERIES, state.overdue_deliveries),
        (declared.REORDER_POINT, state.reorder_point),
        (declared.LEAD_TIME, state.lead_time_s),
        (declared.DAYS_OF_COVER, state.days_of_cover),
        (declared.RESTOCK_DUE, state.restock_due),
        (declared.RESTOCK_SUGGESTED, state.restock_suggested),
        (declared.EXPIRING, state.expiring),
        (declared.RECALLED, state.recalled),
        (declared.ORDERS_WAITING, state.orders_waiting),
        (declared.SWEEP, _one(state.sweep_s)),
        (declared.SWEEP_FAILURES, _one(state.sweep_failures)),
        (declared.ALERTS_OPEN, state.alerts_open),
        (declared.OLDEST_UNACKNOWLEDGED, state.oldest_unacknowledged_s),
        (declared.DISCREPANCIES, state.discrepancies),
        (declared.QUARANTINED, _one(state.quarantined)),
        (declared.OUTBOX_PENDING, _one(state.outbox_pending)),
        (declared.OUTBOX_OLDEST, _one(state.outbox_oldest_s)),
        (declared.PRINT_JOBS, state.print_jobs),
        (declared.OLDEST_PRINT_JOB, state.oldest_print_job_s),
        (declared.REFRESHED, _one(state.refreshed_s)),
    ]


async def exposition(registry: CollectorRegistry) -> bytes:
    """The body of `/metrics`, made in a thread: a slow database never holds up the event loop."""
    return await asyncio.to_thread(generate_latest, registry)
