"""The port through which events come in: append to the log, see how far it goes and how far it is consumed.

The embedded log and Kafka stand behind it; both pass tests/embedded/event_log_suite.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from config.errors import LabtrailError
from embedded.log import Log
from embedded.records import PARTITIONS, NewRecord, Position, Record, TopicPartition, log_path
from models.rules.events import ALERTS_TOPIC, SPECIMENS_TOPIC, SUPPLIES_TOPIC

if TYPE_CHECKING:
    from agents.log.kafka_client import KafkaAccess

__all__ = ["GROUP", "TOPICS", "EventLog", "NewRecord", "Position", "Record", "TopicPartition", "open_log"]

GROUP = "labtrail"
"""The consumer group of the agents: which offsets are committed to the tables."""

TOPICS: Mapping[str, int] = {
    SPECIMENS_TOPIC: PARTITIONS,
    SUPPLIES_TOPIC: PARTITIONS,
    ALERTS_TOPIC: PARTITIONS,
}
"""{topic: partitions} of a log that `open_log` makes."""


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
        """Create the topics that aren't there: {name: partitions}. One that is there stays as it is."""

    def close(self) -> None: ...


def open_log(broker_url: str, topics: Mapping[str, int] = TOPICS, kafka: "KafkaAccess | None" = None) -> EventLog:
    """The log that LABTRAIL_BROKER names, `sqlite:///PATH` or `kafka://HOST:PORT`; its topics are made.

    In one process all that open the same embedded log share it, Faust's transport too: an append wakes the
    agents at once. `kafka`: TLS, user and time limits of a Kafka; None: plain text. Close what you opened.
    Raises LabtrailError.
    """
    scheme = broker_url.partition("://")[0]
    log: EventLog
    if scheme == "sqlite":
        log = Log.open(log_path(broker_url))
    elif scheme == "kafka":
        # kafka-python and Faust take a while to import, and only those who use Kafka need them
        from agents.log.kafka import KafkaLog
        from agents.log.kafka_client import KafkaAccess, servers_of

        log = KafkaLog(kafka or KafkaAccess(servers=servers_of(broker_url)))
    else:
        raise LabtrailError(
            f"{broker_url!r} is no broker: set LABTRAIL_BROKER to sqlite:///PATH or kafka://HOST:9092"
        )
    try:
        log.ensure_topics(topics)
    except BaseException:
        log.close()
        raise
    return log
