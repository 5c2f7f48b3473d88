"""Kafka behind the EventLog port: the same tests as the embedded log."""

from collections.abc import Iterator

import pytest

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess
from agents.log.port import EventLog
from tests.support.embedded.event_log_suite import EventLogSuite, topic

__all__ = ["topic"]
pytestmark = pytest.mark.kafka


@pytest.fixture
def log(kafka_access: KafkaAccess) -> Iterator[EventLog]:
    log = KafkaLog(kafka_access, topics=())
    yield log
    log.close()


class TestKafkaLog(EventLogSuite):
    """The shared suite on Apache Kafka."""
