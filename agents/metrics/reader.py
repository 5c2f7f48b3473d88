"""What a process reads for its metrics: the state of the lab, and how far the log is ahead of the tables."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from sqlalchemy import Engine

from agents.log.port import EventLog
from agents.metrics.state import LagCollector, Refreshed, StateCollector
from models.database.engine import reading
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC
from models.views.gauges.snapshot import StateSnapshot, snapshot
from models.views.outcomes import committed_offsets

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

TOPICS_IN = (SPECIMENS_TOPIC, SUPPLIES_TOPIC)


def log_lag(engine: Engine, log: EventLog) -> dict[tuple[str, int], int]:
    """(topic, partition) -> records appended and not yet committed to the tables. Raises what either raises."""
    with reading(engine) as connection:
        done = committed_offsets(connection)
    ends = log.ends()
    return {place: max(0, end - done.get(place, 0)) for place, end in ends.items() if place[0] in TOPICS_IN}


def watch_state(
    registry: CollectorRegistry,
    engine: Engine,
    log: EventLog,
    catalog: "Catalog",
    policy: "Policy",
    now_us: Callable[[], int],
) -> None:
    """Export the state of the lab, the log's lag and the process's own use of the machine from this registry.

    The state is the same on every worker and station. Nothing is read before the first scrape;
    `agents.metrics.state.exposition` renders the page.
    """

    def state() -> StateSnapshot:
        with reading(engine) as connection:
            return snapshot(connection, catalog, policy, now_us())

    ProcessCollector(registry=registry)
    registry.register(StateCollector(Refreshed(state)))
    registry.register(LagCollector(Refreshed(lambda: (log_lag(engine, log), now_us() / 1e6))))
