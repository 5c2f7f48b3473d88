"""The port of the event log: append, read back, see where it ends and how far it is consumed.

The embedded log and Kafka implement it; both pass tests/support/embedded/event_log_suite.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from embedded.records import PARTITIONS, NewRecord, Position, Record, TopicPartition
from models.rules.events import ALERTS_TOPIC, SPECIMENS_TOPIC, SUPPLIES_TOPIC

__all__ = ["GROUP", "TOPICS", "EventLog", "NewRecord", "Position", "Record", "TopicPartition"]

GROUP = "labtrail"
"""The consumer group of the agents: which offsets are committed to the tables."""

TOPICS: Mapping[str, int] = {
    SPECIMENS_TOPIC: PARTITIONS,
    SUPPLIES_TOPIC: PARTITIONS,
    ALERTS_TOPIC: PARTITIONS,
}
"""{topic: partitions} that `open_log` creates."""


class EventLog(Protocol):
    """A log of records in topics with partitions. Every method may be called from any thread."""

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Durable when it returns, positions in the given order. Raises LabtrailError."""

    def ends(self) -> dict[TopicPartition, int]:
        """{(topic, partition): offset of the next record}."""

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """{(topic, partition): offset up to which the group has consumed}, where it has joined."""

    def replay(self, since: datetime | None = None) -> Iterator[tuple[Position, Record]]:
        """Every record appended at or after `since` (None: all kept), in order within each partition."""

    def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """Create the topics that don't exist: {name: partitions}. One that exists stays as it is."""

    def close(self) -> None: ...
