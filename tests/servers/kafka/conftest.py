"""A Kafka log for one test, with topics of its own: the broker is shared, what is in it is not."""

import secrets
from collections.abc import Iterator

import pytest

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess


@pytest.fixture
def kafka_access(kafka_bootstrap: str) -> KafkaAccess:
    return KafkaAccess(servers=tuple(kafka_bootstrap.split(",")), timeout_seconds=20)


@pytest.fixture
def kafka_log(kafka_access: KafkaAccess) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka_access, topics=())
    yield log
    log.close()


@pytest.fixture
def topic() -> str:
    """A topic name that no other test uses."""
    return f"test.{secrets.token_hex(6)}"
