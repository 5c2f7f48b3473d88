"""The private names of aiokafka that Labtrail uses; no other module does. Read in aiokafka 0.14.0.

`AIOKafkaConsumer._fetch_max_wait_ms` is read when the consumer starts; `_subscription` holds what it knows of each
partition that is assigned to it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.consumer.subscription_state import TopicPartitionState
    from aiokafka.structs import TopicPartition


def set_fetch_wait(consumer: "AIOKafkaConsumer", milliseconds: int) -> None:
    """How long the broker may hold an empty fetch. Before the consumer starts."""
    consumer._fetch_max_wait_ms = milliseconds


def partition_state(consumer: "AIOKafkaConsumer", partition: "TopicPartition") -> "TopicPartitionState | None":
    """What the consumer knows of a partition, as its position and high watermark; None of one not assigned to it."""
    subscription = consumer._subscription.subscription
    assignment = subscription and subscription.assignment
    return assignment and assignment.state_value(partition)
