"""What a process reads for its metrics: the state of the lab, the times that new events completed, the log's lag."""

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, Engine, select

from agents.eventlog import EventLog
from agents.metrics import WorkerMetrics
from agents.metrics_state import LagCollector, Refreshed, StateCollector
from models.database import reading
from models.deadlines import turnaround_hours
from models.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC
from models.queries_metrics import StateSnapshot, snapshot
from models.queries_metrics_times import newest_seq, transits, turnarounds
from models.tables import progress

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

EVENTS_PER_READ = 50_000
OVERLAP = 2000
"""So many events are looked at again: a transaction that took its numbers earlier may commit later."""
SEEN_MAX = 50_000
TOPICS_IN = (SPECIMENS_TOPIC, SUPPLIES_TOPIC)


class StateReader:
    """Reads the state gauges and, in the same transaction, the turnarounds and transits completed since the last.

    One instance per process. Not for two threads at once: `Refreshed` sees to that.
    """

    def __init__(
        self,
        engine: Engine,
        catalog: "Catalog",
        policy: "Policy",
        counted: WorkerMetrics,
        now_us: Callable[[], int],
    ) -> None:
        self._engine, self._catalog, self._policy = engine, catalog, policy
        self._counted, self._now_us = counted, now_us
        self._start: int | None = None
        self._seq = 0
        self._seen: dict[Hashable, None] = {}

    def start(self) -> None:
        """Count from here on: what was recorded before this process is not its to count.

        Raises what the database raises; the first good read then is the start.
        """
        with reading(self._engine) as connection:
            self._start = self._seq = newest_seq(connection)

    def read(self) -> StateSnapshot:
        """The state now. Raises what the database raises."""
        with reading(self._engine) as connection:
            self._follow(connection)
            return snapshot(connection, self._catalog, self._policy, self._now_us())

    def _follow(self, connection: Connection) -> None:
        newest = newest_seq(connection)
        if self._start is None:
            self._start = self._seq = newest
        after = max(self._start, self._seq - OVERLAP)
        to = min(newest, self._seq + EVENTS_PER_READ)
        for took in turnarounds(connection, after, to):
            hours = turnaround_hours(took.test, took.priority, self._catalog)
            if hours is not None and self._new((took.accession, took.test)):
                self._counted.resulted(took.test, took.priority, took.seconds, hours * 3600)
        for moved in transits(connection, after, to):
            if self._new(moved.accession):
                self._counted.received(moved.site, moved.priority, moved.seconds)
        self._seq = to

    def _new(self, key: Hashable) -> bool:
        """Whether this one has not been counted lately."""
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True


def log_lag(engine: Engine, log: EventLog) -> dict[tuple[str, int], int]:
    """(topic, partition) -> records appended and not yet committed to the tables."""
    with reading(engine) as connection:
        rows = connection.execute(select(progress.c.topic, progress.c.partition, progress.c.next_offset))
        done: Mapping[tuple[str, int], int] = {(topic, partition): offset for topic, partition, offset in rows}
    return {place: max(0, end - done.get(place, 0)) for place, end in log.ends().items() if place[0] in TOPICS_IN}


def serve_metrics(
    registry: CollectorRegistry,
    engine: Engine,
    log: EventLog,
    catalog: "Catalog",
    policy: "Policy",
    now_us: Callable[[], int],
) -> WorkerMetrics:
    """Put every metric of the service into the registry; returns the ones that the process counts itself.

    The registry's page is made by `agents.metrics_state.exposition`. Raises what the database raises: it must be
    there, and migrated, when a process starts.
    """
    counted = WorkerMetrics(registry, catalog)
    reader = StateReader(engine, catalog, policy, counted, now_us)
    reader.start()
    registry.register(StateCollector(Refreshed(reader.read)))
    registry.register(LagCollector(Refreshed(lambda: (log_lag(engine, log), now_us() / 1e6))))
    return counted
