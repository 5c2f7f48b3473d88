"""The private names of aiokafka that Labtrail uses; no other module does. Read in aiokafka 0.14.0.

`AIOKafkaConsumer._fetch_max_wait_ms` is read when the consumer starts; `_subscription` holds the state of each
partition assigned to it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.consumer.subscription_state import TopicPartitionState
    from aiokafka.structs import TopicPartition


def set_fetch_wait(consumer: "AIOKafkaConsumer", milliseconds: int) -> None:
    """Set how long the broker may hold an empty fetch. Call it before the consumer starts."""
    consumer._fetch_max_wait_ms = milliseconds


def partition_state(consumer: "AIOKafkaConsumer", partition: "TopicPartition") -> "TopicPartitionState | None":
    """The consumer's state of a partition: position, high watermark; None if it is not assigned."""
    subscription = consumer._subscription.subscription
    assignment = subscription and subscription.assignment
    return assignment and assignment.state_value(partition)
